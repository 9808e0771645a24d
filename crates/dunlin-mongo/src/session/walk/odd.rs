//! Documents that a walk cannot do as it should: what cannot be converted, what is in the way. They are counted, and the
//! first of them listed with the reason.

use bson::{Bson, Document, doc};
use dunlin_core::words::{agree, counted};
use dunlin_core::{Error, ErrorKind, Violation};
use mongodb::error::Error as DriverError;
use mongodb::{ClientSession, Database};
use serde::{Deserialize, Serialize};

use super::{Next, Stop};
use crate::chunk::{Key, both, number};
use crate::moves::{Move, OnError, Task};
use crate::op::render;
use crate::same::clipped;
use crate::session::Session;

/// How many are listed.
const LISTED: usize = 20;
/// How much of a value is shown.
const SHOWN: usize = 80;

/// What was found so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Odd {
    count: u64,
    listed: Vec<Violation>,
    /// How many of them the chunk at hand has.
    #[serde(skip)]
    new: u64,
}

impl Odd {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether the chunk at hand has any.
    pub(super) fn is_new(&self) -> bool {
        self.new > 0
    }

    fn words(&self) -> String {
        let mut words: Vec<String> = self.listed.iter().map(ToString::to_string).collect();
        let rest = self.count.saturating_sub(self.listed.len() as u64);
        if rest > 0 {
            words.push(format!("and {rest} more"));
        }
        words.join("; ")
    }

    /// Fails if there are any.
    pub(super) fn refuse(&self, op: &Move) -> dunlin_core::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let (documents, name) = (counted(self.count, "document"), &op.collection);
        let [is, have] = [("is", "are"), ("has", "have")].map(|(one, many)| agree(self.count, one, many));
        let (message, help) = match &op.task {
            Task::Merge(merge) => (
                format!(
                    "{documents} of {} {is} in the way: with the _id of one of {name}, and different",
                    merge.into
                ),
                "existing = \"skip\" keeps them, \"replace\" and \"merge\" change them",
            ),
            Task::Convert(convert) => (
                format!(
                    "{documents} of {name} cannot be converted: {} would be lost as {}",
                    convert.field,
                    convert.to.word()
                ),
                "mend them, or choose what becomes of them: on_error = \"keep\", \"null\" or \"quarantine\"",
            ),
            Task::Reshape(reshape) => (
                format!("{documents} of {name} {have} {}", reshape.obstacle),
                "mend them, or leave them out with `filter`; `dunlin plan` shows the query that finds them",
            ),
            Task::Update(_) | Task::Delete => return Ok(()),
        };
        let error = Error::new(ErrorKind::Statement, message).at(op.span).with("documents", self.words());
        Err(error.help(help))
    }

    /// What to say of them at the end.
    pub(super) fn note(&self, op: &Move) -> Option<String> {
        let Task::Convert(convert) = &op.task else { return None };
        let what = match &convert.on_error {
            _ if self.is_empty() => return None,
            OnError::Fail => return None,
            OnError::Keep => agree(self.count, "stays as it was", "stay as they were").to_owned(),
            OnError::Null => format!("{} null as {}", agree(self.count, "has", "have"), convert.field),
            OnError::Quarantine(into) => format!("{} in {into}", agree(self.count, "is", "are")),
        };
        Some(format!(
            "{} of {} could not be converted and {what}: {}",
            counted(self.count, "document"),
            op.collection,
            self.words()
        ))
    }
}

