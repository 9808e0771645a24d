//! The statements of a chunk.

use super::{Expr, Move, Rows, Verb};
use crate::clause::Clause;
use crate::dialect::Dialect;
use crate::keyset::{Key, Value, tuple};

/// Where a chunk ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End<'a> {
    /// At this key.
    At(&'a [Value]),
    /// At the bound that the same statement finds, or at this key if it finds none (PostgreSQL).
    Found(&'a [Value]),
}

impl<'a> End<'a> {
    fn values(self) -> &'a [Value] {
        match self {
            Self::At(values) | Self::Found(values) => values,
        }
    }
}

/// A stretch of the key: after one value, up to another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) key: &'a Key,
    pub(crate) after: Option<&'a [Value]>,
    pub(crate) end: End<'a>,
}

impl Stretch<'_> {
    /// The condition, and what else must hold.
    fn condition(&self, clause: &mut Clause, filter: Option<&Expr>) {
        clause.push(" where ");
        if self.after.is_some() {
            self.key.compare(clause, ">", "after", self.after);
            clause.push(" and ");
        }
        match self.end {
            End::At(values) => self.key.compare(clause, "<=", "until", Some(values)),
            End::Found(values) => {
                let names = self.key.quoted();
                let bound = |clause: &mut Clause, at: usize| {
                    let last = self.key.mark(clause, "last", Some(values), at);
                    format!("coalesce((select {} from dunlin_bound), {last})", names[at])
                };
                let bounds: Vec<String> = (0..names.len()).map(|at| bound(clause, at)).collect();
                clause.push(&format!("{} <= {}", tuple(&names), tuple(&bounds)));
            }
        }
        if let Some(filter) = filter {
            clause.push(" and ").push(&filter.sql());
        }
    }

    /// Finds the key at which a chunk of `size` rows ends; no row if fewer are left.
    pub(crate) fn bound(&self, clause: &mut Clause, rows: &Rows, what: &str, size: u32) {
        clause.push(&format!("select {what} from {}{}", rows.table.quoted(clause.dialect), self.key.hint()));
        let whole = Self { end: End::At(self.end.values()), ..*self };
        whole.condition(clause, None);
        let offset = clause.mark("rows_less_one", i64::from(size.max(1) - 1).into());
        clause.push(&format!(" order by {} limit 1 offset {offset}", self.key.order("")));
    }

    /// Counts the rows.
    pub(crate) fn count(&self, clause: &mut Clause, rows: &Rows) {
        clause.push(&format!(
            "select count(*) from {}{}",
            rows.table.quoted(clause.dialect),
            self.key.hint()
        ));
        let whole = Self { end: End::At(self.end.values()), ..*self };
        whole.condition(clause, None);
    }

    /// Changes the rows.
    pub(crate) fn change(&self, clause: &mut Clause, op: &Move) {
        let (dialect, table) = (clause.dialect, op.rows.table.quoted(clause.dialect));
        let pair = |(column, expr): &(String, Expr)| format!("{} = {}", dialect.quote(column), expr.sql());
        match &op.verb {
            Verb::Update { set } => {
                let set: Vec<String> = set.iter().map(pair).collect();
                clause.push(&format!("update {table}{} set {}", self.key.hint(), set.join(", ")));
            }
            Verb::Insert { into, values, .. } => {
                let columns: Vec<String> = values.iter().map(|(column, _)| dialect.quote(column)).collect();
                let exprs: Vec<String> = values.iter().map(|(_, expr)| expr.sql()).collect();
                let (into, columns, exprs) = (into.quoted(dialect), columns.join(", "), exprs.join(", "));
                clause.push(&format!(
                    "insert into {into} ({columns}) select {exprs} from {table}{}",
                    self.key.hint()
                ));
            }
            Verb::Delete => {
                clause.push(&format!("delete from {table}"));
            }
        }
        self.condition(clause, op.rows.filter.as_ref());
        if let Verb::Insert { into, values, skips: true } = &op.verb {
            clause.push(&passing_by(dialect, &into.quoted(dialect), &dialect.quote(&values[0].0)));
        }
    }

    /// All of a chunk in one statement (PostgreSQL): how many rows it changed, how many were left where it found no
    /// bound, and the bound.
    pub(crate) fn whole(&self, clause: &mut Clause, op: &Move, size: u32) {
        let names = self.key.order("");
        clause.push("with dunlin_bound as (");
        self.bound(clause, &op.rows, &names, size);
        clause.push("), dunlin_done as (");
        self.change(clause, op);
        clause.push(" returning 1) select (select count(*) from dunlin_done), (");
        self.count(clause, &op.rows);
        clause.push(" and not exists (select from dunlin_bound)), ");
        clause.push(&self.key.read()).push(" from (select) as one left join dunlin_bound on true");
    }
}

/// What leaves a row alone that is there already, and nothing else that is wrong.
fn passing_by(dialect: Dialect, into: &str, column: &str) -> String {
    match dialect {
        Dialect::Postgres | Dialect::Sqlite => " on conflict do nothing".to_owned(),
        // `insert ignore` would pass over values that do not fit as well.
        Dialect::MySql => format!(" on duplicate key update {column} = {into}.{column}"),
    }
}

/// The statements of one chunk as people see them.
pub(crate) fn preview(op: &Move, key: &Key) -> Vec<String> {
    let end = if op.dialect == Dialect::Postgres { End::Found(&[]) } else { End::At(&[]) };
    let stretch = Stretch { key, after: Some(&[]), end };
    let text = |write: &dyn Fn(&mut Clause)| {
        let mut clause = Clause::shown(op.dialect);
        write(&mut clause);
        clause.text
    };
    if op.dialect == Dialect::Postgres {
        return vec![text(&|clause| stretch.whole(clause, op, 1))];
    }
    vec![
        text(&|clause| stretch.bound(clause, &op.rows, &key.read(), 1)),
        text(&|clause| stretch.change(clause, op)),
    ]
}
