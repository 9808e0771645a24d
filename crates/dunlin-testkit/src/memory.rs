//! The reference store: a map of counters in memory, run by the same rules as the real stores. Its language has one
//! statement a line: `add NAME`, `drop NAME`, `bump NAME`. Two kinds of it exist, with and without transactions; a fuse
//! makes the k-th call fail before or after it took effect, as a kill would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use dunlin_core::{
    Advance, AnyOp, AnyStore, Attempt, Backend, Checkpoint, Cursor, Diagnostic, Error, ErrorKind, Event,
    EventKind, Field, History, Holder, Line, Native, Op, Phase, Record, Result, Section, Session, Source,
    Store, StoredFile, Target, Timestamp, Undo, Version, Violation, Work, async_trait,
};

/// What a store holds.
#[derive(Debug, Default)]
pub struct Data {
    /// The counters.
    pub counters: BTreeMap<String, u64>,
    history: BTreeMap<Version, (Record, Vec<StoredFile>)>,
    journal: Vec<Event>,
    holder: Option<Holder>,
    token: i64,
    clock: i64,
    /// Calls until one fails, and whether it fails after its effect.
    fuse: Option<(u32, bool)>,
    calls: u32,
}

/// The backend. Every URL `memory:NAME` is a store of its own for as long as this value lives.
#[derive(Debug, Clone)]
pub struct Memory {
    is_transactional: bool,
    stores: Arc<Mutex<BTreeMap<String, Arc<Mutex<Data>>>>>,
}

impl Memory {
    /// A backend whose stores run a script in one transaction, or statement by statement.
    pub fn new(is_transactional: bool) -> Self {
        Self { is_transactional, stores: Arc::default() }
    }

    /// The data of a store.
    pub fn data(&self, url: &str) -> Arc<Mutex<Data>> {
        self.stores
            .lock()
            .expect("no test panics while it holds this")
            .entry(url.to_owned())
            .or_default()
            .clone()
    }
}

impl Data {
    /// Makes the `calls`-th call from now on fail, before or after it took effect.
    pub fn burn(&mut self, calls: u32, after: bool) {
        self.fuse = Some((calls, after));
        self.calls = 0;
    }

    /// How many calls there were since the fuse was lit.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Whether the fuse is still burning.
    pub fn is_lit(&self) -> bool {
        self.fuse.is_some()
    }

    fn call(&mut self, after: bool) -> Result<()> {
        if !after {
            self.calls += 1;
        }
        match self.fuse {
            Some((0, when)) if when == after => {
                self.fuse = None;
                self.holder = None;
                Err(Error::new(ErrorKind::Connect, "killed"))
            }
            Some((calls, when)) if when == after => {
                self.fuse = Some((calls - 1, when));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn put(
        &mut self,
        record: &Record,
        files: &[StoredFile],
        kind: EventKind,
        detail: Option<String>,
    ) -> Record {
        self.clock += 1;
        let now = Timestamp(self.clock);
        let known = self
            .history
            .get(&record.id.version)
            .filter(|(known, _)| known.state != dunlin_core::State::Undone);
        let started = known.and_then(|(known, _)| known.started).unwrap_or(now);
        let finished = record.state.is_settled().then_some(now);
        let record = Record { started: Some(started), finished, ..record.clone() };
        self.history.insert(record.id.version.clone(), (record.clone(), files.to_vec()));
        self.log(&record, kind, detail);
        record
    }

    fn log(&mut self, record: &Record, kind: EventKind, detail: Option<String>) {
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

    fn run(&mut self, statement: &str) -> Result<u64> {
        let fault = |message: String| Err(Error::new(ErrorKind::Statement, message));
        let (verb, name) = statement.split_once(' ').unwrap_or((statement, ""));
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
            ("drop" | "bump", None) => fault(format!("{name} does not exist")),
            _ => fault(format!("`{verb}` is no verb")),
        }
    }

    /// Whether what a statement brings about can be seen, and is there.
    fn holds(&self, statement: &str) -> Option<bool> {
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
        Self(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned)
                .collect(),
        )
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

#[async_trait]
impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["memory"]
    }

    fn extension(&self) -> &'static str {
        "mem"
    }

    fn ops(&self) -> &'static [&'static str] {
        &["script"]
    }

