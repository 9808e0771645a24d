//! The reference store: a map of counters in memory, run by the same rules as the real stores. Its language has one
//! statement a line: `add NAME`, `drop NAME`, `bump NAME`, `sink NAME`, and `flaky N`, which fails N times for a passing reason. Two
//! kinds of it exist, with and without transactions; a fuse makes the k-th call fail before or after it took effect, as
//! a kill would. Every call gives way to others, so that runs on one thread interleave.

mod data;
mod records;
mod reshape;
mod session;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use dunlin_core::{
    AnyOp, AnyStore, Attempt, Backend, Check, Checked, Diagnostic, Event, Field, History, Holder, Native, Op,
    Part, Phase, Result, Section, Source, Store, StoredFile, Target, Undo, Version, async_trait,
};

pub use data::{Data, Script};
pub use records::{Level, Sweep};
pub use reshape::Shaped;
use session::MemorySession;

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
        &["script", "add", "sweep", "level"]
    }

    fn read(&self, file: &Source, down: Option<&Source>) -> Native {
        let (up, own) =
            file.text.split_once("# Down").map_or((&*file.text, None), |(up, down)| (up, Some(down)));
        let down = own.or(down.map(|down| &*down.text));
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
        let text = field.value.text().map_err(|fault| vec![fault])?;
        match field.name {
            "sweep" => return Ok(Arc::new(Sweep { name: text.to_owned(), is_back: false })),
            "level" => {
                let (name, value) = text.split_once(' ').unwrap_or((text, ""));
                return Ok(Arc::new(Level {
                    name: name.to_owned(),
                    value: value.parse().unwrap_or_default(),
                }));
            }
            _ => {}
        }
        let script = if field.name == "add" { format!("add {text}") } else { text.to_owned() };
        Ok(Arc::new(Script::of(&script)))
    }

    fn changes(&self) -> &'static [&'static str] {
        &["supersede", "reshape"]
    }

    /// `supersede = "old"`: a counter of another name, whose old one goes in the end; `reshape = "old"`: the same, guarded.
    fn unfold(&self, change: &Field<'_>) -> Result<Vec<Part>, Vec<Diagnostic>> {
        let (old, tag) = (change.value.text().map_err(|fault| vec![fault])?, change.tag);
        if change.name == "reshape" {
            return Ok(reshape::unfold(old, tag));
        }
        let op = |line: String| Arc::new(Script::of(&line));
        let part =
            |phase, there: String, back: String| Part { phase, op: op(there), undo: Undo::Op(op(back)) };
        Ok(vec![
            part(Phase::Expand, format!("add new_{tag}"), format!("drop new_{tag}")),
            part(Phase::Contract, format!("drop {old}"), format!("add {old}")),
        ])
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

#[async_trait]
impl Store for MemoryStore {
    fn is_transactional(&self) -> bool {
        self.is_transactional
    }

    async fn history(&self) -> Result<History> {
        tokio::task::yield_now().await;
        Ok(self.data().history())
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
        tokio::task::yield_now().await;
        let mut data = self.data();
        data.call(false)?;
        if let Some(holder) = &data.holder {
            return Ok(Attempt::Held(Some(holder.clone())));
        }
        data.token += 1;
        let token = data.token;
        data.holder = Some(Holder { token, ..me.clone() });
        data.call(true)?;
        let session = MemorySession::new(self.data.clone(), self.is_transactional, token);
        Ok(Attempt::Taken(Box::new(session)))
    }

    async fn unlock(&self, token: i64) -> Result<()> {
        let mut data = self.data();
        if data.holder.as_ref().is_some_and(|holder| holder.token == token) {
            data.holder = None;
            data.token += 1;
        }
        Ok(())
    }

    async fn verify(&self, check: &Check<'_>) -> Result<Checked> {
        let token = self.data().locks();
        let mut reader = MemorySession::new(self.data.clone(), self.is_transactional, token);
        dunlin_core::Session::verify(&mut reader, check).await
    }

    async fn usage(&self, op: &dyn Op) -> Result<Vec<String>> {
        let Some(shaped) = op.kind::<Shaped>() else { return Ok(Vec::new()) };
        let data = self.data();
        let readers = data.readers.get(&shaped.path).into_iter().flatten();
        Ok(readers.map(|reader| format!("{reader} reads {}", shaped.path)).collect())
    }

    async fn examine(&self) -> Result<Vec<(String, String)>> {
        Ok(vec![("counters".to_owned(), self.data().counters.len().to_string())])
    }
}
