//! `change_type`: another type for a field, under another name until the contract, or in its place at the contract.

use std::sync::Arc;

use bson::{Bson, Document, bson, doc};
use dunlin_core::node::Node;
use dunlin_core::{Part, Phase};

use super::decode::Change;
use super::life::{Fields, Frame, archive, one_way, open_archives, part, restore};
use super::pair::Pair;
use super::path;
use super::staged::{Staged, Task};
use crate::check::{Look, Question};
use crate::moves::{Convert, Existing, Keeping, Merge, Move, OnError, Reshape, Task as Walk, Type, Update};
use crate::op::decode::Result;

/// What becomes of values that cannot be converted without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Odd {
    Fail,
    Keep,
    Null,
    Quarantine,
}

const ODD: [(&str, Odd); 4] =
    [("fail", Odd::Fail), ("keep", Odd::Keep), ("null", Odd::Null), ("quarantine", Odd::Quarantine)];

/// `change_type = { collection, field, to, was?, as?, on_error?, filter?, schema_version?, differing? }`.
pub(super) fn change_type(node: &Node, tag: &str) -> Result<Vec<Part>> {
    let mut change = Change::new(node, tag)?;
    let collection = change.collection("collection");
    let field = change.field("field");
    change.reader.refuse_element(&field, change.span);
    let types = Type::ALL.map(|to| (to.word(), to));
    if change.reader.table.keys().all(|key| key.name != "to") {
        change.reader.table.require("to").map(drop).map_err(|bad| change.reader.wrong.push(bad)).ok();
    }
    let to = change.reader.choice("to", &types);
    let has = |change: &Change<'_>, name: &str| change.reader.table.keys().any(|key| key.name == name);
    let was = has(&change, "was").then(|| change.reader.choice("was", &types));
    let other = has(&change, "as").then(|| change.field("as"));
    let odd = change.reader.choice("on_error", &ODD);
    if other.is_some() && odd == Odd::Quarantine {
        let help = "leave `as` out: the documents are moved at the contract then, when no old client reads them any more";
        change.wrong(
            "documents would leave the collection while old clients read them",
            "quarantine and `as`",
            help,
        );
    }
    let fields: Vec<String> = [Some(field.clone()), other.clone()].into_iter().flatten().collect();
    change.keep_apart(&fields);
    let frame = change.frame(collection, &fields, &["field", "to", "was", "as", "on_error"])?;
    let convert = |field: &str, to| Convert { field: field.to_owned(), to, on_error: OnError::Keep };
    let back = |field: &str| {
        was.map_or_else(|| path::value(field), |was| convert(field, was).value(path::value(field)))
    };
    let forward = convert(&field, to);
    match other {
        Some(other) => Ok(beside(frame, &forward, (&other, back(&other)), odd)),
        None => Ok(in_place(&frame, &forward, (was, odd))),
    }
}

/// Under another name.
fn beside(frame: Frame, forward: &Convert, (other, back): (&str, Bson), odd: Odd) -> Vec<Part> {
    let instead = match odd {
        Odd::Keep | Odd::Quarantine => path::value(&forward.field),
        Odd::Null => Bson::Null,
        // Never written, and in step with nothing.
        Odd::Fail => bson!({ "$literal": { "not": forward.to.word() } }),
    };
    let value = forward.value(instead);
    // Null is a value here, and nothing is none.
    let is_forward = path::same(&value, &path::value(other));
    let is_back = path::same(&back, &path::value(&forward.field));
    let down = [(forward.field.clone(), back)];
    let pair = Pair::computed(&[(other.to_owned(), value)], vec![forward.field.clone()], &down);
    let is_in_step = bson!({ "$or": [is_forward.clone(), is_back] });
    let mut pair = Pair { is_forward, is_in_step, ..pair };
    // Several values may become null.
    pair.heir = (odd != Odd::Null).then(|| other.to_owned());
    if odd == Odd::Fail {
        pair.is_open.push(bson!({ "$or": [{ "$not": [forward.is_due()] }, forward.is_convertible()] }));
    }
    let obstacle = (odd == Odd::Fail)
        .then(|| format!("a {} that is no {}, or {other} already", forward.field, forward.to.word()));
    Fields { frame, pairs: vec![pair], is_kept: true, obstacle }.parts()
}

