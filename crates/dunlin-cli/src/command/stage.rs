//! What every command that needs migrations or stores begins with: settings, files, connections.

use std::time::{Duration, Instant};

use dunlin::{Project, Registry};
use dunlin_core::{Error, ErrorKind, SourceMap, StoreName};
use dunlin_engine::{Context, Loaded, Policy, Stores};

use crate::answer::{Answer, Failure, Fault};
use crate::args::commands::Rules;
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;

/// How often a server that is still starting is asked again.
const POLL: Duration = Duration::from_millis(200);

/// Settings and files, read; nothing connected yet.
pub(crate) struct Stage {
    pub(crate) project: Project,
    pub(crate) loaded: Loaded,
    only: Vec<StoreName>,
    wait: Duration,
}

impl Stage {
    /// Reads the settings and every migration. Faults in either end it, all of them at once.
    pub(crate) fn open(
        global: &Global,
        config: config::Loaded,
        rules: Option<&Rules>,
    ) -> Result<Self, Failure> {
        let stage = Self::survey(global, config, rules)?;
        if stage.loaded.has_errors() {
            let faults = stage.loaded.diagnostics.into_iter().map(Fault::Diagnostic).collect();
            return Err(Failure { exit: Exit::Integrity, faults, sources: stage.loaded.sources });
        }
        Ok(stage)
    }

    /// The same, but faults of the migrations are left for the caller to report.
    pub(crate) fn survey(
        global: &Global,
        config: config::Loaded,
        rules: Option<&Rules>,
    ) -> Result<Self, Failure> {
        if config.has_errors() {
            return Err(Failure::of_config(config));
        }
        let config::Loaded { config, diagnostics, sources } = config;
        let mut project = Project::new(Registry::standard());
        for target in config.stores.iter().filter_map(|store| store.target.clone()) {
            project = project.target(target)?;
        }
        project.lock_wait = config.lock_wait;
        project.policy = rules.map_or(config.policy, |rules| rules.over(config.policy));
        if config.migrations.is_dir() {
            project = project.directory(&config.migrations)?;
        } else if rules.is_some() {
            let error = Error::new(
                ErrorKind::Config,
                format!("there is no directory `{}`", config.migrations.display()),
            );
            return Err(error
                .help("`dunlin new NAME` makes it with a first migration; `--migrations DIR` names another")
                .into());
        }
        let mut loaded = project.load_beside(sources);
        loaded.diagnostics.splice(0..0, diagnostics);
        Ok(Self { project, loaded, only: config.only, wait: global.wait.unwrap_or_default() })
    }

    /// Connects to the stores the command is about. Servers that are still starting are waited for if that was asked.
    pub(crate) async fn connect(&self) -> Result<Stores, Error> {
        let deadline = Instant::now() + self.wait;
        loop {
            match self.project.connect(&self.only).await {
                Err(error) if error.kind == ErrorKind::Connect && Instant::now() < deadline => {
                    tokio::time::sleep(POLL).await;
                }
                result => return result,
            }
        }
    }

    /// Connects, and makes an invocation of it.
    pub(crate) async fn context(&self) -> Result<Context, Error> {
        Ok(self.project.context(self.connect().await?))
    }

    /// Warnings of the files, for the answer.
    pub(crate) fn warnings(&self) -> Vec<Fault> {
        self.loaded.diagnostics.iter().cloned().map(Fault::Diagnostic).collect()
    }

    /// The texts that spans point into.
    pub(crate) fn sources(&self) -> SourceMap {
        self.loaded.sources.clone()
    }

    /// A failure of the world, shown with our texts.
    pub(crate) fn failure(&self, error: Error) -> Failure {
        Failure { sources: self.sources(), ..Failure::from(error) }
    }

    /// An answer with our warnings and texts.
    pub(crate) fn finish(&self, answer: Answer) -> Answer {
        let mut faults = self.warnings();
        faults.extend(answer.faults);
        Answer { faults, sources: self.sources(), ..answer }
    }
}

impl Rules {
    /// The policy with what was said on the command line in place.
    fn over(&self, policy: Policy) -> Policy {
        Policy {
            out_of_order: self.out_of_order.unwrap_or(policy.out_of_order),
            edited: self.edited.unwrap_or(policy.edited),
            missing: self.missing.unwrap_or(policy.missing),
        }
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Error::unexpected("no async runtime can be started").caused_by(error))?;
    runtime.block_on(future)
}
