//! A MongoDB database we can read, and whose lock we can ask for.

use std::sync::Arc;
use std::time::Instant;

use dunlin_core::history::decode_files;
use dunlin_core::{
    Ahead, Archive, Attempt, Check, Checked, Error, ErrorKind, Event, Follow, Followed, Follower, History,
    Holder, Line, Op, Result, Store as CoreStore, StoredFile, Target, Version, async_trait,
};
use mongodb::error::Error as DriverError;
use mongodb::{Client, ClientSession, Database};

use crate::apart::Apart;
use crate::change::staged;
use crate::connect::Topology;
use crate::fence::{self, Mark, Pending};
use crate::lock::{self, Asked, Heartbeat};
use crate::op::Command;
use crate::session::{Ledger, Session, remembered};
use crate::{archive, error, examine, follow, foresee, usage, verify};

/// A connected MongoDB database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) client: Client,
    pub(crate) db: Database,
    pub(crate) target: Arc<Target>,
    pub(crate) topology: Topology,
}

impl Store {
    /// Where a command runs.
    pub(crate) fn database(&self, command: &Command) -> Database {
        command.database.as_ref().map_or_else(|| self.db.clone(), |name| self.client.database(name))
    }

    pub(crate) fn fail(&self, failure: &DriverError, doing: &str) -> Error {
        error::own(failure, doing, &self.target.url)
    }

    /// The history as it is, or only what no failover can take back.
    pub(crate) async fn records(&self, is_settled: bool) -> Result<History> {
        let is_settled = is_settled && self.topology.has_transactions();
        let read = fence::read(&self.db, is_settled).await;
        read.map_err(|failure| self.fail(&failure, "cannot read the history"))?
    }
}

#[async_trait]
impl CoreStore for Store {
    fn is_transactional(&self) -> bool {
        // Shape never is, and an op may hold both.
        false
    }

    async fn history(&self) -> Result<History> {
        self.records(true).await
    }

    async fn journal(&self, version: Option<&Version>, limit: u32) -> Result<Vec<Event>> {
        let events = fence::events(&self.db, version, limit).await;
        events.map_err(|failure| self.fail(&failure, "cannot read the journal"))?
    }

    async fn files(&self, version: &Version) -> Result<Vec<StoredFile>> {
        let files = fence::files(&self.db, version).await;
        match files.map_err(|failure| self.fail(&failure, "cannot read the history"))?? {
            Some(text) => decode_files(&text),
            None => Ok(Vec::new()),
        }
    }

    async fn holder(&self) -> Result<Option<Holder>> {
        let holder = lock::current(&self.db).await;
        holder.map_err(|failure| self.fail(&failure, "cannot read the lock"))?
    }

    async fn try_lock(&self, me: &Holder) -> Result<Attempt> {
        let fail = |failure: &DriverError| self.fail(failure, "cannot take the migration lock");
        let mut transactions = None;
        if self.topology.has_transactions() {
            transactions = Some(self.client.start_session().await.map_err(|failure| fail(&failure))?);
        }
        let session = transactions.as_ref().map(ClientSession::id);
        let sent = Instant::now();
        let asked = lock::ask(&self.db, me, self.target.lease, session).await;
        let (mut token, since) = match asked.map_err(|failure| fail(&failure))?? {
            Asked::Ours { token, since, before } => {
                // First of all: what a process that was killed left open holds the fence, too.
                lock::end(&self.db, before).await;
                follow::end(self).await.map_err(|failure| fail(&failure))?;
                (token, since)
            }
            Asked::Theirs(holder) => return Ok(Attempt::Held(holder)),
        };
        let mut raised = lock::raise(&self.db, token).await.map_err(|failure| fail(&failure))?;
        if raised.is_none() {
            let Some(ahead) = lock::catch_up(&self.db, token).await.map_err(|failure| fail(&failure))? else {
                return Ok(Attempt::Held(None));
            };
            token = ahead;
            raised = lock::raise(&self.db, token).await.map_err(|failure| fail(&failure))?;
        }
        let Some(found) = raised else { return Ok(Attempt::Held(None)) };
        let heartbeat = Heartbeat::start(self.db.clone(), token, self.target.lease, sent);
        let opened = async {
            let pending = Pending::read(&found)?;
            let mark = Mark { token, sequence: pending.sequence, round: pending.round };
            let carried = fence::carry(&self.db, token, pending).await;
            carried.map_err(|failure| self.fail(&failure, "cannot write the history"))??;
            Ok(Ledger::new(mark, since))
        };
        match opened.await {
            Ok(ledger) => {
                Ok(Attempt::Taken(Box::new(Session::new(self.clone(), heartbeat, ledger, transactions))))
            }
            Err(error) => {
                drop(heartbeat);
                // The failure itself is what the caller must see; a lease that stays runs out.
                let _ = lock::leave(&self.db, token).await;
                Err(error)
            }
        }
    }

    async fn unlock(&self, token: i64) -> Result<()> {
        let evicted = lock::evict(&self.db, token).await;
        evicted.map_err(|failure| self.fail(&failure, "cannot release the lock"))
    }

    async fn verify(&self, check: &Check<'_>) -> Result<Checked> {
        verify::run(self, check, None).await
    }

    async fn usage(&self, op: &dyn Op) -> Result<Vec<String>> {
        usage::usage(self, op).await.map_err(|failure| self.fail(&failure, "cannot see who uses it"))
    }

    async fn gone(&self, op: &dyn Op, _place: (&Version, usize)) -> Result<Vec<String>> {
        archive::gone(self, op).await
    }

    async fn archives(&self) -> Result<Vec<Archive>> {
        archive::list(&self.db).await.map_err(|failure| self.fail(&failure, "cannot list the archives"))
    }

    async fn follow(&self, what: &Follow<'_>) -> Result<Option<Box<dyn Follower>>> {
        follow::begin(self, what).await
    }

    async fn followed(&self) -> Result<Vec<Followed>> {
        follow::told(self).await
    }

    async fn preview(&self, op: &dyn Op) -> Result<Vec<Line>> {
        if let Ok(commands) = staged::commands(op) {
            return Apart::new(self).lines(commands).await;
        }
        let Some(keep) = staged::keep(op) else { return Ok(op.preview()) };
        let was = remembered(&self.db, keep).await;
        let was = was.map_err(|failure| self.fail(&failure, "cannot look at the collection"))?;
        Ok(keep.lines(was.as_ref()))
    }

    async fn previews(&self, steps: &[Ahead<'_>]) -> Result<Vec<Vec<Line>>> {
        let mut apart = Apart::new(self);
        let mut lines = Vec::with_capacity(steps.len());
        for step in steps {
            lines.push(match staged::commands(step.op) {
                Ok(commands) => apart.lines(commands).await?,
                Err(_) => self.preview(step.op).await?,
            });
        }
        Ok(lines)
    }

    async fn foresee(&self, now: &[Ahead<'_>], later: &[Ahead<'_>]) -> Result<Vec<String>> {
        foresee::foresee(self, now, later).await
    }

    async fn examine(&self) -> Result<Vec<(String, String)>> {
        examine::facts(self).await.map_err(|failure| self.fail(&failure, "cannot examine the server"))
    }
}

/// The error of a session whose lock is gone.
pub(crate) fn lost() -> Error {
    let message = "the migration lock was taken over by another run while this one was stopped or cut off";
    Error::new(ErrorKind::LeaseLost, message)
        .help("nothing was written after that; `dunlin status` shows where things stand")
}