/// In its place, at the contract: until then it has the type it had.
fn in_place(frame: &Frame, forward: &Convert, (was, odd): (Option<Type>, Odd)) -> Vec<Part> {
    let (field, name) = (&forward.field, format!("{}.{}", frame.collection, forward.field));
    let mut parts = Vec::new();
    let odd_ones = doc! { "$expr": { "$and": [forward.is_due(), { "$not": [forward.is_convertible()] }] } };
    let good_ones = doc! { "$expr": { "$and": [forward.is_due(), forward.is_convertible()] } };
    if odd == Odd::Fail {
        let filter = crate::moves::both_or_one(&frame.filter, &odd_ones);
        let look = Look {
            database: None,
            collection: frame.collection.clone(),
            filter,
            question: Question::None,
            span: Some(frame.span),
        };
        parts.push(one_way(Phase::Verify, Arc::new(look), "it only looks"));
    }
    let set = |value: Bson| frame.versioned(vec![bson!({ "$set": { field: value } })]);
    let mut updates = vec![Update::new(good_ones.clone(), set(forward.value(path::value(field))))];
    let mut kept = good_ones;
    if odd == Odd::Null {
        updates.push(Update::new(odd_ones, set(bson!({ "$literal": Bson::Null }))));
        kept = doc! { "$expr": forward.is_due() };
    }
    let keeping = Keeping { archive: frame.archive(), filter: kept, fields: vec![field.clone()] };
    let reshape = Reshape { updates, has_passes: true, keeping: Some(keeping.clone()), ..Reshape::default() };
    let convert = frame.reshape(reshape, format!("convert {name} to {}", forward.to.word()));
    let convert = Staged { removes: vec![format!("values of {name} as they were")], ..convert };
    let old = format!("$$new.old.{field}");
    let again = Convert { field: old[1..].to_owned(), ..forward.clone() };
    let became = again.value(Bson::Null);
    let mut is_ours = path::alike(&became, &path::value(field));
    if let Some(was) = was {
        // What has the type that it had again is what was converted back before.
        let back = back_to(was, "$w").value("$$w".into());
        let back =
            bson!({ "$let": { "vars": { "w": became }, "in": path::alike(&back, &path::value(field)) } });
        is_ours = bson!({ "$or": [is_ours, back] });
    }
    let restored = bson!({ "$set": { field: { "$cond": [is_ours, old, path::value(field)] } } });
    let undo = restore(frame, frame.unversioned(vec![restored]), format!("restore {name}"));
    let mut archives = vec![frame.archive()];
    archives.extend((odd == Odd::Quarantine).then(|| quarantined(frame)));
    parts.push(open_archives(frame, &archives));
    match was {
        Some(was) => {
            // What has the new type already must not get the old one on the way back.
            let has_type = doc! { "$expr": { "$eq": [path::kind(path::value(field)), forward.to.word()] } };
            let filter = doc! { "$or": [keeping.filter.clone(), has_type] };
            let archive = archive(frame, &Keeping { filter, ..keeping });
            parts.push(part(Phase::Contract, archive, undo));
            let back = back_to(was, field).value(path::value(field));
            parts.push(part(Phase::Contract, convert, converted_back(frame, forward, back)));
        }
        None => {
            let archive = archive(frame, &keeping);
            parts.push(one_way(Phase::Contract, Arc::new(archive), "the archive is dropped as a whole"));
            parts.push(part(Phase::Contract, convert, undo));
        }
    }
    if odd == Odd::Quarantine {
        parts.push(quarantine(frame, forward));
    }
    parts
}

fn back_to(was: Type, field: &str) -> Convert {
    Convert { field: field.to_owned(), to: was, on_error: OnError::Keep }
}

/// Gives what was written since the type it had.
fn converted_back(frame: &Frame, forward: &Convert, back: Bson) -> Staged {
    let field = &forward.field;
    let filter = doc! { "$expr": { "$eq": [path::kind(path::value(field)), forward.to.word()] } };
    let differs = doc! { "$expr": { "$not": [path::same(&back, &path::value(field))] } };
    let update = Update::new(doc! { "$and": [filter, differs] }, vec![bson!({ "$set": { field: back } })]);
    let reshape = Reshape { updates: vec![update], has_passes: true, ..Reshape::default() };
    frame.reshape(reshape, format!("convert {}.{field} back", frame.collection))
}

/// Where documents in quarantine are.
fn quarantined(frame: &Frame) -> String {
    format!("{}_quarantine", frame.archive())
}

/// Moves what could not be converted aside.
fn quarantine(frame: &Frame, forward: &Convert) -> Part {
    let into = quarantined(frame);
    let task = Walk::Convert(Convert { on_error: OnError::Quarantine(into.clone()), ..forward.clone() });
    let summary = format!("move what is no {} into {into}", forward.to.word());
    let op = Staged {
        touches: frame.touches.clone(),
        removes: vec![format!(
            "documents of {} whose {} is no {}",
            frame.collection,
            forward.field,
            forward.to.word()
        )],
        ..Staged::new(Task::Walk(frame.walk(task)), summary)
    };
    let merge = Merge {
        into: frame.collection.clone(),
        pipeline: Vec::new(),
        existing: Existing::Skip,
        matched: Vec::new(),
    };
    let walk = Move { collection: into.clone(), filter: Document::new(), ..frame.walk(Walk::Merge(merge)) };
    let undo = Staged::new(Task::Walk(walk), format!("bring back what is in {into}"));
    part(Phase::Contract, op, undo)
}
