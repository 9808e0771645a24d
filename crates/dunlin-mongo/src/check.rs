//! Ops that look at the documents of a collection and say which of them are not as they must be: `none` and `same`.

pub(crate) mod decode;

use std::sync::Arc;

use bson::{Bson, Document, bson, doc};
use dunlin_core::{Line, Op as CoreOp, Span};

use crate::chunk::{bare, binary, both, index};
use crate::moves::{Reshape, Update};
use crate::op::{Command, render};
use crate::{extended, fill};

/// A look at one collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// The database it is in, if not the one of the store.
    pub database: Option<Arc<str>>,
    /// The collection.
    pub collection: String,
    /// Which of its documents are concerned.
    pub filter: Document,
    /// What must hold of them.
    pub question: Question,
    /// Where it was written.
    pub span: Option<Span>,
}

/// What must hold of documents.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// `none = { collection, filter, database? }`: there are none.
    None,
    /// `same = { collection, field | expr, as, filter?, sample?, database? }`: one expression is, in value and type, what
    /// another one over the same document is.
    Same {
        /// The expression, `$name` for a field.
        left: Bson,
        /// The other one.
        right: Bson,
        /// How many documents are looked at, taken at random; all of them where it is not said.
        sample: Option<u32>,
    },
    /// `same = { collection, field | expr, with = { collection, field? | expr?, key?, filter? }, filter?, database? }`: each
    /// document has its counterpart in the other collection, by `_id` and `key`, and each there one here.
    Across {
        /// The expression, `$name` for a field.
        left: Bson,
        /// The counterparts.
        with: Counterpart,
    },
    /// A step of a change: what stages find.
    Found(Found),
}

/// What stages find in documents, as `left` and `right`.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What tells this question from others.
    pub word: &'static str,
    /// A few words.
    pub summary: String,
    /// What `left` and `right` are called.
    pub names: (String, String),
    /// What finds them.
    pub stages: Vec<Bson>,
    /// What brings a document in step that somebody wrote since it was. Whoever holds the lock does this first, so that
    /// only what cannot be brought in step is found; whoever does not, finds all that is not.
    pub mends: Vec<Update>,
}

/// The documents that must correspond to others.
#[derive(Debug, Clone, PartialEq)]
pub struct Counterpart {
    /// The collection they are in.
    pub collection: String,
    /// The field that has the `_id` of the other document.
    pub key: String,
    /// What must be the same there.
    pub right: Bson,
    /// Which of its documents are concerned.
    pub filter: Document,
}

/// What makes two values different: numbers that are equal are not the same where their types differ. Inside of
/// documents and lists, numbers are compared by their value.
fn differ(left: &Bson, right: &Bson) -> Bson {
    bson!({ "$or": [
        { "$ne": [left.clone(), right.clone()] },
        { "$ne": [{ "$type": left.clone() }, { "$type": right.clone() }] },
    ] })
}

/// An expression as a field of a projection, where a number or a truth would say whether the field is shown at all.
pub(crate) fn shown(expression: &Bson) -> Bson {
    match expression {
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) | Bson::Boolean(_) => {
            bson!({ "$literal": expression.clone() })
        }
        other => other.clone(),
    }
}

fn aggregate(collection: &str, stages: Vec<Bson>, hint: Bson) -> Document {
    binary(doc! { "aggregate": collection, "pipeline": stages, "cursor": {}, "hint": hint })
}

impl Look {
    /// Finds the documents of a range that are not as they must be, with what they have; none where that takes both
    /// collections.
    pub(crate) fn found(&self, range: Document) -> Option<Document> {
        Some(aggregate(&self.collection, self.stages(range)?, index().into()))
    }

    /// The stages of that.
    pub(crate) fn stages(&self, range: Document) -> Option<Vec<Bson>> {
        let mut stages = vec![bson!({ "$match": both(range, &self.filter) })];
        match &self.question {
            Question::None => stages.push(bson!({ "$project": { "_id": 1, "left": "$$ROOT" } })),
            Question::Same { left, right, .. } => {
                stages.push(bson!({ "$match": { "$expr": differ(left, right) } }));
                stages.push(bson!({ "$project": { "_id": 1, "left": shown(left), "right": shown(right) } }));
            }
            Question::Found(found) => stages.extend(found.stages.iter().cloned()),
            Question::Across { .. } => return None,
        }
        Some(stages)
    }

    /// The same over so many documents, taken at random.
    pub(crate) fn sampled(&self, size: u32) -> Option<Document> {
        let mut command = self.found(Document::new())?;
        command.remove("hint");
        command.insert("allowDiskUse", true);
        let pipeline = command.get_array_mut("pipeline").ok()?;
        pipeline.insert(1, bson!({ "$sample": { "size": i64::from(size) } }));
        if self.filter.is_empty() {
            // As the first stage the server has a cursor for it.
            pipeline.remove(0);
        }
        Some(command)
    }

    /// The database as commands have it, and the place for errors.
    pub(crate) fn command(&self) -> Command {
        let document = doc! { self.word(): &self.collection };
        Command { database: self.database.clone(), span: self.span, ..Command::new(document) }
    }

    fn word(&self) -> &'static str {
        match &self.question {
            Question::None => "none",
            Question::Same { .. } | Question::Across { .. } => "same",
            Question::Found(found) => found.word,
        }
    }

    /// The command that brings the documents of a range in step, where there is one.
    pub(crate) fn mend(&self, range: &Document) -> Option<Document> {
        let Question::Found(found) = &self.question else { return None };
        let reshape = Reshape { updates: found.mends.clone(), ..Reshape::default() };
        (!found.mends.is_empty()).then(|| reshape.command(&self.collection, (&self.filter, range), false))
    }
}

