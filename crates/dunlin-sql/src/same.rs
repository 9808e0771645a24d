//! `same`: what must be equal, row by row: two expressions over a row, or one over each of two tables.

use std::num::NonZeroU32;
use std::sync::Arc;

use dunlin_core::node::{Table, Value};
use dunlin_core::{AnyOp, Diagnostic, Field, Line, Node, Op as CoreOp, Phase};

use crate::clause::Clause;
use crate::dialect::Dialect;
use crate::keyset::Key;
use crate::moves::decode::Reader;
use crate::moves::{Expr, Rows};
use crate::none::only_in_verify;
use crate::survey::{Part, Survey};

/// Compares rows where they are, chunk by chunk, and lists those that differ with both values.
///
/// ```toml
/// [[verify]]
/// store = "app"
/// same = { table = "users", expr = "full_name", as = "first || ' ' || last" }
///
/// [[verify]]
/// store = "app"
/// same = { table = "users", expr = "email", with = { table = "people", expr = "email" } }
/// ```
///
/// `table`, `where` and `key` are those of the ops that move data. `as` is another expression over the same row. `with`
/// has a table, an expression, `where` and `key` of its own: the rows are matched by their keys, and what is missing on
/// one side is listed, too. `sample` looks at so many rows, spread evenly over those of the first table, instead of all: it
/// counts them first. NULL equals NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Same {
    /// The grammar of its expressions.
    pub dialect: Dialect,
    /// One side.
    pub side: Side,
    /// The other one.
    pub other: Other,
    /// So many rows instead of all.
    pub sample: Option<NonZeroU32>,
}

/// Rows, and what is compared of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The rows.
    pub rows: Rows,
    /// The expression.
    pub expr: Expr,
}

/// What an expression is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Other {
    /// Another expression over the same row.
    Beside(Expr),
    /// An expression over the row with the same key in another table.
    In(Side),
}

/// Reads `same = { … }`.
pub(crate) fn decode(dialect: Dialect, phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
    if phase != Phase::Verify {
        return Err(vec![only_in_verify(field)]);
    }
    let mut reader = Reader { dialect, faults: Vec::new() };
    let Some(mut table) = reader.keep(field.value.table()) else { return Err(reader.faults) };
    let side = side(&mut reader, &mut table);
    let sample = table.take("sample").and_then(|node| number(&mut reader, node));
    let other = match (table.take("as"), table.take("with")) {
        (Some(node), None) => reader.expr(node).map(Other::Beside),
        (None, Some(node)) => reader.keep(node.table()).and_then(|mut with| {
            let other = self::side(&mut reader, &mut with);
            reader.faults.extend(with.finish(&["table", "expr", "where", "key"]));
            other.map(Other::In)
        }),
        (first, _) => {
            let message = if first.is_some() {
                "`as` and `with` are two things to compare with"
            } else {
                "nothing to compare with"
            };
            let fault = Diagnostic::error("missing-key", message)
                .at(field.value.span, "needs `as` or `with`, one of them");
            reader.faults.push(fault.help("`as` is an expression over the same row, `with` another table"));
            None
        }
    };
    reader.faults.extend(table.finish(&["table", "expr", "as", "where", "key", "sample", "with"]));
    match (side, other) {
        (Some(side), Some(other)) if reader.faults.is_empty() => {
            Ok(Arc::new(Same { dialect, side, other, sample }))
        }
        _ => Err(reader.faults),
    }
}

fn side(reader: &mut Reader, table: &mut Table<'_>) -> Option<Side> {
    let expr = reader.required(table, "expr").and_then(|node| reader.expr(node));
    let rows = reader.rows(table, "table");
    Some(Side { rows: rows?, expr: expr? })
}

fn number(reader: &mut Reader, node: &Node) -> Option<NonZeroU32> {
    let number = match node.value {
        Value::Integer(number) => u32::try_from(number).ok().and_then(NonZeroU32::new),
        _ => None,
    };
    let fault =
        || Diagnostic::error("wrong-type", "`sample` is a number of rows").at(node.span, "no number from 1");
    reader.keep(number.ok_or_else(fault))
}

impl Same {
    /// The key on the other side, where that is another table.
    pub(crate) fn other(&self) -> Option<&Rows> {
        match &self.other {
            Other::Beside(_) => None,
            Other::In(side) => Some(&side.rows),
        }
    }

    /// What the author wrote to be compared.
    pub(crate) fn exprs(&self) -> [&Expr; 2] {
        let other = match &self.other {
            Other::Beside(expr) | Other::In(Side { expr, .. }) => expr,
        };
        [&self.side.expr, other]
    }

    /// The condition under which a row is wrong, where one table is all that is looked at.
    pub(crate) fn wrong(&self) -> Option<String> {
        let Other::Beside(beside) = &self.other else { return None };
        let differ = self.differ(&self.side.expr.sql(), &beside.sql());
        Some(match &self.side.rows.filter {
            Some(filter) => format!("{} and {differ}", filter.sql()),
            None => differ,
        })
    }

    /// Whether two values differ.
    fn differ(&self, one: &str, other: &str) -> String {
        match self.dialect {
            Dialect::Postgres => format!("{one} is distinct from {other}"),
            Dialect::MySql => format!("not ({one} <=> {other})"),
            Dialect::Sqlite => format!("{one} is not {other}"),
        }
    }

