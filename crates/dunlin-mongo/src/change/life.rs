//! The life of a change of fields: filled beside the old ones, compared, caught up, and the old ones taken away document
//! by document where both are in step; and the way back from each.

use std::sync::Arc;

use bson::{Bson, Document, bson, doc};
use dunlin_core::{AnyOp, Part, Phase, Span, Undo};

use super::carry::Heir;
use super::index;
use super::pair::{Pair, given};
use super::path;
use super::staged::{Need, Staged, Task};
use crate::check::{Found, Look, Question};
use crate::moves::{Keeping, Merge, Move, Reshape, Task as Walk, Update};
use crate::op::{Command, Op};

/// What all steps of a change have in common.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) collection: String,
    pub(super) filter: Document,
    /// The version that updated documents get.
    pub(super) version: Option<i32>,
    /// Whether documents whose old and new fields are both there and differ are left as they are.
    pub(super) stops: bool,
    /// What begins the names of what the change makes for itself.
    pub(super) tag: String,
    pub(super) span: Span,
    /// The paths that are touched.
    pub(super) touches: Vec<String>,
}

/// The field that says which shape a document has.
const VERSION: &str = "schema_version";

impl Frame {
    pub(super) fn archive(&self) -> String {
        format!("dunlin_archive_{}", self.tag)
    }

    pub(super) fn walk(&self, task: Walk) -> Move {
        Move {
            database: None,
            collection: self.collection.clone(),
            filter: self.filter.clone(),
            task,
            span: Some(self.span),
        }
    }

    /// A step that goes through the documents.
    pub(super) fn reshape(&self, reshape: Reshape, summary: String) -> Staged {
        let walk = self.walk(Walk::Reshape(reshape));
        Staged { touches: self.touches.clone(), ..Staged::new(Task::Walk(walk), summary) }
    }

    pub(super) fn look(&self, found: Found) -> AnyOp {
        Arc::new(Look {
            database: None,
            collection: self.collection.clone(),
            filter: self.filter.clone(),
            question: Question::Found(found),
            span: Some(self.span),
        })
    }

    pub(super) fn commands(&self, documents: Vec<Document>, summary: String) -> Staged {
        let command = |document| Command { span: Some(self.span), ..Command::new(document) };
        let op = Op { commands: documents.into_iter().map(command).collect() };
        Staged { touches: self.touches.clone(), ..Staged::new(Task::Commands(op), summary) }
    }

    /// That the validator lets go of fields.
    pub(super) fn release(&self, fields: Vec<String>) -> Need {
        Need::Release { collection: self.collection.clone(), fields, span: Some(self.span) }
    }

    /// That this is a collection.
    pub(super) fn real(&self, name: &str) -> Need {
        Need::Collection(name.to_owned(), Some(self.span))
    }

    /// Stages, and the version of the new shape.
    pub(super) fn versioned(&self, mut stages: Vec<Bson>) -> Vec<Bson> {
        stages.extend(self.version.map(|version| bson!({ "$set": { VERSION: version } })));
        stages
    }

    /// Stages, and the version of the shape before: none is the first one.
    pub(super) fn unversioned(&self, mut stages: Vec<Bson>) -> Vec<Bson> {
        stages.extend(self.version.map(|version| {
            let before = if version > 2 { Bson::Int32(version - 1) } else { Bson::from("$$REMOVE") };
            let is_ours = bson!({ "$eq": [path::value(VERSION), version] });
            bson!({ "$set": { VERSION: { "$cond": [is_ours, before, path::value(VERSION)] } } })
        }));
        stages
    }
}

/// A step and its way back.
pub(super) fn part(phase: Phase, op: Staged, undo: Staged) -> Part {
    Part { phase, op: Arc::new(op), undo: Undo::Op(Arc::new(undo)) }
}

/// A step that needs no way back.
pub(super) fn one_way(phase: Phase, op: AnyOp, reason: &str) -> Part {
    Part { phase, op, undo: Undo::Nothing { reason: reason.to_owned() } }
}

