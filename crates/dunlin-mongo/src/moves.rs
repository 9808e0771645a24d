//! Ops that go through the documents of a collection, chunk by chunk along `_id`.
//!
//! Where the server has transactions, a chunk and the position after it are one: each document is changed exactly once,
//! whatever happens, and a process that lost the lock changes nothing. `$merge` cannot be part of a transaction, and a
//! server without a replica set has none: there a chunk comes before its position, and is such that it may be done again.
//! What is not, such as `$inc`, is refused there before anything is changed.
//!
//! One chunk is under way at a time, whatever `jobs` says: two transactions at once were measured to gain nothing over
//! one, since they wait for the same log.

mod convert;
pub(crate) mod decode;
mod merge;
mod repeat;
mod reshape;

use std::sync::Arc;

use bson::{Bson, Document, doc};
use dunlin_core::{Line, Op as CoreOp, Span};
use mongodb::Database;
use mongodb::error::Error as DriverError;

use crate::chunk::{Collection, Route, bare, both, index};
use crate::op::{Command, Kind, Op, render};
use crate::{extended, fill};

pub use convert::{Convert, OnError, Type};
pub use merge::{Existing, Merge};
pub(crate) use reshape::both_or_one;
pub use reshape::{Keeping, Reshape, Update};

/// How often a walk that goes on until it finds nothing begins at most.
pub(crate) const PASSES: u32 = 10;

/// A walk over one collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// The database it is in, if not the one of the store.
    pub database: Option<Arc<str>>,
    /// The collection that is walked over.
    pub collection: String,
    /// Which of its documents are concerned.
    pub filter: Document,
    /// What is done to them.
    pub task: Task,
    /// Where it was written.
    pub span: Option<Span>,
}

/// What is done to documents.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// `update_many = { collection, filter, update | pipeline, array_filters?, collation?, hint?, let?, database? }`: this
    /// `update` command, which has one statement, in each chunk. With `upsert` it is about one document and no walk.
    Update(Document),
    /// `delete_many = { collection, filter, database? }`.
    Delete,
    /// `convert = { collection, field, to, on_error?, into?, filter?, database? }`.
    Convert(Convert),
    /// `merge_into = { from, into, pipeline?, existing?, filter?, database? }`.
    Merge(Merge),
    /// A step of a change.
    Reshape(Reshape),
}

impl Move {
    /// The walk that an `update_many` command stands for. An upsert is about one document and no walk.
    pub(crate) fn update(command: &Command) -> Option<Self> {
        let statement = statement(&command.document)?;
        if statement.get("upsert").is_some_and(|upsert| *upsert != Bson::Boolean(false)) {
            return None;
        }
        Some(Self {
            database: command.database.clone(),
            collection: command.document.get_str("update").ok()?.to_owned(),
            filter: statement.get_document("q").cloned().unwrap_or_default(),
            task: Task::Update(command.document.clone()),
            span: command.span,
        })
    }

    /// What changes the documents of a range, in order, in the first pass or in a later one.
    pub(crate) fn commands(&self, range: Document, is_first: bool) -> Vec<Document> {
        let name = &self.collection;
        match &self.task {
            Task::Update(command) => {
                let mut statement = statement(command).cloned().unwrap_or_default();
                statement.insert("q", both(range, &self.filter));
                if !statement.contains_key("hint") {
                    statement.insert("hint", index());
                }
                let mut command = command.clone();
                command.insert("updates", [statement]);
                vec![command]
            }
            Task::Delete => {
                let statement = doc! { "q": both(range, &self.filter), "limit": 0, "hint": index() };
                vec![doc! { "delete": name, "deletes": [statement] }]
            }
            Task::Convert(convert) => convert.commands(name, &both(range, &self.filter)),
            Task::Merge(merge) => {
                vec![merge.command(name, both(range, &self.filter), merge.existing.matched())]
            }
            Task::Reshape(reshape) => {
                vec![reshape.command(name, (&self.filter, &range), is_first)]
            }
        }
    }

    /// Whether doing it again to the same documents changes nothing more.
    pub(crate) fn is_repeatable(&self) -> bool {
        match &self.task {
            Task::Update(command) => statement(command).is_some_and(repeat::is_repeatable),
            Task::Convert(convert) => !matches!(convert.on_error, OnError::Quarantine(_)),
            Task::Reshape(reshape) => reshape.keeping.is_none(),
            Task::Delete | Task::Merge(_) => true,
        }
    }

