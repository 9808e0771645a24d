//! A Redis whose migration lock we hold: the one place from which anything is written.

use dunlin_core::{
    Advance, Archive, Check, Checked, Checkpoint, Error, ErrorKind, EventKind, History, Origin, Pace, Record,
    Result, Session as CoreSession, State, StoredFile, Version, Work, async_trait,
};

use crate::commit::{Commit, Entry, Outcome, commit};
use crate::crew::Crew;
use crate::lock::{self, Heartbeat, Leaving};
use crate::moves::run::Going;
use crate::moves::{self, Look, Move};
use crate::op::{Command, Op};
use crate::place::{self, Place};
use crate::store::Store;
use crate::strain::{Strain, Watch};
use crate::{apart, archive, atomic, crew, error, follow, position, spread, verify};

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) store: Store,
    pub(crate) token: i64,
    pub(crate) heartbeat: Heartbeat,
    /// The last position this very session wrote, so that nobody else can have begun what comes after it.
    pub(crate) written: Option<Checkpoint>,
    /// Where the next commands run, worked out when they were announced.
    pub(crate) planned: Option<(Vec<Command>, Place)>,
    /// How many attempts at steps this session has named.
    attempts: u64,
    /// Whether earlier holders of the lock are shut out of the slots of a cluster.
    is_shut: bool,
    /// Whether an earlier holder may have connections left that write.
    has_movers: bool,
    /// What is known of the servers while data is moved.
    watch: Watch,
    /// What is known of the op that moves data.
    pub(crate) going: Going,
    /// Connections that move data.
    pub(crate) crew: Crew,
    kept: Option<(Version, Vec<StoredFile>)>,
}

impl Session {
    pub(crate) fn new(store: Store, (token, expires): (i64, i64), has_movers: bool) -> Self {
        let heartbeat = Heartbeat::start(&store.net, &store.keys, (token, expires), store.target.lease);
        let is_shut = !store.net.is_cluster();
        let crew = Crew::movers(store.clone(), token);
        Self {
            store,
            token,
            heartbeat,
            written: None,
            planned: None,
            attempts: 0,
            is_shut,
            has_movers,
            watch: Watch::default(),
            going: Going::default(),
            crew,
            kept: None,
        }
    }

    /// A name that no other attempt at any step ever had.
    pub(crate) fn name_attempt(&mut self) -> String {
        self.attempts += 1;
        format!("{}.{}", self.token, self.attempts)
    }

    /// Whether these files were written by this session and need not be sent again with every command.
    pub(crate) fn has_kept(&self, version: &Version, files: &[StoredFile]) -> bool {
        self.kept.as_ref().is_some_and(|(known, kept)| known == version && kept == files)
    }

    pub(crate) fn keep(&mut self, version: &Version, files: &[StoredFile]) {
        self.kept = Some((version.clone(), files.to_vec()));
    }

    /// Reads the history, and on the first time makes sure that whoever held the lock before can write no more.
    async fn read(&mut self) -> Result<History> {
        if self.has_movers {
            crew::shut(&self.store, self.token).await?;
            self.has_movers = false;
        }
        let history = self.store.read_history().await?;
        if !self.is_shut {
            spread::shut(self, &history).await?;
            self.is_shut = true;
        }
        Ok(history)
    }

