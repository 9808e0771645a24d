//! A Redis whose migration lock we hold: the one place from which anything is written.

use std::collections::BTreeMap;

use dunlin_core::{
    Advance, Checkpoint, Checksum, Cursor, Error, ErrorKind, EventKind, History, Record, Result,
    Session as CoreSession, StoredFile, Version, Work, async_trait,
};

use crate::commit::{Commit, Entry, Outcome, commit};
use crate::lock::{self, Heartbeat};
use crate::op::{Command, Op};
use crate::place::{self, Place};
use crate::store::Store;
use crate::{apart, atomic, error, spread, verify};

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) store: Store,
    pub(crate) token: i64,
    pub(crate) heartbeat: Heartbeat,
    /// The last position this very session wrote, so that nobody else can have begun what comes after it.
    pub(crate) written: Option<Checkpoint>,
    /// How many steps this session began in slots of their own.
    pub(crate) attempts: u64,
    /// How far the clocks of the cluster's servers are ahead of the one that times the lock.
    pub(crate) offsets: BTreeMap<String, i64>,
    kept: Option<(Version, Vec<StoredFile>)>,
}

impl Session {
    pub(crate) fn new(store: Store, token: i64, expires: i64) -> Self {
        let heartbeat = Heartbeat::start(&store.net, &store.keys, (token, expires), store.target.lease);
        Self { store, token, heartbeat, written: None, attempts: 0, offsets: BTreeMap::new(), kept: None }
    }

    /// Whether these files were written by this session and need not be sent again with every command.
    pub(crate) fn has_kept(&self, version: &Version, files: &[StoredFile]) -> bool {
        self.kept.as_ref().is_some_and(|(known, kept)| known == version && kept == files)
    }

    pub(crate) fn keep(&mut self, version: &Version, files: &[StoredFile]) {
        self.kept = Some((version.clone(), files.to_vec()));
    }

    /// Refuses what would change dunlin's own keys.
    fn check_keys(&self, commands: &[Command]) -> Result<()> {
        let own = self.store.keys.all();
        for command in commands {
            if let Some(key) = own.iter().find(|key| command.args.iter().any(|arg| arg == key.as_bytes())) {
                let error = Error::new(ErrorKind::Unsupported, format!("`{key}` is dunlin's own key"));
                return Err(error.at(command.span).with("statement", command.text()));
            }
        }
        Ok(())
    }

    /// Writes where a step stands, with nothing to run.
    pub(crate) async fn record(&mut self, work: &Work<'_>, entry: Entry, rows: u64) -> Result<Record> {
        let plain = Commit {
            about: work.running,
            step: work.running.steps.len(),
            rows,
            files: work.files,
            commands: &[],
            entries: vec![entry],
        };
        match commit(self, plain).await? {
            Outcome::Done(record) => {
                self.written.clone_from(&record.checkpoint);
                Ok(record)
            }
            Outcome::Failed { said, .. } => Err(Error::unexpected(said)),
        }
    }
}

/// The position after the first `at` commands.
pub(crate) fn cursor(op: &Op, at: usize) -> Cursor {
    let sum = op.commands[..at].iter().fold(String::new(), |sum, command| chain(&sum, command));
    Cursor { at, open: false, before: None, sum }
}

/// The position one command further. Each sum covers the one before, so that going on costs the same at every command.
pub(crate) fn after(cursor: &Cursor, command: &Command) -> Cursor {
    Cursor { at: cursor.at + 1, open: false, before: cursor.before.clone(), sum: chain(&cursor.sum, command) }
}

fn chain(sum: &str, command: &Command) -> String {
    Checksum::of([sum, &command.canonical()]).to_string()
}

/// What is written once the command before `next` is complete: a position, or the end of the step.
pub(crate) fn entry(work: &Work<'_>, op: &Op, next: &Cursor) -> Entry {
    if next.at == op.commands.len() {
        return Entry {
            record: Some(with_start(work, work.complete(0))),
            kind: work.ends_as(),
            detail: None,
        };
    }
    let checkpoint = Checkpoint::of(next);
    let detail = Some(checkpoint.0.to_string());
    Entry { record: Some(work.partly(checkpoint, 0)), kind: EventKind::Begun, detail }
}

/// The end of a step keeps the beginning of the migration.
fn with_start(work: &Work<'_>, done: Record) -> Record {
    Record { started: work.running.started.or(done.started), ..done }
}

/// What the caller learns of a record that was written.
pub(crate) fn advance(work: &Work<'_>, record: Record, notes: Vec<String>) -> Advance {
    let changed = record.rows.saturating_sub(work.running.rows);
    let is_done = record.checkpoint.is_none();
    Advance { is_done, notes, ..Advance::partly(record, changed) }
}

#[async_trait]
impl CoreSession for Session {
    async fn history(&mut self) -> Result<History> {
        self.store.read_history().await
    }

    async fn advance(&mut self, work: &Work<'_>) -> Result<Advance> {
        if self.heartbeat.is_lost() {
            return Err(error::lost());
        }
        let op: &Op = work.op.own()?;
        let at = Cursor::of(work.running)?;
        let is_known = self.written.is_some() && self.written == work.running.checkpoint;
        if !is_known && (at.at > op.commands.len() || cursor(op, at.at).sum != at.sum) {
            let error = Error::new(ErrorKind::Integrity, "the commands that already ran were edited");
            return Err(error.help("put them back as they were; those after them may be edited freely"));
        }
        if work.is_verify {
            return verify::run(self, op, work).await;
        }
        if at.at >= op.commands.len() {
            let end = entry(work, op, &cursor(op, op.commands.len()));
            let record = self.record(work, end, work.running.rows).await?;
            return Ok(advance(work, record, Vec::new()));
        }
        let unit = op.unit(at.at);
        self.check_keys(&op.commands[unit.clone()])?;
        let advance = match place::of(&self.store, &op.commands[unit.clone()]).await? {
            Place::Here => atomic::run(self, op, unit, &at, work).await,
            Place::Slot { slot, keys } => spread::run(self, op, unit, (&at, slot, keys), work).await,
            place @ (Place::Apart(_) | Place::Everywhere) => apart::run(self, op, &place, &at, work).await,
        }?;
        self.written.clone_from(&advance.record.checkpoint);
        Ok(advance)
    }

    async fn write(&mut self, record: &Record, files: &[StoredFile], kind: EventKind) -> Result<()> {
        let detail = record.note.clone();
        let entries = vec![Entry { record: Some(record.clone()), kind, detail }];
        let step = record.steps.len();
        let plain = Commit { about: record, step, rows: record.rows, files, commands: &[], entries };
        commit(self, plain).await.map(drop)
    }

    async fn note(&mut self, record: &Record, kind: EventKind, detail: &str) -> Result<()> {
        let entries = vec![Entry { record: None, kind, detail: Some(detail.to_owned()) }];
        let step = record.steps.len();
        let plain = Commit { about: record, step, rows: record.rows, files: &[], commands: &[], entries };
        commit(self, plain).await.map(drop)
    }

    async fn release(self: Box<Self>) -> Result<()> {
        lock::leave(&self.store.net, &self.store.keys, self.token, false).await
    }
}
