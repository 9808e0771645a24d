//! Indexes that come or go: `add_index` and `drop_index`, and those over fields that leave.

use bson::{Bson, Document, doc};
use dunlin_core::Part;
use dunlin_core::Phase;
use dunlin_core::node::Node;

use super::carry::Heir;
use super::compute::flag;
use super::decode::Change;
use super::keep::{Keep, What};
use super::life::{Frame, part};
use super::staged::{Exchange, Need, Staged, Task};
use crate::op::decode::{Result, document};
use crate::op::render;

/// `add_index = { collection, keys, unique?, name?, options? }`.
pub(super) fn add(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let collection = change.collection("collection");
    let keys = keys(&mut change, true).unwrap_or_default();
    let is_unique = flag(&mut change, "unique", false);
    let name = change.reader.table.take("name").map(Node::text).transpose();
    let name = name.map_err(|wrong| change.reader.wrong.push(wrong)).ok().flatten();
    let options = change.reader.table.take("options").map(document).transpose();
    let options = options.map_err(|wrong| change.reader.wrong.push(wrong)).ok().flatten().unwrap_or_default();
    let mut index = doc! { "key": keys };
    index.extend(name.map(|name| ("name".to_owned(), Bson::from(name))));
    index.extend(is_unique.then(|| ("unique".to_owned(), true.into())));
    index.extend(options);
    let index = named(index);
    let mut frame = change.whole(collection, &["collection", "keys", "unique", "name", "options"])?;
    frame.touches = touches(&frame, &index);
    let words = shown(&frame, &index);
    let add = keep(&frame, What::Create(index.clone()), format!("create index {words}"));
    let remove = keep(&frame, What::Uncreate(index), format!("drop index {words}"));
    Ok(vec![part(Phase::Backfill, add, remove)])
}

/// `drop_index = { collection, name | keys }`.
pub(super) fn remove(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let collection = change.collection("collection");
    let name = change.reader.table.take("name").map(Node::text).transpose();
    let name = name.map_err(|wrong| change.reader.wrong.push(wrong)).ok().flatten();
    let index = match (name, keys(&mut change, false)) {
        (Some("_id_"), _) => {
            change.wrong("the index of `_id` stays", "cannot be dropped", "every collection has it");
            Bson::Null
        }
        (Some(name), None) => Bson::from(name),
        (None, Some(keys)) => Bson::from(keys),
        (name, _) => {
            let message = if name.is_some() {
                "both `name` and `keys` are given"
            } else {
                "neither `name` nor `keys` is given"
            };
            change.wrong(message, "needs one of them", "name the index as `getIndexes()` shows it");
            Bson::Null
        }
    };
    let mut frame = change.whole(collection, &["collection", "name", "keys"])?;
    let words = format!("{} of {}", render::inline(&index), frame.collection);
    frame.touches = match index.as_document() {
        Some(keys) => keys.keys().map(|key| format!("{}.{key}", frame.collection)).collect(),
        None => vec![format!("{}.index {}", frame.collection, render::inline(&index))],
    };
    let hide = keep(&frame, What::Hide(index.clone()), format!("hide index {words}"));
    let show = keep(&frame, What::Show(index.clone()), format!("show index {words}"));
    let gone = keep(&frame, What::Drop(index.clone()), format!("drop index {words}"));
    let gone = Staged { removes: vec![format!("index {words}")], ..gone };
    let back = keep(&frame, What::Recreate(index), format!("create index {words} as it was"));
    Ok(vec![part(Phase::Expand, hide, show), part(Phase::Contract, gone, back)])
}

fn keys(change: &mut Change<'_>, is_needed: bool) -> Option<Document> {
    let node = if is_needed {
        change.reader.table.require("keys").map_err(|wrong| change.reader.wrong.push(wrong)).ok()
    } else {
        change.reader.table.take("keys")
    };
    let keys = node.map(document).transpose().map_err(|wrong| change.reader.wrong.push(wrong));
    let keys = keys.ok().flatten();
    if keys.as_ref().is_some_and(Document::is_empty) {
        change.wrong(
            "`keys` names no field",
            "an index over nothing",
            "write { field = 1 }, or -1 for descending",
        );
    }
    keys
}

/// With the name that every client would give it.
pub(super) fn named(mut index: Document) -> Document {
    if !index.contains_key("name")
        && let Some(name) = default_name(&index)
    {
        index.insert("name", name);
    }
    index
}

/// The name that every client would give it.
pub(super) fn default_name(index: &Document) -> Option<String> {
    let key = index.get_document("key").ok()?;
    let parts: Vec<String> = key.iter().map(|(field, order)| format!("{field}_{}", plain(order))).collect();
    Some(parts.join("_"))
}

fn plain(order: &Bson) -> String {
    order.as_str().map_or_else(|| order.to_string(), str::to_owned)
}

fn touches(frame: &Frame, index: &Document) -> Vec<String> {
    let keys =
        index.get_document("key").map(|key| key.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    keys.iter().map(|key| format!("{}.{key}", frame.collection)).collect()
}

fn shown(frame: &Frame, index: &Document) -> String {
    format!("{} of {}", index.get_str("name").unwrap_or_default(), frame.collection)
}

/// That what is unique stays so when indexes are exchanged, or changed back. With a filter that cannot be foreseen.
pub(super) fn unique(frame: &Frame, heirs: &[Heir], is_back: bool) -> Option<Need> {
    frame.filter.is_empty().then(|| {
        Need::Unique(Exchange {
            collection: frame.collection.clone(),
            heirs: heirs.to_vec(),
            is_back,
            tag: frame.tag.clone(),
            archive: frame.archive(),
            span: Some(frame.span),
        })
    })
}

/// Exchanges the indexes over fields that leave. Whether what the fields will hold is what they and their heirs hold now.
pub(super) fn carry(frame: &Frame, heirs: Vec<Heir>, is_plain: bool) -> Part {
    let names: Vec<&str> = heirs.iter().map(|(field, _)| field.as_str()).collect();
    let words = format!("indexes over {}.{}", frame.collection, names.join(", "));
    let [needs, needs_back] =
        [false, true].map(|is_back| if is_plain { unique(frame, &heirs, is_back) } else { None });
    let back = keep(frame, What::Uncarry(heirs.clone()), format!("{words} as they were"));
    let there = keep(frame, What::Carry(heirs), format!("exchange {words}"));
    part(Phase::Contract, Staged { needs, ..there }, Staged { needs: needs_back, ..back })
}

pub(super) fn keep(frame: &Frame, what: What, summary: String) -> Staged {
    let keep =
        Keep { tag: frame.tag.clone(), collection: frame.collection.clone(), what, span: Some(frame.span) };
    Staged { touches: frame.touches.clone(), ..Staged::new(Task::Keep(keep), summary) }
}
