//! A store, and a store whose migration lock we hold. Reading needs a [`Store`]; every write needs a [`Session`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::follow::{Follow, Followed, Follower};
use crate::history::{Checkpoint, Event, EventKind, History, Record, StoredFile, Timestamp};
use crate::id::{RunId, Version};
use crate::op::{Line, Op};
use crate::pace::Pace;

/// A database we can read. Nothing here creates or changes anything but [`Store::try_lock`], [`Store::unlock`] and
/// [`Store::follow`].
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Whether a failed multi-statement op leaves nothing behind.
    fn is_transactional(&self) -> bool;

    /// What is recorded; empty where dunlin never wrote.
    async fn history(&self) -> Result<History>;

    /// The newest `limit` journal lines, oldest first, of one version or of all.
    async fn journal(&self, version: Option<&Version>, limit: u32) -> Result<Vec<Event>>;

    /// The files of a migration as they were when it was applied.
    async fn files(&self, version: &Version) -> Result<Vec<StoredFile>>;

    /// Who holds the migration lock.
    async fn holder(&self) -> Result<Option<Holder>>;

    /// One attempt to take the migration lock, without waiting. Creates the history where there is none.
    async fn try_lock(&self, me: &Holder) -> Result<Attempt>;

    /// Takes the lock away from the holder with this token, and makes sure that it can write no more.
    async fn unlock(&self, token: i64) -> Result<()>;

    /// Runs a verify op on from a checkpoint, for one bout. Reads only, so that anybody may ask at any time.
    async fn verify(&self, check: &Check<'_>) -> Result<Checked>;

    /// Who visibly still uses what `op` would take away, in words. Empty where nobody does, or the store cannot tell.
    async fn usage(&self, op: &dyn Op) -> Result<Vec<String>> {
        let _ = op;
        Ok(Vec::new())
    }

    /// What `op`, run as the way back from the step at `place`, would bring back and that is not there any more, in words:
    /// it was purged, or removed by other hands. What else it would stumble over is an error.
    async fn gone(&self, op: &dyn Op, place: (&Version, usize)) -> Result<Vec<String>> {
        let _ = (op, place);
        Ok(Vec::new())
    }

    /// What contracts set aside rather than removed, until it is purged.
    async fn archives(&self) -> Result<Vec<Archive>> {
        Ok(Vec::new())
    }

    /// Begins to follow a migration, with a setting of the server that is in the way put right only where that is
    /// allowed. Nothing comes back where the record is not within the window at this moment.
    async fn follow(&self, what: &Follow<'_>) -> Result<Option<Box<dyn Follower>>> {
        let message =
            format!("this store keeps {} in step by itself, and has nothing to be followed", what.id);
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// Who follows which migrations, or did, as they last said.
    async fn followed(&self) -> Result<Vec<Followed>> {
        Ok(Vec::new())
    }

    /// The exact statements of an op as this store would run it now: what hangs on the store, such as the key of a
    /// table, is looked up. Reads only. What cannot be known yet, because an earlier step makes it, is shown as the op
    /// itself says it.
    async fn preview(&self, op: &dyn Op) -> Result<Vec<Line>> {
        Ok(op.preview())
    }

    /// The same for steps that are to run one after the other, each shown as it will be when those before it have run, as
    /// far as the store can foresee that.
    async fn previews(&self, steps: &[Ahead<'_>]) -> Result<Vec<Vec<Line>>> {
        let mut lines = Vec::with_capacity(steps.len());
        for step in steps {
            lines.push(self.preview(step.op).await?);
        }
        Ok(lines)
    }

    /// Refuses what would be refused on its way, as far as that shows now: of the steps that are to run, and of those that
    /// their migrations still have `later`. What a reader should know besides is given back, in words. Reads only.
    async fn foresee(&self, now: &[Ahead<'_>], later: &[Ahead<'_>]) -> Result<Vec<String>> {
        let _ = (now, later);
        Ok(Vec::new())
    }

    /// Facts about the server and the login, as `(what, finding)`, for `dunlin doctor`.
    async fn examine(&self) -> Result<Vec<(String, String)>>;
}

/// A step that is to run.
#[derive(Debug, Clone, Copy)]
pub struct Ahead<'a> {
    /// What is run.
    pub op: &'a dyn Op,
    /// The migration.
    pub version: &'a Version,
    /// Its place in the lane, as the journal counts.
    pub index: usize,
    /// Whether it is the way back from a step.
    pub is_undo: bool,
    /// Whether an earlier run began it.
    pub is_begun: bool,
}

/// A store of whatever backend.
pub type AnyStore = Arc<dyn Store>;

/// What a contract set aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Archive {
    /// The migration that did.
    pub version: Version,
    /// Its name in the store.
    pub name: String,
    /// What it is, in words: `column users.email`.
    pub what: String,
    /// When the store removes it by itself, if it does.
    pub expires: Option<Timestamp>,
}