impl Counterpart {
    /// Count and digest of the documents of a range, by key and value.
    pub(crate) fn digest(
        collection: &str,
        filter: Document,
        (key, value): (&str, &Bson),
        hint: Bson,
    ) -> Document {
        // The server's hash cuts numbers off behind the point: they go into it as text. Inside of documents it does so, too:
        // those are counted, and compared one by one.
        let value_text = bson!({ "$cond": [{ "$isNumber": value.clone() }, { "$toString": value.clone() }, value.clone()] });
        let entry = bson!({ "k": format!("${key}"), "t": { "$type": value.clone() }, "v": value_text });
        // Of 64 bits so many are kept that the sum of any chunk has room.
        let hash = bson!({ "$mod": [{ "$toHashedIndexKey": entry }, 35_184_372_088_777_i64] });
        let is_deep =
            bson!({ "$cond": [{ "$in": [{ "$type": value.clone() }, ["object", "array"]] }, 1, 0] });
        let group = bson!({ "$group": {
            "_id": Bson::Null, "n": { "$sum": 1 }, "sum": { "$sum": hash }, "deep": { "$sum": is_deep },
        } });
        aggregate(collection, vec![bson!({ "$match": filter }), group], hint)
    }

    /// Documents of a range that have no counterpart, several, or a different one.
    pub(crate) fn differing(&self, look: &Look, left: &Bson, range: Document) -> Document {
        let counterparts = bson!({ "$lookup": {
            "from": &self.collection, "localField": "_id", "foreignField": &self.key, "as": "there",
            "pipeline": [{ "$match": self.filter.clone() }, { "$limit": 2 }, { "$project": { "_id": 0, "v": shown(&self.right) } }],
        } });
        let right = bson!("$right.v");
        let count = bson!({ "$size": "$there" });
        let stages = vec![
            bson!({ "$match": both(range, &look.filter) }),
            bson!({ "$project": { "_id": 1, "left": shown(left) } }),
            counterparts,
            bson!({ "$set": { "right": { "$first": "$there" }, "count": count } }),
            bson!({ "$match": { "$expr": { "$or": [{ "$ne": ["$count", 1] }, differ(&bson!("$left"), &right)] } } }),
            bson!({ "$project": { "_id": 1, "left": 1, "right": right, "count": 1 } }),
        ];
        aggregate(&look.collection, stages, index().into())
    }

    /// Documents there that no document here corresponds to.
    pub(crate) fn surplus(&self, look: &Look, range: Document, hint: Bson) -> Document {
        let origins = bson!({ "$lookup": {
            "from": &look.collection, "localField": &self.key, "foreignField": "_id", "as": "here",
            "pipeline": [{ "$match": look.filter.clone() }, { "$project": { "_id": 1 } }],
        } });
        let stages = vec![
            bson!({ "$match": both(range, &self.filter) }),
            origins,
            bson!({ "$match": { "here": { "$size": 0 } } }),
            bson!({ "$project": { "_id": format!("${}", self.key), "count": { "$literal": -1 }, "right": shown(&self.right) } }),
        ];
        aggregate(&self.collection, stages, hint)
    }
}

impl CoreOp for Look {
    fn summary(&self) -> String {
        match &self.question {
            Question::None => format!("none of {}", self.collection),
            Question::Same { .. } => format!("same in {}", self.collection),
            Question::Across { with, .. } => format!("same in {} and {}", self.collection, with.collection),
            Question::Found(found) => found.summary.clone(),
        }
    }

    fn preview(&self) -> Vec<Line> {
        let range = || doc! { "_id": { "$gt": fill::bound("from"), "$lte": fill::bound("to") } };
        let note = format!("in chunks over {}._id; whatever it finds is a violation", self.collection);
        let mut commands = match &self.question {
            Question::Across { left, with } => {
                let there =
                    doc! { with.key.clone(): { "$gt": fill::bound("from"), "$lte": fill::bound("to") } };
                let (here, there) = (both(range(), &self.filter), both(there, &with.filter));
                vec![
                    Counterpart::digest(&self.collection, here, ("_id", left), index().into()),
                    Counterpart::digest(&with.collection, there, (&with.key, &with.right), Bson::Null),
                ]
            }
            Question::Same { sample: Some(size), .. } => self.sampled(*size).into_iter().collect(),
            _ => self.found(range()).into_iter().collect(),
        };
        for command in &mut commands {
            command.remove("hint");
        }
        let shown = |document| render::command(&Command { document: bare(document), ..self.command() });
        let line = |command| Line { text: shown(command), note: Some(note.clone()), span: self.span };
        commands.into_iter().map(line).collect()
    }

    fn canonical(&self) -> String {
        let mut document = doc! { self.word(): &self.collection, "filter": self.filter.clone() };
        if let Some(database) = &self.database {
            document.insert("database", &**database);
        }
        match &self.question {
            Question::None => {}
            Question::Found(found) => drop(document.insert("stages", found.stages.clone())),
            Question::Same { left, right, sample } => {
                document.extend(doc! { "left": left.clone(), "right": right.clone() });
                if let Some(sample) = sample {
                    document.insert("sample", i64::from(*sample));
                }
            }
            Question::Across { left, with } => document.extend(doc! {
                "left": left.clone(), "with": &with.collection, "key": &with.key, "right": with.right.clone(),
                "with_filter": with.filter.clone(),
            }),
        }
        format!("look {}\n", extended::canonical(&document))
    }

    fn moves(&self) -> bool {
        true
    }

    fn follows(&self) -> bool {
        matches!(&self.question, Question::Found(found) if !found.mends.is_empty())
    }
}
