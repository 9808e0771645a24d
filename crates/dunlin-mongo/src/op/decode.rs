//! From the value of a `.toml` step to an op. Documents are written as tables, or as texts that hold Extended JSON or
//! mongosh literals.

use std::sync::Arc;

use bson::{Bson, DateTime, Document, doc};
use dunlin_core::node::{Node, Table, Value};
use dunlin_core::{AnyOp, Diagnostic, Field, Phase, Span};

use super::{Command, Kind, Op};
use crate::check;
use crate::command;
use crate::extended;
use crate::moves::{self, Move};
use crate::script;

/// The ops of `.toml` steps.
pub(crate) const OPS: [&str; 8] =
    ["mongo", "update_many", "convert", "merge_into", "delete_many", "insert", "none", "same"];

pub(crate) type Result<T, E = Vec<Diagnostic>> = std::result::Result<T, E>;

/// Reads the op of a step.
pub(crate) fn decode(phase: Phase, field: &Field<'_>) -> Result<AnyOp> {
    let node = field.value;
    match field.name {
        "mongo" => commands(phase, mongo(node)?, node.span),
        "insert" => commands(phase, vec![insert(node)?], node.span),
        "update_many" => {
            let command = update_many(node)?;
            match Move::update(&command) {
                Some(walk) => moves::decode::checked(phase, field, walk),
                None => commands(phase, vec![command], node.span),
            }
        }
        "convert" => moves::decode::checked(phase, field, moves::decode::convert(node)?),
        "merge_into" => moves::decode::checked(phase, field, moves::decode::merge_into(node)?),
        "delete_many" => moves::decode::checked(phase, field, moves::decode::delete_many(node)?),
        "none" => check::decode::checked(phase, field, check::decode::none(node)?),
        "same" => check::decode::checked(phase, field, check::decode::same(node)?),
        other => {
            let unknown = Diagnostic::error("unknown-op", format!("unknown op `{other}`"));
            let help = dunlin_core::suggest::help(other, OPS);
            Err(vec![unknown.at(node.span, "not known here").help(help)])
        }
    }
}

fn commands(phase: Phase, commands: Vec<Command>, span: Span) -> Result<AnyOp> {
    let wrong: Vec<Diagnostic> =
        commands.iter().filter_map(|command| refused(phase, command, span)).collect();
    if wrong.is_empty() { Ok(Arc::new(Op { commands })) } else { Err(wrong) }
}

/// `insert = { collection, documents, database? }`: documents that are there already, by `_id`, fail the step.
fn insert(node: &Node) -> Result<Command> {
    let mut wrong = Vec::new();
    let mut table = node.table().map_err(|diagnostic| vec![diagnostic])?;
    let collection = table.require("collection").and_then(Node::text).map_err(|bad| wrong.push(bad)).ok();
    let documents =
        table.require("documents").and_then(list_of_documents).map_err(|bad| wrong.push(bad)).ok();
    let database = database(&mut table, &mut wrong);
    wrong.extend(table.finish(&["collection", "documents", "database"]));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let document = doc! { "insert": collection, "documents": documents };
    Ok(Command { database, span: Some(node.span), ..Command::new(document) })
}

/// A list that holds nothing but documents, and something.
pub(crate) fn list_of_documents(node: &Node) -> Result<Vec<Bson>, Diagnostic> {
    let Bson::Array(items) = value(node)? else { return Err(not("a list of documents", node.span)) };
    let is_right = !items.is_empty() && items.iter().all(|item| item.as_document().is_some());
    if is_right { Ok(items) } else { Err(not("a list of documents", node.span)) }
}

/// The database a step names, if it names one.
pub(crate) fn database(table: &mut Table<'_>, wrong: &mut Vec<Diagnostic>) -> Option<Arc<str>> {
    let text = table.take("database").map(Node::text).transpose().map_err(|bad| wrong.push(bad));
    text.ok().flatten().map(Arc::from)
}

