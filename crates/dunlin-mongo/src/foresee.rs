//! What a step needs that only shows when it runs, looked at before anything runs: a collection that is there, and is none
//! of the other things that have a name; a validator that lets go of a field.

use bson::{Bson, Document, doc};
use dunlin_core::{Ahead, Error, ErrorKind, Op as CoreOp, Result, Span};

use crate::change::keep::What;
use crate::change::staged::{self, Need};
use crate::chunk::Collection;
use crate::command::{self, Class};
use crate::moves::Task;
use crate::store::Store;
use crate::unique;

/// Refuses what would not run, as things are now and as the steps before it leave them. What a reader should know.
pub(crate) async fn foresee(store: &Store, now: &[Ahead<'_>], later: &[Ahead<'_>]) -> Result<Vec<String>> {
    let all: Vec<&Ahead<'_>> = now.iter().chain(later).collect();
    let mut told = Vec::new();
    for (at, step) in all.iter().enumerate() {
        let earlier = &all[..at];
        match staged::need(step.op) {
            Some(Need::Unique(exchange)) if step.is_undo || !step.is_begun => {
                let Some(error) = unique::foresee(store, exchange).await? else { continue };
                if at < now.len() {
                    return Err(error);
                }
                let documents = error.fact("documents").unwrap_or_default();
                let help = error.help.as_deref().unwrap_or_default();
                told.push(format!("{}: {documents}: {help}", error.message));
            }
            _ if step.is_undo || step.is_begun => {}
            Some(Need::Collection(name, span)) if !earlier.iter().any(|one| may_make(one.op, name)) => {
                is_collection(store, name, *span).await?;
            }
            Some(Need::Release { collection, fields, span }) => {
                let Some(words) = asked_for(store, collection, fields, earlier).await? else { continue };
                if at < now.len() {
                    let error =
                        Error::new(ErrorKind::Statement, words).at(*span).with("left behind", "nothing");
                    return Err(error.help(RELEASE));
                }
                told.push(format!("{words}: {RELEASE}"));
            }
            _ => {}
        }
    }
    Ok(told)
}

/// What to do about a validator that asks for a field which leaves.
const RELEASE: &str =
    "let it take the new shape before the contract, by `set_validator` in this migration or another one";

/// Whether a step may make a collection of this name.
fn may_make(op: &dyn CoreOp, name: &str) -> bool {
    if let Some(walk) = staged::walk(op) {
        return matches!(&walk.task, Task::Merge(merge) if merge.into == name);
    }
    let Ok(commands) = staged::commands(op) else { return false };
    let makes = |document: &Document| {
        let is_harmless = command::class(document) == Class::Read || command::name(document) == "drop";
        !is_harmless && mentions(&Bson::Document(document.clone()), name)
    };
    commands.commands.iter().any(|command| makes(&command.document))
}

fn mentions(value: &Bson, name: &str) -> bool {
    match value {
        Bson::String(text) => text == name,
        Bson::Array(items) => items.iter().any(|item| mentions(item, name)),
        Bson::Document(document) => document.values().any(|value| mentions(value, name)),
        _ => false,
    }
}

async fn listed(store: &Store, name: &str) -> Result<Option<Document>> {
    let place = Collection { db: &store.db, name };
    let list = doc! { "listCollections": 1, "filter": { "name": name }, "cursor": {} };
    let listed = place.batch(list).await;
    let listed = listed.map_err(|failure| store.fail(&failure, "cannot look at the collections"))?;
    Ok(listed.into_iter().next())
}

/// Refuses what is no collection that could get another name.
async fn is_collection(store: &Store, name: &str, span: Option<Span>) -> Result<()> {
    let found = listed(store, name).await?;
    let (what, help) = match found.as_ref().map(|found| found.get_str("type").unwrap_or("collection")) {
        Some("collection") => return Ok(()),
        Some("view") => {
            ("a view", "name the collection under it; a view is dropped by `db.<view>.drop()` in a script")
        }
        Some("timeseries") => {
            ("a time series", "MongoDB gives no other name to one: copy it, or drop it in a script")
        }
        Some(_) => ("no collection", "name a collection"),
        None => {
            let message = format!("there is no collection {name}");
            let error = Error::new(ErrorKind::Statement, message).at(span).with("left behind", "nothing");
            return Err(error.help("correct the name, or leave the change out"));
        }
    };
    let message = format!("{name} is {what}, which cannot be renamed");
    Err(Error::new(ErrorKind::Statement, message).at(span).with("left behind", "nothing").help(help))
}

