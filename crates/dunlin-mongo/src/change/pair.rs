//! Old fields and the new ones that hold the same: what leads from one to the other and back, as filters, stages and
//! expressions. Pure.
//!
//! Until the contract the *old shape leads*: what a document has of it is what counts, and the new fields are made from it
//! again whenever they are not in step. In step is a document whose new fields are what the old ones lead to, or whose old
//! fields are what the new ones lead back to.

use bson::{Bson, Document, bson, doc};

use super::carry::Heir;
use super::path;

/// Old fields and new ones.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) old: Vec<String>,
    pub(super) new: Vec<String>,
    /// The new field that has the very values of the old one: what is unique there is unique here.
    pub(super) heir: Option<String>,
    pub(super) has_old: Document,
    pub(super) has_new: Document,
    /// Whether the new fields can be written: expressions that must all be true.
    pub(super) is_open: Vec<Bson>,
    /// The same of the old ones.
    pub(super) is_open_back: Vec<Bson>,
    /// Makes the new fields from the old ones.
    pub(super) up: Vec<Bson>,
    /// Makes old fields that are not there from the new ones; none where nothing leads back.
    pub(super) down: Vec<Bson>,
    /// Which documents that is for.
    pub(super) needs_down: Document,
    pub(super) drop_old: Vec<Bson>,
    pub(super) drop_new: Vec<Bson>,
    /// Whether the new fields are what the old ones lead to.
    pub(super) is_forward: Bson,
    /// Whether the two are in step, where there are old ones.
    pub(super) is_in_step: Bson,
}

impl Pair {
    /// One field under another name: within what holds both, lists included, or elsewhere.
    pub(super) fn renamed(from: &str, to: &str) -> Self {
        match (path::parent(from), path::parent(to)) {
            (Some(one), Some(other)) if one == other => Self::within(from, to),
            _ => Self::moved(from, to),
        }
    }

    fn moved(from: &str, to: &str) -> Self {
        let is_same = path::same(&path::value(from), &path::value(to));
        let mut is_open = path::is_open(to);
        is_open.extend(path::is_open(from));
        Self {
            old: vec![from.to_owned()],
            new: vec![to.to_owned()],
            heir: Some(to.to_owned()),
            has_old: path::has(from),
            has_new: path::has(to),
            is_open_back: is_open.clone(),
            is_open,
            up: vec![set(to, path::value(from))],
            down: vec![set(from, path::value(to))],
            needs_down: doc! { "$and": [path::has(to), path::lacks(from)] },
            drop_old: path::removal(from),
            drop_new: path::removal(to),
            is_forward: is_same.clone(),
            is_in_step: is_same,
        }
    }

    /// Two names in the same document, which may be an element of a list.
    fn within(from: &str, to: &str) -> Self {
        let (holder, root) = (path::parent(from).unwrap_or(from), path::root(from));
        let (old, new) = (path::leaf(from), path::leaf(to));
        let up = path::within(holder, &|at| bson!({ "$mergeObjects": [at, { new: format!("{at}.{old}") }] }));
        let down = path::within(holder, &|at| {
            let is_there = bson!({ "$ne": [path::kind(format!("{at}.{old}")), "missing"] });
            bson!({ "$cond": [is_there, at, { "$mergeObjects": [at, { old: format!("{at}.{new}") }] }] })
        });
        let without = |name: &str| {
            let name = name.to_owned();
            let left = path::within(
                holder,
                &move |at| bson!({ "$unsetField": { "field": { "$literal": &name }, "input": at } }),
            );
            vec![set(root, left)]
        };
        let is_same = bson!({ "$eq": [up.clone(), path::value(root)] });
        let is_due_back = bson!({ "$ne": [down.clone(), path::value(root)] });
        Self {
            old: vec![from.to_owned()],
            new: vec![to.to_owned()],
            heir: Some(to.to_owned()),
            has_old: path::has(from),
            has_new: path::has(to),
            is_open: Vec::new(),
            is_open_back: Vec::new(),
            up: vec![set(root, up)],
            down: vec![set(root, down)],
            needs_down: doc! { "$and": [path::has(to), { "$expr": is_due_back }] },
            drop_old: without(old),
            drop_new: without(new),
            is_forward: is_same.clone(),
            is_in_step: is_same,
        }
    }

