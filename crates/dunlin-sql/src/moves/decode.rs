//! `update`, `insert_select` and `delete` of `.toml` steps.

use std::sync::Arc;

use dunlin_core::node::{Table, Value};
use dunlin_core::{AnyOp, Diagnostic, Field, Node, Phase};

use super::expr::{self, Expr};
use super::{Move, Rows, Verb};
use crate::dialect::Dialect;
use crate::op::Name;
use crate::tables;

/// The op of a step that moves data.
pub(crate) fn decode(dialect: Dialect, phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
    let mut reader = Reader { dialect, faults: Vec::new() };
    if phase == Phase::Verify {
        reader.faults.push(
            Diagnostic::error("verify-writes", format!("`{}` does more than look", field.name))
                .at(field.value.span, "changes rows")
                .help("write it under `[[backfill]]`; verify steps take `none`, `same` and `sql`"),
        );
    }
    let Some(table) = reader.keep(field.value.table()) else { return Err(reader.faults) };
    let op = match field.name {
        "update" => reader.update(table),
        "insert_select" => reader.insert(table),
        _ => reader.delete(table),
    };
    if let Some(name) = op.as_ref().map(written).filter(|name| tables::is_ours(name)) {
        reader.faults.push(
            Diagnostic::error("own-tables", format!("{name} is dunlin's own"))
                .at(field.value.span, "changes its rows")
                .help(
                    "`dunlin mark` and `dunlin baseline` write into the history what a person knows better",
                ),
        );
    }
    match op {
        Some(op) if reader.faults.is_empty() => Ok(Arc::new(op)),
        _ => Err(reader.faults),
    }
}

/// The table whose rows an op changes.
fn written(op: &Move) -> &str {
    match &op.verb {
        Verb::Insert { into, .. } => &into.name,
        Verb::Update { .. } | Verb::Delete => &op.rows.table.name,
    }
}

/// Reads parts of an op, and collects every fault.
pub(crate) struct Reader {
    pub(crate) dialect: Dialect,
    pub(crate) faults: Vec<Diagnostic>,
}

impl Reader {
    pub(crate) fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn update(&mut self, mut table: Table<'_>) -> Option<Move> {
        let set = self.required(&mut table, "set").and_then(|node| self.pairs(node));
        let rows = self.rows(&mut table, "table");
        self.faults.extend(table.finish(&["table", "set", "where", "key"]));
        let (set, rows) = (set?, rows?);
        let in_key = |column: &String| rows.key.as_ref().is_some_and(|key| key.contains(column));
        if let Some((column, expr)) = set.iter().find(|(column, _)| in_key(column)) {
            let fault =
                Diagnostic::error("key-changes", format!("`{column}` is what the rows are gone through by"));
            let fault =
                fault.help("a row that moves on under the cursor would be met twice: name another `key`");
            self.faults.push(match expr.span {
                Some(span) => fault.at(span, "cannot be set"),
                None => fault,
            });
        }
        Some(Move { dialect: self.dialect, verb: Verb::Update { set }, rows, is_silent: false })
    }

    fn insert(&mut self, mut table: Table<'_>) -> Option<Move> {
        let into = self.required(&mut table, "into").and_then(|node| self.name(node));
        let values = self.required(&mut table, "values").and_then(|node| self.pairs(node));
        let skips = table.take("existing").and_then(|node| self.existing(node)).unwrap_or(false);
        let rows = self.rows(&mut table, "from");
        self.faults.extend(table.finish(&["from", "into", "values", "where", "key", "existing"]));
        let verb = Verb::Insert { into: into?, values: values?, skips };
        Some(Move { dialect: self.dialect, verb, rows: rows?, is_silent: false })
    }

    fn delete(&mut self, mut table: Table<'_>) -> Option<Move> {
        let rows = self.rows(&mut table, "table");
        if rows.as_ref().is_some_and(|rows| rows.filter.is_none()) {
            let fault = table.require("where").err();
            self.faults.extend(fault.map(|fault| fault.help("`where = \"true\"` deletes all rows")));
        }
        self.faults.extend(table.finish(&["table", "where", "key"]));
        Some(Move { dialect: self.dialect, verb: Verb::Delete, rows: rows?, is_silent: false })
    }

    /// The table, and which of its rows.
    pub(crate) fn rows(&mut self, table: &mut Table<'_>, name: &str) -> Option<Rows> {
        let named = self.required(table, name).and_then(|node| self.name(node));
        let filter = table.take("where").and_then(|node| self.expr(node));
        let key = table.take("key").and_then(|node| self.key(node));
        Some(Rows { table: named?, filter, key })
    }

    pub(crate) fn required<'a>(&mut self, table: &mut Table<'a>, name: &str) -> Option<&'a Node> {
        let found = table.require(name);
        self.keep(found)
    }

    pub(crate) fn expr(&mut self, node: &Node) -> Option<Expr> {
        let read = expr::read(self.dialect, node);
        self.keep(read)
    }

    pub(crate) fn name(&mut self, node: &Node) -> Option<Name> {
        let name = node.text().and_then(|text| expr::name(self.dialect, text, node.span));
        self.keep(name)
    }

    fn key(&mut self, node: &Node) -> Option<Vec<String>> {
        let nodes =
            if let Value::Array(items) = &node.value { items.as_slice() } else { std::slice::from_ref(node) };
        if nodes.is_empty() {
            self.faults
                .push(Diagnostic::error("missing-key", "a key has a column").at(node.span, "names none"));
        }
        let dialect = self.dialect;
        let columns =
            nodes.iter().map(|node| node.text().and_then(|text| expr::column(dialect, text, node.span)));
        let columns: Vec<_> = columns.collect();
        columns.into_iter().map(|column| self.keep(column)).collect()
    }

    /// Columns and expressions: a table, or a text with commas.
    fn pairs(&mut self, node: &Node) -> Option<Vec<(String, Expr)>> {
        let pairs = match &node.value {
            Value::Table(entries) => {
                let mut pairs = Vec::new();
                for (key, value) in entries {
                    let column = self.keep(expr::column(self.dialect, &key.name, key.span));
                    pairs.extend(column.zip(self.expr(value)));
                }
                pairs
            }
            _ => self.keep(expr::assignments(self.dialect, node))?,
        };
        if pairs.is_empty() {
            let fault = Diagnostic::error("empty-step", "no column is given a value");
            self.faults.push(fault.at(node.span, "sets nothing"));
        }
        for (at, (column, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(other, _)| other == column) {
                let fault = Diagnostic::error("bad-assignment", format!("`{column}` is set twice"));
                self.faults.push(fault.at(node.span, "a column has one value"));
            }
        }
        Some(pairs)
    }

    fn existing(&mut self, node: &Node) -> Option<bool> {
        let word = self.keep(node.text())?;
        if !matches!(word, "fail" | "skip") {
            let fault =
                Diagnostic::error("wrong-value", format!("`{word}` is nothing to do with rows that exist"));
            self.faults.push(fault.at(node.span, "not known").help("`\"fail\"` or `\"skip\"`"));
        }
        Some(word == "skip")
    }
}