/// What keeps a command from standing where it stands.
pub(crate) fn refused(phase: Phase, command: &Command, place: Span) -> Option<Diagnostic> {
    let span = command.span.unwrap_or(place);
    if let Some((message, help)) = command::refusal(&command.document) {
        return Some(Diagnostic::error("refused-command", message).at(span, "not in a migration").help(help));
    }
    let name = command::name(&command.document);
    let is_read = command::is_read(&command.document);
    match (phase == Phase::Verify, is_read) {
        (true, false) => Some(
            Diagnostic::error("verify-writes", format!("a verify step only looks, and `{name}` does more"))
                .at(span, "not a read")
                .help("use find, count, distinct or aggregate; whatever they find is a violation"),
        ),
        (false, true) => Some(
            Diagnostic::error("read-outside-verify", format!("`{name}` reads, which does nothing here"))
                .at(span, "changes nothing")
                .help("move it into a verify step, where whatever it finds is a violation"),
        ),
        _ => None,
    }
}

fn mongo(node: &Node) -> Result<Vec<Command>> {
    let nodes: Vec<&Node> = match &node.value {
        Value::Array(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut commands = Vec::new();
    let mut wrong = Vec::new();
    for node in nodes {
        match value(node) {
            Ok(Bson::Document(document)) => commands.push(from_document(document, node.span)),
            Ok(Bson::Array(items)) => {
                for item in items {
                    match item {
                        Bson::Document(document) => commands.push(from_document(document, node.span)),
                        _ => wrong.push(not("a command document", node.span)),
                    }
                }
            }
            Ok(_) => wrong.push(not("a command document", node.span)),
            Err(diagnostic) => wrong.push(diagnostic),
        }
    }
    if wrong.is_empty() { Ok(commands) } else { Err(wrong) }
}

/// `$db` names another database, as it does on the wire.
fn from_document(mut document: Document, span: Span) -> Command {
    let database = match document.remove("$db") {
        Some(Bson::String(name)) => Some(name.into()),
        _ => None,
    };
    Command { database, span: Some(span), ..Command::new(document) }
}

const KEYS: [&str; 10] = [
    "collection",
    "filter",
    "update",
    "pipeline",
    "upsert",
    "array_filters",
    "collation",
    "hint",
    "let",
    "database",
];

fn update_many(node: &Node) -> Result<Command> {
    let mut wrong = Vec::new();
    let mut table = node.table().map_err(|diagnostic| vec![diagnostic])?;
    let collection = table.require("collection").and_then(Node::text).map_err(|bad| wrong.push(bad)).ok();
    let filter = table.require("filter").and_then(document).map_err(|bad| wrong.push(bad)).ok();
    let (update, pipeline) = (table.take("update"), table.take("pipeline"));
    let change = change(node, update, pipeline).map_err(|bad| wrong.push(bad)).ok();
    let mut statement = doc! { "q": filter.unwrap_or_default(), "u": change.unwrap_or(Bson::Null) };
    for (key, name) in [
        ("upsert", "upsert"),
        ("collation", "collation"),
        ("array_filters", "arrayFilters"),
        ("hint", "hint"),
    ] {
        match table.take(key).map(value) {
            Some(Ok(value)) => drop(statement.insert(name, value)),
            Some(Err(bad)) => wrong.push(bad),
            None => {}
        }
    }
    statement.insert("multi", true);
    let mut document = doc! { "update": collection.unwrap_or_default(), "updates": [statement] };
    match table.take("let").map(value) {
        Some(Ok(value)) => drop(document.insert("let", value)),
        Some(Err(bad)) => wrong.push(bad),
        None => {}
    }
    let database = database(&mut table, &mut wrong);
    wrong.extend(table.finish(&KEYS));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Command { database, kind: Kind::UpdateMany, span: Some(node.span), ..Command::new(document) })
}

fn change(node: &Node, update: Option<&Node>, pipeline: Option<&Node>) -> Result<Bson, Diagnostic> {
    match (update, pipeline) {
        (Some(update), None) => {
            let operators = document(update)?;
            let is_plain = operators.keys().any(|key| !key.starts_with('$'));
            if is_plain || operators.is_empty() {
                let message = "the update has no operators";
                return Err(Diagnostic::error("no-operators", message)
                    .at(update.span, "not an operator such as $set")
                    .help("write { $set = { … } }, or a `pipeline`"));
            }
            Ok(Bson::Document(operators))
        }
        (None, Some(pipeline)) => match value(pipeline)? {
            Bson::Array(stages) if !stages.is_empty() => Ok(Bson::Array(stages)),
            _ => Err(not("a list of stages", pipeline.span)),
        },
        (update, _) => {
            let message = if update.is_some() {
                "both `update` and `pipeline`"
            } else {
                "neither `update` nor `pipeline`"
            };
            Err(Diagnostic::error("missing-key", format!("{message} is given"))
                .at(node.span, "needs one of them")
                .help("`update` takes operators, `pipeline` a list of stages"))
        }
    }
}

pub(crate) fn document(node: &Node) -> Result<Document, Diagnostic> {
    match value(node)? {
        Bson::Document(document) => Ok(document),
        _ => Err(not("a document", node.span)),
    }
}

pub(crate) fn not(wanted: &str, span: Span) -> Diagnostic {
    Diagnostic::error("wrong-type", format!("expected {wanted}")).at(span, format!("not {wanted}"))
}

/// The BSON of a value. A text where a document or a list is meant holds one; inside tables a text is a text.
pub(crate) fn value(node: &Node) -> Result<Bson, Diagnostic> {
    if let Value::String { text, .. } = &node.value {
        return literal(node, text);
    }
    let unreadable =
        |message: String| Diagnostic::error("bad-extended-json", message).at(node.span, "in here");
    extended::unwrap(plain(node)?).map_err(unreadable)
}

fn plain(node: &Node) -> Result<Bson, Diagnostic> {
    Ok(match &node.value {
        Value::Bool(truth) => Bson::Boolean(*truth),
        Value::Integer(number) => i32::try_from(*number).map_or(Bson::Int64(*number), Bson::Int32),
        Value::Float(number) => Bson::Double(*number),
        Value::String { text, .. } => Bson::String(text.clone()),
        Value::Datetime(written) => date(written, node.span)?,
        Value::Array(items) => Bson::Array(items.iter().map(plain).collect::<Result<_, _>>()?),
        Value::Table(entries) => {
            let pair = |(key, node): &(dunlin_core::node::Key, Node)| Ok((key.name.clone(), plain(node)?));
            Bson::Document(entries.iter().map(pair).collect::<Result<_, Diagnostic>>()?)
        }
    })
}

/// A date without an offset is meant as UTC.
fn date(written: &str, span: Span) -> Result<Bson, Diagnostic> {
    let mut text = written.replace(' ', "T");
    if !text.contains('T') {
        text.push_str("T00:00:00");
    }
    let time = text.split_once('T').map_or("", |(_, time)| time);
    if !time.ends_with(['Z', 'z']) && !time.contains(['+', '-']) {
        text.push('Z');
    }
    DateTime::parse_rfc3339_str(&text)
        .map(Bson::DateTime)
        .map_err(|_| not("a date with or without a time", span))
}

/// Strict JSON is Extended JSON, where a number too large for an int is a long; anything else is a literal of mongosh.
fn literal(node: &Node, text: &str) -> Result<Bson, Diagnostic> {
    let found = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(json) => extended::from_json(json),
        Err(_) => script::literal(text).map_err(|fault| {
            let at = fault.place.map_or((0, text.len()), |place| {
                let start = offset(text, place.line, place.column);
                (
                    start,
                    text[start..]
                        .find(|letter: char| !letter.is_alphanumeric())
                        .map_or(text.len(), |end| start + end.max(1)),
                )
            });
            let diagnostic = Diagnostic::error(fault.code, fault.message).at(node.inside(at.0, at.1), "here");
            match fault.help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            }
        })?,
    };
    extended::unwrap(found)
        .map_err(|message| Diagnostic::error("bad-extended-json", message).at(node.span, "in here"))
}

/// The byte at a line and column of the engine's, kept inside the text and off the middle of a character.
pub(crate) fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
