//! The walks from the values of `.toml` steps.

use std::sync::Arc;

use bson::{Bson, Document, doc};
use dunlin_core::node::{Node, Table};
use dunlin_core::{AnyOp, Diagnostic, Field, Phase, Span};

use super::{Convert, Existing, Merge, Move, OnError, Task, Type};
use crate::command;
use crate::op::decode::{Result, database, document, list_of_documents};

/// Stages that look at one document at a time, so that a chunk gives the same as the whole.
const STAGES: [&str; 11] = [
    "$match",
    "$project",
    "$set",
    "$addFields",
    "$unset",
    "$replaceRoot",
    "$replaceWith",
    "$redact",
    "$lookup",
    "$unwind",
    "$graphLookup",
];

/// The op, unless it stands where it must not.
pub(crate) fn checked(phase: Phase, field: &Field<'_>, op: Move) -> Result<AnyOp> {
    let span = field.value.span;
    if phase == Phase::Verify {
        let message = format!("a verify step only looks, and `{}` does more", field.name);
        let wrong = Diagnostic::error("verify-writes", message).at(span, "not a read");
        return Err(vec![
            wrong.help("use `none`, `same`, or `mongo` with a find, count, distinct or aggregate"),
        ]);
    }
    for name in [Some(op.collection.as_str()), op.target()].into_iter().flatten() {
        if let Some((message, help)) = command::refusal(&doc! { "update": name }) {
            let wrong = Diagnostic::error("refused-command", message).at(span, "not in a migration");
            return Err(vec![wrong.help(help)]);
        }
        if op.target() == Some(&op.collection) {
            let wrong = Diagnostic::error("wrong-value", "it would go into the collection it comes from");
            let help = "`update_many` with a `pipeline` changes documents in their place";
            return Err(vec![wrong.at(span, "one and the same").help(help)]);
        }
    }
    Ok(Arc::new(op))
}

