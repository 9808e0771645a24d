//! Reference stores, and the runs of a user over them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use dunlin_core::{
    Author, Backend, History, Pace, Record, RunId, SourceMap, State, Store, StoreName, StoreUrl, Target,
    Version,
};
use dunlin_engine::load::Backends;
use dunlin_engine::reverse::{self, Extent};
use dunlin_engine::run::{self, Histories, Migrations, Stop};
use dunlin_engine::{Context, Event, File, Goal, Loaded, Outcome, Policy, Stores, Summary, load, plan};
use tokio_util::sync::CancellationToken;

use crate::memory::{Data, Memory};

static RUNS: AtomicU32 = AtomicU32::new(0);

pub(super) struct World {
    pub(super) backends: Backends,
    pub(super) stores: Stores,
    data: BTreeMap<StoreName, Arc<Mutex<Data>>>,
    pub(super) policy: Policy,
    pub(super) lock_wait: Duration,
    pub(super) cancel: CancellationToken,
    pub(super) tries: u32,
    pub(super) paces: BTreeMap<StoreName, Pace>,
    pub(super) until: Option<Instant>,
    pub(super) force: Option<Arc<str>>,
}

/// Where a store stands, without who, when and how often it was tried.
pub(super) type Position = (BTreeMap<String, u64>, Vec<(String, State, usize, bool)>);

impl World {
    /// Stores by name; `true` for one with transactions.
    pub(super) async fn new(kinds: &[(&str, bool)]) -> Self {
        let mut world = Self {
            backends: Backends::new(),
            stores: Stores::new(),
            data: BTreeMap::new(),
            policy: Policy::default(),
            lock_wait: Duration::from_secs(20),
            cancel: CancellationToken::new(),
            tries: 3,
            paces: BTreeMap::new(),
            until: None,
            force: None,
        };
        for (name, is_transactional) in kinds {
            let memory = Memory::new(*is_transactional);
            let store = StoreName::from(*name);
            let url = format!("memory:{name}");
            let target = Target::new(*name, StoreUrl::new(url.clone()));
            world.stores.insert(store.clone(), memory.connect(&target).await.unwrap());
            world.data.insert(store.clone(), memory.data(&url));
            world.backends.insert(store, Arc::new(memory));
        }
        world
    }

    pub(super) fn load(&self, files: &[(&str, &str)]) -> Loaded {
        load(&files.iter().map(|(name, text)| file(name, text)).collect::<Vec<_>>(), &self.backends)
    }

    /// The migrations of files that have no fault.
    pub(super) fn migrations(&self, files: &[(&str, &str)]) -> Migrations {
        let loaded = self.load(files);
        assert_eq!(loaded.diagnostics, [], "the files are faultless");
        loaded.migrations
    }

