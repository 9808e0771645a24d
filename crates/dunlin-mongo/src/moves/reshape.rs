//! What a change does to the documents of a chunk: several updates, in order, each guarded by its own filter, so that
//! doing them again changes nothing more. Where a value is taken away that nothing else can give back, it is in the
//! archive first: that is looked up in the very transaction that takes it away.

use bson::{Bson, Document, bson, doc};

use crate::chunk::{binary, both, index};

/// Updates of one collection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reshape {
    /// In each chunk, in order.
    pub updates: Vec<Update>,
    /// Stages that find what is in the way, with its `value` and what it `becomes`. Gone through before the first
    /// document is changed.
    pub survey: Vec<Bson>,
    /// What that is, in words that go on from the documents: `have mail already`.
    pub obstacle: String,
    /// Whether it goes through the collection again until a pass finds nothing to change.
    pub has_passes: bool,
    /// What must be in an archive before it is taken away.
    pub keeping: Option<Keeping>,
}

/// One update.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Which documents; those that it changed are not among them any more.
    pub filter: Document,
    /// A pipeline.
    pub stages: Vec<Bson>,
    /// Whether it is only for what is written while the walk is on its way: the first pass goes without it.
    pub is_late: bool,
}

/// Values that are kept in an archive, under the `_id` of their document.
#[derive(Debug, Clone, PartialEq)]
pub struct Keeping {
    /// The collection they are kept in.
    pub archive: String,
    /// Which documents have any.
    pub filter: Document,
    /// The fields.
    pub fields: Vec<String>,
}

impl Reshape {
    /// The command that changes a chunk in the first pass, or in a later one.
    pub(crate) fn command(
        &self,
        collection: &str,
        (filter, range): (&Document, &Document),
        is_first: bool,
    ) -> Document {
        let statement = |update: &Update| {
            let concerned = both(range.clone(), &both_or_one(filter, &update.filter));
            binary(doc! { "q": concerned, "u": update.stages.clone(), "multi": true, "hint": index() })
        };
        let due = self.updates.iter().filter(|update| !(is_first && update.is_late));
        let updates: Vec<Document> = due.map(statement).collect();
        doc! { "update": collection, "updates": updates }
    }

    /// What is sent for a chunk, one update after the other.
    pub(super) fn preview(&self, collection: &str, filter: &Document, range: &Document) -> Vec<Document> {
        let alone = |update: &Update| {
            Self { updates: vec![update.clone()], ..Self::default() }.command(
                collection,
                (filter, range),
                false,
            )
        };
        let kept = self.keeping.iter().map(|keeping| keeping.keep(collection, filter, range));
        kept.chain(self.updates.iter().map(alone)).collect()
    }

    /// Whether the first pass leaves something out.
    pub(crate) fn has_late(&self) -> bool {
        self.updates.iter().any(|update| update.is_late)
    }

    /// What finds the documents that there is something to do for.
    pub(crate) fn left(&self, filter: &Document) -> Vec<Bson> {
        let due: Vec<Document> = self.updates.iter().map(|update| update.filter.clone()).collect();
        vec![bson!({ "$match": both_or_one(filter, &doc! { "$or": due }) })]
    }

    /// Finds what is in the way.
    pub(crate) fn survey(&self, collection: &str, range: &Document) -> Document {
        let mut stages = vec![bson!({ "$match": range.clone() })];
        stages.extend(self.survey.iter().cloned());
        binary(doc! { "aggregate": collection, "pipeline": stages, "cursor": {}, "hint": index() })
    }

    pub(super) fn canonical(&self) -> Document {
        let update = |update: &Update| doc! { "q": update.filter.clone(), "u": update.stages.clone() };
        let mut document = doc! { "updates": self.updates.iter().map(update).collect::<Vec<_>>(), "passes": self.has_passes };
        if !self.survey.is_empty() {
            document.insert("survey", self.survey.clone());
        }
        if let Some(keeping) = &self.keeping {
            document.insert(
                "keeping",
                doc! { "archive": &keeping.archive, "q": keeping.filter.clone(), "fields": &keeping.fields },
            );
        }
        document
    }
}

impl Update {
    /// One of every pass.
    pub fn new(filter: Document, stages: Vec<Bson>) -> Self {
        Self { filter, stages, is_late: false }
    }
}

impl Keeping {
    /// What an archived document has of the one it is of.
    pub(crate) fn projection(&self) -> Document {
        self.fields.iter().map(|field| (format!("old.{field}"), Bson::String(format!("${field}")))).collect()
    }

    /// Puts the values of a chunk into the archive, as they are now.
    pub(crate) fn keep(&self, collection: &str, filter: &Document, range: &Document) -> Document {
        let concerned = both(range.clone(), &both_or_one(filter, &self.filter));
        let merge = doc! { "into": &self.archive, "whenMatched": "replace", "whenNotMatched": "insert" };
        let stages =
            [doc! { "$match": concerned }, doc! { "$project": self.projection() }, doc! { "$merge": merge }];
        binary(doc! { "aggregate": collection, "pipeline": stages.to_vec(), "cursor": {}, "hint": index() })
    }

    /// The values of a chunk as they are now, and those that the archive has of it, both in order of `_id`.
    pub(crate) fn kept(&self, collection: &str, filter: &Document, range: &Document) -> [Document; 2] {
        let mut stages = vec![bson!({ "$match": both(range.clone(), &both_or_one(filter, &self.filter)) })];
        stages.extend([bson!({ "$sort": index() }), bson!({ "$project": self.projection() })]);
        [
            doc! { "aggregate": collection, "pipeline": stages, "cursor": {}, "hint": index() },
            doc! { "find": &self.archive, "filter": range.clone(), "sort": index(), "hint": index() },
        ]
        .map(binary)
    }
}

/// Both conditions, where there are two.
pub(crate) fn both_or_one(one: &Document, other: &Document) -> Document {
    if one.is_empty() { other.clone() } else { both(one.clone(), other) }
}