impl Archive {
    /// What the journal says before it goes, where that and the line cannot be one.
    pub fn purging(&self) -> String {
        format!("{PURGING}{} ({})", self.what, self.name)
    }

    /// What the journal says once it is gone.
    pub fn purged(&self) -> String {
        format!("{PURGED}{} ({})", self.what, self.name)
    }

    /// Whether a journal line says one or the other of what is called `what`.
    pub fn is_purge_of(event: &Event, what: &str) -> bool {
        let rest = purge(event).and_then(|said| said.strip_prefix(what));
        rest.is_some_and(|rest| rest.starts_with(" ("))
    }

    /// What a journal line calls the archive of this name, where it says that it goes or went.
    pub fn purged_as<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
        purge(event)?.strip_suffix(')')?.strip_suffix(name)?.strip_suffix(" (")
    }
}

const PURGING: &str = "purging ";
const PURGED: &str = "purged ";

/// What a journal line says goes or went.
fn purge(event: &Event) -> Option<&str> {
    let detail = event.detail.as_deref()?;
    detail.strip_prefix(PURGED).or_else(|| detail.strip_prefix(PURGING))
}

/// Who holds a migration lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub who: Arc<str>,
    /// The machine.
    pub host: Arc<str>,
    /// The process.
    pub pid: u32,
    /// What identifies the process beyond its number, so that another one on the same machine can tell whether it is
    /// still alive: boot, namespace and start time. Empty where the system does not say.
    pub process: Arc<str>,
    /// Its invocation.
    pub run: RunId,
    /// Its fencing token; every later holder's is higher.
    pub token: i64,
    /// Since when, by the store's clock.
    pub since: Option<Timestamp>,
    /// Until when it may write without renewing; none where the lock ends with the connection.
    pub expires: Option<Timestamp>,
}

/// What came of trying to take the lock.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Taken(Box<dyn Session>),
    /// It is not; who has it, where that is known.
    Held(Option<Holder>),
}

/// A store whose migration lock we hold. Every write checks the fencing token, so a session that lost the lock while
/// it slept can write nothing.
#[async_trait]
pub trait Session: fmt::Debug + Send {
    /// What is recorded, now that nobody else writes.
    async fn history(&mut self) -> Result<History>;

