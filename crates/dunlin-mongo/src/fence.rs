//! The one document that every write of a session goes through: `fence` in `dunlin_lock`.
//!
//! It has the token of the lock's holder, the number of the last event, and the records and events written since they
//! were last carried over into `dunlin_history` and `dunlin_journal`. So "the lock is still ours", "this is where the
//! migration stands" and "this happened" are one change of one document: atomic on every server, with or without
//! transactions, in one round trip. Readers see both places as one. Carrying over is idempotent, since both sides know
//! the number of the event; it is done every few events, when a lock is given back, and by whoever finds a full fence.
//!
//! How far a step got through its documents is written without an event: such writes are told apart by a round, which
//! counts within the number of the last event and, like it, only grows.

use std::collections::BTreeMap;

use bson::oid::ObjectId;
use bson::raw::RawDocument;
use bson::{Bson, Document, RawDocumentBuf, doc};
use dunlin_core::history::{encode_files, readable};
use dunlin_core::{Event, EventKind, History, Record, Result, StoredFile, Timestamp, Version};
use futures_util::TryStreamExt as _;
use mongodb::error::Error as DriverError;
use mongodb::options::ReadConcern;
use mongodb::{ClientSession, Collection, Database};

use crate::error;
use crate::history::{self, Fields, HISTORY, JOURNAL, key};
use crate::lock::{self, LOCK};

/// A record and the event that goes with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) record: &'a Record,
    /// Kept with the record; none where they are there already.
    pub(crate) files: &'a [StoredFile],
    /// What happened; nothing where only the position moved on.
    pub(crate) kind: Option<EventKind>,
    pub(crate) step: usize,
    pub(crate) detail: Option<&'a str>,
    /// Whether the record changes, or is only mentioned.
    pub(crate) is_new: bool,
}

/// The fence as its holder knows it. A write that finds it otherwise changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) token: i64,
    /// The number of the last event.
    pub(crate) sequence: i64,
    /// How many positions were written without an event.
    pub(crate) round: i64,
}

impl Mark {
    /// What finds the fence as long as it is like this. Fences of before there were rounds have none.
    fn filter(self) -> Document {
        let round = if self.round == 0 { Bson::Null } else { Bson::Int64(self.round) };
        doc! { "_id": "fence", "token": self.token, "sequence": self.sequence, "round": round }
    }

    /// After this entry.
    pub(crate) fn after(self, entry: &Entry<'_>) -> Self {
        match entry.kind {
            Some(_) => Self { sequence: self.sequence + 1, ..self },
            None => Self { round: self.round + 1, ..self },
        }
    }
}

impl Entry<'_> {
    /// The change of the fence document that this is.
    fn update(&self, mark: Mark, at: Timestamp) -> Document {
        let place = format!("v{}", key(&self.record.id.version));
        let next = mark.after(self);
        let mut set = doc! { "sequence": next.sequence };
        if self.kind.is_none() {
            set.insert("round", next.round);
        }
        if self.is_new {
            let mut record = history::record_document(self.record);
            record.insert("seq", next.sequence);
            record.insert("round", next.round);
            set.insert(format!("records.{place}"), record);
        }
        if !self.files.is_empty() {
            set.insert(format!("files.{place}"), encode_files(self.files));
        }
        let mut update = doc! { "$set": set };
        if let Some(kind) = self.kind {
            let mut event = doc! { "_id": next.sequence, "at": history::date(at) };
            event.extend(history::event_document(self.record, kind, self.step, self.detail));
            update.insert("$push", doc! { "events": event });
        }
        doc! { "q": mark.filter(), "u": update }
    }
}

/// As whose primary a server took a write; nothing where it does not say so.
pub(crate) type Term = Option<ObjectId>;

/// Writes an entry, in a transaction if there is one; nothing unless the fence was as `mark` says. Not retried by the
/// driver: a second try finds another sequence, and so never counts twice.
pub(crate) async fn write(
    db: &Database,
    (mark, at): (Mark, Timestamp),
    entry: &Entry<'_>,
    is_final: bool,
    transaction: Option<&mut ClientSession>,
) -> Result<Result<Option<Term>>, DriverError> {
    let mut command = doc! { "update": LOCK, "updates": [entry.update(mark, at)] };
    let response = match transaction {
        Some(session) => db.run_command(command).session(session).await?,
        None => {
            // The last write of a step outlives any failover, and with it all that is before it in the log.
            let concern = if is_final {
                doc! { "w": "majority" }
            } else {
                doc! { "w": 1 }
            };
            command.insert("writeConcern", concern);
            db.run_command(command).await?
        }
    };
    let term = response.get_object_id("electionId").ok();
    Ok(written(&response, None).map(|()| (response.get_i32("n").unwrap_or_default() == 1).then_some(term)))
}

