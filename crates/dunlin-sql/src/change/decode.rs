//! Changes of columns as they are written.

use std::sync::Arc;

use dunlin_core::node::{Table, Value};
use dunlin_core::{Diagnostic, Field, Node, Part};

use super::reshape::{Coming, Kind, Leaving, Reshape};
use super::{Frame, own_name};
use crate::dialect::Dialect;
use crate::moves::Expr;
use crate::moves::decode::Reader;
use crate::op::Name;
use crate::{names, rewrite};

/// What a change says, and what it is for.
pub(super) struct Said<'a> {
    pub(super) table: Table<'a>,
    pub(super) frame: Frame,
}

/// Reads the table that every change names.
pub(super) fn frame<'a>(reader: &mut Reader, field: &Field<'a>, tag: &str) -> Option<Said<'a>> {
    let mut table = reader.keep(field.value.table())?;
    let name = reader.required(&mut table, "table").and_then(|node| reader.name(node))?;
    let frame = Frame {
        dialect: reader.dialect,
        canonical: format!("{} {}.{}", field.name, name.schema.as_deref().unwrap_or_default(), name.name),
        touches: Vec::new(),
        reads: Vec::new(),
        table: name,
        tag: Arc::from(tag),
    };
    Some(Said { table, frame })
}

impl Said<'_> {
    /// Puts more of the change into what is hashed.
    pub(super) fn hash(&mut self, what: &str, text: &str) {
        self.frame.canonical.push('\n');
        self.frame.canonical.push_str(what);
        self.frame.canonical.push(' ');
        self.frame.canonical.push_str(text);
    }

    /// Has a part of the table in hand.
    pub(super) fn touch(&mut self, part: &str) {
        let path = path(self.frame.dialect, &self.frame.table, part);
        self.frame.touches.push(path);
    }

    /// Builds upon what an expression reads, and leaves that as it is.
    pub(super) fn read(&mut self, expr: &Expr) {
        let (dialect, table) = (self.frame.dialect, self.frame.table.clone());
        let parts = names::of(dialect, &expr.text);
        self.frame.reads.extend(parts.iter().map(|part| path(dialect, &table, part)));
    }

    pub(super) fn column(&mut self, reader: &mut Reader, key: &str) -> Option<String> {
        let node = reader.required(&mut self.table, key)?;
        let name = node.text().and_then(|text| crate::moves::expr::column(reader.dialect, text, node.span));
        let name = reader.keep(name)?;
        self.hash(key, &name);
        self.touch(&name);
        Some(name)
    }

    pub(super) fn expr(&mut self, reader: &mut Reader, key: &str) -> Option<Expr> {
        let expr = self.table.take(key).and_then(|node| reader.expr(node))?;
        self.hash(key, &expr.canonical);
        Some(expr)
    }

    /// An expression over the columns of the table.
    pub(super) fn over(&mut self, reader: &mut Reader, key: &str) -> Option<Expr> {
        let expr = self.expr(reader, key)?;
        self.read(&expr);
        Some(expr)
    }

    pub(super) fn required_over(&mut self, reader: &mut Reader, key: &str) -> Option<Expr> {
        let expr = self.required(reader, key)?;
        self.read(&expr);
        Some(expr)
    }

    pub(super) fn required(&mut self, reader: &mut Reader, key: &str) -> Option<Expr> {
        let expr = reader.required(&mut self.table, key).and_then(|node| reader.expr(node))?;
        self.hash(key, &expr.canonical);
        Some(expr)
    }

    pub(super) fn flag(&mut self, reader: &mut Reader, key: &str) -> bool {
        let Some(node) = self.table.take(key) else { return false };
        match node.value {
            Value::Bool(flag) => {
                if flag {
                    self.hash(key, "true");
                }
                flag
            }
            _ => {
                let fault = Diagnostic::error("wrong-type", format!("`{key}` is `true` or `false`"));
                reader.faults.push(fault.at(node.span, "is neither"));
                false
            }
        }
    }

    /// Reports what nobody took.
    pub(super) fn finish(self, reader: &mut Reader, known: &[&str]) -> Frame {
        reader.faults.extend(self.table.finish(known));
        self.frame
    }
}

/// The path of a part of a table. Where letters' case tells no names apart, it tells no paths apart.
pub(super) fn path(dialect: Dialect, table: &Name, part: &str) -> String {
    let path = if part.is_empty() { table.name.clone() } else { format!("{}.{part}", table.name) };
    if dialect == Dialect::Postgres { path } else { path.to_lowercase() }
}

/// `rename_column`, `change_type`, `transform`, `add_column`, `drop_column`.
pub(super) fn reshape(reader: &mut Reader, field: &Field<'_>, tag: &str) -> Option<Vec<Part>> {
    let said = frame(reader, field, tag)?;
    let change = match field.name {
        "rename_column" => rename(reader, said),
        "change_type" => change_type(reader, said),
        "add_column" => add(reader, said, field.value),
        "drop_column" => leave(reader, said),
        _ => transform(reader, said),
    }?;
    Some(change.unfold())
}

