//! A MongoDB database whose migration lock we hold.
//!
//! Documents change in a transaction together with the history, where the server has transactions. Everything else is
//! announced before it is sent and confirmed after it: see [`apart`]. Only the last write of a step waits for a
//! majority. What comes before it is earlier in the same log, so a failover that keeps the last write keeps all of it,
//! and one that loses a part loses the end: the history then says less than was done, never more than is there.

mod apart;
mod kept;
mod ledger;
mod look;
pub(crate) mod mend;
pub(crate) mod transaction;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document};
use dunlin_core::{
    Advance, Archive, Check, Checked, Checkpoint, Checksum, Cursor, Error, ErrorKind, EventKind, History,
    Op as _, Origin, Pace, Record, Result, Session as CoreSession, State, StoredFile, Work, async_trait,
};
use mongodb::ClientSession;
use mongodb::error::Error as DriverError;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::change::staged;
use crate::command::{self, Class};
use crate::fence::Entry;
use crate::fill::{self, Seed};
use crate::lock::{self, Heartbeat};
use crate::op::{Command, Op};
use crate::patience::Patience;
use crate::store::{Store, lost};
use crate::{error, follow, strain, verify};

pub(crate) use kept::{indexes, remembered, remembered_now};
pub(crate) use ledger::Ledger;

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) store: Store,
    heartbeat: Heartbeat,
    ledger: Ledger,
    /// In which all its transactions run, one after the other: who takes the lock over ends what is open there.
    transactions: Option<Arc<Mutex<ClientSession>>>,
    /// The command whose intent this very session has just recorded: it was not sent by anybody yet.
    announced: Option<Checkpoint>,
    /// What collections each database has, once that was asked and as far as we changed it.
    names: BTreeMap<String, BTreeSet<String>>,
    /// How a walk goes on.
    stride: Option<walk::Stride>,
    /// How long commands wait for locks now.
    patience: Duration,
}

/// What a checkpoint of ours holds besides the position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    /// What fills the placeholders of the op.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<Seed>,
    /// What there was before the announced command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    look: Option<serde_json::Value>,
}

impl Session {
    pub(crate) fn new(
        store: Store,
        heartbeat: Heartbeat,
        ledger: Ledger,
        transactions: Option<ClientSession>,
    ) -> Self {
        let patience = store.target.lock_timeout;
        let transactions = transactions.map(|one| Arc::new(Mutex::new(one)));
        let (announced, names, stride) = (None, BTreeMap::new(), None);
        Self { store, heartbeat, ledger, transactions, announced, names, stride, patience }
    }

    /// For one transaction.
    async fn transaction(&self) -> OwnedMutexGuard<ClientSession> {
        let transactions = self.transactions.clone().expect("only asked for where there are transactions");
        transactions.lock_owned().await
    }

    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience { store: &self.store, time: self.patience }
    }

    fn fail(&self, failure: &DriverError, doing: &str) -> Error {
        self.store.fail(failure, doing)
    }

    fn of_command(&self, failure: &DriverError, command: &Command) -> Error {
        error::of_command(failure, command, &self.store.target.url)
    }

    /// Refuses to go on once the lease is not ours any more.
    async fn check_lease(&self) -> Result<()> {
        let is_ours = self.heartbeat.is_ours().await;
        let is_ours = is_ours.map_err(|failure| self.fail(&failure, "cannot renew the migration lock"))?;
        if is_ours { Ok(()) } else { Err(lost()) }
    }

    /// The seed of the placeholders in an op, from its checkpoint or new; none where the op has nothing to fill.
    fn seed(&self, op: &Op, at: &Cursor) -> Result<Option<Seed>> {
        if !op.commands.iter().any(|command| fill::is_needed(&command.document)) {
            return Ok(None);
        }
        Ok(Some(before(at)?.seed.unwrap_or_else(|| Seed::new(self.ledger.now().0))))
    }

    /// Runs the unit at the cursor.
    async fn run(&mut self, op: &Op, at: &Cursor, work: &Work<'_>) -> Result<Advance> {
        let Some(unit) = unit_at(op, at.at) else {
            let record = self.ledger.put_step(&self.store, work, &work.complete(0)).await?;
            return Ok(Advance::complete(record, 0));
        };
        if is_transactional(&self.store, unit)? {
            self.announced = None;
            if let Some(advance) = transaction::run(self, op, unit, at, work).await? {
                return Ok(advance);
            }
        }
        apart::run(self, op, unit, at, work).await
    }
}

fn before(at: &Cursor) -> Result<Before> {
    let Some(value) = &at.before else { return Ok(Before::default()) };
    serde_json::from_value(value.clone())
        .map_err(|error| dunlin_core::history::damaged("checkpoint", &value.to_string()).caused_by(error))
}

