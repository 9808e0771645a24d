//! The migration lock: two documents in `dunlin_lock`.
//!
//! `lock` is the lease: who holds it until when. The server's clock decides alone, in pipeline updates of this one
//! document, whose `_id` keeps racing creators apart. A task renews it.
//!
//! `fence` is what every write goes through (see [`crate::fence`]). It is apart from the lease so that a renewal never
//! conflicts with a transaction that writes the history. Whoever takes the lock raises the fence to its own token before
//! it reads anything; from then on no write of an earlier holder can succeed.
//!
//! The lease also names the server's session in which its holder keeps its transactions. A process that was killed leaves
//! its last one open, and with it the documents that it changed and the fence; whoever comes next ends it first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use bson::raw::RawDocument;
use bson::{Bson, Document, RawDocumentBuf, doc};
use dunlin_core::history::{FORMAT, readable};
use dunlin_core::{Holder, Result, RunId, Timestamp};
use mongodb::error::Error as DriverError;
use mongodb::options::{Acknowledgment, ReturnDocument, WriteConcern};
use mongodb::{Collection, Database};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::history::Fields;

/// The collection of both documents.
pub(crate) const LOCK: &str = "dunlin_lock";
/// So many sessions are named: those of holders whose sessions nobody could end yet.
pub(crate) const SESSIONS: i32 = 8;

/// Written on the primary, in the order of its log: durable as soon as anything later is.
pub(crate) fn in_order() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Nodes(1)).build()
}

/// Written so that no failover takes it back, and with it everything before it.
pub(crate) fn for_good() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).build()
}

fn collection(db: &Database) -> Collection<RawDocumentBuf> {
    db.collection(LOCK)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// What came of asking.
pub(crate) enum Asked {
    /// The lease is ours, since then by the server's clock. These are the sessions of who had it before.
    Ours { token: i64, since: Timestamp, before: Vec<Bson> },
    /// It is not.
    Theirs(Option<Holder>),
}

/// Asks for the lease once, for who keeps transactions in this session. Where it is held, nothing is written.
pub(crate) async fn ask(
    db: &Database,
    me: &Holder,
    lease: Duration,
    session: Option<&Document>,
) -> Result<Result<Asked>, DriverError> {
    // Which of two attempts of the same process was served.
    let claim = ObjectId::new();
    let holder = doc! {
        "who": &*me.who, "host": &*me.host, "pid": i64::from(me.pid), "process": &*me.process, "run": &*me.run.0,
        "claim": claim,
    };
    let is_free = doc! { "$and": [
        { "$lte": [{ "$ifNull": ["$format", FORMAT] }, FORMAT] },
        { "$or": [{ "$eq": [{ "$type": "$holder" }, "missing"] }, { "$lte": ["$expires", "$$NOW"] }] },
    ] };
    let known = doc! { "$ifNull": ["$sessions", []] };
    let sessions = doc! { "$concatArrays": [{ "$literal": session.into_iter().collect::<Vec<_>>() }, known] };
    let either = |mine: Bson, theirs: &str| doc! { "$cond": ["$free", mine, theirs] };
    let update = vec![
        doc! { "$set": { "free": is_free } },
        doc! { "$set": {
            "format": { "$ifNull": ["$format", FORMAT] },
            "token": either(doc! { "$add": [{ "$ifNull": ["$token", 0_i64] }, 1_i64] }.into(), "$token"),
            "holder": either(doc! { "$literal": holder }.into(), "$holder"),
            "since": either("$$NOW".into(), "$since"),
            "sessions": either(doc! { "$slice": [sessions, SESSIONS] }.into(), "$sessions"),
            "expires": either(doc! { "$add": ["$$NOW", millis(lease)] }.into(), "$expires"),
        } },
        doc! { "$unset": "free" },
    ];
    let found = collection(db)
        .find_one_and_update(doc! { "_id": "lock" }, update)
        .upsert(true)
        .return_document(ReturnDocument::After)
        .write_concern(in_order())
        .await;
    let found = match found {
        // Two created it at once; the other one was first.
        Err(error) if is_duplicate(&error) => return Ok(Ok(Asked::Theirs(None))),
        found => found?,
    };
    let Some(found) = found else { return Ok(Ok(Asked::Theirs(None))) };
    Ok(asked(&found, claim, session))
}

fn asked(found: &RawDocument, claim: ObjectId, session: Option<&Document>) -> Result<Asked> {
    let fields = Fields(found);
    let is_ours = found
        .get_document("holder")
        .is_ok_and(|holder| holder.get_object_id("claim").is_ok_and(|found| found == claim));
    match (is_ours, fields.time("since")?) {
        (true, Some(since)) => {
            let mut before = sessions(found);
            before.retain(|one| one.as_document() != session);
            Ok(Asked::Ours { token: fields.whole("token")?, since, before })
        }
        _ => Ok(Asked::Theirs(holder(found)?)),
    }
}

fn sessions(found: &RawDocument) -> Vec<Bson> {
    let sessions = found.get_array("sessions").into_iter().flatten().flatten();
    sessions.filter_map(|one| Bson::try_from(one).ok()).collect()
}

/// Ends what goes on in these sessions, or stands open. That this login may not is no reason to stop: the server ends
/// what nobody goes on with, only later.
pub(crate) async fn end(db: &Database, sessions: Vec<Bson>) {
    if !sessions.is_empty() {
        let kill = doc! { "killSessions": sessions };
        let _ = db.client().database("admin").run_command(kill).await;
    }
}

/// Who the lease document names, if anybody.
pub(crate) fn holder(found: &RawDocument) -> Result<Option<Holder>> {
    let fields = Fields(found);
    readable(fields.whole("format")?)?;
    let Ok(inner) = found.get_document("holder") else { return Ok(None) };
    let inner = Fields(inner);
    let pid = inner.whole("pid")?;
    Ok(Some(Holder {
        who: inner.shared("who")?,
        host: inner.shared("host")?,
        pid: u32::try_from(pid).unwrap_or_default(),
        process: inner.shared("process")?,
        run: RunId(inner.shared("run")?),
        token: fields.whole("token")?,
        since: fields.time("since")?,
        expires: fields.time("expires")?,
    }))
}

/// The holder, if there is one.
pub(crate) async fn current(db: &Database) -> Result<Result<Option<Holder>>, DriverError> {
    let found = collection(db).find_one(doc! { "_id": "lock" }).await?;
    Ok(found.map_or(Ok(None), |found| holder(&found)))
}

/// Raises the fence to our token. What it held is given back; `None` where it stands at our token or higher.
pub(crate) async fn raise(db: &Database, token: i64) -> Result<Option<RawDocumentBuf>, DriverError> {
    let update = doc! { "$set": { "token": token }, "$setOnInsert": { "format": FORMAT, "sequence": 0_i64 } };
    let raised = collection(db)
        .find_one_and_update(doc! { "_id": "fence", "token": { "$lt": token } }, update)
        .upsert(true)
        .return_document(ReturnDocument::After)
        .write_concern(for_good())
        .await;
    match raised {
        Err(error) if is_duplicate(&error) => Ok(None),
        raised => raised,
    }
}

/// Puts the lease ahead of a fence that stands higher: somebody removed the lease document. Our new token.
pub(crate) async fn catch_up(db: &Database, token: i64) -> Result<Option<i64>, DriverError> {
    let Some(fence) = collection(db).find_one(doc! { "_id": "fence" }).await? else { return Ok(None) };
    let Some(ahead) = fence.get_i64("token").ok().and_then(|fence| fence.checked_add(1)) else {
        return Ok(None);
    };
    let moved = collection(db)
        .update_one(doc! { "_id": "lock", "token": token }, doc! { "$set": { "token": ahead } })
        .write_concern(in_order())
        .await?;
    Ok((moved.matched_count == 1 && ahead > token).then_some(ahead))
}

/// Gives the lease back. The token stays what it was, so that the next holder's is higher.
pub(crate) async fn leave(db: &Database, token: i64) -> Result<(), DriverError> {
    let update = doc! { "$unset": { "holder": "", "since": "", "expires": "", "sessions": "" } };
    let filter = doc! { "_id": "lock", "token": token };
    collection(db).update_one(filter, update).write_concern(for_good()).await.map(drop)
}

/// Takes whoever has `token` out, and makes that token worthless.
pub(crate) async fn evict(db: &Database, token: i64) -> Result<(), DriverError> {
    let next = token.saturating_add(1);
    let update = doc! { "$set": { "token": next }, "$unset": { "holder": "", "since": "", "expires": "" } };
    let filter = doc! { "_id": "lock", "token": token };
    let evicted = collection(db).find_one_and_update(filter, update).write_concern(in_order()).await?;
    if let Some(evicted) = evicted {
        end(db, sessions(&evicted)).await;
        raise(db, next).await?;
    }
    Ok(())
}

/// Whether an insert, or an upsert, met a document of that `_id`.
pub(crate) fn is_duplicate(error: &DriverError) -> bool {
    crate::error::code(error) == Some(11000)
}

/// Renews a lease for as long as it lives.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    task: JoinHandle<()>,
    lease: Arc<Lease>,
}

