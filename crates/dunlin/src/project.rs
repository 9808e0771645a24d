//! Stores and migrations that belong together: what the command line reads from `dunlin.toml` and a program says in
//! Rust.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dunlin_core::{
    Author, Backend, Error, ErrorKind, Migration, Pace, Result, RunId, SourceMap, StoreName, StoreUrl, Target,
};
use dunlin_engine::load::Backends;
use dunlin_engine::{Context, File, Loaded, Policy, Stores, load, lock, read_dir};
use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

use crate::registry::Registry;

/// Stores, migrations, and how to run them.
#[derive(Debug, Clone)]
pub struct Project {
    registry: Registry,
    stores: BTreeMap<StoreName, (Arc<dyn Backend>, Target)>,
    files: Vec<File>,
    code: Vec<Arc<dyn Migration>>,
    /// How long to wait for locks that others hold.
    pub lock_wait: Duration,
    /// How often a step that failed for a passing reason is tried in all.
    pub tries: u32,
    /// What to do where files and histories disagree.
    pub policy: Policy,
    /// Pauses a run at its next safe point.
    pub cancel: CancellationToken,
    /// When a run stops moving data; it pauses then.
    pub until: Option<Instant>,
}

impl Default for Project {
    fn default() -> Self {
        Self::new(Registry::standard())
    }
}

impl Project {
    /// Without stores and migrations.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            stores: BTreeMap::new(),
            files: Vec::new(),
            code: Vec::new(),
            lock_wait: Duration::from_mins(5),
            tries: 20,
            policy: Policy::default(),
            cancel: CancellationToken::new(),
            until: None,
        }
    }

    /// Adds a store with default settings.
    pub fn store(self, name: &str, url: impl Into<Arc<str>>) -> Result<Self> {
        self.target(Target::new(name, StoreUrl::new(url)))
    }

    /// Adds a store.
    pub fn target(mut self, target: Target) -> Result<Self> {
        let backend =
            self.registry.backend(&target.url).map_err(|error| error.with("store", &target.name))?;
        self.stores.insert(target.name.clone(), (backend, target));
        Ok(self)
    }

    /// Adds the files of a directory.
    pub fn directory(mut self, directory: &Path) -> Result<Self> {
        self.files.extend(read_dir(directory)?);
        Ok(self)
    }

    /// Adds files that were put into the binary.
    pub fn files(mut self, files: &[File]) -> Self {
        self.files.extend_from_slice(files);
        self
    }

    /// Adds a migration written in Rust.
    pub fn migration(mut self, migration: impl Migration + 'static) -> Self {
        self.code.push(Arc::new(migration));
        self
    }

    /// Changes how data is moved, in every store.
    pub fn pace(&mut self, change: impl Fn(&mut Pace)) {
        self.stores.values_mut().for_each(|(_, target)| change(&mut target.pace));
    }

    /// The configured stores, in order of name.
    pub fn targets(&self) -> impl Iterator<Item = (&Arc<dyn Backend>, &Target)> {
        self.stores.values().map(|(backend, target)| (backend, target))
    }

    /// The backend of every store.
    pub fn backends(&self) -> Backends {
        self.stores.iter().map(|(name, (backend, _))| (name.clone(), backend.clone())).collect()
    }

    /// Reads all migrations.
    pub fn load(&self) -> Loaded {
        self.load_beside(SourceMap::default())
    }

    /// Reads all migrations; their texts join those of `sources`.
    pub fn load_beside(&self, sources: SourceMap) -> Loaded {
        let mut loaded = load::load_beside(sources, &self.files, &self.backends());
        for migration in &self.code {
            loaded.add(migration.clone());
        }
        loaded
    }

    /// Connects to some of the stores, or to all, side by side.
    pub async fn connect(&self, only: &[StoreName]) -> Result<Stores> {
        crate::install_tls();
        if let Some(unknown) = only.iter().find(|name| !self.stores.contains_key(name)) {
            let known = self.stores.keys().map(StoreName::as_str);
            let error = Error::new(ErrorKind::Config, format!("no store is called `{unknown}`"));
            return Err(error.help(dunlin_core::suggest::help(unknown.as_str(), known)));
        }
        let wanted = self.stores.iter().filter(|(name, _)| only.is_empty() || only.contains(name));
        let connect = |(name, (backend, target)): (&StoreName, &(Arc<dyn Backend>, Target))| {
            let (name, backend, target) = (name.clone(), backend.clone(), target.clone());
            async move {
                let store = backend.connect(&target).await.map_err(|error| error.with("store", &name))?;
                Ok((name, store))
            }
        };
        Ok(try_join_all(wanted.map(connect)).await?.into_iter().collect())
    }

    /// Lets go of the files' bytes, once they are loaded.
    pub fn forget_files(&mut self) {
        self.files = Vec::new();
    }

    /// What a run over connected stores needs to know. Every call is an invocation of its own.
    pub fn context(&self, stores: Stores) -> Context {
        Context {
            stores,
            author: author().into(),
            lock_wait: self.lock_wait,
            tries: self.tries,
            policy: self.policy,
            cancel: self.cancel.clone(),
            until: self.until,
            force: None,
            paces: self.targets().map(|(_, target)| (target.name.clone(), target.pace.clone())).collect(),
            known: None,
        }
    }
}

/// This process, as the author of what it writes.
fn author() -> Author {
    Author {
        run: RunId(uuid::Uuid::now_v7().to_string().into()),
        who: lock::user().into(),
        host: lock::host().into(),
        tool: concat!("dunlin ", env!("CARGO_PKG_VERSION")).into(),
    }
}