/// Which of the fields a validator asks for, in words, as it will be by then.
async fn asked_for(
    store: &Store,
    collection: &str,
    fields: &[String],
    earlier: &[&Ahead<'_>],
) -> Result<Option<String>> {
    let set = earlier.iter().rev().filter_map(|step| staged::keep(step.op));
    let mut set = set.filter(|keep| keep.collection == collection);
    let validator = match set.find_map(|keep| match &keep.what {
        What::Validate(options) => Some(options.get_document("validator").cloned().unwrap_or_default()),
        _ => None,
    }) {
        Some(validator) => validator,
        // A script may do with it what it likes.
        None if earlier.iter().any(|step| modifies(step.op, collection)) => return Ok(None),
        None => in_effect(store, collection).await?,
    };
    let asked: Vec<&str> =
        fields.iter().map(String::as_str).filter(|field| asks_for(&validator, field)).collect();
    let words = || {
        format!("the validator of {collection} asks for {}, which the contract takes away", asked.join(", "))
    };
    Ok((!asked.is_empty()).then(words))
}

fn modifies(op: &dyn CoreOp, collection: &str) -> bool {
    let Ok(commands) = staged::commands(op) else { return false };
    let about = |document: &Document| {
        matches!(command::name(document), "collMod" | "create")
            && command::target(document) == Some(collection)
    };
    commands.commands.iter().any(|command| about(&command.document))
}

/// The validator that refuses documents now; an empty one where none does.
async fn in_effect(store: &Store, collection: &str) -> Result<Document> {
    let Some(found) = listed(store, collection).await? else { return Ok(Document::new()) };
    let options = found.get_document("options").cloned().unwrap_or_default();
    let is = |name: &str, value: &str| options.get_str(name).is_ok_and(|found| found == value);
    if is("validationAction", "warn") || is("validationLevel", "off") {
        return Ok(Document::new());
    }
    Ok(options.get_document("validator").cloned().unwrap_or_default())
}

/// Whether a validator refuses a document without this field, as far as it says so plainly.
fn asks_for(validator: &Document, field: &str) -> bool {
    let all = |key: &str| {
        let list = validator.get_array(key).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Bson::as_document).any(|one| asks_for(one, field))
    };
    let is_there =
        |asked: &Document| asked.get_bool("$exists").unwrap_or_default() || asked.contains_key("$type");
    let parts: Vec<&str> = field.split('.').collect();
    validator.get_document(field).is_ok_and(is_there)
        || validator.get_document("$jsonSchema").is_ok_and(|schema| requires(schema, &parts))
        || all("$and")
}

/// Whether a JSON schema requires what a path leads to.
fn requires(schema: &Document, path: &[&str]) -> bool {
    let [first, rest @ ..] = path else { return false };
    let inner = schema.get_document("properties").and_then(|fields| fields.get_document(first)).ok();
    let is_required = |schema: &Document| {
        let names = schema.get_array("required").map(Vec::as_slice).unwrap_or_default();
        rest.is_empty() && names.iter().any(|name| name.as_str() == Some(first))
    };
    let list = schema.get_array("allOf").map(Vec::as_slice).unwrap_or_default();
    is_required(schema)
        || inner.is_some_and(|inner| requires(inner, rest))
        || schema.get_document("items").is_ok_and(|items| requires(items, path))
        || list.iter().filter_map(Bson::as_document).any(|one| requires(one, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validator_asks_for_a_field_plainly_or_not_at_all() {
        let schema = |schema: Document| doc! { "$jsonSchema": schema };
        for (validator, field) in [
            (schema(doc! { "required": ["a"] }), "a"),
            (schema(doc! { "properties": { "a": { "required": ["b"] } } }), "a.b"),
            (schema(doc! { "properties": { "a": { "items": { "required": ["b"] } } } }), "a.b"),
            (schema(doc! { "allOf": [{ "required": ["a"] }] }), "a"),
            (doc! { "a": { "$exists": true } }, "a"),
            (doc! { "$and": [{ "a.b": { "$type": "int" } }] }, "a.b"),
        ] {
            assert!(asks_for(&validator, field), "{validator}");
            assert!(!asks_for(&validator, "c"), "{validator}");
        }
        for validator in [
            schema(doc! { "properties": { "a": { "bsonType": "int" } } }),
            schema(doc! { "anyOf": [{ "required": ["a"] }, { "required": ["b"] }] }),
            doc! { "a": { "$exists": false } },
            schema(doc! { "required": ["b"] }),
        ] {
            assert!(!asks_for(&validator, "a"), "{validator}");
        }
    }
}
