//! What a session writes into the history, by way of the fence.

use std::collections::BTreeSet;
use std::time::Instant;

use dunlin_core::{Advance, Error, ErrorKind, EventKind, Record, Result, StoredFile, Timestamp, Work};
use mongodb::ClientSession;
use mongodb::error::Error as DriverError;

use crate::fence::{self, Entry, Mark, Term};
use crate::history::{dated, key};
use crate::store::{Store, lost};

/// The fence is emptied when it holds so many events, or texts of so many bytes.
const EVENTS: usize = 16;
const BYTES: usize = 256 << 10;
/// The server's limit for one document is 16 MB; our fields need little.
const FILES: usize = 15 << 20;
const DOING: &str = "cannot write the history";

/// A session's view of the fence.
#[derive(Debug)]
pub(crate) struct Ledger {
    mark: Mark,
    /// What the server's clock said once, and when that was.
    clock: (Timestamp, Instant),
    /// Whether the answer to a write was lost, so that it may or may not be there.
    is_uncertain: bool,
    /// How many events and how many bytes of files wait in the fence.
    waiting: (usize, usize),
    /// The versions whose files this session has kept.
    kept: BTreeSet<String>,
    /// Whose primary took the last write, as far as that is known.
    term: Term,
}

impl Ledger {
    pub(crate) fn new(mark: Mark, now: Timestamp) -> Self {
        Self {
            mark,
            clock: (now, Instant::now()),
            is_uncertain: false,
            waiting: (0, 0),
            kept: BTreeSet::new(),
            term: None,
        }
    }

    pub(super) fn token(&self) -> i64 {
        self.mark.token
    }

    /// The fence as this session knows it.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// The fence was touched in a transaction that is committed.
    pub(super) fn touched(&mut self) {
        self.mark.round += 1;
        self.is_uncertain = false;
    }

    /// Whose primary took the last write, as far as that is known.
    pub(super) fn term(&self) -> Term {
        self.term
    }

    /// The time by the server's clock.
    pub(super) fn now(&self) -> Timestamp {
        let since = i64::try_from(self.clock.1.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.clock.0.0.saturating_add(since))
    }

    /// From now on an earlier write counts as one whose answer was lost.
    pub(super) fn doubt(&mut self) {
        self.is_uncertain = true;
    }

