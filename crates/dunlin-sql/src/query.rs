//! Verify steps: statements that look and must find nothing.

use dunlin_core::Diagnostic;

use crate::op::{Op, Statement};

/// Reports every statement of a verify step that is not a query.
pub(crate) fn check(op: &Op) -> impl Iterator<Item = Diagnostic> + '_ {
    op.statements().filter(|statement| !is_query(statement)).map(|statement| {
        let finding = Diagnostic::error("not-a-query", "a verify step that does more than look")
            .help("write queries that find what must not be there; changes belong under `-- Up`");
        match statement.span {
            Some(span) => finding.at(span, "not a query"),
            None => finding,
        }
    })
}

fn is_query(statement: &Statement) -> bool {
    let head = statement.head();
    let mut words = head.split([' ', '(']).filter(|word| !word.starts_with("/*"));
    let first = words.find(|word| !word.is_empty()).unwrap_or_default();
    statement.is_setting()
        || matches!(
            first,
            "select" | "with" | "values" | "table" | "show" | "pragma" | "explain" | "describe" | "desc"
        )
}
