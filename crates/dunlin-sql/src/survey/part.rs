//! Part of a table that a verify op looks at, and the statements about it.

use crate::clause::Clause;
use crate::keyset::{Key, Value};
use crate::moves::{Expr, Rows};

/// The rows that one query is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) key: &'a Key,
    /// The key of the other table, if there is one.
    pub(crate) other: Option<&'a Key>,
    pub(crate) after: Option<&'a [Value]>,
    pub(crate) until: &'a [Value],
    /// This one row alone.
    pub(crate) only: bool,
}

impl Part<'_> {
    /// The condition, on either side.
    pub(crate) fn condition(&self, clause: &mut Clause, key: &Key) {
        if self.only {
            key.equal(clause, self.until);
        } else {
            key.range(clause, self.after, Some(self.until));
        }
    }

    /// Reads the rows of one table once, `size` of them: how many there are, how many of them are wrong, and the last key
    /// (PostgreSQL).
    pub(super) fn pass(&self, clause: &mut Clause, rows: &Rows, wrong: &str, size: u32) {
        let last = self.key.read_of(|name| format!("(array_agg({name}))[count(*)]"));
        let (table, names) = (rows.table.quoted(clause.dialect), self.key.order(""));
        clause.push(&format!(
            "select count(*), count(*) filter (where dunlin_wrong), {last} \
             from (select {names}, ({wrong}) as dunlin_wrong from {table} where "
        ));
        self.condition(clause, self.key);
        let limit = clause.mark("rows", i64::from(size).into());
        clause.push(&format!(" order by {names} limit {limit}) part"));
    }

    /// Finds the key of the row with the number `size`, in that table of the two that comes to it first, so that neither
    /// has more in a part. No row if both have fewer left.
    pub(super) fn bound(
        &self,
        clause: &mut Clause,
        (rows, filter): (&Rows, Option<&Expr>),
        others: Option<&Rows>,
        size: u32,
    ) {
        let nth = |clause: &mut Clause, key: &Key, rows: &Rows| {
            select(clause, key, rows);
            clause.push(" where ");
            self.condition(clause, key);
            if let Some(filter) = filter {
                clause.push(" and ").push(&filter.sql());
            }
            let offset = clause.mark("rows_less_one", i64::from(size.max(1) - 1).into());
            clause.push(&format!(" order by {} limit 1 offset {offset}", key.order("")));
        };
        first(clause, (self.key, rows), self.other.zip(others), "", nth);
    }
}

/// Finds the last key, of that table of the two that goes further.
pub(super) fn last(clause: &mut Clause, one: (&Key, &Rows), other: Option<(&Key, &Rows)>) {
    let end = |clause: &mut Clause, key: &Key, rows: &Rows| {
        select(clause, key, rows);
        clause.push(&format!(" order by {} limit 1", key.order(" desc")));
    };
    first(clause, one, other, " desc", end);
}

fn select(clause: &mut Clause, key: &Key, rows: &Rows) {
    let table = rows.table.quoted(clause.dialect);
    clause.push(&format!("select {} from {table}{}", key.order(""), key.hint()));
}

/// Reads the key that `find` finds; in two tables, the one that comes first in this direction.
fn first(
    clause: &mut Clause,
    one: (&Key, &Rows),
    other: Option<(&Key, &Rows)>,
    direction: &str,
    find: impl Fn(&mut Clause, &Key, &Rows),
) {
    let key = one.0;
    clause.push(&format!("select {} from (", key.read()));
    if let Some(other) = other {
        clause.push("select * from (");
        find(clause, one.0, one.1);
        clause.push(") one union all select * from (");
        find(clause, other.0, other.1);
        clause.push(") other");
    } else {
        find(clause, one.0, one.1);
    }
    clause.push(&format!(") found order by {} limit 1", key.order(direction)));
}
