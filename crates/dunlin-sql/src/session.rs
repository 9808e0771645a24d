//! A SQL store whose migration lock we hold: the one place from which anything is written.

use std::time::Duration;

use dunlin_core::{
    Advance, Archive, Check, Checked, Checkpoint, Checksum, Cursor, Error, ErrorKind, EventKind, History,
    Pace, Record, Result, Session as CoreSession, StoredFile, Work, async_trait, position,
};

use crate::chunk::{self, Walk};
use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::evolve::{self, Evolve};
use crate::history::{self, Entry};
use crate::light::{Kept, Light};
use crate::lock::{self, Heartbeat, LockRow, Renewed};
use crate::moves::Move;
use crate::op::{Op, Statement};
use crate::store::Store;
use crate::tables::Tables;
use crate::write::Owed;
use crate::{alone, archive, connect, error, patience, rollback, settings, strain, transaction, verify};

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) store: Store,
    pub(crate) conn: Conn,
    pub(crate) tables: Tables,
    pub(crate) token: i64,
    pub(crate) heartbeat: Option<Heartbeat>,
    /// When a write of this session last renewed its lease.
    pub(crate) renewed: Renewed,
    /// The statement whose intent this very session has just recorded: it was not sent by anybody yet.
    pub(crate) announced: Option<Checkpoint>,
    /// The completion of a step that is written together with what comes next.
    pub(crate) owed: Option<Owed>,
    /// The script of a change's step that this very session began, and how far it came.
    pub(crate) drawn: Option<(Checkpoint, Op)>,
    /// Whether the statements before the current one that set the connection up were sent on this connection.
    pub(crate) is_set_up: bool,
    /// What scripts set on the connection.
    pub(crate) changes: settings::Changes,
    /// Whether any SQLite table points at another, once that was asked.
    pub(crate) has_keys: Option<bool>,
    /// The walk through a table that is under way.
    pub(crate) walk: Option<Walk>,
    /// How long statements wait for locks where a step says nothing of it.
    pub(crate) usual: Duration,
    /// Connections to the replicas whose lag counts.
    pub(crate) replicas: Vec<Conn>,
}

impl Session {
    pub(crate) fn new(
        store: Store,
        conn: Conn,
        tables: Tables,
        (token, heartbeat, renewed): (i64, Option<Heartbeat>, Renewed),
    ) -> Self {
        Self {
            usual: store.target.lock_timeout,
            store,
            conn,
            tables,
            token,
            heartbeat,
            renewed,
            announced: None,
            owed: None,
            drawn: None,
            is_set_up: false,
            changes: settings::Changes::default(),
            has_keys: None,
            walk: None,
            replicas: Vec::new(),
        }
    }

    pub(crate) fn fail(&self, failure: &sqlx::Error, doing: &str) -> Error {
        error::own(failure, doing, &self.store.target.url)
    }

    pub(crate) fn lost() -> Error {
        Error::new(
            ErrorKind::LeaseLost,
            "the migration lock was taken over by another run while this one was stopped or cut off",
        )
        .help("nothing was written after that; `dunlin status` shows where things stand")
    }
}

/// The position after the first `at` statements of a script.
pub(crate) fn cursor(op: &Op, at: usize) -> Cursor {
    let sum = if at == 0 {
        String::new()
    } else {
        Checksum::of(op.statements().take(at).map(Statement::canonical)).to_string()
    };
    Cursor { at, open: false, before: None, sum }
}

#[async_trait]
impl CoreSession for Session {
    async fn history(&mut self) -> Result<History> {
        self.settle().await?;
        history::read(&mut self.conn, &self.tables)
            .await
            .map_err(|failure| self.fail(&failure, "cannot read the history"))?
    }

    async fn advance(&mut self, work: &Work<'_>) -> Result<Advance> {
        if self.heartbeat.as_ref().is_some_and(Heartbeat::is_lost) {
            return Err(Self::lost());
        }
        match self.advance_by(work).await {
            // Whoever takes the lock away hangs up for its holder.
            Err(error) if error.kind == ErrorKind::Connect && self.was_taken_over().await => {
                Err(Self::lost())
            }
            advance => advance,
        }
    }

    async fn verify(&mut self, check: &Check<'_>) -> Result<Checked> {
        self.settle().await?;
        verify::run(&mut self.conn, check, &self.store.target).await
    }

    async fn save(&mut self, record: &Record, files: &[StoredFile]) -> Result<()> {
        self.settle().await?;
        match self.save_lightly(&Light::of(record)).await? {
            Kept::Yes => Ok(()),
            Kept::Lost => Err(Self::lost()),
            // The first time in this run: the journal says that it began.
            Kept::Moved => self.write(record, files, EventKind::Begun).await,
        }
    }

    async fn strain(&mut self, pace: &Pace) -> Result<Option<String>> {
        strain::look(self, pace).await
    }

    async fn write(&mut self, record: &Record, files: &[StoredFile], kind: EventKind) -> Result<()> {
        let detail = record.detail(kind);
        self.write_apart(Entry { record, files, kind, step: record.steps.len(), detail: detail.as_deref() })
            .await
    }

    async fn note(&mut self, record: &Record, kind: EventKind, detail: &str) -> Result<()> {
        self.settle().await?;
        let entry = Entry { record, files: &[], kind, step: record.steps.len(), detail: Some(detail) };
        transaction::begin(self).await?;
        let noted = self.note_and_commit(entry).await;
        transaction::settle(self, noted).await
    }