/// Moves the fence on in a transaction that writes something else; whether it was as `mark` says.
pub(crate) async fn touch(
    db: &Database,
    mark: Mark,
    transaction: &mut ClientSession,
) -> Result<bool, DriverError> {
    let next = doc! { "$set": { "round": mark.round + 1 } };
    let command = doc! { "update": LOCK, "updates": [{ "q": mark.filter(), "u": next }] };
    let response = db.run_command(command).session(transaction).await?;
    Ok(response.get_i32("n").unwrap_or_default() == 1)
}

/// Counts a follower that begins, in a transaction that opens it; whether the fence was as `mark` says. Who holds the fence
/// goes on as if nothing had happened.
pub(crate) async fn join(
    db: &Database,
    mark: Mark,
    transaction: &mut ClientSession,
) -> Result<bool, DriverError> {
    let next = doc! { "$inc": { "followers": 1_i64 } };
    let command = doc! { "update": LOCK, "updates": [{ "q": mark.filter(), "u": next }] };
    let response = db.run_command(command).session(transaction).await?;
    Ok(response.get_i32("n").unwrap_or_default() == 1)
}

/// What the fence says now; nothing where it is gone.
pub(crate) async fn mark(db: &Database) -> Result<Result<Option<Mark>>, DriverError> {
    let only = doc! { "token": 1, "sequence": 1, "round": 1 };
    let found = fence(db).find_one(doc! { "_id": "fence" }).projection(only).await?;
    let read = |found: RawDocumentBuf| {
        let fields = Fields(&found);
        Ok(Mark {
            token: fields.whole("token")?,
            sequence: fields.whole("sequence")?,
            round: fields.round()?,
        })
    };
    Ok(found.map(read).transpose())
}

fn fence(db: &Database) -> Collection<RawDocumentBuf> {
    db.collection(LOCK)
}

/// What was written and not carried over yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) sequence: i64,
    pub(crate) round: i64,
    records: Vec<RawDocumentBuf>,
    events: Vec<RawDocumentBuf>,
    files: BTreeMap<String, String>,
}

impl Pending {
    /// Of the fence document.
    pub(crate) fn read(document: &RawDocument) -> Result<Self> {
        let fields = Fields(document);
        readable(fields.whole("format")?)?;
        let mut pending =
            Self { sequence: fields.whole("sequence")?, round: fields.round()?, ..Self::default() };
        let inner = |name: &str| document.get_document(name).ok();
        for (_, value) in inner("records").into_iter().flatten().flatten() {
            pending.records.extend(value.as_document().map(ToOwned::to_owned));
        }
        for value in document.get_array("events").into_iter().flatten().flatten() {
            pending.events.extend(value.as_document().map(ToOwned::to_owned));
        }
        for (place, value) in inner("files").into_iter().flatten().flatten() {
            if let Some(text) = value.as_str() {
                pending.files.insert(place.as_str().trim_start_matches('v').to_owned(), text.to_owned());
            }
        }
        Ok(pending)
    }

    /// Whether there is anything to carry over.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.events.is_empty()
    }
}

async fn pending(db: &Database, without: Document) -> Result<Result<Option<Pending>>, DriverError> {
    let found = fence(db).find_one(doc! { "_id": "fence" }).projection(without).await?;
    Ok(found.map(|found| Pending::read(&found)).transpose())
}

/// Carries over what the fence holds.
pub(crate) async fn carry_over(db: &Database, token: i64) -> Result<Result<()>, DriverError> {
    match pending(db, doc! {}).await? {
        Ok(Some(pending)) => carry(db, token, pending).await,
        Ok(None) => Ok(Ok(())),
        Err(error) => Ok(Err(error)),
    }
}

/// Carries over what was read from the fence while we hold it.
pub(crate) async fn carry(db: &Database, token: i64, pending: Pending) -> Result<Result<()>, DriverError> {
    if pending.is_empty() {
        return Ok(Ok(()));
    }
    let mut updates = Vec::new();
    for record in &pending.records {
        let record = Document::try_from(&**record)?;
        let (Some(id), Some(sequence)) = (record.get("_id").cloned(), record.get("seq").cloned()) else {
            continue;
        };
        let round = record.get("round").cloned().unwrap_or(Bson::Int64(0));
        let files = match id.as_str().and_then(|id| pending.files.get(id)) {
            Some(files) => doc! { "files": { "$literal": files } },
            None => doc! { "files": "$files" },
        };
        // A later record of the same version stays: the upsert then meets its `_id`.
        updates.push(doc! {
            "q": { "_id": id, "$or": [
                { "seq": { "$lt": &sequence } },
                { "seq": sequence, "round": { "$not": { "$gte": round } } },
            ] },
            "u": [{ "$replaceWith": { "$mergeObjects": [files, { "$literal": record }] } }],
            "upsert": true,
        });
    }
    let concern = doc! { "w": 1 };
    if !updates.is_empty() {
        let update =
            doc! { "update": HISTORY, "updates": updates, "ordered": false, "writeConcern": &concern };
        if let Err(error) = written(&db.run_command(update).await?, Some(THERE)) {
            return Ok(Err(error));
        }
    }
    if !pending.events.is_empty() {
        let events: Vec<Bson> = pending
            .events
            .iter()
            .map(|event| Document::try_from(&**event).map(Bson::Document))
            .collect::<Result<_, _>>()?;
        let insert =
            doc! { "insert": JOURNAL, "documents": events, "ordered": false, "writeConcern": concern };
        if let Err(error) = written(&db.run_command(insert).await?, Some(THERE)) {
            return Ok(Err(error));
        }
    }
    let clear = doc! { "$set": { "records": {}, "events": [], "files": {} } };
    let mark = Mark { token, sequence: pending.sequence, round: pending.round };
    fence(db).update_one(mark.filter(), clear).write_concern(lock::in_order()).await?;
    Ok(Ok(()))
}

