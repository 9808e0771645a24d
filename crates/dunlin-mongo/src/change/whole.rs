//! Collections that come, go or get another name.

use std::sync::Arc;

use bson::{Bson, Document, doc};
use dunlin_core::node::Node;
use dunlin_core::{Part, Phase};

use super::decode::Change;
use super::index;
use super::life::{Frame, part};
use super::staged::Staged;
use crate::check::{Look, Question};
use crate::op::decode::{Result, document, list_of_documents};

/// `create_collection = { collection, options?, validator?, indexes? }`.
pub(super) fn create(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let name = change.collection("collection");
    let mut options = Document::new();
    for key in ["options", "validator"] {
        match change.reader.table.take(key).map(document) {
            Some(Ok(found)) if key == "options" => options.extend(found),
            Some(Ok(found)) => drop(options.insert(key, found)),
            Some(Err(wrong)) => change.reader.wrong.push(wrong),
            None => {}
        }
    }
    let mut commands = vec![doc! { "create": &name }];
    commands[0].extend(options);
    match change.reader.table.take("indexes").map(list_of_documents) {
        Some(Ok(list)) => {
            let specified =
                list.iter().filter_map(Bson::as_document).map(|index| index::named(index.clone()));
            commands.extend(specified.map(|index| doc! { "createIndexes": &name, "indexes": [index] }));
        }
        Some(Err(wrong)) => change.reader.wrong.push(wrong),
        None => {}
    }
    let frame = change.whole(name, &["collection", "options", "validator", "indexes"])?;
    let name = &frame.collection;
    let documents = Look {
        database: None,
        collection: name.clone(),
        filter: Document::new(),
        question: Question::None,
        span: Some(frame.span),
    };
    let undo = frame.commands(vec![doc! { "drop": name }], format!("drop collection {name}"));
    let undo = Staged { loses: Some(Arc::new(documents)), ..undo };
    Ok(vec![part(Phase::Expand, frame.commands(commands, format!("create collection {name}")), undo)])
}

/// `drop_collection = { collection }`.
pub(super) fn remove(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let name = change.collection("collection");
    let frame = change.whole(name, &["collection"])?;
    let name = &frame.collection;
    let aside = format!("{}_{name}", frame.archive());
    let gone = renaming(&frame, name, &aside);
    let gone = Staged { removes: vec![format!("collection {name}")], needs: Some(frame.real(name)), ..gone };
    Ok(vec![part(Phase::Contract, gone, renaming(&frame, &aside, name))])
}

/// `rename_collection = { from, to }`.
pub(super) fn rename(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let (from, to) = (change.collection("from"), change.collection("to"));
    if from == to {
        change.wrong("the collection has that name already", "one and the same", "give it another one");
    }
    let mut frame = change.whole(from.clone(), &["from", "to"])?;
    frame.touches.push(to.clone());
    let view = doc! { "create": &to, "viewOn": &from, "pipeline": [] };
    let gone = doc! { "drop": &to };
    let rename = |from: &str, to: &str| doc! { "renameCollection": from, "to": to };
    let words = format!("rename collection {from} to {to}");
    let forward = frame.commands(vec![gone.clone(), rename(&from, &to)], words);
    let removes = vec![format!("collection {from} under this name")];
    let forward = Staged { removes, needs: Some(frame.real(&from)), ..forward };
    let words = format!("rename collection {to} back to {from}");
    let back = frame.commands(vec![rename(&to, &from), view.clone()], words);
    let seen = frame.commands(vec![view], format!("view {to} over {from}"));
    let seen = Staged { needs: Some(frame.real(&from)), ..seen };
    let unseen = frame.commands(vec![gone], format!("drop view {to}"));
    Ok(vec![part(Phase::Expand, seen, unseen), part(Phase::Contract, forward, back)])
}

fn renaming(frame: &Frame, from: &str, to: &str) -> Staged {
    let command = doc! { "renameCollection": from, "to": to };
    frame.commands(vec![command], format!("rename collection {from} to {to}"))
}