    pub(super) fn data(&self, store: &str) -> MutexGuard<'_, Data> {
        self.data[&StoreName::from(store)].lock().unwrap()
    }

    /// Every statement that took effect in a store.
    pub(super) fn ran(&self, store: &str) -> Vec<String> {
        self.data(store).ran.clone()
    }

    /// How often the lock of a store was taken.
    pub(super) fn locks(&self, store: &str) -> i64 {
        self.data(store).locks()
    }

    pub(super) fn context(&self) -> Context {
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        Context {
            stores: self.stores.clone(),
            author: author(&format!("run-{number}")),
            lock_wait: self.lock_wait,
            tries: self.tries,
            policy: self.policy,
            cancel: self.cancel.clone(),
            until: self.until,
            force: self.force.clone(),
            paces: self.paces.clone(),
            known: None,
        }
    }

    pub(super) async fn up(&self, migrations: &Migrations, goal: &Goal) -> (Summary, Result<Outcome, Stop>) {
        self.up_listening(migrations, goal, &mut |_| {}).await
    }

    pub(super) async fn up_listening(
        &self,
        migrations: &Migrations,
        goal: &Goal,
        report: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> (Summary, Result<Outcome, Stop>) {
        let planner = run::forward(migrations, self.policy, goal);
        run::run(&self.context(), &planner, report).await
    }

    /// Runs that must succeed.
    pub(super) async fn brought_up(&self, migrations: &Migrations, goal: &Goal) -> Summary {
        let (summary, outcome) = self.up(migrations, goal).await;
        assert_eq!(outcome.unwrap_or_else(|stop| panic!("{stop}")), Outcome::Complete);
        summary
    }

    pub(super) async fn down(
        &self,
        migrations: &Migrations,
        extent: &Extent,
    ) -> (Summary, Result<Outcome, Stop>) {
        self.down_listening(migrations, extent, &mut |_| {}).await
    }

    pub(super) async fn down_listening(
        &self,
        migrations: &Migrations,
        extent: &Extent,
        report: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> (Summary, Result<Outcome, Stop>) {
        let histories = self.histories().await;
        let versions = reverse::versions(migrations, &histories, extent);
        let (stores, mut sources) = ((&self.stores, &self.backends), SourceMap::default());
        let reversal =
            reverse::resolve(&versions, migrations, &histories, stores, &mut sources).await.unwrap();
        let planner =
            |histories: &Histories, _: &mut Summary| Ok(plan::down(&reversal.migrations, histories)?);
        run::run(&self.context(), &planner, report).await
    }

    pub(super) async fn histories(&self) -> Histories {
        run::histories(&self.stores).await.unwrap()
    }

    pub(super) async fn history(&self, store: &str) -> History {
        self.stores[&StoreName::from(store)].history().await.unwrap()
    }

    pub(super) async fn record(&self, store: &str, number: &str) -> Option<Record> {
        self.history(store).await.records.remove(&version(number)).map(|record| *record)
    }

    /// Writes a record as `mark` does.
    pub(super) async fn write(&self, store: &str, record: &Record) {
        let me = dunlin_engine::lock::me("ann", &RunId("mark".into()));
        let taken = self.stores[&StoreName::from(store)].try_lock(&me).await.unwrap();
        let dunlin_core::Attempt::Taken(mut session) = taken else { panic!("the lock is free") };
        dunlin_engine::mark::write(&mut session, record, &[]).await.unwrap();
        session.release().await.unwrap();
    }

    pub(super) async fn positions(&self) -> BTreeMap<StoreName, Position> {
        let mut positions = BTreeMap::new();
        for name in self.stores.keys() {
            let records = self.history(name.as_str()).await.records;
            let live = records.values().filter(|record| record.state != State::Undone);
            let place = |record: &Record| {
                (record.id.to_string(), record.state, record.steps.len(), record.checkpoint.is_some())
            };
            let live = live.map(|record| place(record)).collect();
            positions.insert(name.clone(), (self.data(name.as_str()).counters.clone(), live));
        }
        positions
    }

    /// Whether anybody holds a lock.
    pub(super) async fn is_locked(&self) -> bool {
        for store in self.stores.values() {
            if Store::holder(&**store).await.unwrap().is_some() {
                return true;
            }
        }
        false
    }
}

pub(super) fn author(run: &str) -> Arc<Author> {
    Author { run: RunId(run.into()), who: "ann".into(), host: "here".into(), tool: "test".into() }.into()
}

pub(super) fn file(name: &str, text: &str) -> File {
    bytes(name, text.as_bytes())
}

pub(super) fn bytes(name: &str, bytes: &[u8]) -> File {
    File {
        name: name.to_owned().into(),
        shown: format!("migrations/{name}").into(),
        content: bytes.to_vec().into(),
    }
}

pub(super) fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// As far as `up` goes by itself.
pub(super) const UP: Goal = Goal { to: None, contract: false, only: None };
/// To the very end.
pub(super) const CONTRACT: Goal = Goal { to: None, contract: true, only: None };