    /// How many rows of a part are wrong.
    pub(crate) fn count(&self, clause: &mut Clause, part: &Part<'_>) {
        match &self.other {
            Other::Beside(beside) => {
                clause.push("select count(*)");
                self.beside(clause, part, beside);
            }
            Other::In(other) => {
                self.both(clause, part, other, false);
                let integer = if self.dialect == Dialect::MySql { "signed" } else { "bigint" };
                // Those missing on the one side, on the other, and those that differ.
                clause.push(&format!(
                    " select cast((select count(*) from one) + (select count(*) from other) - 2 * count(*) \
                     + coalesce(sum(case when {} then 1 else 0 end), 0) as {integer}), (select count(*) from one) from one join other on {}",
                    self.differ("one.v", "other.v"),
                    matching(part.key),
                ));
            }
        }
    }

    /// The keys of wrong rows, and their two values.
    pub(crate) fn list(&self, clause: &mut Clause, part: &Part<'_>, limit: usize) {
        let text = |value: &str| text(self.dialect, value);
        match &self.other {
            Other::Beside(beside) => {
                let keys = part.key.texts().join(", ");
                clause.push(&format!(
                    "select {keys}, {}, {}",
                    text(&self.side.expr.sql()),
                    text(&beside.sql())
                ));
                self.beside(clause, part, beside);
                clause.push(&format!(" order by {} limit {limit}", part.key.order("")));
            }
            Other::In(other) => {
                self.both(clause, part, other, true);
                let keys = |side: &str| {
                    let keys = (0..part.key.columns.len()).map(|at| format!("{side}.t{at}"));
                    keys.collect::<Vec<_>>().join(", ")
                };
                let (on, missing) = (matching(part.key), "'(no such row)'");
                clause.push(&format!(
                    " select {}, {}, case when other.k0 is null then {missing} else {} end from one left join other on {on} \
                     where other.k0 is null or {} union all select {}, {missing}, {} from other left join one on {on} \
                     where one.k0 is null limit {limit}",
                    keys("one"),
                    text("one.v"),
                    text("other.v"),
                    self.differ("one.v", "other.v"),
                    keys("other"),
                    text("other.v"),
                ));
            }
        }
    }

    fn beside(&self, clause: &mut Clause, part: &Part<'_>, beside: &Expr) {
        let rows = &self.side.rows;
        clause.push(&format!(" from {}{} where ", rows.table.quoted(self.dialect), part.key.hint()));
        part.condition(clause, part.key);
        if let Some(filter) = &rows.filter {
            clause.push(" and ").push(&filter.sql());
        }
        clause.push(" and ").push(&self.differ(&self.side.expr.sql(), &beside.sql()));
    }

    /// The two sides, by the same part of their keys.
    fn both(&self, clause: &mut Clause, part: &Part<'_>, other: &Side, with_texts: bool) {
        let sides = [("one", &self.side, part.key), ("other", other, part.other.unwrap_or(part.key))];
        for (name, side, key) in sides {
            clause.push(if name == "one" { "with one as (select " } else { "), other as (select " });
            for (at, (column, shown)) in key.quoted().iter().zip(key.texts()).enumerate() {
                clause.push(&format!("{column} as k{at}, "));
                if with_texts {
                    clause.push(&format!("{shown}, "));
                }
            }
            let table = side.rows.table.quoted(self.dialect);
            clause.push(&format!("{} as v from {table}{} where ", side.expr.sql(), key.hint()));
            part.condition(clause, key);
            if let Some(filter) = &side.rows.filter {
                clause.push(" and ").push(&filter.sql());
            }
        }
        clause.push(")");
    }

    /// The two values of a row, for people.
    pub(crate) fn values(&self, one: &str, other: &str) -> String {
        let name = |expr: &Expr| clipped(&expr.canonical, 40);
        let (left, right) = match &self.other {
            Other::Beside(beside) => (name(&self.side.expr), name(beside)),
            Other::In(side) => (self.side.rows.table.name.clone(), side.rows.table.name.clone()),
        };
        format!("{left}: {}, {right}: {}", clipped(one, 200), clipped(other, 200))
    }
}

/// The keys of both sides are equal.
fn matching(key: &Key) -> String {
    let pairs = (0..key.columns.len()).map(|at| format!("one.k{at} = other.k{at}"));
    pairs.collect::<Vec<_>>().join(" and ")
}

/// A value as text, for people.
fn text(dialect: Dialect, value: &str) -> String {
    let kind = if dialect == Dialect::MySql { "char" } else { "text" };
    format!("coalesce(cast({value} as {kind}), 'NULL')")
}

fn clipped(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl CoreOp for Same {
    fn summary(&self) -> String {
        let (table, expr) = (&self.side.rows.table.name, clipped(&self.side.expr.canonical, 40));
        match &self.other {
            Other::Beside(beside) => format!("{table}: {expr} same as {}", clipped(&beside.canonical, 40)),
            Other::In(side) => format!("{table} and {}: same {expr}", side.rows.table.name),
        }
    }

    fn preview(&self) -> Vec<Line> {
        let key = self.side.rows.guess(self.dialect);
        let other = self.other().map(|rows| rows.guess(self.dialect));
        Survey::Same(self).shown(&key, other.as_ref())
    }

    fn canonical(&self) -> String {
        let side = |side: &Side| format!("{}\nexpr {}", side.rows.canonical(), side.expr.canonical);
        let other = match &self.other {
            Other::Beside(beside) => format!("as {}", beside.canonical),
            Other::In(other) => format!("with {}", side(other)),
        };
        let sample = self.sample.map(|sample| format!("\nsample {sample}"));
        format!("same 1 {}\n{other}{}", side(&self.side), sample.unwrap_or_default())
    }

    fn moves(&self) -> bool {
        true
    }
}
