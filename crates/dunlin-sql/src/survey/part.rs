//! Part of a table that a verify op looks at, and the statements about it.

use crate::clause::Clause;
use crate::dialect::Dialect;
use crate::keyset::{Key, Value};
use crate::moves::Rows;

/// The rows that one query is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) key: &'a Key,
    /// The key of the other table, if there is one.
    pub(crate) other: Option<&'a Key>,
    pub(crate) after: Option<&'a [Value]>,
    /// To the end of the table if it is not said.
    pub(crate) until: Option<&'a [Value]>,
    /// This one row alone.
    pub(crate) only: bool,
}

impl Part<'_> {
    /// The condition, on either side.
    pub(crate) fn condition(&self, clause: &mut Clause, key: &Key) {
        match self.until {
            Some(values) if self.only => key.equal(clause, values),
            until => key.range(clause, self.after, until),
        }
    }

    /// Reads the rows of one table once, `size` of them: how many there are, how many of them are wrong, and the last key.
    pub(super) fn pass(&self, clause: &mut Clause, rows: &Rows, wrong: &str, size: u32) {
        let (table, names) = (rows.table.quoted(clause.dialect), self.key.order(""));
        let hint = self.key.hint();
        clause.push(&format!(
            "with part as (select {names}, case when {wrong} then 1 else 0 end as dunlin_wrong from {table}{hint} where "
        ));
        self.condition(clause, self.key);
        let limit = clause.mark("rows", i64::from(size).into());
        let integer = if clause.dialect == Dialect::MySql { "signed" } else { "bigint" };
        clause.push(&format!(
            " order by {names} limit {limit}) select (select count(*) from part), \
             (select cast(coalesce(sum(dunlin_wrong), 0) as {integer}) from part), {} from part order by {} limit 1",
            self.key.read(),
            self.key.order(" desc"),
        ));
    }

    /// Finds the key of the row with the number `size`; no row if fewer are left.
    pub(super) fn bound(&self, clause: &mut Clause, rows: &Rows, size: u32) {
        let table = rows.table.quoted(clause.dialect);
        clause.push(&format!("select {} from {table}{} where ", self.key.read(), self.key.hint()));
        self.condition(clause, self.key);
        let offset = clause.mark("rows_less_one", i64::from(size.max(1) - 1).into());
        clause.push(&format!(" order by {} limit 1 offset {offset}", self.key.order("")));
    }
}