    async fn shut(&mut self) -> Result<()> {
        if self.is_shut && !self.has_movers { Ok(()) } else { self.read().await.map(drop) }
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

    /// Writes a record, with a line in the journal where it is worth one.
    async fn put(&mut self, record: &Record, files: &[StoredFile], kind: Option<EventKind>) -> Result<()> {
        self.shut().await?;
        let detail = kind.and_then(|kind| record.detail(kind));
        let entries = vec![Entry { record: Some(record.clone()), kind, detail }];
        let step = record.steps.len();
        let plain = Commit { about: record, step, rows: record.rows, files, commands: &[], entries };
        commit(self, plain).await.map(drop)
    }

    /// Writes where a step stands, with nothing to run.
    pub(crate) async fn record(&mut self, work: &Work<'_>, entry: Entry, rows: u64) -> Result<Record> {
        let plain = Commit {
            about: work.running,
            step: work.step(),
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

#[async_trait]
impl CoreSession for Session {
    async fn history(&mut self) -> Result<History> {
        self.read().await
    }

    async fn advance(&mut self, work: &Work<'_>) -> Result<Advance> {
        if self.heartbeat.is_lost() {
            return Err(error::lost());
        }
        self.shut().await?;
        if let Some(op) = work.op.kind::<Move>() {
            return moves::run::advance(self, op, work).await;
        }
        let op: &Op = work.op.own()?;
        let is_known = self.written.is_some() && self.written == work.running.checkpoint;
        let at = position::of(op, work.running, is_known)?;
        if at.at >= op.commands.len() {
            let record = self.record(work, position::entry(work, op, &at), work.running.rows).await?;
            return Ok(position::advance(work, record, Vec::new()));
        }
        let unit = op.unit(at.at);
        self.check_keys(&op.commands[unit.clone()])?;
        let advance = match place::of_unit(self, op, at.at).await? {
            Place::Here => atomic::run(self, op, unit, &at, work).await,
            Place::Slot { slot, keys } => spread::run(self, op, unit, (&at, slot, keys), work).await,
            place @ (Place::Apart(_) | Place::Everywhere) => apart::run(self, op, &place, &at, work).await,
        }?;
        self.written.clone_from(&advance.record.checkpoint);
        Ok(advance)
    }

    async fn verify(&mut self, check: &Check<'_>) -> Result<Checked> {
        match check.op.kind::<Look>() {
            Some(look) if look.mends() => {
                if self.heartbeat.is_lost() {
                    return Err(error::lost());
                }
                self.shut().await?;
                moves::look::mend(&mut self.crew, look, check).await
            }
            _ => verify::run(&self.store, check).await,
        }
    }

    async fn save(&mut self, record: &Record, files: &[StoredFile]) -> Result<()> {
        self.put(record, files, None).await
    }

    async fn strain(&mut self, pace: &Pace) -> Result<Option<String>> {
        let strain = self.watch.look(&self.store, pace).await.map_err(|error| match error.kind {
            ErrorKind::Access => {
                error.help("grant the login `+info +ping`, or set `max_lag = false` for this store")
            }
            _ => error,
        })?;
        self.going.rests = strain == Strain::Ease;
        Ok(if let Strain::Wait(reason) = strain { Some(reason) } else { None })
    }

    async fn write(&mut self, record: &Record, files: &[StoredFile], kind: EventKind) -> Result<()> {
        self.put(record, files, Some(kind)).await?;
        if record.origin == Origin::Mark && matches!(record.state, State::Done | State::Undone) {
            // A person says that a shape is gone.
            follow::shut(&self.store, &record.id.version).await?;
        }
        Ok(())
    }

    async fn note(&mut self, record: &Record, kind: EventKind, detail: &str) -> Result<()> {
        let entries = vec![Entry { record: None, kind: Some(kind), detail: Some(detail.to_owned()) }];
        let step = record.steps.len();
        let plain = Commit { about: record, step, rows: record.rows, files: &[], commands: &[], entries };
        commit(self, plain).await.map(drop)
    }

    async fn purge(&mut self, archive: &Archive) -> Result<()> {
        self.shut().await?;
        // A follower that was killed before the contract may have left its field.
        follow::shut(&self.store, &archive.version).await?;
        archive::purge(self, archive).await
    }

    async fn release(self: Box<Self>) -> Result<()> {
        let how = if self.crew.is_quiet() && !self.has_movers { Leaving::Quiet } else { Leaving::Given };
        lock::leave(&self.store.net, &self.store.keys, self.token, how).await
    }
}
