//! The configuration: `dunlin.toml`, found upward from the working directory, or a URL alone. Every fault is reported
//! at once, at its place in the file; what goes into a report of the file has its secrets starred out.
//!
//! A setting is taken from the command line, else from `[env.NAME]`, else from the rest of the file. `${VAR}` is looked
//! up in the environment of the process, then in the `.env` beside the file.

mod alone;
mod dotenv;
mod find;
mod loading;
mod mask;
mod merge;
mod pace;
mod read;
mod url;
mod value;
mod variables;

pub use dunlin_core::duration;
use std::path::PathBuf;
use std::time::Duration;

use dunlin_core::{Diagnostic, LockMode, SourceMap, StoreName, StoreUrl, Target};
use dunlin_engine::Policy;

pub use read::{LATE, LOCK_MODES, STRICT};
pub use variables::Variables;

use crate::kind::Kind;
use loading::Loading;

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The working directory.
    pub directory: PathBuf,
    /// `--config`
    pub file: Option<PathBuf>,
    /// `--env`
    pub environment: Option<String>,
    /// `--url`
    pub url: Option<String>,
    /// `--store`
    pub stores: Vec<String>,
    /// `--migrations`
    pub migrations: Option<PathBuf>,
    /// `--lock-wait`
    pub lock_wait: Option<Duration>,
    /// `--lock-mode`
    pub lock_mode: Option<LockMode>,
    /// `--no-dotenv`
    pub without_dotenv: bool,
    /// The environment.
    pub variables: Variables,
}

/// The settings of one run.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file they come from, as seen from the working directory.
    pub path: Option<PathBuf>,
    /// The `[env.NAME]` in use.
    pub environment: Option<String>,
    /// Where the migrations lie, as seen from the working directory.
    pub migrations: PathBuf,
    /// The stores, in the order written.
    pub stores: Vec<Store>,
    /// The stores the command line restricts the run to; none means all.
    pub only: Vec<StoreName>,
    /// What to do where files and histories disagree.
    pub policy: Policy,
    /// How long to wait for the migration lock.
    pub lock_wait: Duration,
}

/// A configured store.
#[derive(Debug, Clone)]
pub struct Store {
    /// Its name.
    pub name: StoreName,
    /// Its kind, where its URL could be read.
    pub kind: Option<&'static Kind>,
    /// Where it is, where its settings could be read.
    pub target: Option<Target>,
}

impl Config {
    /// The stores the run is about.
    pub fn selected(&self) -> impl Iterator<Item = &Store> {
        self.stores.iter().filter(|store| self.only.is_empty() || self.only.contains(&store.name))
    }

    /// The URLs whose secrets no message may hold.
    pub fn urls(&self) -> impl Iterator<Item = &StoreUrl> {
        self.stores.iter().filter_map(|store| store.target.as_ref()).map(|target| &target.url)
    }
}

/// What was read, and what is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    /// The settings, as far as they could be read.
    pub config: Config,
    /// Everything that is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// The text that spans point into, secrets starred out.
    pub sources: SourceMap,
}

impl Loaded {
    /// Whether nothing may be done with these settings.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads the settings.
pub fn load(request: &Request) -> Loaded {
    let named = request.file.clone().or_else(|| request.variables.filled("DUNLIN_CONFIG").map(PathBuf::from));
    let found = named.as_deref().map(find::given).or_else(|| find::upward(&request.directory));
    let root = found.as_ref().map(|found| found.root.clone()).unwrap_or_default();
    let mut loading = Loading { request, variables: request.variables.clone(), faults: Vec::new() };
    if !request.without_dotenv {
        loading.read_dotenv(&root);
    }
    let mut sources = SourceMap::default();
    let (draft, environment) = match &found {
        Some(found) => loading.read_file(found, &mut sources),
        None => (loading.read_alone(), None),
    };
    let path = found.map(|found| found.path);
    let config = loading.finish(draft, path, environment, &root);
    Loaded { config, diagnostics: settled(loading.faults), sources }
}

/// Each fault once, by place. What follows from a fault of the syntax is no fault of its own.
fn settled(faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let broken: Vec<_> =
        faults.iter().filter(|fault| fault.code == "bad-toml").map(Diagnostic::span).collect();
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for fault in faults {
        if (fault.code == "bad-toml" || !broken.contains(&fault.span())) && !diagnostics.contains(&fault) {
            diagnostics.push(fault);
        }
    }
    diagnostics.sort_by_key(Diagnostic::span);
    diagnostics
}

#[cfg(test)]
mod tests;
