//! The statements of a chunk.

use super::{Expr, Move, Rows, Verb};
use crate::clause::Clause;
use crate::dialect::Dialect;
use crate::keyset::{Key, Value};

/// A stretch of the key: after one value, up to another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) key: &'a Key,
    pub(crate) after: Option<&'a [Value]>,
    pub(crate) until: &'a [Value],
}

impl Stretch<'_> {
    /// The condition, and what else must hold.
    fn condition(&self, clause: &mut Clause, filter: Option<&Expr>) {
        clause.push(" where ");
        if self.after.is_some() {
            self.key.compare(clause, ">", "after", self.after);
            clause.push(" and ");
        }
        self.key.compare(clause, "<=", "until", Some(self.until));
        if let Some(filter) = filter {
            clause.push(" and ").push(&filter.sql());
        }
    }

    /// Finds the key at which a chunk of `size` rows ends; no row if fewer are left.
    pub(crate) fn bound(&self, clause: &mut Clause, rows: &Rows, size: u32) {
        let (what, table) = (self.key.read(), rows.table.quoted(clause.dialect));
        clause.push(&format!("select {what} from {table}{}", self.key.hint()));
        self.condition(clause, None);
        let offset = clause.mark("rows_less_one", i64::from(size.max(1) - 1).into());
        clause.push(&format!(" order by {} limit 1 offset {offset}", self.key.order("")));
    }

    /// Counts the rows, or those for which something holds.
    pub(crate) fn count(&self, clause: &mut Clause, rows: &Rows, filter: Option<&Expr>) {
        clause.push(&format!(
            "select count(*) from {}{}",
            rows.table.quoted(clause.dialect),
            self.key.hint()
        ));
        self.condition(clause, filter);
    }

    /// Changes the rows, and leaves these columns as they are.
    pub(crate) fn change(&self, clause: &mut Clause, op: &Move, kept: &[String]) {
        let (dialect, table) = (clause.dialect, op.rows.table.quoted(clause.dialect));
        let pair = |(column, expr): &(String, Expr)| format!("{} = {}", dialect.quote(column), expr.sql());
        match &op.verb {
            Verb::Update { set } => {
                let stays = |column: &String| format!("{0} = {0}", dialect.quote(column));
                let set: Vec<String> = set.iter().map(pair).chain(kept.iter().map(stays)).collect();
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
pub(crate) fn preview(op: &Move, key: &Key, kept: &[String]) -> Vec<String> {
    let stretch = Stretch { key, after: Some(&[]), until: &[] };
    let text = |write: &dyn Fn(&mut Clause)| {
        let mut clause = Clause::shown(op.dialect);
        write(&mut clause);
        clause.text
    };
    vec![text(&|clause| stretch.bound(clause, &op.rows, 1)), text(&|clause| stretch.change(clause, op, kept))]
}