#[derive(Debug)]
struct Lease {
    db: Database,
    token: i64,
    length: Duration,
    is_lost: AtomicBool,
    /// When the last renewal that succeeded was sent.
    renewed: Mutex<Instant>,
}

impl Lease {
    async fn renew(&self) -> Result<(), DriverError> {
        let sent = Instant::now();
        let update = vec![doc! { "$set": { "expires": { "$add": ["$$NOW", millis(self.length)] } } }];
        let filter: Document = doc! { "_id": "lock", "token": self.token };
        let renewed = collection(&self.db).update_one(filter, update).write_concern(in_order()).await?;
        if renewed.matched_count == 0 {
            self.is_lost.store(true, Ordering::SeqCst);
        } else {
            *self.renewed.lock().await = sent;
        }
        Ok(())
    }
}

impl Heartbeat {
    /// Starts renewing a lease that was taken by a call sent at `sent`.
    pub(crate) fn start(db: Database, token: i64, length: Duration, sent: Instant) -> Self {
        let renewed = Mutex::new(sent);
        let lease = Arc::new(Lease { db, token, length, is_lost: AtomicBool::new(false), renewed });
        let beating = lease.clone();
        let task = tokio::spawn(async move {
            while !beating.is_lost.load(Ordering::SeqCst) {
                tokio::time::sleep(beating.length / 3).await;
                // An election or a lost connection: the next beat tries again, and the fence decides in the end.
                let _ = beating.renew().await;
            }
        });
        Self { task, lease }
    }

    /// Whether the lease is still ours. Asks the server where the last renewal is so long ago that somebody may have
    /// taken it: a process that was stopped wakes up here, before it sends what no transaction would hold back.
    pub(crate) async fn is_ours(&self) -> Result<bool, DriverError> {
        let is_doubtful = self.lease.renewed.lock().await.elapsed() >= self.lease.length;
        if is_doubtful && !self.lease.is_lost.load(Ordering::SeqCst) {
            self.lease.renew().await?;
        }
        Ok(!self.lease.is_lost.load(Ordering::SeqCst))
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}