/// A document that is there already: of that number, it was carried over by a run that was cut off.
const THERE: i32 = 11000;

/// Whether all of a write was done, but for what failed in the one way that is fine.
fn written(response: &Document, but: Option<i32>) -> Result<()> {
    if let Ok(concern) = response.get_document("writeConcernError") {
        // It is there, and a failover may take it away again: who wrote it looks.
        let code = concern.get_i32("code").unwrap_or_default();
        let reason = concern.get_str("errmsg").unwrap_or("no reason given");
        return Err(error::of_own_document(code, format!("no majority confirmed the history: {reason}")));
    }
    let errors = response.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    let failed = errors
        .iter()
        .filter_map(Bson::as_document)
        .map(|error| (error.get_i32("code").unwrap_or_default(), error))
        .find(|(code, _)| Some(*code) != but);
    failed.map_or(Ok(()), |(code, error)| {
        let reason = error.get_str("errmsg").unwrap_or("no reason given");
        Err(error::of_own_document(code, format!("cannot write the history: {reason}")))
    })
}

/// All records. Nothing is created, and the texts of the files stay where they are.
pub(crate) async fn read(db: &Database, is_settled: bool) -> Result<Result<History>, DriverError> {
    // The fence first: what is carried over meanwhile is then found in both places rather than in none.
    let pending = match pending(db, doc! { "files": 0, "events": 0 }).await? {
        Ok(pending) => pending.unwrap_or_default(),
        Err(error) => return Ok(Err(error)),
    };
    let records = db.collection::<RawDocumentBuf>(HISTORY);
    let mut find = records.find(doc! {}).projection(doc! { "files": 0 });
    if is_settled {
        find = find.read_concern(ReadConcern::majority());
    }
    let mut cursor = find.await?;
    let mut newest: BTreeMap<Version, ((i64, i64), Record)> = BTreeMap::new();
    let mut keep = |document: &RawDocument| -> Result<()> {
        let (written, record) = history::record(document)?;
        let version = record.id.version.clone();
        if newest.get(&version).is_none_or(|(known, _)| *known < written) {
            newest.insert(version, (written, record));
        }
        Ok(())
    };
    while let Some(document) = cursor.try_next().await? {
        if let Err(error) = keep(&document) {
            return Ok(Err(error));
        }
    }
    let kept: Result<()> = pending.records.iter().try_for_each(|document| keep(document));
    Ok(kept.map(|()| newest.into_values().map(|(_, record)| record).collect()))
}

/// The newest events, oldest first.
pub(crate) async fn events(
    db: &Database,
    version: Option<&Version>,
    limit: u32,
) -> Result<Result<Vec<Event>>, DriverError> {
    let pending = match pending(db, doc! { "files": 0, "records": 0 }).await? {
        Ok(pending) => pending.unwrap_or_default(),
        Err(error) => return Ok(Err(error)),
    };
    let filter = version.map_or_else(Document::new, |version| doc! { "key": key(version) });
    let journal = db.collection::<RawDocumentBuf>(JOURNAL);
    let find = journal.find(filter).sort(doc! { "_id": -1 }).limit(i64::from(limit));
    let found: Vec<RawDocumentBuf> = find.await?.try_collect().await?;
    let mut events = BTreeMap::new();
    for document in found.iter().chain(&pending.events) {
        match history::event(document) {
            Ok(event) if version.is_none_or(|version| *version == event.id.version) => {
                events.insert(event.sequence, event);
            }
            Ok(_) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
    let surplus = events.len().saturating_sub(limit as usize);
    Ok(Ok(events.into_values().skip(surplus).collect()))
}

/// The files of a version, as they were kept.
pub(crate) async fn files(db: &Database, version: &Version) -> Result<Result<Option<String>>, DriverError> {
    let key = key(version);
    match pending(db, doc! { "events": 0, "records": 0 }).await? {
        Ok(Some(mut pending)) => {
            if let Some(files) = pending.files.remove(&key) {
                return Ok(Ok(Some(files)));
            }
        }
        Ok(None) => {}
        Err(error) => return Ok(Err(error)),
    }
    let records = db.collection::<RawDocumentBuf>(HISTORY);
    let found = records.find_one(doc! { "_id": key }).projection(doc! { "files": 1 }).await?;
    Ok(Ok(found.and_then(|found| found.get_str("files").ok().map(str::to_owned))))
}