    /// Fields that expressions make of others, and perhaps back.
    pub(super) fn computed(up: &[(String, Bson)], old: Vec<String>, down: &[(String, Bson)]) -> Self {
        let new: Vec<String> = up.iter().map(|(field, _)| field.clone()).collect();
        let leads = |fields: &[(String, Bson)]| -> Vec<Bson> {
            fields.iter().map(|(field, expression)| path::alike(expression, &path::value(field))).collect()
        };
        let is_forward = bson!({ "$and": leads(up) });
        let is_in_step = if down.is_empty() {
            is_forward.clone()
        } else {
            bson!({ "$or": [is_forward.clone(), { "$and": leads(down) }] })
        };
        let stage = |fields: &[(String, Bson)]| -> Vec<Bson> {
            let fields: Document = fields.iter().cloned().collect();
            if fields.is_empty() { Vec::new() } else { vec![bson!({ "$set": fields })] }
        };
        let removal = |fields: &[String]| fields.iter().flat_map(|field| path::removal(field)).collect();
        let open = |fields: &[String]| fields.iter().flat_map(|field| path::is_open(field)).collect();
        let lacks: Vec<Document> = old.iter().map(|field| path::lacks(field)).collect();
        Self {
            heir: None,
            has_old: any(&old),
            has_new: any(&new),
            is_open: open(&new),
            is_open_back: open(&old),
            up: stage(up),
            down: stage(down),
            needs_down: doc! { "$and": [any(&new), { "$and": lacks }] },
            drop_old: removal(&old),
            drop_new: removal(&new),
            is_forward,
            is_in_step,
            old,
            new,
        }
    }

    /// The old fields, each with the one that holds the same, where there is one such.
    pub(super) fn heirs(&self) -> Vec<Heir> {
        self.old.iter().map(|old| (old.clone(), self.heir.clone())).collect()
    }

    /// What finds documents whose new fields are not in step.
    pub(super) fn behind(&self) -> Document {
        doc! { "$and": [self.has_old.clone(), { "$expr": { "$not": [self.is_in_step.clone()] } }] }
    }

    /// What finds documents whose old fields may go.
    pub(super) fn in_step(&self) -> Document {
        doc! { "$and": [self.has_old.clone(), { "$expr": self.is_in_step.clone() }] }
    }

    /// What finds documents that have something in the way of the new fields.
    pub(super) fn in_the_way(&self) -> Document {
        let taken =
            doc! { "$and": [self.has_new.clone(), { "$or": [self.behind(), self.needs_down.clone()] }] };
        if self.is_open.is_empty() {
            return taken;
        }
        let closed = doc! { "$expr": { "$not": [{ "$and": self.is_open.clone() }] } };
        doc! { "$or": [taken, { "$and": [self.has_old.clone(), closed] }] }
    }

    /// Stages that make old fields that are not there from the new ones, and leave those that are.
    pub(super) fn refilled(&self) -> Vec<Bson> {
        let [Bson::Document(stage)] = self.down.as_slice() else { return Vec::new() };
        let Ok(fields) = stage.get_document("$set") else { return Vec::new() };
        // Along lists this is seen to element by element.
        if !self.old.iter().all(|field| fields.contains_key(field)) {
            return self.down.clone();
        }
        let there: Vec<Bson> = self.old.iter().map(|field| path::is_there(field)).collect();
        let kept = |(field, made): (&String, &Bson)| {
            (field.clone(), bson!({ "$cond": [{ "$or": there.clone() }, path::value(field), made.clone()] }))
        };
        vec![bson!({ "$set": fields.iter().map(kept).collect::<Document>() })]
    }

    /// The old fields as one value, and the new ones.
    pub(super) fn shown(&self) -> (Bson, Bson) {
        let shown = |fields: &[String]| match fields {
            [one] => path::value(one),
            many => Bson::Array(many.iter().map(|field| path::value(field)).collect()),
        };
        (shown(&self.old), shown(&self.new))
    }
}

fn set(field: &str, value: Bson) -> Bson {
    bson!({ "$set": { field: value } })
}

/// What finds documents that have one of the fields.
fn any(fields: &[String]) -> Document {
    match fields {
        [one] => path::has(one),
        many => doc! { "$or": many.iter().map(|field| path::has(field)).collect::<Vec<_>>() },
    }
}

/// With conditions that expressions make.
pub(super) fn given(filter: Document, conditions: &[Bson]) -> Document {
    match conditions {
        [] => filter,
        [one] => doc! { "$and": [filter, { "$expr": one.clone() }] },
        many => doc! { "$and": [filter, { "$expr": { "$and": many.to_vec() } }] },
    }
}
