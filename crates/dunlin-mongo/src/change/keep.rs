//! Changes of a collection's shape whose way back depends on what was there before: that is looked up when they run, and
//! remembered in `dunlin_shape` until they are taken back.

use bson::{Bson, Document, doc};
use dunlin_core::{Line, Op as CoreOp, Span};

use super::carry::{self, Carried, Heir};
use crate::extended;
use crate::op::{Command, render};

/// Where it is remembered.
pub(crate) const SHAPE: &str = "dunlin_shape";

/// A change of a collection's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Keep {
    /// Under what it is remembered.
    pub tag: String,
    /// The collection.
    pub collection: String,
    /// What is done.
    pub what: What,
    /// Where it was written.
    pub span: Option<Span>,
}

/// What is done to the shape.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Sets a validator, after what there is has been remembered.
    Validate(Document),
    /// Sets the validator that is remembered, then the level and action of it.
    Revalidate,
    /// Hides an index from queries, after it has been remembered.
    Hide(Bson),
    /// Shows it again.
    Show(Bson),
    /// Drops it.
    Drop(Bson),
    /// Creates the index that is remembered, hidden.
    Recreate(Bson),
    /// Creates an index, after it has been made sure that there is none such.
    Create(Document),
    /// Drops the index that was created.
    Uncreate(Document),
    /// Exchanges the indexes over fields that leave for the like over those that come, after they have been remembered.
    Carry(Vec<Heir>),
    /// Takes that back.
    Uncarry(Vec<Heir>),
}

impl Keep {
    /// The same as a command, for errors.
    pub(crate) fn command(&self) -> Command {
        let document = doc! { self.word(): &self.collection };
        Command { span: self.span, ..Command::new(document) }
    }

    fn word(&self) -> &'static str {
        match &self.what {
            What::Validate(_) => "validate",
            What::Revalidate => "revalidate",
            What::Hide(_) => "hide_index",
            What::Show(_) => "show_index",
            What::Drop(_) => "drop_index",
            What::Recreate(_) => "recreate_index",
            What::Create(_) => "create_index",
            What::Uncreate(_) => "uncreate_index",
            What::Carry(_) => "carry_indexes",
            What::Uncarry(_) => "uncarry_indexes",
        }
    }

    /// What is sent, as far as it is known before: `was` is what is remembered, or will be.
    pub(crate) fn sent(&self, was: Option<&Document>) -> Document {
        let name = &self.collection;
        match &self.what {
            What::Validate(options) => {
                let mut command = doc! { "collMod": name };
                command.extend(options.clone());
                command
            }
            What::Revalidate => {
                // What is not said is what the server takes where nothing is said.
                let mut command = doc! { "collMod": name, "validator": {} };
                command.extend(doc! { "validationLevel": "strict", "validationAction": "error" });
                match was {
                    Some(was) => command.extend(was.clone()),
                    None => drop(command.insert("validator", "<as it was>")),
                }
                command
            }
            What::Hide(index) => hiding(name, index, true),
            What::Show(index) => hiding(name, index, false),
            What::Drop(index) => doc! { "dropIndexes": name, "index": index.clone() },
            What::Recreate(_) => {
                let index =
                    was.map_or_else(|| Bson::from("<as it was>"), |was| Bson::from(hidden(was.clone())));
                doc! { "createIndexes": name, "indexes": [index] }
            }
            What::Create(index) => doc! { "createIndexes": name, "indexes": [index.clone()] },
            What::Uncreate(index) => doc! { "dropIndexes": name, "index": index.get("name").cloned() },
            // Which there are is asked first.
            What::Carry(_) | What::Uncarry(_) => doc! { "listIndexes": name },
        }
    }

    /// What is sent for indexes that are exchanged, in order.
    pub(crate) fn exchanged(&self, carried: &[Carried]) -> Vec<Document> {
        let is_back = matches!(self.what, What::Uncarry(_));
        let name = &self.collection;
        let create = |index: &Document| doc! { "createIndexes": name, "indexes": [index.clone()] };
        let drop = |index: &Document| doc! { "dropIndexes": name, "index": index.get("name").cloned() };
        let one = |one: &Carried| {
            let (comes, goes) = match (&one.new, is_back) {
                (new, false) => (new.as_ref().map(create), Some(drop(&one.old))),
                (new, true) => (Some(create(&one.old)), new.as_ref().map(drop)),
            };
            let pair = if one.goes_first() { [goes, comes] } else { [comes, goes] };
            pair.into_iter().flatten()
        };
        carried.iter().flat_map(one).collect()
    }
}

