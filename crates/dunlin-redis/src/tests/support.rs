//! What the tests on real servers share: a store of one's own on the shared servers, and a run of one step.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dunlin_core::{
    Advance, AnyStore, Attempt, Author, Backend, Check, Checked, Checksum, Error, Holder, MigrationId,
    Op as CoreOp, Origin, Pace, Phase, Record, Result, RunId, Session, SourceMap, State, StoreUrl,
    StoredFile, Target, Version, Violation, Work,
};
use redis::{FromRedisValue, cmd};

use crate::{Op, Redis};

/// Which servers a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    Cluster,
}

/// A prefix of one's own, for dunlin's keys and for the test's.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    pub(super) prefix: String,
    pub(super) kind: Kind,
    pub(super) url: StoreUrl,
    #[expect(dead_code, reason = "gives up the cluster when dropped")]
    pub(super) turn: Option<Arc<File>>,
}

pub(super) fn scratch(kind: Kind) -> Scratch {
    let name = match kind {
        Kind::Single => "DUNLIN_TEST_REDIS_URL",
        Kind::Cluster => "DUNLIN_TEST_REDIS_CLUSTER_URL",
    };
    let url = variable(name).unwrap_or_else(|| panic!("{name} is not set: run dev/servers up"));
    // A number of a database is not ours to choose.
    let base = url.split_once("://").map_or(0, |(scheme, _)| scheme.len() + 3);
    let end = url[base..].find('/').map_or(url.len(), |slash| base + slash);
    let turn = (kind == Kind::Cluster).then(|| Arc::new(turn()));
    Scratch { turn, ..scratch_at(kind, StoreUrl::new(&url[..end])) }
}

pub(super) fn scratch_at(kind: Kind, url: StoreUrl) -> Scratch {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("t{}-{}-{number}:", std::process::id(), since.as_millis());
    Scratch { prefix, kind, url, turn: None }
}

/// Where `dev/servers` keeps its state.
fn folder() -> PathBuf {
    let known = std::env::var_os("DUNLIN_SERVERS_DIR").map(PathBuf::from);
    known.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../dev/.servers")))
}

/// A setting of the test servers: from the environment, else from what `dev/servers up` wrote.
pub(super) fn variable(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(folder().join("env")).unwrap_or_default();
    let written =
        || text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
    std::env::var(name).ok().filter(|value| !value.is_empty()).or_else(written)
}

/// A cluster has no databases, and other tests empty it: everybody waits for their turn.
fn turn() -> File {
    std::fs::create_dir_all(folder()).unwrap();
    let file = File::create(folder().join("redis_cluster.turn")).unwrap();
    file.lock().unwrap();
    file
}

impl Scratch {
    pub(super) fn target(&self) -> Target {
        Target { prefix: Some(self.prefix.clone()), ..Target::new("cache", self.url.clone()) }
    }

    pub(super) async fn store(&self) -> AnyStore {
        Redis.connect(&self.target()).await.unwrap()
    }

    /// A name for a key of the test's.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Sends a command from outside of dunlin.
    pub(super) async fn send<T: FromRedisValue>(&self, line: &str) -> redis::RedisResult<T> {
        let mut words = line.split(' ');
        let mut request = cmd(words.next().unwrap());
        words.for_each(|word| {
            request.arg(word);
        });
        if self.kind == Kind::Single {
            let client = redis::Client::open(self.url.expose())?;
            return request.query_async(&mut client.get_multiplexed_async_connection().await?).await;
        }
        let hosts = self.url.expose().split_once("://").unwrap().1;
        let nodes = hosts.split(',').map(|host| format!("redis://{host}"));
        let client = redis::cluster::ClusterClient::new(nodes)?;
        request.query_async(&mut client.get_async_connection().await?).await
    }

    pub(super) async fn text(&self, key: &str) -> Option<String> {
        self.send(&format!("GET {}", self.key(key))).await.unwrap()
    }

