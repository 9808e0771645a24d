//! Who visibly still uses what a contract would take away: views over a collection, queries that use an index, either for
//! fields that leave.

mod fields;

use bson::{Bson, Document, doc};
use dunlin_core::Op;
use dunlin_core::words::counted;
use mongodb::error::Error as DriverError;

use crate::change::keep::{Keep, SHAPE, What};
use crate::change::staged::{self, Need};
use crate::chunk::{Collection, number};
use crate::command;
use crate::op::render;
use crate::store::Store;

use fields::Leaving;

/// In words.
pub(crate) async fn usage(store: &Store, op: &dyn Op) -> Result<Vec<String>, DriverError> {
    if let Some(keep) = staged::keep(op) {
        return match keep.what {
            What::Drop(_) => index(store, keep).await,
            _ => Ok(Vec::new()),
        };
    }
    if staged::walk(op).is_some() {
        return match staged::need(op) {
            Some(Need::Release { collection, fields, .. }) => {
                let touched = op.touches();
                let inner =
                    |path: &'_ String| path.strip_prefix(collection)?.strip_prefix('.').map(str::to_owned);
                let touched: Vec<String> = touched.iter().filter_map(inner).collect();
                let coming =
                    touched.iter().filter(|field| !fields.contains(field)).map(String::as_str).collect();
                fields::usage(store, &Leaving { collection, fields, coming }).await
            }
            _ => Ok(Vec::new()),
        };
    }
    let Ok(commands) = staged::commands(op) else { return Ok(Vec::new()) };
    let mut uses = Vec::new();
    for command in commands.commands.iter().map(|command| &command.document) {
        if let ("renameCollection", Some(name)) = (command::name(command), command::target(command)) {
            let own = command.get_str("to").unwrap_or_default();
            uses.extend(views(store, name, own).await?);
        }
    }
    Ok(uses)
}

/// Views that look at a collection, but the one that a rename itself made.
async fn views(store: &Store, name: &str, own: &str) -> Result<Vec<String>, DriverError> {
    let views = views_over(store, name).await?.into_iter().map(|(view, _)| view);
    Ok(views.filter(|view| view != own).map(|view| format!("view {view} looks at {name}")).collect())
}

/// Those that look at a collection, each with its options.
async fn views_over(store: &Store, name: &str) -> Result<Vec<(String, Document)>, DriverError> {
    let place = Collection { db: &store.db, name };
    let found =
        place.batch(doc! { "listCollections": 1, "filter": { "type": "view" }, "cursor": {} }).await?;
    let looks = |options: &Document| {
        options.get_str("viewOn").is_ok_and(|on| on == name)
            || options.get("pipeline").is_some_and(|stages| names(stages, name))
    };
    let view = |view: &Document| {
        let options = view.get_document("options").ok()?;
        looks(options).then(|| Some((view.get_str("name").ok()?.to_owned(), options.clone())))?
    };
    Ok(found.iter().filter_map(view).collect())
}

/// Whether stages bring documents of a collection in.
fn names(stages: &Bson, name: &str) -> bool {
    match stages {
        Bson::Array(items) => items.iter().any(|item| names(item, name)),
        Bson::Document(document) => document.iter().any(|(key, value)| {
            matches!(key.as_str(), "from" | "coll" | "$unionWith") && value.as_str() == Some(name)
                || names(value, name)
        }),
        _ => false,
    }
}

/// What used an index since it was hidden: the server begins to count anew then, so that somebody must have shown it.
async fn index(store: &Store, keep: &Keep) -> Result<Vec<String>, DriverError> {
    let place = Collection { db: &store.db, name: &keep.collection };
    let kept = doc! { "find": SHAPE, "filter": { "_id": &keep.tag }, "limit": 1, "singleBatch": true };
    let kept = place.batch(kept).await?;
    let name = kept.first().and_then(|kept| kept.get_document("index").ok()?.get_str("name").ok());
    let Some(name) = name else { return Ok(Vec::new()) };
    let stages = vec![doc! { "$indexStats": {} }, doc! { "$match": { "name": name } }];
    let found = place.batch(doc! { "aggregate": &keep.collection, "pipeline": stages, "cursor": {} }).await?;
    let used = |stats: &Document| {
        let accesses = stats.get_document("accesses").ok()?;
        let count = number(accesses.get("ops"));
        let since = accesses.get("since").map(render::inline).unwrap_or_default();
        let is_hidden =
            stats.get_document("spec").is_ok_and(|spec| spec.get_bool("hidden").unwrap_or_default());
        let words = if is_hidden { "" } else { ", and is not hidden any more" };
        (count > 0 || !is_hidden).then(|| {
            format!(
                "index {name} of {} was used {} since {since}{words}",
                keep.collection,
                counted(count, "time")
            )
        })
    };
    Ok(found.iter().filter_map(used).collect())
}