/// An index that no query sees.
fn hidden(mut index: Document) -> Document {
    index.remove("was_hidden");
    index.insert("hidden", true);
    index
}

/// Hides an index, or shows it.
pub(crate) fn hiding(collection: &str, index: &Bson, is_hidden: bool) -> Document {
    let key = if index.as_str().is_some() { "name" } else { "keyPattern" };
    doc! { "collMod": collection, "index": { key: index.clone(), "hidden": is_hidden } }
}

impl Keep {
    /// What is sent, for people.
    pub(crate) fn lines(&self, was: Option<&Document>) -> Vec<Line> {
        if let (What::Carry(_) | What::Uncarry(_), Some(was)) = (&self.what, was) {
            return self.exchanges(was);
        }
        let note = match &self.what {
            What::Validate(_) | What::Hide(_) => {
                Some(format!("what it is now is remembered in {SHAPE} before"))
            }
            What::Revalidate | What::Recreate(_) => Some(format!("what it was is remembered in {SHAPE}")),
            What::Create(index) if index.get_bool("unique").unwrap_or_default() => {
                Some("duplicates are looked for and listed before".to_owned())
            }
            What::Carry(heirs) => {
                let fields: Vec<&str> = heirs.iter().map(|(field, _)| field.as_str()).collect();
                Some(format!(
                    "an index over {} goes, once its like over the new field is made; it is remembered in {SHAPE}",
                    fields.join(", ")
                ))
            }
            What::Uncarry(_) => Some(format!("the indexes that {SHAPE} remembers are made again")),
            What::Show(_) | What::Drop(_) | What::Create(_) | What::Uncreate(_) => None,
        };
        let command = Command { document: self.sent(was), ..self.command() };
        vec![Line { text: render::command(&command), note, span: self.span }]
    }
}

impl Keep {
    /// The exchange of indexes that are known, for people.
    fn exchanges(&self, was: &Document) -> Vec<Line> {
        let shown = |document| {
            let text = render::command(&Command { document, ..self.command() });
            Line { text, note: None, span: self.span }
        };
        self.exchanged(&carry::recalled(was)).into_iter().map(shown).collect()
    }
}

impl CoreOp for Keep {
    fn summary(&self) -> String {
        format!("{} {}", self.word().replace('_', " "), self.collection)
    }

    fn preview(&self) -> Vec<Line> {
        self.lines(None)
    }

    fn canonical(&self) -> String {
        let mut document = doc! { self.word(): &self.collection, "tag": &self.tag };
        match &self.what {
            What::Validate(options) => drop(document.insert("options", options.clone())),
            What::Hide(index) | What::Show(index) | What::Drop(index) | What::Recreate(index) => {
                document.insert("index", index.clone());
            }
            What::Create(index) | What::Uncreate(index) => drop(document.insert("index", index.clone())),
            What::Carry(heirs) | What::Uncarry(heirs) => {
                let heirs: Document =
                    heirs.iter().map(|(field, heir)| (field.clone(), Bson::from(heir.clone()))).collect();
                document.insert("fields", heirs);
            }
            What::Revalidate => {}
        }
        format!("keep {}\n", extended::canonical(&document))
    }
}
