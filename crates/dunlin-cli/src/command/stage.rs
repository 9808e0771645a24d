//! What every command that needs migrations or stores begins with: settings, files, connections.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use dunlin::{Project, Registry};
use dunlin_core::{Diagnostic, Error, ErrorKind, SourceMap, StoreName, Version};
use dunlin_engine::run::{self, Histories};
use dunlin_engine::verify::Proof;
use dunlin_engine::{Context, Loaded, Policy, Stores};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::answer::{Answer, Failure, Fault};
use crate::args::commands::{Limit, Pacing, Rules};
use crate::args::global::Global;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::render::Format;

/// How often a server that is still starting is asked again.
const POLL: Duration = Duration::from_millis(200);

/// Where nothing better is known about a store that does not answer.
const HINT: &str = "is the server running there? `--wait 30s` waits for one that is starting, `dunlin doctor` looks at every store";

/// Stores being connected to, and their histories.
type Early = JoinHandle<Result<(Stores, Histories), Error>>;

/// Settings and files, read; nothing connected yet.
pub(crate) struct Stage {
    pub(crate) project: Project,
    /// Freed by the end of the process: thousands of small texts one by one would take longer than planning with them.
    pub(crate) loaded: ManuallyDrop<Loaded>,
    pub(crate) config: Config,
    /// Whether the command is asked what is amiss, and not only to do its work.
    pub(crate) is_inspection: bool,
    /// Whether the answer is for a program.
    pub(crate) is_json: bool,
    /// Whether the values of records are kept out of the answer.
    pub(crate) is_redacted: bool,
    wait: Duration,
    /// Connections that are being made, and histories being read, while the files are.
    early: Mutex<Option<Early>>,
}

/// What faults of the files mean for a run. A store that nobody configured is a matter of the configuration.
pub(super) fn of_faults(faults: &[Diagnostic]) -> Exit {
    let mut errors = faults.iter().filter(|fault| fault.is_error());
    if errors.all(|fault| fault.code == "unknown-store") { Exit::Usage } else { Exit::Integrity }
}

