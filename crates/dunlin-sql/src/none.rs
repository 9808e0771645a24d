//! `none`: rows that must not be there.

use std::sync::Arc;

use dunlin_core::node::Value;
use dunlin_core::{AnyOp, Diagnostic, Field, Line, Op as CoreOp, Phase};

use crate::clause::Clause;
use crate::dialect::Dialect;
use crate::moves::Rows;
use crate::moves::decode::Reader;
use crate::survey::{Part, Survey};

/// Finds the rows that must not be there, chunk by chunk.
///
/// ```toml
/// [[verify]]
/// store = "app"
/// none = { table = "users", where = "full_name is null" }
/// ```
///
/// `table`, `where` (which rows must not be there) and `key` are those of the ops that move data. As a text, `none` is a
/// query that must find nothing, run at one go: `none = "select id from users where full_name is null"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nothing {
    /// The grammar of its condition.
    pub dialect: Dialect,
    /// The rows.
    pub rows: Rows,
    /// What that proves, in words, where the condition says it badly.
    pub words: Option<String>,
}

/// Reads `none = "select …"` or `none = { table, where, key }`.
pub(crate) fn decode(dialect: Dialect, phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
    if phase != Phase::Verify {
        return Err(vec![only_in_verify(field)]);
    }
    if !matches!(field.value.value, Value::Table(_)) {
        return crate::decode(dialect, phase, field);
    }
    let mut reader = Reader { dialect, faults: Vec::new() };
    let Some(mut table) = reader.keep(field.value.table()) else { return Err(reader.faults) };
    let rows = reader.rows(&mut table, "table");
    if rows.as_ref().is_some_and(|rows| rows.filter.is_none()) {
        reader.required(&mut table, "where");
    }
    reader.faults.extend(table.finish(&["table", "where", "key"]));
    match rows {
        Some(rows) if reader.faults.is_empty() => Ok(Arc::new(Nothing { dialect, rows, words: None })),
        _ => Err(reader.faults),
    }
}

/// A step that looks, in a phase that changes.
pub(crate) fn only_in_verify(field: &Field<'_>) -> Diagnostic {
    Diagnostic::error("read-outside-verify", format!("`{}` only looks", field.name))
        .at(field.value.span, "changes nothing")
        .help("write it under `[[verify]]`")
}

impl Nothing {
    /// How many of a part there are.
    pub(crate) fn count(&self, clause: &mut Clause, part: &Part<'_>) {
        clause.push("select count(*)");
        self.from(clause, part);
    }

    /// Their keys.
    pub(crate) fn list(&self, clause: &mut Clause, part: &Part<'_>, limit: usize) {
        clause.push(&format!("select {}", part.key.texts().join(", ")));
        self.from(clause, part);
        clause.push(&format!(" order by {} limit {limit}", part.key.order("")));
    }

    fn from(&self, clause: &mut Clause, part: &Part<'_>) {
        clause.push(&format!(" from {}{} where ", self.rows.table.quoted(self.dialect), part.key.hint()));
        part.condition(clause, part.key);
        if let Some(filter) = &self.rows.filter {
            clause.push(" and ").push(&filter.sql());
        }
    }
}

impl CoreOp for Nothing {
    fn summary(&self) -> String {
        if let Some(words) = &self.words {
            return words.clone();
        }
        let filter = self.rows.filter.as_ref().map(|filter| format!(" where {}", filter.canonical));
        format!("none of {}{}", self.rows.table.name, filter.unwrap_or_default())
    }

    fn preview(&self) -> Vec<Line> {
        Survey::Nothing(self).shown(&self.rows.guess(self.dialect), None)
    }

    fn canonical(&self) -> String {
        format!("none 1 {}", self.rows.canonical())
    }

    fn moves(&self) -> bool {
        true
    }
}