    /// An op out of lines in which `~` stands for the prefix.
    pub(super) fn op(&self, lines: &str) -> Arc<Op> {
        let source = SourceMap::default().add("1_a.redis", lines.replace('~', &self.prefix));
        let native = Redis.read(&source, None);
        assert!(
            !native.diagnostics.iter().any(dunlin_core::Diagnostic::is_error),
            "{:?}",
            native.diagnostics
        );
        Arc::new(native.sections[0].op.own::<Op>().unwrap().clone())
    }
}

pub(super) fn me(run: &str) -> Holder {
    Holder {
        who: "ann".into(),
        host: "here".into(),
        pid: std::process::id(),
        process: "".into(),
        run: RunId(run.into()),
        token: 0,
        since: None,
        expires: None,
    }
}

pub(super) async fn lock(store: &AnyStore) -> Box<dyn Session> {
    for _ in 0..400 {
        if let Attempt::Taken(session) = store.try_lock(&me("r1")).await.unwrap() {
            return session;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the lock was held for ten seconds");
}

pub(super) fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// The record of a migration of which nothing ran.
pub(super) fn fresh(number: &str) -> Record {
    Record {
        id: MigrationId { version: version(number), slug: "a".into() },
        state: State::Applying,
        phase: Phase::Expand,
        origin: Origin::Run,
        steps: Vec::new(),
        checkpoint: None,
        text: Checksum::of(["t"]),
        author: Arc::new(Author {
            run: RunId("r1".into()),
            who: "ann".into(),
            host: "here".into(),
            tool: "dunlin".into(),
        }),
        started: None,
        finished: None,
        rows: 0,
        note: None,
    }
}

/// One step of one migration, as the engine would run it.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) op: Arc<Op>,
    pub(super) now: Record,
    pub(super) done: Record,
}

impl Step {
    pub(super) fn up(op: Arc<Op>, now: Record) -> Self {
        let mut done = Record { state: State::Done, checkpoint: None, ..now.clone() };
        done.steps.push(Checksum::of([op.canonical()]));
        Self { op, now, done }
    }

    pub(super) fn down(op: Arc<Op>, applied: &Record) -> Self {
        let now = Record { state: State::Undoing, checkpoint: None, finished: None, ..applied.clone() };
        let done = Record { state: State::Undone, steps: Vec::new(), ..now.clone() };
        Self { op, now, done }
    }

    /// Goes on from what the store has, if it has anything.
    pub(super) async fn resume(mut self, store: &AnyStore) -> Self {
        if let Some(record) = store.history().await.unwrap().records.get(&self.now.id.version) {
            self.now = Record::clone(record);
        }
        self
    }

    pub(super) async fn once(&mut self, session: &mut Box<dyn Session>) -> Result<Advance> {
        let files = [StoredFile { name: "1_a.redis".into(), text: "SET a 1\n".into() }];
        let work = Work {
            op: &*self.op,
            running: &self.now,
            done: &self.done,
            files: &files,
            pace: &Pace::default(),
            lock_timeout: None,
            is_followed: false,
        };
        let advance = session.advance(&work).await?;
        self.now = advance.record.clone();
        Ok(advance)
    }

    /// Asks; what was found.
    pub(super) async fn verify(&self, session: &mut Box<dyn Session>) -> Vec<Violation> {
        let check = Check { op: &*self.op, from: None, pace: &Pace::default() };
        match session.verify(&check).await.unwrap() {
            Checked::Wholly { violations, .. } => violations,
            partly @ Checked::Partly(_) => panic!("commands are asked in one go: {partly:?}"),
        }
    }

    /// Runs to the end; the notes on the way.
    pub(super) async fn run(&mut self, session: &mut Box<dyn Session>) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        loop {
            let advance = self.once(session).await?;
            notes.extend(advance.notes);
            if advance.is_done {
                return Ok(notes);
            }
        }
    }
}

/// Runs lines as one migration under a lock of its own.
pub(super) async fn apply(scratch: &Scratch, number: &str, lines: &str) -> Result<Record, Error> {
    let store = scratch.store().await;
    let mut session = lock(&store).await;
    let mut step = Step::up(scratch.op(lines), fresh(number)).resume(&store).await;
    let ran = step.run(&mut session).await;
    session.release().await.unwrap();
    ran.map(|_| step.now)
}
