//! What a reference store holds, and its language.

use std::collections::{BTreeMap, VecDeque};

use dunlin_core::{
    Error, ErrorKind, Event, EventKind, History, Holder, Line, Op, Record, Result, State, StoredFile,
    Timestamp, Version,
};

/// What a store holds.
#[derive(Debug, Default)]
pub struct Data {
    /// The counters.
    pub counters: BTreeMap<String, u64>,
    /// The lists of records.
    pub records: BTreeMap<String, Vec<u64>>,
    /// Who uses what, as far as the store can tell.
    pub readers: BTreeMap<String, Vec<String>>,
    /// What the next looks at the store's strain say; nothing is amiss after those.
    pub strains: VecDeque<Result<String>>,
    /// Every statement that took effect, in order.
    pub ran: Vec<String>,
    pub(super) history: BTreeMap<Version, (Record, Vec<StoredFile>)>,
    pub(super) journal: Vec<Event>,
    pub(super) holder: Option<Holder>,
    pub(super) token: i64,
    clock: i64,
    /// How often each `flaky` statement failed so far.
    failures: BTreeMap<String, u32>,
    fuse: Option<Fuse>,
    calls: u32,
}

/// Makes one call fail.
#[derive(Debug, Clone, Copy)]
struct Fuse {
    calls: u32,
    after: bool,
    is_kill: bool,
}

impl Data {
    /// Makes the `calls`-th call from now on fail, before or after it took effect, as a kill would: the lock goes with
    /// the connection.
    pub fn burn(&mut self, calls: u32, after: bool) {
        self.fuse = Some(Fuse { calls, after, is_kill: true });
        self.calls = 0;
    }

    /// Makes the `calls`-th call from now on fail for a passing reason, before or after it took effect.
    pub fn stutter(&mut self, calls: u32, after: bool) {
        self.fuse = Some(Fuse { calls, after, is_kill: false });
        self.calls = 0;
    }

    /// Puts the fuse out, and says whether it was still burning.
    pub fn extinguish(&mut self) -> bool {
        self.fuse.take().is_some()
    }

    /// How many calls there were since the fuse was lit.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// How often the lock was taken, or taken away.
    pub fn locks(&self) -> i64 {
        self.token
    }

    /// Gives the lock to somebody, or to nobody, as if another process had taken it.
    pub fn hold(&mut self, holder: Option<Holder>) {
        self.token += 1;
        let token = self.token;
        self.holder = holder.map(|holder| Holder { token, ..holder });
    }

    pub(super) fn call(&mut self, after: bool) -> Result<()> {
        if !after {
            self.calls += 1;
        }
        let Some(fuse) = self.fuse.as_mut().filter(|fuse| fuse.after == after) else { return Ok(()) };
        if fuse.calls > 0 {
            fuse.calls -= 1;
            return Ok(());
        }
        let is_kill = fuse.is_kill;
        self.fuse = None;
        if is_kill {
            self.holder = None;
            return Err(Error::new(ErrorKind::Connect, "killed"));
        }
        Err(Error::new(ErrorKind::Connect, "the answer got lost").temporary())
    }

    pub(super) fn history(&self) -> History {
        self.history.values().map(|(record, _)| record.clone()).collect()
    }

    pub(super) fn put(
        &mut self,
        record: &Record,
        files: &[StoredFile],
        kind: EventKind,
        detail: Option<String>,
    ) -> Record {
        let record = self.keep(record, files);
        self.log(&record, kind, detail);
        record
    }

    /// Writes a record without a journal line.
    pub(super) fn keep(&mut self, record: &Record, files: &[StoredFile]) -> Record {
        self.clock += 1;
        let now = Timestamp(self.clock);
        let known = self.history.get(&record.id.version).filter(|(known, _)| known.state != State::Undone);
        let started = known.and_then(|(known, _)| known.started).unwrap_or(now);
        let finished = record.state.is_settled().then_some(now);
        let record = Record { started: Some(started), finished, ..record.clone() };
        self.history.insert(record.id.version.clone(), (record.clone(), files.to_vec()));
        record
    }

    pub(super) fn log(&mut self, record: &Record, kind: EventKind, detail: Option<String>) {
        self.clock += 1;
        let sequence = i64::try_from(self.journal.len()).unwrap_or(i64::MAX) + 1;
        self.journal.push(Event {
            sequence,
            at: Timestamp(self.clock),
            kind,
            id: record.id.clone(),
            phase: record.phase,
            step: record.steps.len(),
            detail,
            author: record.author.clone(),
        });
    }

    pub(super) fn run(&mut self, statement: &str) -> Result<u64> {
        let changed = self.change(statement)?;
        self.ran.push(statement.to_owned());
        Ok(changed)
    }

    fn change(&mut self, statement: &str) -> Result<u64> {
        let fault = |message: String| Err(Error::new(ErrorKind::Statement, message));
        let (verb, name) = statement.split_once(' ').unwrap_or((statement, ""));
        if verb == "flaky" {
            return self.fail_some_times(statement, name.parse().unwrap_or(u32::MAX));
        }
        match (verb, self.counters.get_mut(name)) {
            ("add", Some(_)) => fault(format!("{name} exists")),
            ("add", None) => {
                self.counters.insert(name.to_owned(), 0);
                Ok(0)
            }
            ("drop", Some(_)) => {
                self.counters.remove(name);
                Ok(0)
            }
            ("bump", Some(counter)) => {
                *counter += 1;
                Ok(1)
            }
            ("sink", Some(counter)) => {
                *counter -= 1;
                Ok(1)
            }
            ("drop" | "bump" | "sink", None) => fault(format!("{name} does not exist")),
            _ => fault(format!("`{verb}` is no verb")),
        }
    }

    fn fail_some_times(&mut self, statement: &str, times: u32) -> Result<u64> {
        let failures = self.failures.entry(statement.to_owned()).or_default();
        if *failures >= times {
            return Ok(0);
        }
        *failures += 1;
        Err(Error::new(ErrorKind::Statement, format!("failed {failures} times")).temporary())
    }

    /// Whether what a statement brings about can be seen, and is there.
    pub(super) fn holds(&self, statement: &str) -> Option<bool> {
        let (verb, name) = statement.split_once(' ')?;
        match verb {
            "add" => Some(self.counters.contains_key(name)),
            "drop" => Some(!self.counters.contains_key(name)),
            _ => None,
        }
    }
}

/// A script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script(pub Vec<String>);

impl Script {
    /// Of lines; comments and empty ones are passed over.
    pub fn of(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        Self(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
    }
}

impl Op for Script {
    fn summary(&self) -> String {
        self.0.join(", ")
    }

    fn preview(&self) -> Vec<Line> {
        self.0.iter().map(Line::new).collect()
    }

    fn canonical(&self) -> String {
        self.0.join("\n")
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
