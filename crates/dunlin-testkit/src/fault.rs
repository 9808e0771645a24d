//! Crashes on purpose: a store that dies before or after its k-th call. Trying every k until a run completes tests each
//! place where a crash can be told from another. Production code knows nothing of it.

use std::env;
use std::fmt;
use std::process::abort;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dunlin_core::history::{Event, EventKind, History, Record, StoredFile};
use dunlin_core::id::Version;
use dunlin_core::op::{Line, Op};
use dunlin_core::store::{
    Advance, Ahead, AnyStore, Archive, Attempt, Check, Checked, Holder, Session, Store, Work,
};
use dunlin_core::{Error, Follow, Followed, Follower, Pace, Result, async_trait};

/// The call at which a process with [`Fuse::from_env`] dies, counted from 1.
pub const AT: &str = "DUNLIN_TEST_ABORT_AT";
/// Whether it dies `before` or `after` that call.
pub const WHEN: &str = "DUNLIN_TEST_ABORT_WHEN";

/// Every so many places, where each takes its time; all of them where somebody asks for that.
pub fn stride(usual: usize) -> usize {
    if env::var_os("DUNLIN_TEST_EVERY_PLACE").is_some() { 1 } else { usual }
}

/// On which side of a call to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The call never happens.
    Before,
    /// The call happens and nobody learns what came of it.
    After,
}

impl When {
    /// Both sides.
    pub const ALL: [Self; 2] = [Self::Before, Self::After];
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::After => "after",
        })
    }
}

/// How a fuse kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// The process ends at once: no destructor runs, no connection is closed politely.
    Abort,
    /// This call and all later ones fail and reach no store any more: for stores that live in this process.
    Silence,
}

/// Counts the calls to the stores that share it, and kills at one of them.
#[derive(Debug, Clone)]
pub struct Fuse {
    at: Option<(usize, When)>,
    death: Death,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Fuse {
    /// One that only counts.
    pub fn counting() -> Self {
        Self { at: None, death: Death::Silence, calls: Arc::default() }
    }

    /// One that ends the process as [`AT`] and [`WHEN`] say; without them it only counts.
    pub fn from_env() -> Self {
        let Ok(at) = env::var(AT) else { return Self::counting() };
        let at = at.parse().unwrap_or_else(|_| panic!("{AT} is {at:?}, not a number"));
        let when = match env::var(WHEN).as_deref() {
            Ok("before") | Err(_) => When::Before,
            Ok("after") => When::After,
            Ok(other) => panic!("{WHEN} is {other:?}, neither before nor after"),
        };
        Self { at: Some((at, when)), death: Death::Abort, ..Self::counting() }
    }

    /// One that leaves the process alive: from the call on nothing reaches the stores, as if the process were dead.
    pub fn silencing(at: usize, when: When) -> Self {
        Self { at: Some((at, when)), ..Self::counting() }
    }

    /// A store whose calls burn this fuse.
    pub fn around(&self, inner: AnyStore) -> AnyStore {
        Arc::new(Faulty { inner, fuse: self.clone() })
    }

    /// The calls so far, by name.
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().clone()
    }

    /// Whether it killed.
    pub fn is_burnt(&self) -> bool {
        self.at.is_some_and(|(at, _)| self.lock().len() >= at)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call through the fuse.
    async fn burn<T>(&self, name: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let number = {
            let mut calls = self.lock();
            calls.push(name);
            calls.len()
        };
        self.check(number, When::Before, name)?;
        let outcome = call.await;
        self.check(number, When::After, name)?;
        outcome
    }

    #[expect(clippy::print_stderr, reason = "the last words of a process that tests kill")]
    fn check(&self, number: usize, side: When, name: &str) -> Result<()> {
        let Some((at, when)) = self.at else { return Ok(()) };
        let is_dead = number > at || number == at && when == side;
        if !is_dead {
            return Ok(());
        }
        if self.death == Death::Abort {
            eprintln!("aborting {when} call {number}, {name}");
            abort();
        }
        Err(Error::unexpected(format!("killed {when} call {at}; this is call {number}, {name}")))
    }
}

/// A store behind a fuse.
#[derive(Debug)]
struct Faulty {
    inner: AnyStore,
    fuse: Fuse,
}

#[async_trait]
impl Store for Faulty {
    fn is_transactional(&self) -> bool {
        self.inner.is_transactional()
    }

