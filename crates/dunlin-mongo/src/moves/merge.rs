//! `merge_into = { from, into, pipeline?, filter?, existing? }`: copies documents into another collection of the same
//! database, by `$merge`, as a pipeline leaves them. Each keeps its `_id`, so that merging again finds the same.

use bson::{Bson, Document, bson, doc};

use crate::chunk::{binary, index};
use crate::fill;

/// Where documents are merged into, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// The collection they go into.
    pub into: String,
    /// What becomes of each on the way.
    pub pipeline: Vec<Bson>,
    /// What happens where the other collection has the `_id`.
    pub existing: Existing,
    /// A pipeline that says so instead; documents without a counterpart are passed by then.
    pub matched: Vec<Bson>,
}

/// What happens to a document whose `_id` is in the other collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stops the step, unless the other one is the same; before anything is written, as far as that can be seen.
    Fail,
    /// The other one stays.
    Skip,
    /// It takes the other one's place.
    Replace,
    /// Its fields are put into the other one.
    Merge,
}

impl Existing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fail, Self::Skip, Self::Replace, Self::Merge];

    /// The word in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Replace => "replace",
            Self::Merge => "merge",
        }
    }

    /// The word of `$merge`.
    pub(crate) fn matched(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "keepExisting",
            Self::Replace => "replace",
            Self::Merge => "merge",
        }
    }
}

impl Merge {
    /// Merges the documents of a range.
    pub(crate) fn command(&self, from: &str, range: Document, matched: &str) -> Document {
        let (matched, unmatched) = if self.matched.is_empty() {
            (Bson::String(matched.to_owned()), "insert")
        } else {
            (Bson::Array(self.matched.clone()), "discard")
        };
        // By `_id`: to say so asks for an index on it that has the collation of the command.
        let merge = doc! { "into": &self.into, "whenMatched": matched, "whenNotMatched": unmatched };
        self.aggregate(from, range, vec![bson!({ "$merge": merge })])
    }

    /// Counts what is merged of a range.
    pub(crate) fn count(&self, from: &str, range: Document) -> Document {
        self.aggregate(from, range, vec![bson!({ "$count": "n" })])
    }

    /// The documents of a range whose `_id` a different one has in the other collection.
    pub(crate) fn survey(&self, from: &str, range: &Document) -> Document {
        let stages = vec![
            bson!({ "$replaceWith": { "_id": "$_id", "new": "$$ROOT" } }),
            bson!({ "$lookup": { "from": &self.into, "localField": "_id", "foreignField": "_id", "as": "old" } }),
            bson!({ "$unwind": "$old" }),
            bson!({ "$match": { "$expr": { "$ne": ["$old", "$new"] } } }),
            bson!({ "$project": { "_id": 1, "value": "$old", "becomes": "$new" } }),
        ];
        self.aggregate(from, range.clone(), stages)
    }

    /// Finds the `_id`s that several documents would be merged under, and different ones; nothing where the stages leave
    /// each with its own. To put them together is what merging is asked for.
    pub(crate) fn collisions(&self, from: &str, filter: &Document) -> Option<Document> {
        let keeps_id = |stage: &Bson| {
            let Some((name, value)) = stage.as_document().and_then(|stage| stage.iter().next()) else {
                return false;
            };
            let names_id = || value.as_document().is_some_and(|fields| fields.contains_key("_id"));
            match name.as_str() {
                "$match" | "$unset" | "$lookup" | "$graphLookup" | "$redact" => true,
                "$project" | "$set" | "$addFields" => !names_id(),
                _ => false,
            }
        };
        if self.existing == Existing::Merge || self.pipeline.iter().all(keeps_id) {
            return None;
        }
        let [one, other] = ["$min", "$max"].map(|which| bson!({ which: "$$ROOT" }));
        let found = vec![
            bson!({ "$group": { "_id": "$_id", "n": { "$sum": 1 }, "one": one, "other": other } }),
            bson!({ "$match": { "$expr": { "$ne": ["$one", "$other"] } } }),
            bson!({ "$sort": { "_id": 1 } }),
        ];
        let mut command = self.aggregate(from, filter.clone(), found);
        command.remove("hint");
        command.insert("allowDiskUse", true);
        Some(command)
    }

    fn aggregate(&self, from: &str, range: Document, last: Vec<Bson>) -> Document {
        let mut stages = vec![bson!({ "$match": range })];
        stages.extend(self.pipeline.iter().cloned());
        stages.extend(last);
        binary(doc! { "aggregate": from, "pipeline": stages, "cursor": {}, "hint": index() })
    }

    pub(super) fn canonical(&self) -> Document {
        let mut document =
            doc! { "into": &self.into, "pipeline": self.pipeline.clone(), "existing": self.existing.word() };
        if !self.matched.is_empty() {
            document.insert("matched", self.matched.clone());
        }
        document
    }

    pub(super) fn filled(&self, seed: &fill::Seed) -> Self {
        let pipeline = seed.document(&doc! { "p": self.pipeline.clone() });
        let pipeline = pipeline.get_array("p").cloned().unwrap_or_default();
        Self { pipeline, ..self.clone() }
    }

    pub(super) fn has_placeholder(&self) -> bool {
        fill::has_placeholder(&doc! { "p": self.pipeline.clone() })
    }
}
