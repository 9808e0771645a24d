//! The commands and what each of them takes.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use dunlin_core::Version;

use dunlin_engine::Reaction;
use dunlin_engine::mark::Mark;

use super::clock;
use crate::config::{LATE, STRICT, duration};

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show where every migration stands in every store
    Status(Status),
    /// Show what `up` would do, statement by statement
    Plan(Plan),
    /// Show what ran: when, by whom, how long, with which text
    History(History),
    /// The gate for CI: are the files sound, and do the histories agree with them?
    Check(Check),
    /// Ask again whether what expanded migrations promised holds
    Verify(Verify),
    /// Look at each server, login and setting, and say what is amiss
    Doctor,
    /// Say what a code in a report means and what to do
    Explain(Explain),
    /// Apply what is pending
    Up(Up),
    /// Keep old and new in step while applications write both (MongoDB, Redis)
    Follow(Follow),
    /// Remove the old shape of migrations that are expanded and verified
    Contract(Contract),
    /// Undo the last migration, or several
    Down(Down),
    /// Undo the last migration and apply it again
    Redo(Redo),
    /// Take migrations as done that ran before dunlin came
    Baseline(Baseline),
    /// Write into the history what a person knows better
    Mark(Marking),
    /// Remove for good what contracts set aside
    Purge(Purge),
    /// Show who holds the migration lock, or take it away
    #[command(subcommand, subcommand_required = true, arg_required_else_help = true)]
    Lock(Lock),
    /// Write a commented dunlin.toml and the migrations directory
    Init(Init),
    /// Write the files of a new migration
    New(New),
    /// Print the completions of a shell
    Completions(Completions),
    /// Print the manual page, or write those of all commands
    Man(Man),
}

/// Rules for this run, in place of those under `[policy]`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Policy")]
pub struct Rules {
    /// A migration is pending although a later one ran
    #[arg(long, value_name = "RULE", value_parser = words(&LATE))]
    pub out_of_order: Option<Reaction>,
    /// A migration was changed after it ran
    #[arg(long, value_name = "RULE", value_parser = words(&STRICT))]
    pub edited: Option<Reaction>,
    /// A migration ran, and there is no file of it
    #[arg(long, value_name = "RULE", value_parser = words(&STRICT))]
    pub missing: Option<Reaction>,
}

/// How data is moved in this run, in place of what `[pace]` says.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pace")]
pub struct Pacing {
    /// At most so many rows, documents or keys a second
    #[arg(long, value_name = "NUMBER")]
    pub rate: Option<NonZeroU32>,
    /// Wait while a replica is further behind than this; `off` to look at none
    #[arg(long, value_name = "DURATION", value_parser = limit)]
    pub max_lag: Option<Limit>,
    /// So many chunks at once (PostgreSQL, MySQL); from 2 on, larger pages (Redis)
    #[arg(long, value_name = "NUMBER")]
    pub jobs: Option<NonZeroU32>,
    /// Pause at this time of day; the same command goes on from there another time
    #[arg(long, value_name = "HH:MM", value_parser = clock::parse)]
    pub until: Option<SystemTime>,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

fn limit(text: &str) -> Result<Limit, String> {
    if text == "off" { Ok(Limit(None)) } else { duration::parse(text).map(|limit| Limit(Some(limit))) }
}

/// `status`
#[derive(Debug, Clone, Args)]
pub struct Status {
    /// Exit with 10 where something is pending
    #[arg(long)]
    pub exit_code: bool,
    /// Rules for this run.
    #[command(flatten)]
    pub rules: Rules,
}

/// `plan`
#[derive(Debug, Clone, Args)]
pub struct Plan {
    /// Up to this version, or down to it with `--down`
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub to: Option<Version>,
    /// What `down` would do instead
    #[arg(long, value_name = "COUNT", num_args = 0..=1, default_missing_value = "1")]
    pub down: Option<NonZeroU32>,
    /// With the contract steps
    #[arg(long, conflicts_with = "down")]
    pub contract: bool,
    /// Write the plan to a file, for `up --plan`
    #[arg(long, value_name = "FILE", conflicts_with = "down")]
    pub out: Option<PathBuf>,
    /// Exit with 10 where something is pending
    #[arg(long)]
    pub exit_code: bool,
    /// Rules for this run.
    #[command(flatten)]
    pub rules: Rules,
}

/// `history`
#[derive(Debug, Clone, Args)]
pub struct History {
    /// Only this migration, with its journal
    #[arg(value_parser = version)]
    pub version: Option<Version>,
    /// The newest so many lines [default: 20; 200 with a version]
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub limit: Option<NonZeroU32>,
    /// The text that ran, as the stores kept it
    #[arg(long, requires = "version")]
    pub text: bool,
}

/// `check`
#[derive(Debug, Clone, Args)]
pub struct Check {
    /// Only the files; no store is needed
    #[arg(long)]
    pub offline: bool,
    /// Rules for this run.
    #[command(flatten)]
    pub rules: Rules,
}

/// `verify`
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// Only this migration [default: all that wait for their contract]
    #[arg(value_parser = version)]
    pub version: Option<Version>,
    /// Rules for this run.
    #[command(flatten)]
    pub rules: Rules,
}

/// `explain`
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// A code, as in `error[lock-held]`; without one, all of them are listed
    pub code: Option<String>,
}

