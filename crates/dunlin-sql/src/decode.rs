//! The `sql` op of `.toml` steps: a text, or a table with settings.

use std::sync::Arc;

use dunlin_core::node::{Table, Value};
use dunlin_core::{AnyOp, Diagnostic, Excerpt, Field, Node, Phase};

use crate::dialect::Dialect;
use crate::directive;
use crate::op::{ForeignKeys, Op};
use crate::query;
use crate::script;
use crate::text::{Place, Text};
use crate::units::{self, Settings};

const KNOWN: [&str; 3] = ["statements", "transaction", "foreign_keys"];

/// Reads `sql = "…"` or `sql = { statements = "…" | ["…"], transaction = false, foreign_keys = "off" }`.
pub fn decode(dialect: Dialect, phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
    let mut findings = Vec::new();
    let op = match &field.value.value {
        Value::Table(_) => match field.value.table() {
            Ok(table) => from_table(dialect, table, &mut findings),
            Err(wrong) => return Err(vec![wrong]),
        },
        _ => grouped(dialect, &[field.value], Settings::default(), &mut findings),
    };
    if phase == Phase::Verify {
        findings.extend(query::check(&op));
    }
    if op.units.is_empty() && findings.is_empty() {
        findings.push(
            Diagnostic::error("empty-step", "a step without a statement")
                .at(field.value.span, "nothing to run")
                .help("write a statement, or delete the step"),
        );
    }
    if findings.iter().any(Diagnostic::is_error) { Err(findings) } else { Ok(Arc::new(op)) }
}

fn from_table(dialect: Dialect, mut table: Table<'_>, findings: &mut Vec<Diagnostic>) -> Op {
    let mut settings = Settings::default();
    if let Some(node) = table.take("transaction") {
        match node.value {
            Value::Bool(wanted) => settings.no_transaction = !wanted,
            _ => findings.push(wrong(node, "`true` or `false`")),
        }
    }
    if let Some(node) = table.take("foreign_keys") {
        match foreign_keys(dialect, node) {
            Ok(keys) => settings.foreign_keys = Some(keys),
            Err(finding) => findings.push(finding),
        }
    }
    let nodes: Vec<&Node> = match table.require("statements") {
        Ok(Node { value: Value::Array(items), .. }) => items.iter().collect(),
        Ok(node) => vec![node],
        Err(missing) => {
            findings.push(missing);
            Vec::new()
        }
    };
    findings.extend(table.finish(&KNOWN));
    grouped(dialect, &nodes, settings, findings)
}

fn foreign_keys(dialect: Dialect, node: &Node) -> Result<ForeignKeys, Diagnostic> {
    let word = node.text()?;
    if dialect != Dialect::Sqlite {
        return Err(Diagnostic::error("misplaced-directive", "`foreign_keys` is for SQLite")
            .at(node.span, "means nothing here")
            .help("delete it: constraints can be deferred here"));
    }
    directive::foreign_keys(word).map_err(|help| {
        Diagnostic::error("bad-directive", format!("`{word}` is no way to treat foreign keys"))
            .at(node.span, "not understood")
            .help(help)
    })
}

/// All texts as one script.
fn grouped(dialect: Dialect, nodes: &[&Node], mut settings: Settings, findings: &mut Vec<Diagnostic>) -> Op {
    let mut texts: Vec<(Excerpt, Place)> = Vec::new();
    for node in nodes {
        match &node.value {
            Value::String { text, verbatim } => {
                let place = verbatim.map_or(Place::Within(node.span), Place::Verbatim);
                texts.push((text.as_str().into(), place));
            }
            _ => findings.push(wrong(node, "a text")),
        }
    }
    let mut statements = Vec::new();
    for (content, place) in &texts {
        let text = Text { dialect, content, place: *place };
        statements.extend(script::statements(text, &mut settings, findings));
    }
    units::group(dialect, statements, settings, findings)
}

fn wrong(node: &Node, wanted: &str) -> Diagnostic {
    Diagnostic::error("wrong-type", format!("expected {wanted}, found {}", node.kind()))
        .at(node.span, format!("not {wanted}"))
}

#[cfg(test)]
mod tests;
