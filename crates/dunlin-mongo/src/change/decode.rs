//! What the values of all changes have in common: the collection, the filter, the version of the shape.

use bson::{Bson, Document};
use dunlin_core::node::{Node, Value};
use dunlin_core::{Diagnostic, Span};

use super::life::Frame;
use super::path;
use crate::command;
use crate::moves::decode::Reader;
use crate::op::decode::not;

/// Takes a change apart.
pub(super) struct Change<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) span: Span,
    tag: &'a str,
}

impl<'a> Change<'a> {
    pub(super) fn new(node: &'a Node, tag: &'a str) -> Result<Self, Vec<Diagnostic>> {
        Ok(Self { reader: Reader::new(node)?, span: node.span, tag })
    }

    pub(super) fn wrong(&mut self, message: impl Into<String>, label: &str, help: &str) {
        let wrong = Diagnostic::error("wrong-value", message.into()).at(self.span, label).help(help);
        self.reader.wrong.push(wrong);
    }

    /// The name of a collection that may be changed.
    pub(super) fn collection(&mut self, key: &str) -> String {
        let name = self.reader.text(key);
        if let Some((message, help)) = command::refusal(&bson::doc! { "update": &name }) {
            let wrong = Diagnostic::error("refused-command", message).at(self.span, "not in a migration");
            self.reader.wrong.push(wrong.help(help));
        }
        name
    }

    /// A field, which is not the `_id`.
    pub(super) fn field(&mut self, key: &str) -> String {
        let field = self.reader.field(key);
        if !field.is_empty() {
            self.check_field(&field);
        }
        field
    }

    pub(super) fn check_field(&mut self, field: &str) {
        if !field.split('.').all(|part| !part.is_empty() && !part.starts_with('$')) {
            let help = "write the name without `$`, and dots between the names of nested fields";
            self.wrong(format!("`{field}` is no field"), "names what is no field", help);
        }
        if path::root(field) == "_id" {
            let help = "copy the documents with `merge_into` and a `pipeline` that sets another `_id`";
            self.wrong("the `_id` of a document cannot be changed", "is about `_id`", help);
        }
    }

    /// Fields that must not be the same, or one in the other.
    pub(super) fn keep_apart(&mut self, fields: &[String]) {
        for (at, one) in fields.iter().enumerate() {
            if let Some(other) = fields[..at].iter().find(|other| path::meet(one, other)) {
                let message = format!("`{one}` and `{other}` are the same, or one is in the other");
                let help = "choose another name for the new one";
                self.wrong(message, "old and new must live side by side", help);
            }
        }
    }

    fn version(&mut self) -> Option<i32> {
        let node = self.reader.table.take("schema_version")?;
        match &node.value {
            Value::Integer(number) if (1..=i64::from(i32::MAX)).contains(number) => {
                return i32::try_from(*number).ok();
            }
            _ => self.reader.wrong.push(not("a version from 1 on", node.span)),
        }
        None
    }

    /// Everything else: what is common to all changes of fields. `fields` are those it is about.
    pub(super) fn frame(
        mut self,
        collection: String,
        fields: &[String],
        keys: &[&str],
    ) -> Result<Frame, Vec<Diagnostic>> {
        let filter = self.reader.filter();
        if let Some(field) =
            fields.iter().find(|field| names(&filter).iter().any(|name| path::meet(name, field)))
        {
            let message = format!("the filter asks for `{field}`, which is what changes");
            self.wrong(message, "would find other documents later on", "let it ask for fields that stay");
        }
        let version = self.version();
        let stops = self.reader.choice("differing", &[("old", false), ("stop", true)]);
        let touches = fields.iter().map(|field| format!("{collection}.{field}")).collect();
        let (span, tag) = (self.span, self.tag.to_owned());
        let known: Vec<&str> =
            keys.iter().copied().chain(["collection", "filter", "schema_version", "differing"]).collect();
        self.reader.finish(&known)?;
        Ok(Frame { collection, filter, version, stops, tag, span, touches })
    }

    /// The frame of a change that is about a collection as a whole.
    pub(super) fn whole(self, collection: String, keys: &[&str]) -> Result<Frame, Vec<Diagnostic>> {
        let (span, tag) = (self.span, self.tag.to_owned());
        self.reader.finish(keys)?;
        let touches = vec![collection.clone()];
        Ok(Frame { collection, filter: Document::new(), version: None, stops: false, tag, span, touches })
    }
}

/// The fields a filter asks for.
pub(super) fn names(filter: &Document) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in filter {
        if !name.starts_with('$') {
            found.push(name.clone());
        } else if name == "$expr" {
            paths(value, &mut found);
        } else if let Bson::Array(items) = value {
            found.extend(items.iter().filter_map(Bson::as_document).flat_map(names));
        }
    }
    found
}

/// The fields an expression reads.
pub(super) fn paths(expression: &Bson, found: &mut Vec<String>) {
    match expression {
        Bson::String(text) if text.starts_with('$') && !text.starts_with("$$") => {
            found.push(text[1..].to_owned());
        }
        Bson::Array(items) => items.iter().for_each(|item| paths(item, found)),
        Bson::Document(document) => document.values().for_each(|value| paths(value, found)),
        _ => {}
    }
}