    /// Whether it goes through the collection again until a pass finds nothing to change.
    pub(crate) fn has_passes(&self) -> bool {
        matches!(&self.task, Task::Reshape(reshape) if reshape.has_passes)
    }

    /// Whether everything is looked at before the first document is changed.
    pub(crate) fn has_survey(&self) -> bool {
        match &self.task {
            Task::Convert(convert) => convert.on_error == OnError::Fail,
            Task::Merge(merge) => merge.existing == Existing::Fail,
            Task::Reshape(reshape) => !reshape.survey.is_empty(),
            Task::Update(_) | Task::Delete => false,
        }
    }

    /// The stages that find what is in the way, where one look at all documents may be quick.
    pub(crate) fn obstacles(&self) -> Option<Vec<Bson>> {
        let command = match &self.task {
            Task::Convert(convert) => convert.survey(&self.collection, &self.filter),
            Task::Reshape(reshape) => reshape.survey(&self.collection, &self.filter),
            Task::Merge(_) | Task::Update(_) | Task::Delete => return None,
        };
        command.get_array("pipeline").ok().cloned()
    }

    /// The stages that find what a walk that has passes has left to do.
    pub(crate) fn left(&self) -> Option<Vec<Bson>> {
        match &self.task {
            Task::Reshape(reshape) if reshape.has_passes => Some(reshape.left(&self.filter)),
            _ => None,
        }
    }

    /// Whether the first pass leaves out what is only for documents that are written meanwhile.
    pub(crate) fn has_late(&self) -> bool {
        matches!(&self.task, Task::Reshape(reshape) if reshape.has_late())
    }

    /// Where a walk over all of it goes along: text that is compared otherwise than the index of `_id` does is not divided.
    pub(crate) async fn route(&self, db: &Database) -> Result<Route, DriverError> {
        let place = Collection { db, name: &self.collection };
        match &self.task {
            Task::Update(command) if has_collation(command) => {
                Ok(Route::through(&place).await?.with_whole_texts())
            }
            // What the application would meet with the same words.
            Task::Update(_) | Task::Delete => Route::through(&place).await,
            Task::Convert(_) | Task::Merge(_) | Task::Reshape(_) => Route::through_bytes(&place).await,
        }
    }

    /// The same as a command, for errors and for running it in its database.
    pub(crate) fn command(&self) -> Command {
        let document = doc! { self.word(): &self.collection };
        Command { database: self.database.clone(), span: self.span, ..Command::new(document) }
    }

    /// With every placeholder filled.
    pub(crate) fn filled(&self, seed: &fill::Seed) -> Self {
        let task = match &self.task {
            Task::Update(command) => Task::Update(seed.document(command)),
            Task::Merge(merge) => Task::Merge(merge.filled(seed)),
            other => other.clone(),
        };
        Self { filter: seed.document(&self.filter), task, ..self.clone() }
    }

    /// The other collection that documents go into.
    pub(crate) fn target(&self) -> Option<&str> {
        match &self.task {
            Task::Merge(merge) => Some(&merge.into),
            Task::Convert(Convert { on_error: OnError::Quarantine(into), .. }) => Some(into),
            _ => None,
        }
    }

    /// Whether a value is only known when it runs.
    pub(crate) fn has_placeholder(&self) -> bool {
        fill::has_placeholder(&self.filter)
            || match &self.task {
                Task::Update(command) => fill::has_placeholder(command),
                Task::Merge(merge) => merge.has_placeholder(),
                Task::Delete | Task::Convert(_) | Task::Reshape(_) => false,
            }
    }

    fn word(&self) -> &'static str {
        match self.task {
            Task::Update(_) => "update_many",
            Task::Delete => "delete_many",
            Task::Convert(_) => "convert",
            Task::Merge(_) => "merge_into",
            Task::Reshape(_) => "reshape",
        }
    }

    fn note(&self) -> String {
        let walk = format!("in chunks over {}._id, about 50 ms each", self.collection);
        match &self.task {
            Task::Merge(_) => format!("{walk}; a chunk that was cut off is merged again"),
            _ if self.has_passes() => {
                format!("{walk}, and again until nothing is left to do, {PASSES} times at most")
            }
            _ if self.is_repeatable() => {
                format!("{walk}, each one transaction with the history where the server has them")
            }
            _ => format!("{walk}, each one transaction with the history; needs a replica set"),
        }
    }
}

fn statement(command: &Document) -> Option<&Document> {
    command.get_array("updates").ok()?.first()?.as_document()
}

