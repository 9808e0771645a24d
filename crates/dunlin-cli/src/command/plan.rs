//! `dunlin plan`: what would run, statement by statement, and the file of it for `up --plan`.

use std::fs;
use std::path::Path;

use dunlin_core::{Diagnostic, Version};
use dunlin_engine::{Goal, Plan, Summary, run};
use serde_json::{Value, json};

use super::down::{self, extent};
use super::findings;
use super::planned::{self, Planned};
use super::stage::{Stage, block_on};
use crate::answer::{Answer, Failure};
use crate::args::commands::Plan as Args;
use crate::args::global::Global;
use crate::exit::Exit;
use crate::render::Printer;
use crate::{config, file};

pub(crate) fn run(
    args: &Args,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let mut stage = Stage::open_connecting(global, config, Some(&args.rules))?;
    if args.down.is_none() {
        stage.knows(args.to.as_ref())?;
    }
    block_on(async {
        let goal = Goal { to: args.to.clone(), contract: args.contract, only: None };
        let (mut answer, is_empty) = if let Some(count) = args.down {
            down::dry(&mut stage, &extent(Some(count), args.to.clone()), printer).await?
        } else {
            let (planned, summary) = forward(&stage, &goal).await?;
            if let Some(path) = &args.out {
                save(path, &planned, &goal)?;
            }
            (shown(&stage, &planned, &summary, printer), planned.is_empty())
        };
        if args.exit_code && !is_empty {
            answer.exit = Exit::Pending;
        }
        Ok(stage.finish(answer))
    })
}

/// What `up` would run now, and how. No lock is taken.
pub(crate) async fn forward(stage: &Stage, goal: &Goal) -> Result<(Planned, Summary), Failure> {
    let (stores, histories) = stage.connect_and_read().await.map_err(|error| stage.failure(error))?;
    let mut summary = Summary::default();
    let forward = run::forward(&stage.loaded.migrations, stage.project.policy, goal);
    match run::plan(&forward, (&stores, &histories), &mut summary).await {
        Ok(plan) => {
            let planned =
                Planned::ask(plan, &stores, &histories).await.map_err(|error| stage.failure(error))?;
            Ok((planned, summary))
        }
        Err(stop) => Err(findings::failure(stop, &summary, stage.sources())),
    }
}

/// A plan as an answer.
pub(crate) fn shown(stage: &Stage, planned: &Planned, summary: &Summary, printer: &Printer) -> Answer {
    let mut answer = planned::answer(planned, "nothing to do", stage, printer.out);
    answer.faults = summary.warnings.iter().map(findings::fault).collect();
    answer.notes = findings::held_back(&summary.held_back);
    answer
}

fn save(path: &Path, planned: &Planned, goal: &Goal) -> Result<(), Failure> {
    let text = json!({
        "schema": "dunlin.plan/1",
        "to": goal.to.as_ref().map(Version::as_str),
        "contract": goal.contract,
        "steps": planned.steps().map(|(item, lines)| json!({
            "version": item.migration.id().version.as_str(),
            "slug": &*item.migration.id().slug,
            "store": item.store.as_str(),
            "phase": item.phase.word(),
            "index": item.index,
            "sum": item.sum.to_string(),
            "statements": lines.iter().map(|line| &line.text).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&text).unwrap_or_default() + "\n";
    file::replace(path, &text)
}

/// A reviewed plan: what it was made for, and its steps.
pub(crate) struct Reviewed {
    pub(crate) goal: Goal,
    steps: Vec<Key>,
}

/// What makes a step the one that was reviewed: version, store, place, sum.
type Key = (Version, String, u64, String);

impl Reviewed {
    /// Whether `plan` is this one, or what an earlier run has left of it.
    pub(crate) fn covers(&self, plan: &Plan) -> bool {
        let key = |item: &dunlin_engine::Item| {
            let version = item.migration.id().version.clone();
            (version, item.store.to_string(), item.index as u64, item.sum.to_string())
        };
        let left: Vec<Key> = plan.items.iter().map(key).collect();
        self.steps.ends_with(&left)
    }
}

fn key(step: &Value) -> Option<Key> {
    let text = |name: &str| step[name].as_str();
    Some((
        Version::parse(text("version")?)?,
        text("store")?.into(),
        step["index"].as_u64()?,
        text("sum")?.into(),
    ))
}

/// Reads what `plan --out` wrote.
pub(crate) fn reviewed(path: &Path) -> Result<Reviewed, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Diagnostic::error("unreadable-file", format!("cannot read `{shown}`: {error}")))?;
    let bad = || {
        Diagnostic::error("bad-plan", format!("`{shown}` is not a plan that this dunlin wrote"))
            .help("make one with `dunlin plan --out FILE`")
    };
    let plan: Value = serde_json::from_str(&text).map_err(|_| bad())?;
    if plan["schema"] != "dunlin.plan/1" {
        return Err(bad().into());
    }
    let steps = plan["steps"].as_array().ok_or_else(bad)?;
    let steps = steps.iter().map(key).collect::<Option<Vec<Key>>>().ok_or_else(bad)?;
    let to = match &plan["to"] {
        Value::Null => None,
        to => Some(to.as_str().and_then(Version::parse).ok_or_else(bad)?),
    };
    let contract = plan["contract"].as_bool().ok_or_else(bad)?;
    Ok(Reviewed { goal: Goal { to, contract, only: None }, steps })
}
