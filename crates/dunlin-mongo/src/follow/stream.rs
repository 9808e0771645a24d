//! A change stream, read batch by batch: what arrived is there at once, and the server says with every batch where to go on
//! after it, in a token. The driver's own stream hands out one event at a time and waits for the next one before it can
//! say that there is none.

use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};
use dunlin_core::{Error, ErrorKind, Result};
use mongodb::ClientSession;
use mongodb::error::{Error as DriverError, RESUMABLE_CHANGE_STREAM_ERROR};

use crate::error;
use crate::store::Store;

/// How many events come at once.
const BATCH: i32 = 1000;
/// How long the server waits for the first of them.
const WAIT: Duration = Duration::from_millis(300);
/// The oplog has no more what comes after a token, or the token means nothing there.
const OVERTAKEN: [i32; 4] = [136, 260, 280, 286];
const CURSOR_GONE: i32 = 43;

/// A stream.
pub(super) struct Stream {
    session: ClientSession,
    cursor: i64,
    collections: Vec<String>,
    database: String,
    first: Vec<Document>,
    /// Where to go on after what was read.
    pub(super) token: Option<Document>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("collections", &self.collections).finish_non_exhaustive()
    }
}

/// What came of waiting.
pub(super) enum Heard {
    /// These, none or more.
    Events(Vec<Document>),
    /// More was written than the oplog holds.
    Overtaken,
}

/// A new stream found that its own beginning is gone.
pub(super) fn unopened() -> Error {
    Error::new(ErrorKind::Connect, "the oplog is too short to follow anything").temporary()
}

impl Stream {
    /// Opens one, after a token where there is one; nothing where the oplog does not reach back to it.
    pub(super) async fn open(
        store: &Store,
        collections: &[&str],
        after: Option<&Document>,
    ) -> Result<Option<Self>> {
        let fail = |failure: DriverError| broken(store, &failure);
        let mut session = store.client.start_session().await.map_err(fail)?;
        let mut stage = Document::new();
        stage.extend(after.map(|token| ("startAfter".to_owned(), token.clone().into())));
        let names: Vec<String> = collections.iter().map(|name| (*name).to_owned()).collect();
        let ours = doc! { "$or": [{ "ns.coll": { "$in": &names } }, { "operationType": { "$in": ["dropDatabase", "invalidate"] } }] };
        let shown =
            doc! { "operationType": 1, "ns": 1, "documentKey": 1, "wallTime": 1, "clusterTime": 1, "to": 1 };
        let pipeline =
            vec![doc! { "$changeStream": stage }, doc! { "$match": ours }, doc! { "$project": shown }];
        let command = doc! { "aggregate": 1, "pipeline": pipeline, "cursor": { "batchSize": BATCH } };
        let response = match store.db.run_command(command).session(&mut session).await {
            Err(failure) if after.is_some() && is_overtaken(&failure) => return Ok(None),
            response => response.map_err(fail)?,
        };
        let mut stream = Self {
            session,
            cursor: 0,
            collections: names,
            database: store.db.name().to_owned(),
            first: Vec::new(),
            token: after.cloned(),
        };
        stream.first = stream.take(&response, "firstBatch");
        Ok(Some(stream))
    }

    /// Another one, from now on.
    pub(super) async fn anew(&self, store: &Store) -> Result<Self> {
        let collections: Vec<&str> = self.collections.iter().map(String::as_str).collect();
        Self::open(store, &collections, None).await?.ok_or_else(unopened)
    }

    fn take(&mut self, response: &Document, name: &str) -> Vec<Document> {
        let Ok(cursor) = response.get_document("cursor") else { return Vec::new() };
        self.cursor = cursor.get_i64("id").unwrap_or_default();
        let batch = cursor.get_array(name).map(Vec::as_slice).unwrap_or_default();
        let events: Vec<Document> = batch.iter().filter_map(Bson::as_document).cloned().collect();
        let last = events.last().and_then(|event| event.get_document("_id").ok());
        if let Some(token) = cursor.get_document("postBatchResumeToken").ok().or(last) {
            self.token = Some(token.clone());
        }
        events
    }

    /// What was written next, or nothing after a moment.
    pub(super) async fn next(&mut self, store: &Store) -> Result<Heard> {
        if !self.first.is_empty() {
            return Ok(Heard::Events(std::mem::take(&mut self.first)));
        }
        let millis = i64::try_from(WAIT.as_millis()).unwrap_or_default();
        let command = doc! {
            "getMore": self.cursor, "collection": "$cmd.aggregate", "batchSize": BATCH, "maxTimeMS": millis,
        };
        match store.db.run_command(command).session(&mut self.session).await {
            Ok(response) => Ok(Heard::Events(self.take(&response, "nextBatch"))),
            Err(failure) if is_overtaken(&failure) => Ok(Heard::Overtaken),
            Err(failure) => Err(broken(store, &failure)),
        }
    }

    /// Why there is nothing to follow any more after this event.
    pub(super) fn loses(&self, event: &Document) -> Option<String> {
        let name = collection(event).unwrap_or_default();
        match event.get_str("operationType").unwrap_or_default() {
            "drop" => Some(format!("the collection {name} was dropped")),
            "rename" => {
                let to = event.get_document("to").and_then(|to| to.get_str("coll")).unwrap_or("another name");
                Some(format!("the collection {name} was renamed to {to}"))
            }
            "dropDatabase" => Some(format!("the database {} was dropped", self.database)),
            "invalidate" => Some("the change stream was invalidated".to_owned()),
            _ => None,
        }
    }

    /// Tells the server that nobody reads it any more.
    pub(super) async fn close(&mut self, store: &Store) {
        let command = doc! { "killCursors": "$cmd.aggregate", "cursors": [self.cursor] };
        // The server forgets it by itself after a while.
        let _ = store.db.run_command(command).session(&mut self.session).await;
    }
}

fn is_overtaken(failure: &DriverError) -> bool {
    error::code(failure).is_some_and(|code| OVERTAKEN.contains(&code))
}

fn broken(store: &Store, failure: &DriverError) -> Error {
    let error = store.fail(failure, "cannot read the change stream");
    if failure.contains_label(RESUMABLE_CHANGE_STREAM_ERROR) || error::code(failure) == Some(CURSOR_GONE) {
        return error.temporary();
    }
    if error.kind == ErrorKind::Access {
        return error.help(
            "a follower needs the actions find and changeStream on the database: the role readWrite has both",
        );
    }
    error
}

fn collection(event: &Document) -> Option<&str> {
    event.get_document("ns").ok()?.get_str("coll").ok()
}

/// The document that an event says was written, where it is still there.
pub(super) fn document(event: &Document) -> Option<(&str, &Bson)> {
    let kind = event.get_str("operationType").ok()?;
    if !matches!(kind, "insert" | "update" | "replace") {
        return None;
    }
    Some((collection(event)?, event.get_document("documentKey").ok()?.get("_id")?))
}

/// When it was: from MongoDB 6 on to the millisecond, before to the second.
pub(super) fn written(event: &Document) -> Option<Bson> {
    match (event.get("wallTime"), event.get("clusterTime")) {
        (Some(Bson::DateTime(at)), _) => Some(Bson::DateTime(*at)),
        (_, Some(Bson::Timestamp(at))) => {
            Some(Bson::DateTime(DateTime::from_millis(i64::from(at.time) * 1000)))
        }
        _ => None,
    }
}