/// `up`
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// No further than this version
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub to: Option<Version>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do what this file says (`plan --out`), or nothing where the stores have moved on
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "contract", "dry_run"])]
    pub plan: Option<PathBuf>,
    /// Go on to the contract steps, which remove the old shape
    #[arg(long)]
    pub contract: bool,
    /// All or nothing: where a step fails, take the migrations of this run back in every store
    #[arg(long, conflicts_with_all = ["plan", "dry_run"])]
    pub atomic: bool,
    /// How data is moved.
    #[command(flatten)]
    pub pacing: Pacing,
    /// Rules for this run.
    #[command(flatten)]
    pub rules: Rules,
}

/// `follow`
#[derive(Debug, Clone, Args)]
pub struct Follow {
    /// The migration
    #[arg(value_parser = version)]
    pub version: Version,
    /// End once everything is in step, instead of following on
    #[arg(long)]
    pub once: bool,
    /// Turn on what a Redis server must tell, and say so; it stays on
    #[arg(long)]
    pub configure: bool,
    /// At most so many documents or keys a second while everything is gone through
    #[arg(long, value_name = "NUMBER")]
    pub rate: Option<NonZeroU32>,
    /// Stop at this time of day
    #[arg(long, value_name = "HH:MM", value_parser = clock::parse)]
    pub until: Option<SystemTime>,
}

/// `contract`
#[derive(Debug, Clone, Args)]
pub struct Contract {
    /// The migration
    #[arg(value_parser = version)]
    pub version: Version,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Remove the old shape although it is visibly in use
    #[arg(long, requires = "reason")]
    pub force: bool,
    /// Why, for the journal
    #[arg(long, requires = "force", value_name = "TEXT", value_parser = said)]
    pub reason: Option<String>,
    /// How data is moved.
    #[command(flatten)]
    pub pacing: Pacing,
    /// Rules for this run.
    #[command(flatten)]
    pub rules: Rules,
}

/// `down`
#[derive(Debug, Clone, Args)]
pub struct Down {
    /// How many migrations [default: 1]
    #[arg(conflicts_with = "to")]
    pub count: Option<NonZeroU32>,
    /// All after this version; it stays itself, and 0 undoes everything
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub to: Option<Version>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go on although tables, collections or keys go, and the data in them
    #[arg(long)]
    pub allow_data_loss: bool,
    /// How data is moved.
    #[command(flatten)]
    pub pacing: Pacing,
}

/// `redo`
#[derive(Debug, Clone, Args)]
pub struct Redo {
    /// How many migrations
    #[arg(default_value = "1")]
    pub count: NonZeroU32,
    /// Go on although tables, collections or keys go, and the data in them
    #[arg(long)]
    pub allow_data_loss: bool,
    /// How data is moved.
    #[command(flatten)]
    pub pacing: Pacing,
    /// Rules for this run.
    #[command(flatten)]
    pub rules: Rules,
}

/// `baseline`
#[derive(Debug, Clone, Args)]
pub struct Baseline {
    /// This migration and all before it
    #[arg(value_parser = version)]
    pub version: Version,
    /// Why; it is kept in the history
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub reason: String,
}

/// `mark`
#[derive(Debug, Clone, Args)]
pub struct Marking {
    /// The migration
    #[arg(value_parser = version)]
    pub version: Version,
    /// Where it stands; or what became of the statement whose outcome nobody could tell
    #[arg(value_parser = words(&MARKS))]
    pub state: Mark,
    /// Why; it is kept in the history
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub reason: String,
}

const MARKS: [(&str, Mark); 4] = [
    ("done", Mark::Done),
    ("undone", Mark::Undone),
    ("statement-done", Mark::StatementDone),
    ("statement-undone", Mark::StatementUndone),
];

/// `purge`
#[derive(Debug, Clone, Args)]
pub struct Purge {
    /// Only what this migration set aside [default: all that are done]
    #[arg(value_parser = version)]
    pub version: Option<Version>,
    /// Only where the contract ended longer ago than this: `30d`, `12h`
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub older_than: Option<Duration>,
    /// Show what would go, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `lock`
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Lock {
    /// Show who holds the migration lock
    Status,
    /// Take the lock away from its holder, who can write no more then
    Release,
}

/// `init`
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// Replace a dunlin.toml that is there
    #[arg(long)]
    pub force: bool,
}

/// `new`
#[derive(Debug, Clone, Args)]
pub struct New {
    /// What it does, in a few words
    #[arg(required = true)]
    pub name: Vec<String>,
    /// The extension: that of the stores' own files (sql, js, redis), or toml
    #[arg(long, value_name = "EXT")]
    pub ext: Option<String>,
    /// The next number as version, instead of the time
    #[arg(long)]
    pub sequential: bool,
}

/// `completions`
#[derive(Debug, Clone, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `man`
#[derive(Debug, Clone, Args)]
pub struct Man {
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

fn version(text: &str) -> Result<Version, String> {
    Version::parse(text).ok_or_else(|| "a version is a number, as in a file's name".to_owned())
}

/// A reason that somebody can read later.
fn said(text: &str) -> Result<String, String> {
    let said = Some(text.trim()).filter(|text| !text.is_empty());
    said.map(str::to_owned).ok_or_else(|| "say why, for whoever reads the history".to_owned())
}

/// One of several words.
pub(super) fn words<T>(words: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(words.iter().map(|(word, _)| *word)).map(|text| {
        let known = words.iter().find(|(word, _)| *word == text);
        known.expect("the parser lets only these words through").1
    })
}
