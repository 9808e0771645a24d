//! A reference store whose lock we hold.

use std::sync::{Arc, Mutex, MutexGuard};

use dunlin_core::{
    Advance, Check, Checked, Checkpoint, Checksum, Cursor, Error, ErrorKind, EventKind, History, Pace,
    Record, Result, Session, StoredFile, Violation, Work, async_trait,
};

use super::data::{Data, Script};
use super::reshape::Shaped;

#[derive(Debug)]
pub(super) struct MemorySession {
    data: Arc<Mutex<Data>>,
    is_transactional: bool,
    token: i64,
    /// The statement this session announced and did not send yet.
    announced: Option<Checkpoint>,
}

impl MemorySession {
    pub(super) fn new(data: Arc<Mutex<Data>>, is_transactional: bool, token: i64) -> Self {
        Self { data, is_transactional, token, announced: None }
    }

    /// The data, if the lock is still ours.
    pub(super) fn fenced(&self) -> Result<MutexGuard<'_, Data>> {
        let mut data = self.data.lock().expect("no test panics while it holds this");
        data.call(false)?;
        if data.token != self.token {
            return Err(Error::new(ErrorKind::LeaseLost, "the lock was taken over"));
        }
        Ok(data)
    }

    pub(super) fn is_transactional(&self) -> bool {
        self.is_transactional
    }

    fn absent(&self, names: &Script) -> Result<Checked> {
        let data = self.fenced()?;
        let found = names.0.iter().filter(|name| data.counters.contains_key(*name));
        Ok(Checked::Wholly { violations: found.map(Violation::new).collect(), unlisted: 0, scanned: 0 })
    }

    fn in_one(&self, script: &Script, work: &Work<'_>) -> Result<Advance> {
        let mut data = self.fenced()?;
        let (counters, ran) = (data.counters.clone(), data.ran.len());
        let mut changed = 0;
        for statement in &script.0 {
            match data.run(statement) {
                Ok(rows) => changed += rows,
                Err(error) => {
                    data.counters = counters;
                    data.ran.truncate(ran);
                    return Err(error);
                }
            }
        }
        let record = data.put(&work.complete(changed), work.files, work.ends_as(), None);
        data.call(true)?;
        Ok(Advance::complete(record, changed))
    }

    /// Announce, look, send, record: a call each, so that a kill falls between any two of them.
    fn one_by_one(&mut self, script: &Script, work: &Work<'_>) -> Result<Advance> {
        let cursor = Cursor::of(work.running)?;
        if !cursor.sum.is_empty() && sum(script, cursor.at) != cursor.sum {
            return Err(Error::new(ErrorKind::Integrity, "the statements that already ran were edited"));
        }
        let at = cursor.at;
        let Some(statement) = script.0.get(at) else {
            let mut data = self.fenced()?;
            let record = data.put(&work.complete(0), work.files, work.ends_as(), None);
            data.call(true)?;
            return Ok(Advance::complete(record, 0));
        };
        if !cursor.open {
            return self.announce(statement, cursor, work);
        }
        let is_resumed = self.announced.take() != work.running.checkpoint;
        let changed = self.send(statement, is_resumed, cursor, work)?;
        let mut data = self.fenced()?;
        let at = at + 1;
        let is_last = at == script.0.len();
        let next = Cursor { at, sum: sum(script, at), ..Cursor::default() };
        let record =
            if is_last { work.complete(changed) } else { work.partly(Checkpoint::of(&next), changed) };
        let record =
            data.put(&record, work.files, if is_last { work.ends_as() } else { EventKind::Begun }, None);
        data.call(true)?;
        Ok(Advance { is_done: is_last, ..Advance::partly(record, changed) })
    }

    fn announce(&mut self, statement: &str, cursor: Cursor, work: &Work<'_>) -> Result<Advance> {
        let mut data = self.fenced()?;
        let before = data.holds(statement).map(serde_json::Value::Bool);
        let checkpoint = Checkpoint::of(&Cursor { open: true, before, ..cursor });
        let record = data.put(&work.partly(checkpoint.clone(), 0), work.files, EventKind::Begun, None);
        data.call(true)?;
        drop(data);
        self.announced = Some(checkpoint);
        Ok(Advance::partly(record, 0))
    }

    /// Sends an announced statement, unless it can be seen that an earlier run did.
    fn send(&self, statement: &str, is_resumed: bool, cursor: Cursor, work: &Work<'_>) -> Result<u64> {
        let mut data = self.fenced()?;
        let held_before = cursor.before.as_ref().and_then(serde_json::Value::as_bool);
        if is_resumed && held_before.is_none() {
            let message = format!("cannot tell whether `{statement}` took effect");
            return Err(Error::new(ErrorKind::Ambiguous, message));
        }
        let holds = data.holds(statement) == Some(true);
        if holds && (work.is_undo() || is_resumed && held_before == Some(false)) {
            return Ok(0);
        }
        let sent = data.run(statement);
        data.call(true)?;
        if sent.is_err() {
            let closed = Checkpoint::of(&Cursor { open: false, before: None, ..cursor });
            data.put(&work.partly(closed, 0), work.files, EventKind::Begun, None);
        }
        sent
    }
}

/// The sum of the first `at` statements.
fn sum(script: &Script, at: usize) -> String {
    if at == 0 { String::new() } else { Checksum::of(script.0.iter().take(at)).to_string() }
}

#[async_trait]
impl Session for MemorySession {
    async fn history(&mut self) -> Result<History> {
        tokio::task::yield_now().await;
        Ok(self.fenced()?.history())
    }

    async fn advance(&mut self, work: &Work<'_>) -> Result<Advance> {
        tokio::task::yield_now().await;
        if let Some(sweep) = work.op.kind() {
            return self.sweep(sweep, work);
        }
        let script = match work.op.kind::<Shaped>() {
            Some(shaped) => &shaped.script,
            None => work.op.own()?,
        };
        if self.is_transactional { self.in_one(script, work) } else { self.one_by_one(script, work) }
    }

    async fn verify(&mut self, check: &Check<'_>) -> Result<Checked> {
        tokio::task::yield_now().await;
        match check.op.kind() {
            Some(level) => self.level(level, check),
            None => self.absent(check.op.own()?),
        }
    }

    async fn save(&mut self, record: &Record, files: &[StoredFile]) -> Result<()> {
        let mut data = self.fenced()?;
        data.keep(record, files);
        data.call(true)
    }

    async fn strain(&mut self, _pace: &Pace) -> Result<Option<String>> {
        tokio::task::yield_now().await;
        self.fenced()?.strains.pop_front().transpose()
    }

    async fn write(&mut self, record: &Record, files: &[StoredFile], kind: EventKind) -> Result<()> {
        let mut data = self.fenced()?;
        data.put(record, files, kind, record.detail(kind));
        data.call(true)
    }

    async fn note(&mut self, record: &Record, kind: EventKind, detail: &str) -> Result<()> {
        let mut data = self.fenced()?;
        data.log(record, kind, Some(detail.to_owned()));
        data.call(true)
    }

    async fn release(self: Box<Self>) -> Result<()> {
        tokio::task::yield_now().await;
        let mut data = self.data.lock().expect("no test panics while it holds this");
        data.call(false)?;
        if data.token == self.token {
            data.holder = None;
        }
        data.call(true)
    }
}