/// Refuses to merge several documents under one `_id`, of which the last would stay.
pub(super) async fn refuse_collisions(session: &Session, op: &Move) -> dunlin_core::Result<()> {
    let Task::Merge(merge) = &op.task else { return Ok(()) };
    let Some(found) = merge.collisions(&op.collection, &op.filter) else { return Ok(()) };
    let db = session.store.database(&op.command());
    let fail = |failure: DriverError| session.of_command(&failure, &op.command());
    let sum = doc! { "$group": { "_id": Bson::Null, "ids": { "$sum": 1 }, "n": { "$sum": "$n" } } };
    let counted_all = batch(&db, with(&found, sum), None).await.map_err(fail)?;
    let Some(all) = counted_all.first() else { return Ok(()) };
    let limit = i64::try_from(LISTED).unwrap_or_default();
    let listed = batch(&db, with(&found, doc! { "$limit": limit }), None).await.map_err(fail)?;
    let words = |found: &Document| {
        let text = |name: &str| clipped(&found.get(name).map(render::inline).unwrap_or_default(), SHOWN);
        let values = Some(format!("{} documents, such as {} and {}", text("n"), text("one"), text("other")));
        Violation { record: found.get("_id").cloned().map(|id| Key(id).text()).unwrap_or_default(), values }
    };
    let odd = Odd { count: number(all.get("ids")), listed: listed.iter().map(words).collect(), new: 0 };
    let message = format!(
        "{} of {} would be merged into {} under {}, and one of each would stay",
        counted(number(all.get("n")), "result"),
        op.collection,
        merge.into,
        counted(odd.count, "_id"),
    );
    let error = Error::new(ErrorKind::Statement, message).at(op.span).with("documents", odd.words());
    Err(error.with("left behind", "nothing: no document was changed").help(
        "let the pipeline give each an `_id` of its own, as of the document's and the element's number (`$unwind` with `includeArrayIndex`), or put them together with existing = \"merge\"",
    ))
}

/// Looks at a chunk before anything is changed.
pub(super) async fn look(session: &Session, op: &Move, next: &mut Next<'_>) -> Result<(), Stop> {
    let db = session.store.database(&op.command());
    find(&db, op, next, None).await.map_err(Stop::Driver)
}

/// Finds those of a chunk.
pub(super) async fn find(
    db: &Database,
    op: &Move,
    next: &mut Next<'_>,
    mut transaction: Option<&mut ClientSession>,
) -> Result<(), DriverError> {
    let range = both(next.chunk.range(), &op.filter);
    let survey = match &op.task {
        Task::Convert(convert) => convert.survey(&op.collection, &range),
        Task::Merge(merge) => merge.survey(&op.collection, &range),
        Task::Reshape(reshape) => reshape.survey(&op.collection, &range),
        Task::Update(_) | Task::Delete => return Ok(()),
    };
    let odd = &mut next.position.place.odd;
    let counted = batch(db, with(&survey, doc! { "$count": "n" }), transaction.as_deref_mut()).await?;
    odd.new = number(counted.first().and_then(|first| first.get("n")));
    if odd.new == 0 {
        return Ok(());
    }
    odd.count += odd.new;
    let room = LISTED.saturating_sub(odd.listed.len());
    if room > 0 {
        let limit = i64::try_from(room).unwrap_or_default();
        let found = batch(db, with(&survey, doc! { "$limit": limit }), transaction).await?;
        odd.listed.extend(found.iter().map(|found| violation(op, found)));
    }
    Ok(())
}

fn with(survey: &Document, last: Document) -> Document {
    let mut command = survey.clone();
    if let Ok(pipeline) = command.get_array_mut("pipeline") {
        pipeline.push(Bson::Document(last));
    }
    command
}

async fn batch(
    db: &Database,
    command: Document,
    transaction: Option<&mut ClientSession>,
) -> Result<Vec<Document>, DriverError> {
    let response = match transaction {
        Some(transaction) => db.run_command(command).session(transaction).await?,
        None => db.run_command(command).await?,
    };
    let batch = response.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let batch = batch.map(Vec::as_slice).unwrap_or_default();
    Ok(batch.iter().filter_map(Bson::as_document).cloned().collect())
}

fn violation(op: &Move, found: &Document) -> Violation {
    let text = |name: &str| found.get(name).map(|value| clipped(&render::inline(value), SHOWN));
    let (value, becomes) = (text("value").unwrap_or_default(), text("becomes"));
    let values = match (&op.task, becomes) {
        (Task::Merge(_), becomes) => format!("{value} there, {} here", becomes.unwrap_or_default()),
        (Task::Reshape(_), becomes) => {
            let there = if value.is_empty() { "nothing" } else { &value };
            format!("{there} is there, {} would go there", becomes.as_deref().unwrap_or("nothing"))
        }
        (_, Some(becomes)) => format!("{value} would become {becomes}"),
        (Task::Convert(convert), None) => format!("{value} is no {}", convert.to.word()),
        (_, None) => value,
    };
    let record = found.get("_id").cloned().map(|id| Key(id).text()).unwrap_or_default();
    Violation { record, values: Some(values) }
}