/// Fields that become others.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) frame: Frame,
    pub(super) pairs: Vec<Pair>,
    /// Whether the old values are archived, because the new ones may not lead back to them.
    pub(super) is_kept: bool,
    /// What may be in the way, where it is not the usual.
    pub(super) obstacle: Option<String>,
}

impl Fields {
    fn words(&self, side: impl Fn(&Pair) -> &Vec<String>) -> String {
        let names = self.pairs.iter().flat_map(|pair| side(pair).iter().map(String::as_str));
        names.collect::<Vec<_>>().join(", ")
    }

    fn new_words(&self) -> String {
        format!("{}.{}", self.frame.collection, self.words(|pair| &pair.new))
    }

    fn old_words(&self) -> String {
        format!("{}.{}", self.frame.collection, self.words(|pair| &pair.old))
    }

    fn updates(&self, of: impl Fn(&Pair) -> Vec<Update>) -> Vec<Update> {
        self.pairs.iter().flat_map(of).collect()
    }

    /// New fields made anew where they are not in step.
    fn filling(&self) -> Vec<Update> {
        self.updates(|pair| vec![self.fill(pair)])
    }

    fn fill(&self, pair: &Pair) -> Update {
        let behind = given(pair.behind(), &pair.is_open);
        let filter = if self.frame.stops {
            doc! { "$and": [behind, { "$nor": [pair.has_new.clone()] }] }
        } else {
            behind
        };
        Update::new(filter, self.frame.versioned(pair.up.clone()))
    }

    /// Old fields made where they are not there.
    fn refilling(&self) -> Vec<Update> {
        self.updates(|pair| {
            let filter = given(pair.needs_down.clone(), &pair.is_open_back);
            let is_possible = !pair.down.is_empty();
            is_possible.then(|| Update::new(filter, pair.down.clone())).into_iter().collect()
        })
    }