    async fn purge(&mut self, archive: &Archive) -> Result<()> {
        self.settle().await?;
        chunk::leave(self).await?;
        let purged = archive::purge(self, archive).await;
        let left = self.leave_step().await;
        purged.and(left)
    }

    async fn release(mut self: Box<Self>) -> Result<()> {
        self.heartbeat = None;
        let doing = "cannot release the lock";
        settings::restore(&mut self).await?;
        self.settle().await?;
        chunk::leave(&mut self).await?;
        patience::take(&mut self, None).await?;
        let left = lock::leave(&mut self.conn, &self.tables, self.token).await;
        if !connect_is_lease(&self.store) {
            lock::drop_session_lock(&mut self.conn, &self.tables)
                .await
                .map_err(|failure| self.fail(&failure, doing))?;
        }
        left.map_err(|failure| self.fail(&failure, doing))?;
        let discarded = rollback::discard(&mut self.conn).await;
        discarded.map_err(|failure| self.fail(&failure, "cannot delete the rollback journal"))?;
        let Self { store, conn, .. } = *self;
        store.keep(conn).await;
        Ok(())
    }
}

fn connect_is_lease(store: &Store) -> bool {
    crate::connect::is_lease(store.dialect, &store.target)
}

/// The unit that the statement with this index starts, or stands in, and the unit's first statement.
fn unit_at(op: &Op, at: usize) -> Option<(usize, usize)> {
    let mut first = 0;
    for (index, unit) in op.units.iter().enumerate() {
        if at < first + unit.statements.len() {
            return Some((index, first));
        }
        first += unit.statements.len();
    }
    None
}

impl Session {
    async fn advance_by(&mut self, work: &Work<'_>) -> Result<Advance> {
        patience::take(self, work.lock_timeout).await?;
        if work.op.kind::<Op>().is_none() {
            self.settle().await?;
        }
        if let Some(op) = work.op.kind::<Move>() {
            return chunk::run(self, op, work).await;
        }
        chunk::leave(self).await?;
        if let Some(op) = work.op.kind::<Evolve>() {
            return evolve::run(self, op, work).await;
        }
        let op: &Op = work.op.own()?;
        let at = position::cursor(work.running)?;
        if !at.sum.is_empty() && cursor(op, at.at).sum != at.sum {
            let error = Error::new(ErrorKind::Integrity, "the statements that already ran were edited")
                .with("code", "edited-halfway");
            return Err(error.help("put them back as they were; those after them may be edited freely"));
        }
        self.run_script(op, &at, work).await
    }

    /// Whether the lock is somebody else's now, or nobody's, as a connection of its own sees it.
    async fn was_taken_over(&self) -> bool {
        let opened = connect::open(self.tables.dialect, &self.store.target, false).await;
        let Ok(Some(mut conn)) = opened else { return false };
        let row = lock::row(&mut conn, &self.tables).await;
        let is_ours = |row: &LockRow| row.holder.token == self.token;
        matches!(row, Ok(Ok(row)) if !row.as_ref().is_some_and(is_ours))
    }

    /// Runs the unit of a script that a position leads to.
    pub(crate) async fn run_script(&mut self, op: &Op, at: &Cursor, work: &Work<'_>) -> Result<Advance> {
        let Some((unit, first)) = unit_at(op, at.at) else { return self.finish_empty(work).await };
        let advance = match &op.units[unit].alone {
            None => match self.settle().await {
                Ok(()) => transaction::run(self, op, unit, first, work).await,
                Err(error) => Err(error),
            },
            Some(_) => alone::run(self, op, (unit, first), at, work).await,
        };
        match &advance {
            Ok(advance) if !advance.is_done => {}
            Ok(_) => self.leave_step().await?,
            Err(_) => {
                // On a connection that broke these fail as well; the first failure is the one to tell.
                drop(self.leave_step().await);
                let is_lost = self.heartbeat.is_some()
                    && self.check_fence().await.is_err_and(|error| error.kind == ErrorKind::LeaseLost);
                if is_lost {
                    // Another run's rows are in the way of ours, or it dropped what we were about to.
                    return Err(Self::lost());
                }
            }
        }
        advance
    }

    async fn save_lightly(&mut self, light: &Light) -> Result<Kept> {
        // One statement is its own transaction.
        if self.tables.dialect == Dialect::Postgres {
            return self.write_light(light).await;
        }
        transaction::begin(self).await?;
        let kept = match self.write_light(light).await {
            Ok(kept) => transaction::commit(self).await.map(|()| kept),
            failed => failed,
        };
        transaction::settle(self, kept).await
    }

    async fn write_light(&mut self, light: &Light) -> Result<Kept> {
        let (token, lease) = (self.token, self.store.lease_millis());
        let kept = light.write(&mut self.conn, &self.tables, (token, lease)).await;
        kept.map_err(|failure| self.fail(&failure, "cannot write the position"))
    }

    /// An op without statements is complete when the history says so.
    async fn finish_empty(&mut self, work: &Work<'_>) -> Result<Advance> {
        let record = work.complete(0);
        let entry = Entry {
            record: &record,
            files: work.files,
            kind: work.ends_as(),
            step: work.step(),
            detail: None,
        };
        self.write_apart(entry).await?;
        Ok(Advance::complete(record, 0))
    }

    /// Takes back what a script set on the connection, so that it does not leak into the next one.
    async fn leave_step(&mut self) -> Result<()> {
        self.announced = None;
        self.is_set_up = false;
        settings::restore(self).await
    }
}