    async fn history(&self) -> Result<History> {
        self.fuse.burn("history", self.inner.history()).await
    }

    async fn journal(&self, version: Option<&Version>, limit: u32) -> Result<Vec<Event>> {
        self.fuse.burn("journal", self.inner.journal(version, limit)).await
    }

    async fn files(&self, version: &Version) -> Result<Vec<StoredFile>> {
        self.fuse.burn("files", self.inner.files(version)).await
    }

    async fn holder(&self) -> Result<Option<Holder>> {
        self.fuse.burn("holder", self.inner.holder()).await
    }

    async fn try_lock(&self, me: &Holder) -> Result<Attempt> {
        Ok(match self.fuse.burn("try_lock", self.inner.try_lock(me)).await? {
            Attempt::Taken(inner) => {
                Attempt::Taken(Box::new(FaultySession { inner, fuse: self.fuse.clone() }))
            }
            held @ Attempt::Held(_) => held,
        })
    }

    async fn unlock(&self, token: i64) -> Result<()> {
        self.fuse.burn("unlock", self.inner.unlock(token)).await
    }

    async fn verify(&self, check: &Check<'_>) -> Result<Checked> {
        self.fuse.burn("store verify", self.inner.verify(check)).await
    }

    async fn usage(&self, op: &dyn Op) -> Result<Vec<String>> {
        self.fuse.burn("usage", self.inner.usage(op)).await
    }

    async fn follow(&self, what: &Follow<'_>) -> Result<Option<Box<dyn Follower>>> {
        self.fuse.burn("follow", self.inner.follow(what)).await
    }

    async fn followed(&self) -> Result<Vec<Followed>> {
        self.fuse.burn("followed", self.inner.followed()).await
    }

    async fn gone(&self, op: &dyn Op, place: (&Version, usize)) -> Result<Vec<String>> {
        self.fuse.burn("gone", self.inner.gone(op, place)).await
    }

    async fn archives(&self) -> Result<Vec<Archive>> {
        self.fuse.burn("archives", self.inner.archives()).await
    }

    async fn preview(&self, op: &dyn Op) -> Result<Vec<Line>> {
        self.fuse.burn("preview", self.inner.preview(op)).await
    }

    async fn previews(&self, steps: &[Ahead<'_>]) -> Result<Vec<Vec<Line>>> {
        self.fuse.burn("previews", self.inner.previews(steps)).await
    }

    async fn foresee(&self, now: &[Ahead<'_>], later: &[Ahead<'_>]) -> Result<Vec<String>> {
        self.fuse.burn("foresee", self.inner.foresee(now, later)).await
    }

    async fn examine(&self) -> Result<Vec<(String, String)>> {
        self.fuse.burn("examine", self.inner.examine()).await
    }
}

/// A session of such a store.
#[derive(Debug)]
struct FaultySession {
    inner: Box<dyn Session>,
    fuse: Fuse,
}

#[async_trait]
impl Session for FaultySession {
    async fn history(&mut self) -> Result<History> {
        self.fuse.burn("session history", self.inner.history()).await
    }

    async fn advance(&mut self, work: &Work<'_>) -> Result<Advance> {
        self.fuse.burn("advance", self.inner.advance(work)).await
    }

    async fn verify(&mut self, check: &Check<'_>) -> Result<Checked> {
        self.fuse.burn("verify", self.inner.verify(check)).await
    }

    async fn save(&mut self, record: &Record, files: &[StoredFile]) -> Result<()> {
        self.fuse.burn("save", self.inner.save(record, files)).await
    }

    async fn strain(&mut self, pace: &Pace) -> Result<Option<String>> {
        self.fuse.burn("strain", self.inner.strain(pace)).await
    }

    async fn write(&mut self, record: &Record, files: &[StoredFile], kind: EventKind) -> Result<()> {
        self.fuse.burn("write", self.inner.write(record, files, kind)).await
    }

    async fn note(&mut self, record: &Record, kind: EventKind, detail: &str) -> Result<()> {
        self.fuse.burn("note", self.inner.note(record, kind, detail)).await
    }

    async fn purge(&mut self, archive: &Archive) -> Result<()> {
        self.fuse.burn("purge", self.inner.purge(archive)).await
    }

    async fn release(self: Box<Self>) -> Result<()> {
        self.fuse.burn("release", self.inner.release()).await
    }
}