/// The position after the first `at` commands, open where `look` is given.
fn cursor(op: &Op, at: usize, seed: Option<&Seed>, look: Option<serde_json::Value>, open: bool) -> Cursor {
    let sum = if at == 0 {
        String::new()
    } else {
        let done = Op { commands: op.commands[..at.min(op.commands.len())].to_vec() };
        Checksum::of([done.canonical()]).to_string()
    };
    let before = Before { seed: seed.cloned(), look };
    let before = (before != Before::default())
        .then(|| serde_json::to_value(before).expect("a seed and a look are plain values"));
    Cursor { at, open, before, sum }
}

/// The commands that run next as one.
fn unit_at(op: &Op, at: usize) -> Option<&[Command]> {
    let mut first = 0;
    for unit in op.units() {
        if at < first + unit.len() {
            return Some(&unit[at - first..]);
        }
        first += unit.len();
    }
    None
}

/// Whether a transaction holds these commands together with the history.
fn is_transactional(store: &Store, unit: &[Command]) -> Result<bool> {
    let class = unit.first().map(|first| command::class(&first.document));
    let is_elsewhere =
        |command: &Command| matches!(command.database.as_deref(), Some("admin" | "local" | "config"));
    let is_possible = store.topology.has_transactions() && !unit.iter().any(is_elsewhere);
    if unit.len() > 1 && !is_possible {
        let message = "the script asks for a transaction, and this server has none";
        let error = Error::new(ErrorKind::Unsupported, message).at(unit.first().and_then(|first| first.span));
        return Err(
            error.help("make it a replica set, or leave the session out; the commands then run one by one")
        );
    }
    Ok(is_possible && (class == Some(Class::Documents) || unit.iter().any(|command| command.group.is_some())))
}

/// How many documents a command changed, or what it says went wrong with one of them.
fn outcome(response: &Document, command: &Command) -> Result<u64, Failure> {
    if let Ok(errors) = response.get_array("writeErrors") {
        let errors: Vec<&Document> = errors.iter().filter_map(Bson::as_document).collect();
        if let Some(first) = errors.first() {
            let code = first.get_i32("code").unwrap_or_default();
            let are_own_ids = errors.iter().all(|error| {
                error.get_i32("code").is_ok_and(|code| code == 11000)
                    && error.get_document("keyPattern").is_ok_and(|key| key.keys().eq(["_id"]))
            });
            let index = first.get_i32("index").unwrap_or_default();
            let reason = first.get_str("errmsg").unwrap_or("no reason given");
            let is_insert = command::name(&command.document) == "insert";
            let (word, lists) = if is_insert {
                ("document", ["documents"; 2])
            } else {
                ("statement", ["updates", "deletes"])
            };
            let is_list = |list| command.document.get_array(list).is_ok_and(|list| list.len() > 1);
            // One of several that were written; who wrote one knows which.
            let is_told = lists.into_iter().any(is_list);
            let message = if is_told { format!("{word} {index}: {reason}") } else { reason.to_owned() };
            let key = first.get_document("keyValue").ok().cloned().map(Box::new);
            return Err(Failure { code, message, key, are_own_ids, changed: changed(response) });
        }
    }
    Ok(changed(response))
}

/// A command that the server ran in part.
#[derive(Debug)]
pub(crate) struct Failure {
    code: i32,
    message: String,
    /// The key that is there already, if it failed for one.
    key: Option<Box<Document>>,
    /// Whether nothing is wrong but that documents with these `_id`s are there.
    are_own_ids: bool,
    /// What it changed before.
    changed: u64,
}

impl Failure {
    /// Whether this cannot be part of a transaction.
    fn is_no_transaction(&self) -> bool {
        error::says_no_transaction(self.code, &self.message)
    }

    pub(crate) fn error(&self, store: &Store, command: &Command) -> Error {
        let message = store.target.url.scrub(&self.message);
        let error = error::of_document(self.code, message).at(command.span).with("code", self.code);
        match self.code {
            11000 => error.help(error::duplicate(command, self.key.as_deref())),
            10334 => error.help(
                "no document has room for more than 16 MB, the old shape and the new one together: make it smaller, or leave it out with `filter`",
            ),
            121 => error.help(error::VALIDATOR),
            _ => error,
        }
    }
}