    fn read(&self, file: &Source, _down: Option<&Source>) -> Native {
        let (up, down) =
            file.text.split_once("# Down").map_or((&*file.text, None), |(up, down)| (up, Some(down)));
        let (up, contract) =
            up.split_once("# Contract").map_or((up, None), |(up, contract)| (up, Some(contract)));
        let undo = down.map_or(Undo::Unwritten, |down| Undo::Op(Arc::new(Script::of(down))));
        let span = file.whole();
        let mut sections = vec![Section { phase: Phase::Expand, op: Arc::new(Script::of(up)), undo, span }];
        let nothing = || Undo::Nothing { reason: "a test".to_owned() };
        sections.extend(contract.map(|text| Section {
            phase: Phase::Contract,
            op: Arc::new(Script::of(text)),
            undo: nothing(),
            span,
        }));
        Native { sections, diagnostics: Vec::new() }
    }

    fn decode(&self, _phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
        Ok(Arc::new(Script::of(field.value.text().map_err(|fault| vec![fault])?)))
    }

    fn template(&self) -> &'static str {
        "# Up\n\n# Down\n"
    }

    async fn connect(&self, target: &Target) -> Result<AnyStore> {
        Ok(Arc::new(MemoryStore {
            data: self.data(target.url.expose()),
            is_transactional: self.is_transactional,
        }))
    }
}

#[derive(Debug)]
struct MemoryStore {
    data: Arc<Mutex<Data>>,
    is_transactional: bool,
}

impl MemoryStore {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().expect("no test panics while it holds this")
    }
}

fn history(data: &Data) -> History {
    data.history.values().map(|(record, _)| record.clone()).collect()
}

#[async_trait]
impl Store for MemoryStore {
    fn is_transactional(&self) -> bool {
        self.is_transactional
    }

    async fn history(&self) -> Result<History> {
        Ok(history(&self.data()))
    }

    async fn journal(&self, version: Option<&Version>, limit: u32) -> Result<Vec<Event>> {
        let data = self.data();
        let wanted = data
            .journal
            .iter()
            .rev()
            .filter(|event| version.is_none_or(|version| event.id.version == *version));
        let mut events: Vec<Event> = wanted.take(limit as usize).cloned().collect();
        events.reverse();
        Ok(events)
    }

    async fn files(&self, version: &Version) -> Result<Vec<StoredFile>> {
        Ok(self.data().history.get(version).map(|(_, files)| files.clone()).unwrap_or_default())
    }

    async fn holder(&self) -> Result<Option<Holder>> {
        Ok(self.data().holder.clone())
    }

    async fn try_lock(&self, me: &Holder) -> Result<Attempt> {
        let mut data = self.data();
        data.call(false)?;
        if let Some(holder) = &data.holder {
            return Ok(Attempt::Held(Some(holder.clone())));
        }
        data.token += 1;
        let token = data.token;
        data.holder = Some(Holder { token, ..me.clone() });
        data.call(true)?;
        Ok(Attempt::Taken(Box::new(MemorySession {
            data: self.data.clone(),
            is_transactional: self.is_transactional,
            token,
            sent: None,
        })))
    }

    async fn unlock(&self, token: i64) -> Result<()> {
        let mut data = self.data();
        if data.holder.as_ref().is_some_and(|holder| holder.token == token) {
            data.holder = None;
            data.token += 1;
        }
        Ok(())
    }

    async fn examine(&self) -> Result<Vec<(String, String)>> {
        Ok(vec![("counters".to_owned(), self.data().counters.len().to_string())])
    }
}

#[derive(Debug)]
struct MemorySession {
    data: Arc<Mutex<Data>>,
    is_transactional: bool,
    token: i64,
    /// The statement this session announced and did not send yet.
    sent: Option<Checkpoint>,
}