    /// All of its steps.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut parts = vec![self.backfill(), self.verify()];
        if self.is_kept {
            parts.push(self.open_archive());
        }
        parts.push(self.catch_up());
        if self.is_kept {
            parts.push(self.archive());
        }
        parts.push(index::carry(&self.frame, self.heirs(), !self.is_kept));
        parts.push(self.removal());
        parts
    }

    fn heirs(&self) -> Vec<Heir> {
        self.pairs.iter().flat_map(Pair::heirs).collect()
    }

    fn backfill(&self) -> Part {
        let ways: Vec<Document> = self.pairs.iter().map(Pair::in_the_way).collect();
        let (old, new) = self.shown();
        let survey = vec![
            bson!({ "$match": { "$or": ways } }),
            bson!({ "$project": { "_id": 1, "value": new, "becomes": old } }),
        ];
        let obstacle = self.obstacle.clone().unwrap_or_else(|| {
            format!("{} already, or something else in its place", self.words(|pair| &pair.new))
        });
        let fill = Reshape { updates: self.filling(), survey, obstacle, ..Reshape::default() };
        let mut updates = self.refilling();
        updates.extend(self.updates(|pair| {
            let stages = self.frame.unversioned(pair.drop_new.clone());
            vec![Update::new(given(pair.has_new.clone(), &pair.is_open_back), stages)]
        }));
        let undo = Reshape { updates, ..Reshape::default() };
        let undo = self.frame.reshape(undo, format!("remove {}", self.new_words()));
        // What it takes away is lost only where that look finds something.
        let needs = if self.is_kept { None } else { index::unique(&self.frame, &self.heirs(), true) };
        let undo = Staged { loses: Some(self.losses()), needs, ..undo };
        part(Phase::Backfill, self.frame.reshape(fill, format!("fill {}", self.new_words())), undo)
    }

    fn verify(&self) -> Part {
        let behind: Vec<Document> = self.pairs.iter().map(Pair::behind).collect();
        let (left, right) = self.shown();
        let found = Found {
            word: "in_step",
            summary: format!("{} in step with {}", self.old_words(), self.words(|pair| &pair.new)),
            names: (self.words(|pair| &pair.old), self.words(|pair| &pair.new)),
            stages: vec![
                bson!({ "$match": { "$or": behind } }),
                bson!({ "$project": { "_id": 1, "left": left, "right": right } }),
            ],
            mends: self.filling(),
        };
        one_way(Phase::Verify, self.frame.look(found), "it only looks")
    }

    fn catch_up(&self) -> Part {
        let reshape = Reshape { updates: self.filling(), has_passes: true, ..Reshape::default() };
        let op = self.frame.reshape(reshape, format!("catch up {}", self.new_words()));
        let op = Arc::new(Staged { prepares: true, ..op });
        one_way(Phase::Contract, op, "the new fields stay until the backfill is undone")
    }

    fn removal(&self) -> Part {
        let updates = self.updates(|pair| {
            let filter = given(pair.in_step(), &pair.is_open);
            let fill = Update { is_late: true, ..self.fill(pair) };
            vec![fill, Update::new(filter, pair.drop_old.clone())]
        });
        let keeping = self.is_kept.then(|| self.keeping());
        let removal = Reshape { updates, has_passes: true, keeping, ..Reshape::default() };
        let op = self.frame.reshape(removal, format!("remove {}", self.old_words()));
        let fields = self.pairs.iter().flat_map(|pair| pair.old.iter().cloned()).collect();
        let needs = Some(self.frame.release(fields));
        let op = Staged { removes: self.fields(|pair| &pair.old), needs, ..op };
        let undo = if self.is_kept { self.restore() } else { self.refill() };
        part(Phase::Contract, op, undo)
    }

    fn refill(&self) -> Staged {
        let reshape = Reshape { updates: self.refilling(), has_passes: true, ..Reshape::default() };
        self.frame.reshape(reshape, format!("rebuild {}", self.old_words()))
    }

    fn fields(&self, side: impl Fn(&Pair) -> &Vec<String>) -> Vec<String> {
        let names = self.pairs.iter().flat_map(|pair| side(pair).iter());
        names.map(|field| format!("field {field} of {}", self.frame.collection)).collect()
    }

    fn shown(&self) -> (Bson, Bson) {
        match self.pairs.as_slice() {
            [one] => one.shown(),
            many => {
                let (left, right): (Vec<Bson>, Vec<Bson>) = many.iter().map(Pair::shown).unzip();
                (Bson::Array(left), Bson::Array(right))
            }
        }
    }

    fn keeping(&self) -> Keeping {
        let filters: Vec<Document> = self.pairs.iter().map(|pair| pair.has_old.clone()).collect();
        let fields = self.pairs.iter().flat_map(|pair| pair.old.iter().cloned()).collect();
        Keeping { archive: self.frame.archive(), filter: doc! { "$or": filters }, fields }
    }

    fn open_archive(&self) -> Part {
        open_archive(&self.frame)
    }

    fn archive(&self) -> Part {
        let op = archive(&self.frame, &self.keeping());
        if self.refilling().is_empty() {
            return one_way(Phase::Contract, Arc::new(op), "nothing but the archive leads back");
        }
        part(Phase::Contract, op, self.refill())
    }

    /// Brings back what was archived, where it still leads to the new value.
    fn restore(&self) -> Staged {
        let matched = self.pairs.iter().flat_map(|pair| revived(pair, "$$new.old")).collect();
        restore(&self.frame, matched, format!("restore {}", self.old_words()))
    }

    /// Documents whose new value is not what the old fields, as the way back leaves them, lead to.
    fn losses(&self) -> AnyOp {
        let mut stages = Vec::new();
        if self.is_kept {
            stages.push(bson!({ "$lookup": {
                "from": self.frame.archive(), "localField": "_id", "foreignField": "_id", "as": "dunlin_kept",
            } }));
            stages.push(bson!({ "$set": { "dunlin_kept": { "$first": "$dunlin_kept.old" } } }));
            stages.extend(self.pairs.iter().flat_map(|pair| revived(pair, "$dunlin_kept")));
        }
        for pair in &self.pairs {
            stages.extend(pair.refilled());
        }
        let lost = |pair: &Pair| doc! { "$and": [pair.has_new.clone(), { "$expr": { "$not": [pair.is_forward.clone()] } }] };
        let lost: Vec<Document> = self.pairs.iter().map(lost).collect();
        let (left, right) = self.shown();
        stages.extend([
            bson!({ "$match": { "$or": lost } }),
            bson!({ "$project": { "_id": 1, "left": left, "right": right } }),
        ]);
        self.frame.look(Found {
            word: "kept",
            summary: format!("what the way back of {} loses", self.new_words()),
            names: (self.words(|pair| &pair.old), self.words(|pair| &pair.new)),
            stages,
            mends: Vec::new(),
        })
    }
}