fn changed(response: &Document) -> u64 {
    let number = |name: &str| match response.get(name) {
        Some(Bson::Int32(number)) => u64::try_from(*number).ok(),
        Some(Bson::Int64(number)) => u64::try_from(*number).ok(),
        Some(Bson::Double(number)) if *number >= 0.0 => format!("{number:.0}").parse().ok(),
        _ => None,
    };
    if let Ok(last) = response.get_document("lastErrorObject") {
        return u64::from(last.get_i32("n").unwrap_or_default().unsigned_abs());
    }
    let upserted = response.get_array("upserted").map_or(0, |upserted| upserted.len() as u64);
    number("nModified").map_or_else(|| number("n").unwrap_or(0), |modified| modified + upserted)
}

#[async_trait]
impl CoreSession for Session {
    async fn history(&mut self) -> Result<History> {
        self.store.records(false).await
    }

    async fn advance(&mut self, work: &Work<'_>) -> Result<Advance> {
        self.check_lease().await?;
        self.patience = work.lock_timeout.unwrap_or(self.store.target.lock_timeout);
        if let Some(advance) = self.ledger.found_written(&self.store, work).await? {
            return Ok(advance);
        }
        if let Some(op) = staged::walk(work.op) {
            let advance = walk::advance(self, op, work).await?;
            self.ledger.carry_over(&self.store, false).await?;
            return Ok(advance);
        }
        if let Some(keep) = staged::keep(work.op) {
            let advance = kept::advance(self, keep, work).await?;
            self.ledger.carry_over(&self.store, false).await?;
            return Ok(advance);
        }
        let op = staged::commands(work.op)?;
        let at = dunlin_core::position::cursor(work.running)?;
        // A person who settles a command moves the position on without a sum.
        if !at.sum.is_empty() && cursor(op, at.at, None, None, false).sum != at.sum {
            let error = Error::new(ErrorKind::Integrity, "the commands that already ran were edited")
                .with("code", "edited-halfway");
            return Err(error.help("put them back as they were; those after them may be edited freely"));
        }
        let advance = self.run(op, &at, work).await?;
        self.ledger.carry_over(&self.store, false).await?;
        Ok(advance)
    }

    async fn verify(&mut self, check: &Check<'_>) -> Result<Checked> {
        let store = self.store.clone();
        verify::run(&store, check, Some(self)).await
    }

    async fn save(&mut self, record: &Record, files: &[StoredFile]) -> Result<()> {
        let files = self.ledger.unkept(record, files)?;
        self.ledger.put(&self.store, ledger::light(record, files), false).await.map(drop)
    }

    async fn strain(&mut self, pace: &Pace) -> Result<Option<String>> {
        strain::strain(&self.store, pace).await
    }

    async fn write(&mut self, record: &Record, files: &[StoredFile], kind: EventKind) -> Result<()> {
        self.ledger.forget_files(record);
        let files = self.ledger.unkept(record, files)?;
        let step = record.steps.len();
        let detail = record.detail(kind);
        let entry = Entry { record, files, kind: Some(kind), step, detail: detail.as_deref(), is_new: true };
        self.ledger.put(&self.store, entry, true).await?;
        if record.origin == Origin::Mark && matches!(record.state, State::Done | State::Undone) {
            // A person says that a shape is gone.
            follow::forget(&self.store, &record.id.version).await?;
        }
        self.ledger.carry_over(&self.store, false).await
    }

    async fn note(&mut self, record: &Record, kind: EventKind, detail: &str) -> Result<()> {
        let step = record.steps.len();
        let entry = Entry { record, files: &[], kind: Some(kind), step, detail: Some(detail), is_new: false };
        self.ledger.put(&self.store, entry, true).await?;
        self.ledger.carry_over(&self.store, false).await
    }

    async fn purge(&mut self, archive: &Archive) -> Result<()> {
        self.check_lease().await?;
        self.patience = self.store.target.lock_timeout;
        crate::archive::purge(self, archive).await
    }

    async fn release(mut self: Box<Self>) -> Result<()> {
        // What cannot be carried over now waits in the fence, where readers and the next holder find it.
        let carried = self.ledger.carry_over(&self.store, true).await;
        let left = lock::leave(&self.store.db, self.ledger.token()).await;
        left.map_err(|failure| self.fail(&failure, "cannot release the lock"))?;
        carried
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_number_is_said_only_of_one_of_several() {
        let response = doc! { "writeErrors": [{ "index": 0, "code": 121, "errmsg": "no" }] };
        let said = |document| outcome(&response, &Command::new(document)).unwrap_err().message;
        assert_eq!(said(doc! { "reshape": "a" }), "no");
        assert_eq!(said(doc! { "update": "a", "updates": [{}] }), "no");
        assert_eq!(said(doc! { "delete": "a", "deletes": [{}, {}] }), "statement 0: no");
        assert_eq!(said(doc! { "insert": "a", "documents": [{}, {}] }), "document 0: no");
    }
}