    /// Runs an op on from its checkpoint, by one unit: a transaction, a statement, a chunk. The new position is
    /// recorded together with the work where the store has transactions, after it where it has not.
    async fn advance(&mut self, work: &Work<'_>) -> Result<Advance>;

    /// Runs a verify op on from a checkpoint, for one bout. Records nothing.
    async fn verify(&mut self, check: &Check<'_>) -> Result<Checked>;

    /// Writes how far a record got, without a journal line.
    async fn save(&mut self, record: &Record, files: &[StoredFile]) -> Result<()>;

    /// Writes a record and a journal line without running anything.
    async fn write(&mut self, record: &Record, files: &[StoredFile], kind: EventKind) -> Result<()>;

    /// Why moving data should wait just now: a replica lags, others queue for locks. What cannot be read is an error:
    /// nobody moves data blindly.
    async fn strain(&mut self, pace: &Pace) -> Result<Option<String>>;

    /// Appends a journal line about a record that stays as it is.
    async fn note(&mut self, record: &Record, kind: EventKind, detail: &str) -> Result<()>;

    /// Removes for good what a contract set aside, and says so in the journal in the words of [`Archive::purged`]. What
    /// is gone already is no failure.
    async fn purge(&mut self, archive: &Archive) -> Result<()> {
        let message = format!("this store sets nothing aside, so {} is not its own", archive.name);
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// Gives the lock back.
    async fn release(self: Box<Self>) -> Result<()>;
}

/// One step under way, forward or back.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// What to do.
    pub op: &'a dyn Op,
    /// The record while the step is under way, with the checkpoint to go on from.
    pub running: &'a Record,
    /// The record once the step is complete.
    pub done: &'a Record,
    /// The files to keep with the record.
    pub files: &'a [StoredFile],
    /// How to go about it, where an op moves data.
    pub pace: &'a Pace,
    /// How long to wait for locks of the database, where that is not what holds for the store.
    pub lock_timeout: Option<Duration>,
    /// Whether this session gets the next step of this run, at once: whoever writes a completion by itself may write it
    /// together with what comes next.
    pub is_followed: bool,
}

impl Work<'_> {
    /// The record of a step that got as far as `checkpoint`, `changed` rows further.
    pub fn partly(&self, checkpoint: Checkpoint, changed: u64) -> Record {
        Record { checkpoint: Some(checkpoint), rows: self.running.rows + changed, ..self.running.clone() }
    }

    /// The record of the complete step, `changed` rows further.
    pub fn complete(&self, changed: u64) -> Record {
        Record { rows: self.running.rows + changed, ..self.done.clone() }
    }

    /// Whether a step is taken back. A statement that fails then although what it should bring about already holds is
    /// passed over with a note: the step may have been half done, or somebody helped by hand.
    pub fn is_undo(&self) -> bool {
        self.done.steps.len() < self.running.steps.len()
    }

    /// The index of the step in its lane, for the journal.
    pub fn step(&self) -> usize {
        self.running.steps.len().min(self.done.steps.len())
    }

    /// The journal's word for the completion of this step.
    pub fn ends_as(&self) -> EventKind {
        if self.is_undo() { EventKind::StepUndone } else { EventKind::StepDone }
    }
}

/// How far one advance got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The record as it was written.
    pub record: Record,
    /// Rows, documents or keys changed by this advance.
    pub changed: u64,
    /// Whether the step is complete.
    pub is_done: bool,
    /// What a reader of the run should know: a leftover that was removed, a statement found already in effect.
    pub notes: Vec<String>,
}

impl Advance {
    /// The step got as far as `record` says.
    pub fn partly(record: Record, changed: u64) -> Self {
        Self { record, changed, is_done: false, notes: Vec::new() }
    }

    /// The step is complete, and `record` says so.
    pub fn complete(record: Record, changed: u64) -> Self {
        Self { is_done: true, ..Self::partly(record, changed) }
    }
}

/// A verify op under way.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// What must hold.
    pub op: &'a dyn Op,
    /// Where to go on from.
    pub from: Option<&'a Checkpoint>,
    /// How to go about it.
    pub pace: &'a Pace,
}

/// How far a verify op got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// Not to the end; what was found so far is in the checkpoint.
    Partly(Checkpoint),
    /// To the end, over so many records, where it counts them. All is well if nothing is listed.
    Wholly {
        /// What must not be there, as many as are shown.
        violations: Vec<Violation>,
        /// How many more there are.
        unlisted: u64,
        /// How many records were looked at.
        scanned: u64,
    },
}

/// A record that a verify op found and that must not be there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// Which one: its key.
    pub record: String,
    /// What is wrong with it, in values that not everybody may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
}

impl Violation {
    /// A record of which no more is to be said.
    pub fn new(record: impl Into<String>) -> Self {
        Self { record: record.into(), values: None }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.values {
            Some(values) => write!(f, "{}: {values}", self.record),
            None => f.write_str(&self.record),
        }
    }
}
