//! `dunlin check`: the gate. Are the files sound, and do the histories agree with them?

use std::fmt::Write as _;

use dunlin_core::Diagnostic;
use dunlin_engine::{Finding, plan, run, status};
use serde_json::{Value, json};

use super::findings;
use super::stage::{Stage, block_on, of_faults};
use crate::answer::{Answer, Failure, Fault};
use crate::args::commands::Check;
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::words::count;

pub(crate) fn run(args: &Check, global: &Global, config: config::Loaded) -> Result<Answer, Failure> {
    let mut stage = Stage::survey(global, config, Some(&args.rules))?;
    stage.is_inspection = true;
    if let Err(faults) = plan::in_order(&stage.loaded.migrations) {
        stage.loaded.diagnostics.extend(faults);
    }
    let faults = stage.loaded.diagnostics.iter().filter(|fault| Diagnostic::is_error(fault)).count();
    if faults > 0 {
        // Histories held against files that cannot be read would show more faults than there are.
        let data = data(&stage, None, &[]);
        let exit = of_faults(&stage.loaded.diagnostics);
        return Ok(stage.finish(Answer { exit, ..Answer::done(data, String::new()) }));
    }
    if args.offline {
        let text = format!("{}: the files are sound\n", counted(&stage));
        return Ok(stage.finish(Answer::done(data(&stage, None, &[]), text)));
    }
    block_on(async {
        let stores = stage.connect().await.map_err(|error| stage.failure(error))?;
        let histories = run::histories(&stores).await.map_err(|error| stage.failure(error))?;
        let (files, policy) = (&stage.loaded.migrations, stage.project.policy);
        let found = run::audited(&stores, &histories, files, policy).await;
        let found = found.map_err(|error| stage.failure(error))?;
        let kept = run::Migrations::new();
        let rows = status::rows(files, &kept, &histories);
        let pending = status::pending(&rows).len();
        let mut answer = Answer::done(data(&stage, Some((histories.len(), pending)), &found), String::new());
        answer.faults = found.iter().map(findings::fault).collect();
        if answer.faults.iter().any(Fault::is_error) {
            answer.exit = Exit::Integrity;
        } else {
            let agree = if histories.len() == 1 { "its history agrees" } else { "their histories agree" };
            answer.text = format!(
                "{}, {}: the files are sound and {agree}; {}\n",
                counted(&stage),
                count(histories.len(), "store"),
                if pending == 0 { "nothing is pending".to_owned() } else { format!("{pending} pending") }
            );
        }
        Ok(stage.finish(answer))
    })
}

fn steps(stage: &Stage) -> usize {
    stage.loaded.migrations.values().map(|migration| migration.steps().len()).sum()
}

fn counted(stage: &Stage) -> String {
    let mut text = count(stage.loaded.migrations.len(), "migration");
    let _ = write!(text, ", {}", count(steps(stage), "step"));
    text
}

fn data(stage: &Stage, online: Option<(usize, usize)>, found: &[Finding]) -> Value {
    json!({
        "migrations": stage.loaded.migrations.len(),
        "steps": steps(stage),
        "stores": online.map(|(stores, _)| stores),
        "pending": online.map(|(_, pending)| pending),
        "findings": found.iter().map(of_finding).collect::<Vec<_>>(),
    })
}

fn of_finding(finding: &Finding) -> Value {
    json!({
        "code": finding.kind.code(),
        "version": finding.id.version.as_str(),
        "slug": &*finding.id.slug,
        "store": finding.store.as_ref().map(dunlin_core::StoreName::as_str),
        "refused": finding.reaction == dunlin_engine::Reaction::Refuse,
    })
}