fn rename(reader: &mut Reader, mut said: Said<'_>) -> Option<Reshape> {
    let (from, to) = (said.column(reader, "from"), said.column(reader, "to"));
    let frame = said.finish(reader, &["table", "from", "to"]);
    let (from, to) = (from?, to?);
    let bare = |name: &str| Expr::written(reader.dialect, &reader.dialect.quote(name));
    let (up, down) = (bare(&from), bare(&to));
    let coming =
        Coming { column: to, kind: Kind::Like(from.clone()), up: Some(up), default: None, is_needed: false };
    let leaving = vec![Leaving { column: from, down: Some(down) }];
    Some(Reshape { frame, leaving, coming: vec![coming], takes_name: false })
}

fn change_type(reader: &mut Reader, mut said: Said<'_>) -> Option<Reshape> {
    let column = said.column(reader, "column");
    let kind = said.required(reader, "type");
    let (up, down) = (said.required_over(reader, "up"), said.required_over(reader, "down"));
    let frame = said.finish(reader, &["table", "column", "type", "up", "down"]);
    let (column, up, down) = (column?, up?, down?);
    let shadow = own_name(&format!("dunlin_{}", frame.tag), &column);
    // On the way back the column of that name is the new one.
    let down = rewrite::renamed(reader.dialect, &down.text, &column, &shadow);
    let down = Expr::written(reader.dialect, &down);
    let coming =
        Coming { column: shadow, kind: Kind::Given(kind?), up: Some(up), default: None, is_needed: false };
    let leaving = vec![Leaving { column, down: Some(down) }];
    Some(Reshape { frame, leaving, coming: vec![coming], takes_name: true })
}

fn add(reader: &mut Reader, mut said: Said<'_>, at: &Node) -> Option<Reshape> {
    let column = said.column(reader, "column");
    let kind = said.required(reader, "type");
    let (default, up) = (said.expr(reader, "default"), said.over(reader, "backfill"));
    let is_needed = said.flag(reader, "not_null");
    if is_needed && default.is_none() && up.is_none() {
        let fault = Diagnostic::error("missing-key", "the rows that are there need a value")
            .at(at.span, "NOT NULL, and says none");
        reader.faults.push(fault.help("`default` is a constant, `backfill` an expression over the row"));
    }
    let frame = said.finish(reader, &["table", "column", "type", "default", "backfill", "not_null"]);
    let coming = Coming { column: column?, kind: Kind::Given(kind?), up, default, is_needed };
    Some(Reshape { frame, leaving: Vec::new(), coming: vec![coming], takes_name: false })
}

fn leave(reader: &mut Reader, mut said: Said<'_>) -> Option<Reshape> {
    let column = said.column(reader, "column");
    let down = said.over(reader, "down");
    let frame = said.finish(reader, &["table", "column", "down"]);
    let leaving = vec![Leaving { column: column?, down }];
    Some(Reshape { frame, leaving, coming: Vec::new(), takes_name: false })
}

/// `transform = { table, up = { full_name = { type, as } }, down = { first = "…" } }`.
fn transform(reader: &mut Reader, mut said: Said<'_>) -> Option<Reshape> {
    let up = reader.required(&mut said.table, "up").and_then(|node| reader.keep(entries(node)));
    let down = reader.required(&mut said.table, "down").and_then(|node| reader.keep(entries(node)));
    let (mut coming, mut leaving) = (Vec::new(), Vec::new());
    for (key, node) in up.unwrap_or_default() {
        let name = crate::moves::expr::column(reader.dialect, &key.name, key.span);
        let (Some(column), Some(mut table)) = (reader.keep(name), reader.keep(node.table())) else {
            continue;
        };
        let kind = reader.required(&mut table, "type").and_then(|node| reader.expr(node));
        let expr = reader.required(&mut table, "as").and_then(|node| reader.expr(node));
        let is_needed = table.take("not_null").is_some_and(|node| node.value == Value::Bool(true));
        reader.faults.extend(table.finish(&["type", "as", "not_null"]));
        let (Some(kind), Some(expr)) = (kind, expr) else { continue };
        said.hash(&column, &format!("{} as {} {is_needed}", kind.canonical, expr.canonical));
        said.touch(&column);
        said.read(&expr);
        coming.push(Coming { column, kind: Kind::Given(kind), up: Some(expr), default: None, is_needed });
    }
    for (key, node) in down.unwrap_or_default() {
        let name = crate::moves::expr::column(reader.dialect, &key.name, key.span);
        let (Some(column), Some(expr)) = (reader.keep(name), reader.expr(node)) else { continue };
        said.hash(&column, &expr.canonical);
        said.touch(&column);
        said.read(&expr);
        leaving.push(Leaving { column, down: Some(expr) });
    }
    let frame = said.finish(reader, &["table", "up", "down"]);
    let is_whole = !coming.is_empty() && !leaving.is_empty();
    is_whole.then_some(Reshape { frame, leaving, coming, takes_name: false })
}

fn entries(node: &Node) -> Result<&[(dunlin_core::node::Key, Node)], Diagnostic> {
    match &node.value {
        Value::Table(entries) if !entries.is_empty() => Ok(entries),
        _ => Err(Diagnostic::error("wrong-type", "expected columns and what they are")
            .at(node.span, "names no column")
            .help("write a table: `{ full_name = { type = \"text\", as = \"first || ' ' || last\" } }`")),
    }
}