/// A table being taken apart, with everything that is wrong with it.
pub(crate) struct Reader<'a> {
    pub(crate) table: Table<'a>,
    pub(crate) wrong: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(node: &'a Node) -> Result<Self> {
        let table = node.table().map_err(|wrong| vec![wrong])?;
        Ok(Self { table, wrong: Vec::new() })
    }

    /// A text that must be there.
    pub(crate) fn text(&mut self, name: &str) -> String {
        let text = self.table.require(name).and_then(Node::text);
        text.map_err(|bad| self.wrong.push(bad)).unwrap_or_default().to_owned()
    }

    /// A document; empty where there is none.
    pub(crate) fn filter(&mut self) -> Document {
        let filter = self.table.take("filter").map(document).transpose();
        filter.map_err(|bad| self.wrong.push(bad)).ok().flatten().unwrap_or_default()
    }

    /// `{ collection, filter, database? }`, and nothing else: database, collection and filter.
    pub(crate) fn documents(node: &'a Node) -> Result<(Option<Arc<str>>, String, Document)> {
        let mut reader = Self::new(node)?;
        let collection = reader.text("collection");
        let filter = reader.table.require("filter").and_then(document);
        let filter = filter.map_err(|bad| reader.wrong.push(bad)).unwrap_or_default();
        let database = database(&mut reader.table, &mut reader.wrong);
        reader.finish(&["collection", "filter", "database"])?;
        Ok((database, collection, filter))
    }

    /// One of several words, the first where none is written.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> T {
        let usual = words[0].1;
        let Some(node) = self.table.take(name) else { return usual };
        match node.text() {
            Ok(text) => match words.iter().find(|(word, _)| *word == text) {
                Some((_, value)) => return *value,
                None => {
                    let known = words.iter().map(|(word, _)| *word);
                    let help = dunlin_core::suggest::help(text, known);
                    let wrong = Diagnostic::error("wrong-value", format!("`{name}` cannot be `{text}`"));
                    self.wrong.push(wrong.at(node.span, "not known here").help(help));
                }
            },
            Err(bad) => self.wrong.push(bad),
        }
        usual
    }

    /// A field's name, dotted where it is nested.
    pub(crate) fn field(&mut self, name: &str) -> String {
        let node = self.table.require(name);
        let text = match node.and_then(|node| node.text().map(|text| (node, text))) {
            Ok((node, text)) => {
                let is_path = text.split('.').all(|part| !part.is_empty() && !part.starts_with('$'));
                if is_path {
                    return text.to_owned();
                }
                Diagnostic::error("wrong-value", format!("`{text}` is no field"))
                    .at(node.span, "not a field")
                    .help("write the name without `$`, and dots between the names of nested fields")
            }
            Err(bad) => bad,
        };
        self.wrong.push(text);
        String::new()
    }

    /// Says of a field whose value is converted that it must not be about an element of a list.
    pub(crate) fn refuse_element(&mut self, field: &str, span: Span) {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if field.split('.').any(is_number) {
            let wrong =
                Diagnostic::error("wrong-value", format!("`{field}` asks for an element by its number"));
            let help = "elements of lists have no names: write an `update_many` with a `pipeline` of `$map` and `$convert`";
            self.wrong.push(wrong.at(span, "is about an element of a list").help(help));
        }
    }

    /// Whatever is wrong, with the keys nobody took.
    pub(crate) fn finish(self, known: &[&str]) -> Result<()> {
        let Self { table, mut wrong } = self;
        wrong.extend(table.finish(known));
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// `delete_many = { collection, filter, database? }`.
pub(crate) fn delete_many(node: &Node) -> Result<Move> {
    let (database, collection, filter) = Reader::documents(node)?;
    Ok(Move { database, collection, filter, task: Task::Delete, span: Some(node.span) })
}

/// `convert = { collection, field, to, on_error = "fail" | "keep" | "null" | "quarantine", into?, filter?, database? }`.
pub(crate) fn convert(node: &Node) -> Result<Move> {
    let mut reader = Reader::new(node)?;
    let collection = reader.text("collection");
    let field = reader.field("field");
    reader.refuse_element(&field, node.span);
    if field == "_id" || field.starts_with("_id.") {
        let wrong = Diagnostic::error("wrong-value", "the `_id` of a document cannot be changed");
        let help = "copy the documents with `merge_into` and a `pipeline` that sets another `_id`";
        reader.wrong.push(wrong.at(node.span, "converts `_id`").help(help));
    }
    if reader.table.keys().all(|key| key.name != "to") {
        reader.table.require("to").map(drop).map_err(|bad| reader.wrong.push(bad)).ok();
    }
    let to = reader.choice("to", &Type::ALL.map(|to| (to.word(), to)));
    let policy = reader.choice("on_error", &[("fail", 0), ("keep", 1), ("null", 2), ("quarantine", 3)]);
    let into = reader.table.take("into");
    let on_error = match (policy, into) {
        (3, into) => {
            let name = into.map(Node::text).transpose().map_err(|bad| reader.wrong.push(bad)).ok().flatten();
            OnError::Quarantine(name.map_or_else(|| format!("{collection}_quarantine"), str::to_owned))
        }
        (_, Some(into)) => {
            let wrong = Diagnostic::error("wrong-value", "`into` says where documents in quarantine go");
            reader
                .wrong
                .push(wrong.at(into.span, "no quarantine here").help("add on_error = \"quarantine\""));
            OnError::Fail
        }
        (0, None) => OnError::Fail,
        (1, None) => OnError::Keep,
        (_, None) => OnError::Null,
    };
    let filter = reader.filter();
    let database = database(&mut reader.table, &mut reader.wrong);
    reader.finish(&["collection", "field", "to", "on_error", "into", "filter", "database"])?;
    let task = Task::Convert(Convert { field, to, on_error });
    Ok(Move { database, collection, filter, task, span: Some(node.span) })
}

/// `merge_into = { from, into, pipeline?, filter?, existing = "fail" | "skip" | "replace" | "merge", database? }`.
pub(crate) fn merge_into(node: &Node) -> Result<Move> {
    let mut reader = Reader::new(node)?;
    let collection = reader.text("from");
    let into = reader.text("into");
    let mut pipeline = Vec::new();
    if let Some(stages) = reader.table.take("pipeline") {
        match list_of_documents(stages) {
            Ok(list) => {
                reader.wrong.extend(list.iter().filter_map(unfit).map(|(message, help)| {
                    Diagnostic::error("wrong-value", message).at(stages.span, "not in here").help(help)
                }));
                pipeline = list;
            }
            Err(bad) => reader.wrong.push(bad),
        }
    }
    let existing = reader.choice("existing", &Existing::ALL.map(|existing| (existing.word(), existing)));
    let filter = reader.filter();
    let database = database(&mut reader.table, &mut reader.wrong);
    reader.finish(&["from", "into", "pipeline", "existing", "filter", "database"])?;
    let task = Task::Merge(Merge { into, pipeline, existing, matched: Vec::new() });
    Ok(Move { database, collection, filter, task, span: Some(node.span) })
}

/// Why a stage cannot stand in a pipeline that is run chunk by chunk.
fn unfit(stage: &Bson) -> Option<(String, &'static str)> {
    let (name, value) = stage.as_document()?.iter().next()?;
    if !STAGES.contains(&name.as_str()) {
        let message = format!("`{name}` looks at more than one document");
        return Some((
            message,
            "the documents are merged in chunks; for the whole at once write a `mongo` step with `aggregate`",
        ));
    }
    let is_off = |value: &Bson| matches!(value, Bson::Int32(0) | Bson::Int64(0) | Bson::Boolean(false));
    let loses_id = match (name.as_str(), value) {
        ("$project", Bson::Document(fields)) => fields.get("_id").is_some_and(is_off),
        ("$unset", Bson::String(field)) => field == "_id",
        ("$unset", Bson::Array(fields)) => fields.iter().any(|field| field.as_str() == Some("_id")),
        ("$replaceWith", value) => is_without_id(value),
        ("$replaceRoot", Bson::Document(root)) => root.get("newRoot").is_some_and(is_without_id),
        _ => false,
    };
    let help = "without an `_id` the server makes a new one each time, and a chunk that is merged again would be doubled";
    loses_id.then(|| (format!("`{name}` leaves documents without their `_id`"), help))
}

/// Whether a new document is written out and has no `_id`, or is a part of the old one that may have none.
fn is_without_id(root: &Bson) -> bool {
    match root {
        Bson::Document(root) => !root.contains_key("_id") && !root.keys().any(|key| key.starts_with('$')),
        other => other.as_str() != Some("$$ROOT"),
    }
}
