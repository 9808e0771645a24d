//! MongoDB commands as a value.

pub(crate) mod decode;
pub(crate) mod render;

use std::fmt::Write as _;
use std::sync::Arc;

use bson::{Bson, Document};
use dunlin_core::{Line, Op as CoreOp, Span};

use crate::command;
use crate::extended;

/// Commands, run in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Op {
    /// In order.
    pub commands: Vec<Command>,
}

/// One command.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The database it runs in, if not the one of the store.
    pub database: Option<Arc<str>>,
    /// The document that is sent, as for `runCommand`, apart from the values that are only known when it runs.
    pub document: Document,
    /// How it was written.
    pub kind: Kind,
    /// Neighbours with the same number run in one transaction, because the script asked for that.
    pub group: Option<u32>,
    /// Where it was written.
    pub span: Option<Span>,
}

/// How a command was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// As a command, or as the call of a method.
    #[default]
    Plain,
    /// As an `update_many` step: it stands for the change of many documents, however many commands that takes.
    UpdateMany,
}

impl Command {
    /// A command in the database of the store.
    pub fn new(document: Document) -> Self {
        Self { database: None, document, kind: Kind::Plain, group: None, span: None }
    }

    /// A collection, with the database where that is not the one of the store. In `admin` names say theirs themselves.
    pub(crate) fn place(&self, collection: &str) -> String {
        match self.database.as_deref() {
            None | Some("admin") => collection.to_owned(),
            Some(database) => format!("{collection} of the database {database}"),
        }
    }
}

impl Op {
    /// Neighbours that run in one transaction, or a command on its own.
    pub(crate) fn units(&self) -> Vec<&[Command]> {
        self.commands.chunk_by(|left, right| left.group.is_some() && left.group == right.group).collect()
    }
}

impl CoreOp for Op {
    fn summary(&self) -> String {
        let Some(first) = self.commands.first() else { return "nothing to do".to_owned() };
        let words = match command::target(&first.document) {
            Some(target) => format!("{} {target}", command::name(&first.document)),
            None => command::name(&first.document).to_owned(),
        };
        match self.commands.len() {
            1 => words,
            all => format!("{words} … and {} more", all - 1),
        }
    }

    fn preview(&self) -> Vec<Line> {
        let line = |command: &Command| Line {
            text: render::command(command),
            note: command.group.map(|_| "in one transaction with its neighbours".to_owned()),
            span: command.span,
        };
        self.commands.iter().map(line).collect()
    }

    fn canonical(&self) -> String {
        let mut text = String::new();
        for command in &self.commands {
            if let Some(database) = &command.database {
                text.push('@');
                text.push_str(database);
                text.push(' ');
            }
            if let Some(group) = command.group {
                let _ = write!(text, "#{group} ");
            }
            if command.kind == Kind::UpdateMany {
                text.push_str("update_many ");
            }
            text.push_str(&extended::canonical(&command.document));
            text.push('\n');
        }
        text
    }

    fn removes(&self) -> Vec<String> {
        self.commands.iter().flat_map(removed).collect()
    }

    fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

/// What a command takes away together with the data in it.
fn removed(command: &Command) -> Vec<String> {
    let document = &command.document;
    let target = command.place(command::target(document).unwrap_or_default());
    match command::name(document) {
        "drop" => vec![format!("collection {target}")],
        "renameCollection" if document.get_bool("dropTarget").unwrap_or_default() => {
            document.get_str("to").map(|to| format!("collection {}", command.place(to))).into_iter().collect()
        }
        "update" => {
            let updates = document.get_array("updates").map(Vec::as_slice).unwrap_or_default();
            let changes = updates.iter().filter_map(Bson::as_document).filter_map(|update| update.get("u"));
            changes.flat_map(unset).map(|field| format!("field {field} of {target}")).collect()
        }
        _ => Vec::new(),
    }
}

/// The fields that an update removes.
fn unset(change: &Bson) -> Vec<String> {
    match change {
        Bson::Array(stages) => stages.iter().flat_map(unset).collect(),
        Bson::Document(operators) => match operators.get("$unset") {
            Some(Bson::Document(fields)) => fields.keys().cloned().collect(),
            Some(Bson::Array(fields)) => fields.iter().filter_map(Bson::as_str).map(str::to_owned).collect(),
            Some(Bson::String(field)) => vec![field.clone()],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