    /// The files that are not kept yet, as the entry of a record has them.
    pub(super) fn unkept<'a>(&self, record: &Record, files: &'a [StoredFile]) -> Result<&'a [StoredFile]> {
        if self.kept.contains(&key(&record.id.version)) {
            return Ok(&[]);
        }
        let size = size(files);
        if size > FILES {
            let message = format!(
                "the files of {} have {size} bytes, and one document can keep 16 MB at most",
                record.id
            );
            let error = Error::new(ErrorKind::Unsupported, message);
            return Err(error.help("load large data with mongoimport, or split the migration"));
        }
        Ok(files)
    }

    /// Keeps the files of a version anew with its next record.
    pub(super) fn forget_files(&mut self, record: &Record) {
        self.kept.remove(&key(&record.id.version));
    }

    /// Writes an entry outside of a transaction. The record as it was written.
    pub(super) async fn put(&mut self, store: &Store, entry: Entry<'_>, is_final: bool) -> Result<Record> {
        self.settle(store).await?;
        let record = dated(entry.record, self.now());
        let entry = Entry { record: &record, ..entry };
        let now = self.now();
        match fence::write(&store.db, (self.mark, now), &entry, is_final, None).await {
            Ok(Ok(Some(term))) => {
                self.written(&entry);
                self.term = term;
            }
            Ok(Ok(None)) => return Err(self.refused(store).await),
            Ok(Err(error)) => {
                self.doubt();
                return Err(error);
            }
            Err(failure) => {
                self.doubt();
                return Err(store.fail(&failure, DOING));
            }
        }
        Ok(record)
    }

    /// Writes an entry inside of a transaction; [`Ledger::written`] tells once it is committed.
    pub(super) async fn put_inside(
        &self,
        store: &Store,
        entry: &Entry<'_>,
        transaction: &mut ClientSession,
    ) -> Result<Result<bool>, DriverError> {
        let met = fence::write(&store.db, (self.mark, self.now()), entry, false, Some(transaction)).await?;
        Ok(met.map(|met| met.is_some()))
    }

    /// Counts an entry that is in the fence now.
    pub(super) fn written(&mut self, entry: &Entry<'_>) {
        self.mark = self.mark.after(entry);
        self.term = None;
        // However often a position is written, there is one.
        let more = usize::from(entry.kind.is_some() || self.waiting.0 == 0);
        self.waiting = (self.waiting.0 + more, self.waiting.1 + size(entry.files));
        if !entry.files.is_empty() {
            self.kept.insert(key(&entry.record.id.version));
        }
    }

    /// Why the fence did not take a write.
    pub(super) async fn refused(&mut self, store: &Store) -> Error {
        self.doubt();
        match self.settle(store).await {
            // Ours, but further on: a write whose answer was lost did arrive. The next try finds it.
            Ok(()) => {
                self.doubt();
                Error::unexpected("the history went on while an answer was lost").temporary()
            }
            Err(error) => error,
        }
    }

    /// Reads the fence again where the answer to a write was lost.
    pub(super) async fn settle(&mut self, store: &Store) -> Result<()> {
        if !self.is_uncertain {
            return Ok(());
        }
        let found = fence::mark(&store.db).await.map_err(|failure| store.fail(&failure, DOING))??;
        let found = found.filter(|found| found.token == self.mark.token).ok_or_else(lost)?;
        // Whatever waits there is carried over with what comes next.
        self.waiting.0 = self.waiting.0.max(1);
        self.mark = found;
        self.is_uncertain = false;
        Ok(())
    }

    /// What an earlier call already wrote of this step, if its answer was lost.
    pub(super) async fn found_written(&mut self, store: &Store, work: &Work<'_>) -> Result<Option<Advance>> {
        if !self.is_uncertain {
            return Ok(None);
        }
        self.settle(store).await?;
        let history = store.records(false).await?;
        let Some(record) = history.record(&work.running.id.version) else { return Ok(None) };
        if record.author.run != work.running.author.run {
            return Ok(None);
        }
        let changed = record.rows.saturating_sub(work.running.rows);
        let done = work.done;
        if (record.state, &record.steps) == (done.state, &done.steps) && record.checkpoint.is_none() {
            return Ok(Some(Advance::complete(record.clone(), changed)));
        }
        let is_further = (record.state, &record.steps) == (work.running.state, &work.running.steps)
            && record.checkpoint != work.running.checkpoint;
        Ok(is_further.then(|| Advance::partly(record.clone(), changed)))
    }

    /// Empties the fence when it holds enough.
    pub(super) async fn carry_over(&mut self, store: &Store, is_last: bool) -> Result<()> {
        if self.waiting.0 == 0 || !is_last && self.waiting.0 < EVENTS && self.waiting.1 < BYTES {
            return Ok(());
        }
        let carried = fence::carry_over(&store.db, self.mark.token).await;
        carried.map_err(|failure| store.fail(&failure, DOING))??;
        self.waiting = (0, 0);
        Ok(())
    }

    /// The record of a step, written with its event.
    pub(super) async fn put_step(
        &mut self,
        store: &Store,
        work: &Work<'_>,
        record: &Record,
    ) -> Result<Record> {
        let files = self.unkept(record, work.files)?;
        self.put(store, step(work, record, files), record.checkpoint.is_none()).await
    }
}

/// The entry of a step's record.
pub(super) fn step<'a>(work: &Work<'_>, record: &'a Record, files: &'a [StoredFile]) -> Entry<'a> {
    let is_done = record.checkpoint.is_none();
    Entry {
        record,
        files,
        kind: Some(if is_done { work.ends_as() } else { EventKind::Begun }),
        step: work.step(),
        detail: record.checkpoint.as_ref().map(|checkpoint| &*checkpoint.0),
        is_new: true,
    }
}

/// The entry of a record whose position moved on, and nothing else.
pub(super) fn light<'a>(record: &'a Record, files: &'a [StoredFile]) -> Entry<'a> {
    Entry { record, files, kind: None, step: 0, detail: None, is_new: true }
}

fn size(files: &[StoredFile]) -> usize {
    files.iter().map(|file| file.text.len()).sum()
}