impl Stage {
    /// The same as [`Stage::open`], for a command that will need the stores: they are connected to meanwhile.
    pub(crate) fn open_connecting(
        global: &Global,
        config: config::Loaded,
        rules: Option<&Rules>,
    ) -> Result<Self, Failure> {
        let stage = Self::without_files(global, config)?;
        let (project, only) = (stage.project.clone(), stage.config.only.clone());
        let read = async move {
            let stores = project.connect(&only).await?;
            let histories = run::histories(&stores).await?;
            Ok((stores, histories))
        };
        *stage.early.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime()?.spawn(read));
        stage.read_files(rules)?.sound()
    }

    /// Reads the settings and every migration. Faults in either end it, all of them at once.
    pub(crate) fn open(
        global: &Global,
        config: config::Loaded,
        rules: Option<&Rules>,
    ) -> Result<Self, Failure> {
        Self::survey(global, config, rules)?.sound()
    }

    fn sound(self) -> Result<Self, Failure> {
        if self.loaded.has_errors() {
            let loaded = ManuallyDrop::into_inner(self.loaded);
            let exit = of_faults(&loaded.diagnostics);
            let faults = loaded.diagnostics.into_iter().map(Fault::Diagnostic).collect();
            let data = Box::default();
            return Err(Failure { exit, data, faults, sources: loaded.sources });
        }
        Ok(self)
    }

    /// The same, but faults of the migrations are left for the caller to report.
    pub(crate) fn survey(
        global: &Global,
        config: config::Loaded,
        rules: Option<&Rules>,
    ) -> Result<Self, Failure> {
        Self::without_files(global, config)?.read_files(rules)
    }

    fn read_files(self, rules: Option<&Rules>) -> Result<Self, Failure> {
        let mut stage = self;
        stage.project.policy = rules.map_or(stage.config.policy, |rules| rules.over(stage.config.policy));
        let directory = &stage.config.migrations;
        if directory.is_dir() {
            stage.project = stage.project.directory(directory)?;
        } else if rules.is_some() {
            let error =
                Error::new(ErrorKind::Config, format!("there is no directory `{}`", directory.display()));
            return Err(error
                .help("`dunlin new NAME` makes it with a first migration; `--migrations DIR` names another")
                .into());
        }
        let Loaded { diagnostics, sources, .. } = ManuallyDrop::into_inner(stage.loaded);
        stage.loaded = ManuallyDrop::new(stage.project.load_beside(sources));
        stage.loaded.diagnostics.splice(0..0, diagnostics);
        stage.project.forget_files();
        Ok(stage)
    }

    /// Reads the settings alone, for what is about stores and not about files.
    pub(crate) fn without_files(global: &Global, config: config::Loaded) -> Result<Self, Failure> {
        if config.has_errors() {
            return Err(Failure::of_config(config));
        }
        let config::Loaded { config, diagnostics, sources } = config;
        let mut project = Project::new(Registry::standard());
        for target in config.stores.iter().filter_map(|store| store.target.clone()) {
            project = project.target(target)?;
        }
        project.lock_wait = config.lock_wait;
        project.policy = config.policy;
        let loaded = ManuallyDrop::new(Loaded { diagnostics, sources, ..Loaded::default() });
        let wait = global.wait.unwrap_or_default();
        Ok(Self {
            project,
            loaded,
            config,
            is_inspection: false,
            is_json: global.format() == Format::Json,
            is_redacted: global.redact,
            wait,
            early: Mutex::default(),
        })
    }

    /// Takes what was said about the pace over what is configured.
    pub(crate) fn pace(&mut self, said: &Pacing) {
        self.project.pace(|pace| {
            pace.rate = said.rate.or(pace.rate);
            pace.jobs = said.jobs.unwrap_or(pace.jobs);
            pace.max_lag = said.max_lag.map_or(pace.max_lag, |Limit(limit)| limit);
        });
        self.until(said.until);
    }

    /// Stops at this time.
    pub(crate) fn until(&mut self, until: Option<SystemTime>) {
        let left = |until: SystemTime| until.duration_since(SystemTime::now()).unwrap_or_default();
        self.project.until = until.map(|until| Instant::now() + left(until));
    }

    /// Refuses a version of which there is no file.
    pub(crate) fn knows(&self, version: Option<&Version>) -> Result<(), Failure> {
        let Some(version) = version.filter(|version| !self.loaded.migrations.contains_key(version)) else {
            return Ok(());
        };
        let fault = Diagnostic::error("unknown-version", format!("there is no migration {version}"));
        Err(fault.help("`dunlin status` lists them; nothing was changed").into())
    }

    /// The stores the command is about, in order of name.
    pub(crate) fn stores(&self) -> Vec<StoreName> {
        let only = &self.config.only;
        let names = self.project.targets().map(|(_, target)| target.name.clone());
        names.filter(|name| only.is_empty() || only.contains(name)).collect()
    }

    /// Connects to the stores the command is about. Servers that are still starting are waited for if that was asked.
    pub(crate) async fn connect(&self) -> Result<Stores, Error> {
        self.connect_to(&self.config.only).await
    }

    /// Connects to these stores; to all where none is named.
    pub(crate) async fn connect_to(&self, names: &[StoreName]) -> Result<Stores, Error> {
        let deadline = Instant::now() + self.wait;
        loop {
            match self.project.connect(names).await {
                Err(error) if error.kind == ErrorKind::Connect && Instant::now() < deadline => {
                    tokio::time::sleep(POLL).await;
                }
                result => return result,
            }
        }
    }

    /// Connects, and makes an invocation of it.
    pub(crate) async fn context(&self) -> Result<Context, Error> {
        let (stores, known) = self.connect_and_read().await?;
        Ok(Context { known: Some(Arc::new(known)), ..self.project.context(stores) })
    }

    /// Connects to the stores the command is about, and reads their histories.
    pub(crate) async fn connect_and_read(&self) -> Result<(Stores, Histories), Error> {
        let early = self.early.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(early) = early {
            match early.await {
                Ok(Ok(read)) => return Ok(read),
                Ok(Err(error)) if error.kind == ErrorKind::Connect && !self.wait.is_zero() => {}
                Ok(Err(error)) => return Err(error),
                Err(error) => {
                    return Err(Error::unexpected("reading the histories was cut off").caused_by(error));
                }
            }
        }
        let stores = self.connect().await?;
        let histories = run::histories(&stores).await?;
        Ok((stores, histories))
    }

    /// Warnings of the files, for the answer. A password in the configuration is a matter of its own: who asks what is
    /// amiss is told, and nobody else with every answer.
    fn warnings(&self) -> Vec<Fault> {
        let is_told = |fault: &&Diagnostic| self.is_inspection || fault.code != "password-in-config";
        self.loaded.diagnostics.iter().filter(is_told).cloned().map(Fault::Diagnostic).collect()
    }

    /// The texts that spans point into.
    pub(crate) fn sources(&self) -> SourceMap {
        self.loaded.sources.clone()
    }

    /// Keeps values out of what a verify step found, if that was asked.
    pub(crate) fn redact<'a>(&self, proofs: impl IntoIterator<Item = &'a mut Proof>) {
        let found = proofs.into_iter().filter(|_| self.is_redacted).flat_map(|proof| &mut proof.violations);
        found.for_each(|violation| violation.values = None);
    }

    /// A failure of the world, shown with our texts.
    pub(crate) fn failure(&self, error: Error) -> Failure {
        let error = match error.kind {
            ErrorKind::Connect if error.help.is_none() && self.wait.is_zero() => error.help(HINT),
            _ => error,
        };
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

/// The runtime of this process: a thread beside this one, so that servers are talked to while files are read.
fn runtime() -> Result<&'static Runtime, Failure> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let made = made.map_err(|error| Error::unexpected("no async runtime can be started").caused_by(error))?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// Runs a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime()?.block_on(future)
}
