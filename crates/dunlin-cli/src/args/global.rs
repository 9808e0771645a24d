//! Flags that every command takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use dunlin_core::LockMode;

use crate::config::{LOCK_MODES, Request, Variables, duration};
use crate::render::color::ColorChoice;
use crate::render::{Format, Volume};

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The configuration, instead of the `dunlin.toml` found upward from here [env: DUNLIN_CONFIG]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The `[env.NAME]` laid over the configuration [env: DUNLIN_ENV]
    #[arg(long, global = true, value_name = "NAME")]
    pub env: Option<String>,

    /// Only this store; may be given several times
    #[arg(long, global = true, value_name = "NAME")]
    pub store: Vec<String>,

    /// The url of the one store, with or without a configuration
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,

    /// The directory of the migrations [default: migrations]
    #[arg(long, global = true, value_name = "DIR")]
    pub migrations: Option<PathBuf>,

    /// Answer with one JSON object; the same as `--format json`
    #[arg(long, global = true)]
    pub json: bool,

    /// The form of the answer
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t, hide_short_help = true)]
    pub format: Format,

    /// Say nothing but the answer and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more: the settings in use, every statement
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t, hide_short_help = true)]
    pub color: ColorChoice,

    /// Never ask; what would need an answer is declined
    #[arg(long, global = true, hide_short_help = true)]
    pub no_input: bool,

    /// Answer questions with yes, except those about losing data
    #[arg(short, long, global = true)]
    pub yes: bool,

    /// Show which records a verification found, but not their values
    #[arg(long, global = true, hide_short_help = true)]
    pub redact: bool,

    /// How long to wait for the migration lock [default: 5m]
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration::parse, hide_short_help = true)]
    pub lock_wait: Option<Duration>,

    /// How the migration lock is held
    #[arg(long, global = true, value_name = "MODE", value_parser = lock_mode(), hide_short_help = true)]
    pub lock_mode: Option<LockMode>,

    /// Wait so long for servers that are still starting
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration::parse, hide_short_help = true)]
    pub wait: Option<Duration>,

    /// Leave the `.env` beside the configuration alone
    #[arg(long, global = true, action = ArgAction::SetTrue, hide_short_help = true)]
    pub no_dotenv: bool,
}

fn lock_mode() -> impl clap::builder::TypedValueParser<Value = LockMode> {
    super::commands::words(&LOCK_MODES)
}

impl Global {
    /// What these say about the configuration.
    pub fn request(&self, directory: PathBuf) -> Request {
        Request {
            directory,
            file: self.config.clone(),
            environment: self.env.clone(),
            url: self.url.clone(),
            stores: self.store.clone(),
            migrations: self.migrations.clone(),
            lock_wait: self.lock_wait,
            lock_mode: self.lock_mode,
            without_dotenv: self.no_dotenv,
            variables: Variables::of_process(),
        }
    }

    /// The form of the answer.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    /// How much is said.
    pub fn volume(&self) -> Volume {
        match (self.quiet, self.verbose) {
            (true, _) => Volume::Quiet,
            (false, true) => Volume::Verbose,
            (false, false) => Volume::Normal,
        }
    }
}
