//! How a session writes a record and its journal row: behind the fence, and together with what they are about.

use dunlin_core::{Error, EventKind, Record, Result, StoredFile, Work};

use crate::conn::Param;
use crate::dialect::Dialect;
use crate::history::Entry;
use crate::send::Closing;
use crate::session::Session;
use crate::tables::is_without_token;
use crate::{lock, settings, transaction};

const DOING: &str = "cannot write the history";

/// The completion of a step that goes along with whatever its session writes next (MySQL): there each statement is a
/// transaction of its own, and each record of one waits for the disk.
#[derive(Debug)]
pub(crate) struct Owed {
    record: Record,
    files: Vec<StoredFile>,
    kind: EventKind,
    step: usize,
}

impl Owed {
    pub(crate) fn of(record: &Record, work: &Work<'_>) -> Self {
        Self { record: record.clone(), files: work.files.to_vec(), kind: work.ends_as(), step: work.step() }
    }

    fn entry(&self) -> Entry<'_> {
        let Self { record, files, kind, step } = self;
        Entry { record, files, kind: *kind, step: *step, detail: None }
    }
}

impl Session {
    /// Writes what is owed.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        if self.owed.is_none() { Ok(()) } else { self.write_along(None).await }
    }

    /// Writes a record and its journal row inside the transaction that is open, and commits it.
    pub(crate) async fn write_and_commit(&mut self, entry: Entry<'_>) -> Result<()> {
        settings::suspend(self).await?;
        match self.tables.dialect {
            Dialect::Postgres => {
                self.write_at_once(entry).await?;
                transaction::commit(self).await
            }
            Dialect::MySql => {
                self.write_by_variables(&[entry], &[]).await?;
                settings::resume(self).await
            }
            Dialect::Sqlite => self.write_with_commit(entry).await,
        }
    }

    /// Writes a record and its journal row in a transaction of their own.
    pub(crate) async fn write_apart(&mut self, entry: Entry<'_>) -> Result<()> {
        match self.tables.dialect {
            Dialect::Sqlite => {
                transaction::begin(self).await?;
                let written = self.write_and_commit(entry).await;
                transaction::settle(self, written).await
            }
            // One statement is its own transaction.
            Dialect::Postgres => {
                settings::suspend(self).await?;
                self.write_at_once(entry).await
            }
            Dialect::MySql => self.write_along(Some(entry)).await,
        }
    }

    /// Writes what is owed, and this, in one transaction (MySQL).
    async fn write_along(&mut self, entry: Option<Entry<'_>>) -> Result<()> {
        settings::suspend(self).await?;
        let owed = self.owed.take();
        let entries: Vec<Entry<'_>> = owed.iter().map(Owed::entry).chain(entry).collect();
        let opening = transaction::opening(Dialect::MySql, &self.store.target, transaction::Access::Writes);
        let written = self.write_by_variables(&entries, &opening).await;
        let written = transaction::settle(self, written).await;
        if written.is_err() {
            self.owed = owed;
        }
        written?;
        settings::resume(self).await
    }

    /// Writes a journal row alone inside the transaction that is open, and commits it.
    pub(crate) async fn note_and_commit(&mut self, entry: Entry<'_>) -> Result<()> {
        self.check_fence().await?;
        self.append(entry).await?;
        transaction::commit(self).await
    }

    async fn write_at_once(&mut self, entry: Entry<'_>) -> Result<()> {
        let written = self.conn.run(&self.tables.write_all(), &self.params(entry)).await;
        if written.map_err(|failure| self.fail(&failure, DOING))? == 0 { Err(Self::lost()) } else { Ok(()) }
    }

    /// Two round trips an entry: one to bind the values, one to write them, the last of which ends the transaction.
    async fn write_by_variables(&mut self, entries: &[Entry<'_>], opening: &[String]) -> Result<()> {
        let [journal, history, commit] = self.tables.write_and_commit();
        for (index, entry) in entries.iter().enumerate() {
            let params = self.params(*entry);
            let set = self.conn.run(&self.tables.set_values(params.len()), &params).await;
            set.map_err(|failure| self.fail(&failure, DOING))?;
            let before = opening.iter().filter(|_| index == 0);
            let after = [&commit].into_iter().filter(|_| index + 1 == entries.len());
            let texts = before.chain([&journal, &history]).chain(after);
            let texts: Vec<&str> = texts.map(String::as_str).collect();
            let written = self.conn.execute_all(&texts, &[]).await;
            written.map_err(|broken| self.unwritten(&broken.failure))?;
        }
        Ok(())
    }

    async fn write_with_commit(&mut self, entry: Entry<'_>) -> Result<()> {
        // The heartbeat has a connection of its own, which may wait long for its turn where this one writes all the time.
        if self.is_renewal_due() {
            self.check_fence().await?;
        }
        let texts = self.tables.write_and_commit().join("; ");
        let written = self.conn.run(&texts, &self.params(entry)).await;
        written.map(drop).map_err(|failure| self.unwritten(&failure))
    }

    /// The same as the end of a request that began the transaction (SQLite).
    pub(crate) fn closing(&self, entry: Entry<'_>) -> Closing {
        Closing { texts: self.tables.write_and_commit().into(), params: self.params(entry) }
    }

    /// Why a record and its journal row could not be written.
    pub(crate) fn unwritten(&self, failure: &sqlx::Error) -> Error {
        if is_without_token(failure) { Self::lost() } else { self.fail(failure, DOING) }
    }

    /// Whether the lease may run out before the next write renews it.
    pub(crate) fn is_renewal_due(&self) -> bool {
        !self.renewed.is_within(self.store.target.lease / 6)
    }

    /// The token, the record, and what of the journal row is not in it.
    pub(crate) fn params(&self, entry: Entry<'_>) -> Vec<Param> {
        let mut params: Vec<Param> = vec![self.token.into()];
        params.extend(entry.record_params());
        params.extend([entry.kind.word().into(), entry.detail.into(), entry.step_param()]);
        params
    }

    async fn append(&mut self, entry: Entry<'_>) -> Result<()> {
        let appended = self.conn.run(&self.tables.append(), &entry.event_params(self.token)).await;
        appended.map(drop).map_err(|failure| self.fail(&failure, "cannot write the journal"))
    }

    /// Whether statements can be sent that no transaction fences.
    pub(crate) async fn is_still_ours(&mut self) -> Result<()> {
        if self.heartbeat.is_none() { Ok(()) } else { self.check_fence().await }
    }

    /// Whether the lock is ours still; where that is a write anyway, it renews the lease.
    pub(crate) async fn check_fence(&mut self) -> Result<()> {
        let fence = self.tables.fence();
        let holds = if self.tables.dialect == Dialect::Sqlite {
            self.renewed.again();
            let lease = lock::millis(self.store.target.lease);
            self.conn.run(&fence, &[self.token.into(), lease]).await.map(|changed| changed == 1)
        } else {
            self.conn.rows(&fence, &[self.token.into()]).await.map(|rows| rows.len() == 1)
        };
        let holds = holds.map_err(|failure| self.fail(&failure, "cannot check the migration lock"))?;
        if holds { Ok(()) } else { Err(Self::lost()) }
    }
}
