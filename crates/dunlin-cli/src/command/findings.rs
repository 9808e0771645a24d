//! What files and histories disagree on, as faults of an answer.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dunlin_core::{Diagnostic, Error, ErrorKind, Severity, SourceMap, State, StoreName};
use dunlin_engine::plan::{Direction, HeldBack, Holdup};
use dunlin_engine::run::Stop;
use dunlin_engine::verify::Proof;
use dunlin_engine::{Finding, Item, Reaction, Summary};

use crate::answer::{Failure, Fault};
use crate::exit::Exit;
use crate::render::words::grouped;

/// The fact that says where a migration that failed has done steps.
pub(crate) const DONE_IN: &str = "steps of it are done in";

/// A finding as a fault: an error where the policy refuses, else a warning.
pub(crate) fn fault(finding: &Finding) -> Fault {
    let severity = if finding.reaction == Reaction::Refuse { Severity::Error } else { Severity::Warning };
    let place = finding.store.as_ref().map(|store| format!("`{store}`"));
    let message = match place.filter(|place| !finding.message.contains(place)) {
        Some(place) => format!("{} ({place})", finding.message),
        None => finding.message.clone(),
    };
    let diagnostic = Diagnostic { severity, ..Diagnostic::error(finding.kind.code(), message) };
    Fault::Diagnostic(diagnostic.help(&*finding.help))
}

/// What a run left alone, and for what it waits.
pub(crate) fn held_back(held: &[HeldBack]) -> Vec<String> {
    let note = |HeldBack { id, by }: &HeldBack| match by {
        Holdup::Store => format!(
            "{id} waits for the stores that `--store` leaves out: no store starts a phase before all have finished the one before"
        ),
        Holdup::Contract { id: other, path } => {
            let version = &other.version;
            format!(
                "{id} waits for the contract of {other}, which has {path} in hand: `dunlin contract {version}`"
            )
        }
        Holdup::Turn { id: other } => {
            format!("{id} waits for {other}, which comes before it and is still to run: `dunlin up`")
        }
    };
    held.iter().map(note).collect()
}

/// Whether a migration waits for another one.
pub(crate) fn waits(summary: &Summary) -> bool {
    summary.held_back.iter().any(|held| matches!(held.by, Holdup::Contract { .. } | Holdup::Turn { .. }))
}

/// Why a run stopped, as a failure with its exit code.
pub(crate) fn failure(stop: Stop, summary: &Summary, sources: SourceMap) -> Failure {
    let (exit, mut faults) = match stop {
        Stop::Failed(error) => (exit_of(&error, summary), vec![Fault::Error(explained(error, summary))]),
        Stop::Refused(findings) => (Exit::Integrity, findings.iter().map(fault).collect()),
        Stop::Unordered(faults) => (Exit::Integrity, faults.into_iter().map(Fault::Diagnostic).collect()),
        Stop::Violated => (Exit::Verification, summary.broken.iter().map(broken).collect()),
        Stop::InUse(uses) => (Exit::Declined, vec![Fault::Diagnostic(in_use(&uses))]),
        Stop::Stale => {
            let fault = Diagnostic::error(
                "stale-plan",
                "the plan is not what would run now: files or histories changed since",
            );
            (
                Exit::Integrity,
                vec![Fault::Diagnostic(
                    fault.help("nothing was changed; make and review a new one: `dunlin plan --out FILE`"),
                )],
            )
        }
    };
    faults.splice(0..0, summary.warnings.iter().map(fault));
    Failure { exit, data: Box::default(), faults, sources }
}

fn in_use(uses: &[(StoreName, String)]) -> Diagnostic {
    let mut message = "the old shape is still in use:".to_owned();
    for (store, words) in uses {
        let _ = write!(message, "\n  `{store}`: {words}");
    }
    let fault = Diagnostic::error("still-in-use", message);
    fault.help(
        "nothing was removed. Find who still uses it; `--force --reason \"…\"` removes it all the same and notes why",
    )
}

/// Whether the migration that failed is complete in another store.
fn exit_of(error: &Error, summary: &Summary) -> Exit {
    let Some(stopped) = &summary.stopped_in else { return Exit::of(error.kind) };
    let same = |item: &&Item| item.migration.id() == stopped.migration.id() && item.store != stopped.store;
    let elsewhere = summary
        .completed
        .iter()
        .filter(same)
        .any(|item| item.leads_to != State::Applying && item.leads_to != State::Undoing);
    match Exit::of(error.kind) {
        Exit::Failed if elsewhere => Exit::Partial,
        exit => exit,
    }
}

fn explained(error: Error, summary: &Summary) -> Error {
    let version = error.fact("migration").and_then(|id| id.split('_').next()).unwrap_or("VERSION").to_owned();
    let store = error.fact("store").unwrap_or("STORE").to_owned();
    let others: BTreeSet<&str> = summary
        .completed
        .iter()
        .filter(|item| {
            summary.stopped_in.as_ref().is_some_and(|stopped| stopped.migration.id() == item.migration.id())
        })
        .map(|item| item.store.as_str())
        .filter(|name| *name != store)
        .collect();
    let others: Vec<&str> = others.into_iter().collect();
    let error = if others.is_empty() { error } else { error.with(DONE_IN, others.join(", ")) };
    let is_back = summary.stopped_in.as_ref().is_some_and(|stopped| stopped.direction == Direction::Down);
    let again = if is_back { "dunlin down" } else { "dunlin up" };
    match error.kind {
        ErrorKind::Ambiguous => {
            let mark =
                |word: &str| format!("dunlin mark {version} {word} --store {store} --reason \"looked\"");
            let help = format!(
                "look at the store, then say which it is, and `{again}` goes on:\nit took effect:     {}\nit did not:         {}",
                mark("statement-done"),
                mark("statement-undone")
            );
            Error { help: Some(help), ..error }
        }
        ErrorKind::Statement if error.help.is_none() && is_back => error.help(
            "mend what is in its way, then run `dunlin down` again: it continues where this run stopped",
        ),
        ErrorKind::Statement if error.help.is_none() => {
            error.help("correct the file, then run `dunlin up` again: it continues where this run stopped")
        }
        // The server's side of it; what to run is ours to say.
        ErrorKind::Statement if !error.help.as_deref().is_some_and(says_what_to_run) => {
            let help = error.help.clone().unwrap_or_default();
            error.help(format!("{help}; then `{again}` goes on from there"))
        }
        ErrorKind::Connect | ErrorKind::LeaseLost if error.help.is_none() => {
            error.help(format!("what was done until then is recorded; `{again}` goes on from there"))
        }
        _ => error,
    }
}

/// Whether a help ends with what to run.
fn says_what_to_run(help: &str) -> bool {
    help.contains("again") || help.contains("`dunlin ")
}

/// What a verify step found.
pub(super) fn broken(proof: &Proof) -> Fault {
    let mut message =
        format!("{} in `{}`: a verify step found what must not be there:", proof.id, proof.store);
    for violation in &proof.violations {
        let _ = write!(message, "\n{violation}");
    }
    if proof.unlisted > 0 {
        let _ = write!(message, "\n… and {} more", grouped(proof.unlisted));
    }
    let fault = Diagnostic::error("verify-failed", message);
    let fault = match proof.span {
        Some(span) => fault.at(span, "this step"),
        None => fault,
    };
    let remedy =
        proof.remedy.as_ref().map(|remedy| format!("\nor {remedy}; run this again with `--edited warn`"));
    Fault::Diagnostic(fault.help(format!(
        "nothing was removed: the old shape still holds; correct the data or the step, then run this again{}",
        remedy.unwrap_or_default()
    )))
}
