//! `dunlin up`: run what is pending.

use std::collections::BTreeSet;
use std::time::Instant;

use dunlin_core::{Diagnostic, Version};
use dunlin_engine::run::{self, Histories, Stop};
use dunlin_engine::{Context, Goal, Outcome, Plan, Summary};
use serde_json::{Value, json};

use super::back::Back;
use super::running::{Ended, watched};
use super::stage::{Stage, block_on};
use super::{findings, plan};
use crate::answer::{Answer, Failure, Fault};
use crate::args::commands::Up;
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::words::span;
use crate::render::{Printer, complain};

pub(crate) fn run(
    args: &Up,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let reviewed = args.plan.as_deref().map(plan::reviewed).transpose()?;
    let mut stage = Stage::open_connecting(global, config, Some(&args.rules))?;
    stage.pace(&args.pacing);
    stage.knows(args.to.as_ref())?;
    let goal = match &reviewed {
        Some(reviewed) => reviewed.goal.clone(),
        None => Goal { to: args.to.clone(), contract: args.contract, only: None },
    };
    if args.dry_run {
        return block_on(async {
            let (planned, summary) = plan::forward(&stage, &goal).await?;
            let answer = plan::shown(&stage, &planned, &summary, printer);
            Ok(stage.finish(answer))
        });
    }
    if args.atomic {
        return block_on(all_or_nothing(&mut stage, &goal, printer));
    }
    block_on(async {
        let (run, context, began) =
            apply(&stage, &goal, (|plan| may_run(reviewed.as_ref(), plan), None), printer).await?;
        told(&stage, &context, run, began)
    })
}

fn may_run(reviewed: Option<&plan::Reviewed>, plan: &Plan) -> Result<(), Stop> {
    match reviewed {
        Some(reviewed) if !reviewed.covers(plan) => Err(Stop::Stale),
        _ => Ok(()),
    }
}

/// Runs what can be taken back, and takes it back where it fails. What earlier runs had begun of the same migrations
/// goes with it.
async fn all_or_nothing(stage: &mut Stage, goal: &Goal, printer: &Printer) -> Result<Answer, Failure> {
    let (run, context, began) =
        apply(stage, goal, (|plan| Ok(dunlin_engine::plan::reversible(plan)?), None), printer).await?;
    let items = run.summary.completed.iter().chain(&run.summary.stopped_in);
    let touched: BTreeSet<Version> = items.map(|item| item.migration.id().version.clone()).collect();
    let has_failed = matches!(run.result, Some(Err(_))) && run.stopped_by.is_none();
    let told = told(stage, &context, run, began);
    let Err(mut failure) = told else { return told };
    if !has_failed || touched.is_empty() {
        return Err(failure);
    }
    complain("takes everything of this run back\n");
    let histories = run::histories(&context.stores).await.map_err(|error| stage.failure(error))?;
    let newest_first: Vec<Version> = touched.into_iter().rev().collect();
    let back = Back::of(stage, &context, &histories, &newest_first).await?;
    let context = Context { known: None, ..context };
    match back.go(stage, &context, printer).await {
        Ok(answer) => {
            failure = undone(failure);
            let message = format!("taken back in every store: {}", answer.text.trim_end());
            failure.faults.push(Fault::Diagnostic(Diagnostic::warning("taken-back", message)));
        }
        Err(second) => failure.faults.extend(second.faults),
    }
    failure.sources = stage.sources();
    Err(failure)
}

/// A failure of which nothing is left in any store.
fn undone(mut failure: Failure) -> Failure {
    if failure.exit == Exit::Partial {
        failure.exit = Exit::Failed;
    }
    for fault in &mut failure.faults {
        if let Fault::Error(error) = fault {
            error.context.retain(|(what, _)| *what != findings::DONE_IN);
            error.help = Some("correct the file, then run `dunlin up` again: it begins anew".to_owned());
        }
    }
    failure
}

