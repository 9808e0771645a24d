//! `dunlin up` and `dunlin contract`: run what is pending.

use std::time::Instant;

use dunlin_core::{Diagnostic, State};
use dunlin_engine::run::{self, Histories, Stop};
use dunlin_engine::{Context, Goal, Outcome, Plan, Summary};
use serde_json::{Value, json};

use super::running::{Ended, watched};
use super::stage::{Stage, block_on};
use super::{findings, plan};
use crate::answer::{Answer, Failure, Fault};
use crate::args::commands::{Contract, Up};
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::Printer;
use crate::render::words::span;

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
            let (plan, summary) = plan::forward(&stage, &goal).await?;
            let answer = plan::shown(&stage, &plan, &summary, printer);
            Ok(stage.finish(answer))
        });
    }
    block_on(apply(&stage, &goal, reviewed.as_ref(), printer))
}

pub(crate) fn contract(
    args: &Contract,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let mut stage = Stage::open(global, config, Some(&args.rules))?;
    stage.pace(&args.pacing);
    stage.knows(Some(&args.version))?;
    let goal = Goal { to: None, contract: true, only: Some(args.version.clone()) };
    block_on(async {
        // Every store it names must have come that far, also those that `--store` leaves out.
        let stores = stage.connect_to(&[]).await.map_err(|error| stage.failure(error))?;
        let histories = run::histories(&stores).await.map_err(|error| stage.failure(error))?;
        let migration = &stage.loaded.migrations[&args.version];
        let behind = behind(&histories, &**migration);
        if !behind.is_empty() {
            let message =
                format!("{} is not expanded and verified yet in {}", migration.id(), behind.join(", "));
            let fault = Diagnostic::error("not-expanded", message);
            let fault = fault.help("`dunlin up` goes that far; contract comes after it. Nothing was changed");
            return Err(Failure::of_work(fault));
        }
        if args.dry_run {
            let (plan, summary) = plan::forward(&stage, &goal).await?;
            let answer = plan::shown(&stage, &plan, &summary, printer);
            return Ok(stage.finish(answer));
        }
        apply(&stage, &goal, None, printer).await
    })
}

/// The stores in which a migration has not come as far as contract.
fn behind(histories: &Histories, migration: &dyn dunlin_core::Migration) -> Vec<String> {
    let stands = |store: &dunlin_core::StoreName| {
        histories
            .get(store)
            .and_then(|history| history.live(&migration.id().version))
            .map(|record| record.state)
    };
    let stores = dunlin_engine::lane::stores(migration).into_iter();
    let is_behind = |store: &&dunlin_core::StoreName| {
        let has_contract = migration
            .steps()
            .iter()
            .any(|step| step.store == **store && step.phase == dunlin_core::Phase::Contract);
        match stands(store) {
            Some(State::Done | State::Expanded) => false,
            // A contract that was interrupted, or is being taken back: it was expanded once.
            Some(State::Applying) => !has_contract,
            _ => true,
        }
    };
    stores.filter(is_behind).map(|store| format!("`{store}`")).collect()
}

async fn apply(
    stage: &Stage,
    goal: &Goal,
    reviewed: Option<&plan::Reviewed>,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let context = stage.context().await.map_err(|error| stage.failure(error))?;
    let began = Instant::now();
    let forward = run::forward(&stage.loaded.migrations, stage.project.policy, goal);
    let planner = |histories: &Histories, summary: &mut Summary| -> Result<Plan, Stop> {
        let plan = forward(histories, summary)?;
        match reviewed {
            Some(reviewed) if !reviewed.covers(&plan) => Err(Stop::Stale),
            _ => Ok(plan),
        }
    };
    let run = watched(&context, &planner, printer).await;
    let (steps, is_cut) = (run.summary.completed.len(), run.result.is_none());
    let done = count(&run.summary, steps);
    let answer = ended(&context, run, stage)?;
    let took = span(began.elapsed());
    let text = match (steps, answer.exit) {
        _ if is_cut => {
            format!("stopped at once, {took}; `dunlin status` shows how far it came, `dunlin up` continues\n")
        }
        (0, Exit::Done) => "nothing to do\n".to_owned(),
        (_, Exit::Done) => format!("{done}, {took}\n"),
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
    let Ended { summary, result, stopped_by } = run;
    let (word, exit) = match result {
        Some(Ok(Outcome::Complete)) => ("complete", Exit::Done),
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
    let notes = findings::held_back(&summary);
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
        "violations": summary.violations,
        "violations_unlisted": summary.unlisted,
        "remaining": summary.stopped_in.iter().chain(&summary.remaining).map(step).collect::<Vec<_>>(),
    })
}