/// Stages that set old fields to archived ones where those lead to the new ones that are there now, and where no old ones
/// are there.
fn revived(pair: &Pair, kept: &str) -> Vec<Bson> {
    let old = |field: &String| Bson::String(format!("{kept}.{field}"));
    let none: Vec<Bson> = pair.old.iter().map(|field| bson!({ "$not": [path::is_there(field)] })).collect();
    let mark = "dunlin_none";
    let tried = |field: &String| {
        (field.clone(), bson!({ "$cond": [format!("${mark}"), old(field), path::value(field)] }))
    };
    let judged = |field: &String| {
        let is_wrong = bson!({ "$and": [format!("${mark}"), { "$not": [pair.is_forward.clone()] }] });
        (field.clone(), bson!({ "$cond": [is_wrong, "$$REMOVE", path::value(field)] }))
    };
    vec![
        bson!({ "$set": { mark: { "$and": none } } }),
        bson!({ "$set": pair.old.iter().map(tried).collect::<Document>() }),
        bson!({ "$set": pair.old.iter().map(judged).collect::<Document>() }),
        bson!({ "$unset": mark }),
    ]
}

/// Makes the archive. Its way back takes it away again, once nothing more is to come from it.
pub(super) fn open_archive(frame: &Frame) -> Part {
    open_archives(frame, &[frame.archive()])
}

/// The same of several.
pub(super) fn open_archives(frame: &Frame, names: &[String]) -> Part {
    let words = names.join(", ");
    let all = |command: &str| names.iter().map(|name| doc! { command: name }).collect();
    let open = frame.commands(all("create"), format!("create {words}"));
    let close = frame.commands(all("drop"), format!("drop {words}"));
    part(Phase::Contract, Staged { prepares: true, ..open }, close)
}

/// Fills the archive.
pub(super) fn archive(frame: &Frame, keeping: &Keeping) -> Staged {
    let merge = Merge {
        into: keeping.archive.clone(),
        pipeline: vec![bson!({ "$project": keeping.projection() })],
        existing: crate::moves::Existing::Replace,
        matched: Vec::new(),
    };
    let filter = crate::moves::both_or_one(&frame.filter, &keeping.filter);
    let walk = Move { filter, ..frame.walk(Walk::Merge(merge)) };
    let summary = format!("archive {}.{}", frame.collection, keeping.fields.join(", "));
    let op = Staged { touches: frame.touches.clone(), ..Staged::new(Task::Walk(walk), summary) };
    Staged { prepares: true, ..op }
}

/// Brings back what is in the archive, by these stages over the document, with `$$new` as what is archived.
pub(super) fn restore(frame: &Frame, matched: Vec<Bson>, summary: String) -> Staged {
    let merge = Merge {
        into: frame.collection.clone(),
        pipeline: Vec::new(),
        existing: crate::moves::Existing::Merge,
        matched,
    };
    let walk =
        Move { collection: frame.archive(), filter: Document::new(), ..frame.walk(Walk::Merge(merge)) };
    Staged { touches: frame.touches.clone(), ..Staged::new(Task::Walk(walk), summary) }
}