/// Runs what leads to a goal, if the plan may run; removes what is in use only for a reason.
pub(super) async fn apply(
    stage: &Stage,
    goal: &Goal,
    (may_run, force): (impl Fn(&Plan) -> Result<(), Stop> + Sync, Option<&str>),
    printer: &Printer,
) -> Result<(Ended, Context, Instant), Failure> {
    let context = stage.context().await.map_err(|error| stage.failure(error))?;
    let context = Context { force: force.map(Into::into), ..context };
    let began = Instant::now();
    let forward = run::forward(&stage.loaded.migrations, stage.project.policy, goal);
    let planner = |histories: &Histories, summary: &mut Summary| -> Result<Plan, Stop> {
        let plan = forward(histories, summary)?;
        may_run(&plan)?;
        Ok(plan)
    };
    let run = watched(&context, &planner, printer).await;
    Ok((run, context, began))
}

/// A run as an answer or a failure.
pub(super) fn told(stage: &Stage, context: &Context, run: Ended, began: Instant) -> Result<Answer, Failure> {
    let (steps, is_cut) = (run.summary.completed.len(), run.result.is_none());
    let done = count(&run.summary, steps);
    let is_midway = run.summary.is_midway;
    let answer = ended(context, run, stage)?;
    let took = span(began.elapsed());
    let text = match (steps, answer.exit) {
        _ if is_cut => {
            format!("stopped at once, {took}; `dunlin status` shows how far it came, `dunlin up` continues\n")
        }
        (0, Exit::Done) => "nothing to do\n".to_owned(),
        (0, Exit::Pending) => "nothing could be done\n".to_owned(),
        (_, Exit::Done | Exit::Pending) => format!("{done}, {took}\n"),
        _ if is_midway => {
            format!("paused while moving data, after {done}, {took}; `dunlin up` goes on there\n")
        }
        _ => format!("stopped after {done}, {took}; `dunlin up` continues\n"),
    };
    Ok(stage.finish(Answer { text, ..answer }))
}

fn count(summary: &Summary, steps: usize) -> String {
    let migrations: std::collections::BTreeSet<_> =
        summary.completed.iter().map(|item| &item.migration.id().version).collect();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}", plural(migrations.len(), "migration"), plural(steps, "step"))
}

/// What a run did, as an answer or as a failure.
pub(crate) fn ended(context: &Context, run: Ended, stage: &Stage) -> Result<Answer, Failure> {
    let Ended { mut summary, result, stopped_by } = run;
    stage.redact(&mut summary.broken);
    let (word, exit) = match result {
        // What waits for a contract is left, and whoever deploys must not take it for done.
        Some(Ok(Outcome::Complete)) if findings::waits(&summary) => ("complete", Exit::Pending),
        Some(Ok(Outcome::Complete)) => ("complete", Exit::Done),
        // Moving data is meant to be paused; a signal is one more way of saying when.
        Some(Ok(Outcome::Paused)) if summary.is_midway => ("paused", Exit::Paused),
        Some(Ok(Outcome::Paused)) => ("paused", stopped_by.unwrap_or(Exit::Paused)),
        None => ("cut", stopped_by.unwrap_or(Exit::Paused)),
        Some(Err(stop)) => {
            let mut failure = findings::failure(stop, &summary, stage.sources());
            // A lock that was given up because of a signal is no lock that could not be had.
            failure.exit = stopped_by.unwrap_or(failure.exit);
            if stage.is_json {
                failure.data = Box::new(data(context, &summary, "failed"));
            }
            return Err(failure);
        }
    };
    let faults = summary.warnings.iter().map(findings::fault).collect::<Vec<Fault>>();
    let notes = findings::held_back(&summary.held_back);
    let data = if stage.is_json { data(context, &summary, word) } else { Value::Null };
    Ok(Answer { exit, notes, faults, ..Answer::done(data, String::new()) })
}

fn data(context: &Context, summary: &Summary, outcome: &str) -> Value {
    let step = |item: &dunlin_engine::Item| {
        json!({
            "version": item.migration.id().version.as_str(),
            "slug": &*item.migration.id().slug,
            "store": item.store.as_str(),
            "phase": item.phase.word(),
            "direction": crate::progress::json::direction(item.direction),
        })
    };
    json!({
        "run": context.author.run.to_string(),
        "outcome": outcome,
        "completed": summary.completed.iter().map(step).collect::<Vec<_>>(),
        "violations": summary.broken.as_ref().map_or(&[][..], |proof| &proof.violations),
        "violations_unlisted": summary.broken.as_ref().map_or(0, |proof| proof.unlisted),
        "remaining": summary.stopped_in.iter().chain(&summary.remaining).map(step).collect::<Vec<_>>(),
    })
}
