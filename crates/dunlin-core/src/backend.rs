//! The code for one kind of store: reads what users write for it, and connects to it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::diagnostic::Diagnostic;
use crate::error::Result;
use crate::id::StoreName;
use crate::migration::{Phase, Undo};
use crate::node::Node;
use crate::op::AnyOp;
use crate::pace::Pace;
use crate::source::{Source, Span};
use crate::store::AnyStore;
use crate::url::StoreUrl;

/// One kind of store.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// Its name for people: `PostgreSQL`.
    fn name(&self) -> &'static str;

    /// The URL schemes it answers to.
    fn schemes(&self) -> &'static [&'static str];

    /// The extension of its native files.
    fn extension(&self) -> &'static str;

    /// The ops it understands in `.toml` steps.
    fn ops(&self) -> &'static [&'static str];

    /// Reads a native file, or a pair whose second half is the way back.
    fn read(&self, file: &Source, down: Option<&Source>) -> Native;

    /// Reads the op of a `.toml` step.
    fn decode(&self, phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>>;

    /// Whether its statements wait for locks of the database, so that a step may say for how long.
    fn waits_for_locks(&self) -> bool {
        false
    }

    /// The changes it understands in `[[change]]`: each a whole safe change of several steps.
    fn changes(&self) -> &'static [&'static str] {
        &[]
    }

    /// Unfolds a change into its steps, in order within each phase.
    fn unfold(&self, change: &Field<'_>) -> Result<Vec<Part>, Vec<Diagnostic>> {
        let message = format!("{} has no change `{}`", self.name(), change.name);
        Err(vec![Diagnostic::error("no-op-given", message).at(change.value.span, "not known here")])
    }

    /// What a new native file starts with, for `dunlin new`.
    fn template(&self) -> &'static str;

    /// Connects. Nothing is created, unless the URL asks for it.
    async fn connect(&self, target: &Target) -> Result<AnyStore>;
}

/// What a native file says.
#[derive(Debug, Default)]
pub struct Native {
    /// Its sections, one for each phase at most, in order of phase. An empty up section is a section.
    pub sections: Vec<Section>,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

/// One section of a native file.
#[derive(Debug, Clone)]
pub struct Section {
    /// When it runs.
    pub phase: Phase,
    /// What it does.
    pub op: AnyOp,
    /// The way back.
    pub undo: Undo,
    /// Where it was written.
    pub span: Span,
}

/// One step of a change.
#[derive(Debug, Clone)]
pub struct Part {
    /// When it runs.
    pub phase: Phase,
    /// What it does.
    pub op: AnyOp,
    /// The way back.
    pub undo: Undo,
}

/// The op of a `.toml` step: `update_many = { … }`.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The op's name, one of [`Backend::ops`].
    pub name: &'a str,
    /// Its value.
    pub value: &'a Node,
    /// The file it stands in.
    pub source: &'a Source,
    /// What begins the names of whatever it makes for itself: triggers, archives. No other step or change has the same.
    pub tag: &'a str,
}

/// A store as configured.
#[derive(Debug, Clone)]
pub struct Target {
    /// The name the user gave it.
    pub name: StoreName,
    /// Where it is.
    pub url: StoreUrl,
    /// The schema (PostgreSQL `search_path`; its first entry keeps the history). Other SQL stores have their database
    /// in the URL.
    pub schema: Option<String>,
    /// What the names of dunlin's own keys start with, where several applications share a Redis.
    pub prefix: Option<String>,
    /// How the migration lock is held.
    pub lock: LockMode,
    /// How long a lease lasts when it is not renewed.
    pub lease: Duration,
    /// How long a statement may wait for a lock of the database before it gives way and is tried again.
    pub lock_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How data is moved.
    pub pace: Pace,
}

impl Target {
    /// A store with default settings.
    pub fn new(name: impl Into<StoreName>, url: StoreUrl) -> Self {
        Self {
            name: name.into(),
            url,
            schema: None,
            prefix: None,
            lock: LockMode::Auto,
            lease: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(10),
            pace: Pace::default(),
        }
    }
}

/// How the migration lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockMode {
    /// By the session where the server offers that and the URL names no pooler; else by lease.
    #[default]
    Auto,
    /// By the session: it ends with the connection. Needs a connection that is ours alone.
    Session,
    /// By lease: a row with an expiry that is renewed. Works through poolers.
    Lease,
}