impl CoreOp for Move {
    fn summary(&self) -> String {
        match &self.task {
            Task::Convert(convert) => {
                format!("convert {}.{} to {}", self.collection, convert.field, convert.to.word())
            }
            Task::Merge(merge) => format!("merge {} into {}", self.collection, merge.into),
            _ => format!("{} {}", self.word(), self.collection),
        }
    }

    fn preview(&self) -> Vec<Line> {
        let range = doc! { "_id": { "$gt": fill::bound("from"), "$lte": fill::bound("to") } };
        let mut lines = Vec::new();
        let shown = |document: Document| {
            let document = without_means(document);
            let command = Command { kind: Kind::Plain, ..Command { document, ..self.command() } };
            render::command(&command)
        };
        if self.has_survey() {
            let note = "before anything is written; whatever it finds stops the step".to_owned();
            let found = match &self.task {
                Task::Convert(convert) => {
                    convert.survey(&self.collection, &both(range.clone(), &self.filter))
                }
                Task::Merge(merge) => merge.survey(&self.collection, &both(range.clone(), &self.filter)),
                Task::Reshape(reshape) => {
                    reshape.survey(&self.collection, &both(range.clone(), &self.filter))
                }
                Task::Update(_) | Task::Delete => Document::new(),
            };
            lines.push(Line { text: shown(found), note: Some(note), span: self.span });
        }
        let commands = match &self.task {
            Task::Convert(convert) => convert.preview(&self.collection, &both(range, &self.filter)),
            Task::Reshape(reshape) => reshape.preview(&self.collection, &self.filter, &range),
            _ => self.commands(range, false),
        };
        lines.extend(commands.into_iter().map(|command| Line {
            text: shown(command),
            note: Some(self.note()),
            span: self.span,
        }));
        lines
    }

    fn canonical(&self) -> String {
        if let Task::Update(command) = &self.task {
            let command = Command { document: command.clone(), kind: Kind::UpdateMany, ..self.command() };
            return Op { commands: vec![command] }.canonical();
        }
        let mut document = doc! { self.word(): &self.collection };
        if let Some(database) = &self.database {
            document.insert("database", &**database);
        }
        document.insert("filter", self.filter.clone());
        match &self.task {
            Task::Convert(convert) => document.extend(convert.canonical()),
            Task::Merge(merge) => document.extend(merge.canonical()),
            Task::Reshape(reshape) => document.extend(reshape.canonical()),
            Task::Update(_) | Task::Delete => {}
        }
        format!("move {}\n", extended::canonical(&document))
    }

    fn course(&self) -> String {
        let task = match self.task.clone() {
            Task::Update(command) => {
                let database = self.database.as_deref().unwrap_or_default();
                let order = if has_collation(&command) { "\nby collation" } else { "" };
                return format!("update {database}.{}{order}\n", self.collection);
            }
            Task::Reshape(_) => return self.canonical(),
            Task::Convert(convert) => Task::Convert(Convert { on_error: OnError::Fail, ..convert }),
            Task::Merge(merge) => {
                Task::Merge(Merge { existing: Existing::Fail, pipeline: Vec::new(), ..merge })
            }
            Task::Delete => Task::Delete,
        };
        Self { task, filter: Document::new(), ..self.clone() }.canonical()
    }

    fn removes(&self) -> Vec<String> {
        let place = |collection: &str| self.command().place(collection);
        match &self.task {
            Task::Update(command) => {
                let command = Command { document: command.clone(), ..self.command() };
                Op { commands: vec![command] }.removes()
            }
            Task::Delete => vec![format!("documents of {}", place(&self.collection))],
            Task::Convert(convert) if convert.on_error == OnError::Null => {
                let (field, to) = (&convert.field, convert.to.word());
                vec![format!("values of {field} that are no {to}, in {}", place(&self.collection))]
            }
            Task::Merge(merge) if merge.existing == Existing::Replace => {
                vec![format!("documents of {} that have the _id of one that is merged", place(&merge.into))]
            }
            Task::Convert(_) | Task::Merge(_) | Task::Reshape(_) => Vec::new(),
        }
    }

    fn moves(&self) -> bool {
        true
    }
}

/// Whether an update says itself how text is compared.
fn has_collation(update: &Document) -> bool {
    statement(update).is_some_and(|statement| statement.contains_key("collation"))
}

/// A command without what is the walk's own business.
fn without_means(mut command: Document) -> Document {
    for list in ["updates", "deletes"] {
        for statement in command.get_array_mut(list).into_iter().flatten() {
            if let Some(statement) = statement.as_document_mut() {
                *statement = bare(std::mem::take(statement));
            }
        }
    }
    bare(command)
}