impl MemorySession {
    /// The data, if the lock is still ours.
    fn fenced(&self) -> Result<MutexGuard<'_, Data>> {
        let mut data = self.data.lock().expect("no test panics while it holds this");
        data.call(false)?;
        if data.token != self.token {
            return Err(Error::new(ErrorKind::LeaseLost, "the lock was taken over"));
        }
        Ok(data)
    }

    fn in_one(&self, script: &Script, work: &Work<'_>) -> Result<Advance> {
        let mut data = self.fenced()?;
        let before = data.counters.clone();
        let mut changed = 0;
        for statement in &script.0 {
            match data.run(statement) {
                Ok(rows) => changed += rows,
                Err(error) => {
                    data.counters = before;
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
        let mut cursor = Cursor::of(work.running)?;
        let Some(statement) = script.0.get(cursor.at) else {
            let mut data = self.fenced()?;
            let record = data.put(&work.complete(0), work.files, work.ends_as(), None);
            data.call(true)?;
            return Ok(Advance::complete(record, 0));
        };
        if !cursor.open {
            let mut data = self.fenced()?;
            let before = data.holds(statement).map(serde_json::Value::Bool);
            let checkpoint = Checkpoint::of(&Cursor { open: true, before, ..cursor });
            let record = data.put(&work.partly(checkpoint.clone(), 0), work.files, EventKind::Begun, None);
            data.call(true)?;
            drop(data);
            self.sent = Some(checkpoint);
            return Ok(Advance::partly(record, 0));
        }
        let is_fresh = self.sent.take() == work.running.checkpoint;
        let mut data = self.fenced()?;
        let held_before = cursor.before.as_ref().and_then(serde_json::Value::as_bool);
        let took_effect = !is_fresh && held_before == Some(false) && data.holds(statement) == Some(true);
        if !is_fresh && held_before.is_none() {
            return Err(Error::new(
                ErrorKind::Ambiguous,
                format!("cannot tell whether `{statement}` took effect"),
            ));
        }
        if !(took_effect || work.is_undo() && data.holds(statement) == Some(true)) {
            let sent = data.run(statement);
            data.call(true)?;
            if let Err(error) = sent {
                cursor = Cursor { open: false, before: None, ..cursor };
                data.put(&work.partly(Checkpoint::of(&cursor), 0), work.files, EventKind::Begun, None);
                return Err(error);
            }
        }
        drop(data);
        let mut data = self.fenced()?;
        let at = cursor.at + 1;
        let next = Cursor { at, ..Cursor::default() };
        let is_last = at == script.0.len();
        let record = if is_last { work.complete(0) } else { work.partly(Checkpoint::of(&next), 0) };
        let record =
            data.put(&record, work.files, if is_last { work.ends_as() } else { EventKind::Begun }, None);
        data.call(true)?;
        Ok(Advance { is_done: is_last, ..Advance::partly(record, 0) })
    }
}

#[async_trait]
impl Session for MemorySession {
    async fn history(&mut self) -> Result<History> {
        Ok(history(&*self.fenced()?))
    }

    async fn advance(&mut self, work: &Work<'_>) -> Result<Advance> {
        let script: &Script = work.op.own()?;
        if work.is_verify {
            let data = self.fenced()?;
            let found = script.0.iter().filter(|name| data.counters.contains_key(*name));
            let violations: Vec<Violation> = found.map(|name| Violation { record: name.clone() }).collect();
            if !violations.is_empty() {
                return Ok(Advance { violations, ..Advance::partly(work.running.clone(), 0) });
            }
        }
        if self.is_transactional || work.is_verify {
            self.in_one(&Script(if work.is_verify { Vec::new() } else { script.0.clone() }), work)
        } else {
            self.one_by_one(script, work)
        }
    }

    async fn write(&mut self, record: &Record, files: &[StoredFile], kind: EventKind) -> Result<()> {
        let mut data = self.fenced()?;
        data.put(record, files, kind, record.note.clone());
        data.call(true)
    }

    async fn note(&mut self, record: &Record, kind: EventKind, detail: &str) -> Result<()> {
        let mut data = self.fenced()?;
        data.log(record, kind, Some(detail.to_owned()));
        data.call(true)
    }

    async fn release(self: Box<Self>) -> Result<()> {
        let mut data = self.data.lock().expect("no test panics while it holds this");
        if data.token == self.token {
            data.holder = None;
        }
        Ok(())
    }
}
