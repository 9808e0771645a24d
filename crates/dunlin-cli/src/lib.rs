//! The dunlin command line: arguments and configuration in, answers and exit codes out. Everything between is done by
//! the engine and the backends; nothing here knows a store.

pub mod answer;
pub mod args;
mod command;
pub mod config;
pub mod exit;
pub mod explain;
mod file;
pub mod kind;
mod panic;
mod progress;
pub mod render;

use std::ffi::OsString;
use std::process::ExitCode;

use dunlin_core::{Diagnostic, SourceMap};
use time::OffsetDateTime;

use answer::{Answer, Failure, Fault};
use args::{Args, Command};
use config::Loaded;
use exit::Exit;
use render::{Format, Printer, Volume, json};

/// Runs one command line, the program's name first.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    panic::guarded(|| match args::parse(&arguments) {
        Ok(parsed) => answer(&parsed),
        Err(error) => refuse(&error, &arguments),
    })
    .into()
}

/// Help and versions are answers; everything else that could not be read is a fault.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let rendered = error.render();
    let printer = Printer::new(Format::Text, Volume::Normal, args::color(arguments));
    let shown = |is_on: bool| if is_on { rendered.ansi().to_string() } else { rendered.to_string() };
    if !error.use_stderr() {
        return printer.data(&shown(printer.out.is_on)).map_or(Exit::Failed, |()| Exit::Done);
    }
    render::complain(&shown(printer.err.is_on));
    if args::asks_for_json(arguments) {
        let message = rendered.to_string();
        let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let fault = Fault::Diagnostic(Diagnostic::error("usage", message));
        let text = json::envelope("usage", false, &serde_json::Value::Null, &[fault], &SourceMap::default());
        return printer.data(&text).map_or(Exit::Failed, |()| Exit::Usage);
    }
    Exit::Usage
}

fn answer(parsed: &args::Parsed) -> Exit {
    let global = &parsed.args.global;
    let printer = Printer::new(global.format(), global.volume(), global.color);
    if let Some((word, ours)) = parsed.synonym {
        printer.note(&format!("`{word}` is called `{ours}` here"));
    }
    let name = name(&parsed.args.command);
    match perform(&parsed.args, &printer) {
        Ok(answer) => printer.answer(name, &answer),
        Err(failure) => printer.failure(name, &failure),
    }
}

fn perform(args: &Args, printer: &Printer) -> Result<Answer, Failure> {
    match &args.command {
        Command::Explain(explain) => command::explain::run(explain, printer),
        Command::Completions(completions) => Ok(command::completions::run(completions)),
        Command::Man(man) => command::man::run(man),
        Command::Init(init) => command::init::run(init, &args.global),
        Command::New(new) => command::new::run(new, settings(args, printer)?, OffsetDateTime::now_utc()),
        Command::Status(status) => {
            command::status::run(status, &args.global, settings(args, printer)?, printer)
        }
        Command::Plan(plan) => command::plan::run(plan, &args.global, settings(args, printer)?, printer),
        Command::Up(up) => command::up::run(up, &args.global, settings(args, printer)?, printer),
        Command::Contract(contract) => {
            command::contract::run(contract, &args.global, settings(args, printer)?, printer)
        }
        Command::Follow(follow) => {
            command::follow::run(follow, &args.global, settings(args, printer)?, printer)
        }
        Command::Down(down) => command::down::run(down, &args.global, settings(args, printer)?, printer),
        Command::Redo(redo) => command::down::redo(redo, &args.global, settings(args, printer)?, printer),
        Command::History(history) => {
            command::history::run(history, &args.global, settings(args, printer)?, printer)
        }
        Command::Check(check) => command::check::run(check, &args.global, settings(args, printer)?),
        Command::Verify(verify) => {
            command::verify::run(verify, &args.global, settings(args, printer)?, printer)
        }
        Command::Doctor => command::doctor::run(&args.global, settings(args, printer)?, printer),
        Command::Baseline(baseline) => {
            command::baseline::run(baseline, &args.global, settings(args, printer)?, printer)
        }
        Command::Mark(mark) => command::mark::run(mark, &args.global, settings(args, printer)?, printer),
        Command::Purge(purge) => command::purge::run(purge, &args.global, settings(args, printer)?, printer),
        Command::Lock(lock) => command::lock::run(*lock, &args.global, settings(args, printer)?, printer),
    }
}

/// The settings, whose secrets are kept out of everything from here on.
fn settings(args: &Args, printer: &Printer) -> Result<Loaded, Failure> {
    let directory = std::env::current_dir().map_err(|error| {
        Diagnostic::error("unreadable-file", format!("the working directory cannot be read: {error}"))
    })?;
    let loaded = config::load(&args.global.request(directory));
    panic::conceal(loaded.config.urls());
    if printer.volume == Volume::Verbose {
        render::complain(&in_use(&loaded.config));
    }
    Ok(loaded)
}

/// The settings in use, without passwords.
fn in_use(config: &config::Config) -> String {
    let mut lines = Vec::new();
    if let Some(path) = &config.path {
        lines.push(format!("configuration: {}", path.display()));
    }
    lines.extend(config.environment.iter().map(|name| format!("environment: {name}")));
    lines.push(format!("migrations: {}", config.migrations.display()));
    let stores = config.selected().filter_map(|store| store.target.as_ref());
    lines.extend(stores.map(|target| format!("store {}: {}", target.name, target.url)));
    answer::lines(&lines)
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Status(_) => "status",
        Command::Plan(_) => "plan",
        Command::History(_) => "history",
        Command::Check(_) => "check",
        Command::Verify(_) => "verify",
        Command::Doctor => "doctor",
        Command::Explain(_) => "explain",
        Command::Up(_) => "up",
        Command::Contract(_) => "contract",
        Command::Follow(_) => "follow",
        Command::Down(_) => "down",
        Command::Redo(_) => "redo",
        Command::Baseline(_) => "baseline",
        Command::Mark(_) => "mark",
        Command::Purge(_) => "purge",
        Command::Lock(_) => "lock",
        Command::Init(_) => "init",
        Command::New(_) => "new",
        Command::Completions(_) => "completions",
        Command::Man(_) => "man",
    }
}
