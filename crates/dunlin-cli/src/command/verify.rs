//! `dunlin verify`: does what migrations promised hold now?

use std::sync::Arc;
use std::time::Instant;

use dunlin_core::{Diagnostic, Migration};
use dunlin_engine::Context;
use dunlin_engine::lock::Sessions;
use dunlin_engine::verify::{Proof, Standing, standing, verify};
use serde_json::{Value, json};

use super::findings;
use super::running::shown;
use super::stage::{Stage, block_on};
use crate::answer::{Answer, Failure, Fault};
use crate::args::commands::Verify;
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::Printer;
use crate::render::words::{count, grouped, span};

pub(crate) fn run(
    args: &Verify,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let stage = Stage::open_connecting(global, config, Some(&args.rules))?;
    stage.knows(args.version.as_ref())?;
    block_on(async {
        let context = stage.context().await.map_err(|error| stage.failure(error))?;
        let migrations = chosen(args, &stage, &context)?;
        let began = Instant::now();
        let (ended, stopped_by) = shown(&context.cancel, printer, async |report| {
            let mut proofs = Vec::new();
            for migration in &migrations {
                match verify(&context, migration, &mut Sessions::new(), report).await? {
                    Some(more) => proofs.extend(more),
                    None => return Ok(None),
                }
            }
            Ok(Some(proofs))
        })
        .await;
        let Some(mut proofs) = ended.transpose().map_err(|error| stage.failure(error))?.flatten() else {
            let exit = stopped_by.unwrap_or(Exit::Paused);
            return Ok(stage.finish(Answer { exit, ..Answer::done(Value::Null, "stopped\n".to_owned()) }));
        };
        stage.redact(&mut proofs);
        let text = text(&proofs, &span(began.elapsed()));
        let faults: Vec<Fault> =
            proofs.iter().filter(|proof| is_broken(proof)).map(findings::broken).collect();
        let exit = if faults.is_empty() { Exit::Done } else { Exit::Verification };
        Ok(stage.finish(Answer { exit, faults, ..Answer::done(data(&proofs), text) }))
    })
}

/// The migrations that are asked: the one that is named, else those that wait for their contract.
fn chosen(args: &Verify, stage: &Stage, context: &Context) -> Result<Vec<Arc<dyn Migration>>, Failure> {
    let histories = context.known.as_ref().expect("a stage reads the histories when it connects");
    let Some(version) = &args.version else {
        let has_contract = |migration: &&Arc<dyn Migration>| {
            migration.steps().iter().any(|step| step.phase == dunlin_core::Phase::Contract)
        };
        let waiting = stage.loaded.migrations.values().filter(has_contract);
        return Ok(waiting
            .filter(|migration| standing(&***migration, histories) == Standing::Ready)
            .cloned()
            .collect());
    };
    let migration = &stage.loaded.migrations[version];
    let refused = |message: &str, help: &str| {
        let fault = Diagnostic::error("cannot-verify", format!("{} {message}", migration.id()));
        Err(Failure::of_work(fault.help(help)))
    };
    match standing(&**migration, histories) {
        Standing::Ready => Ok(vec![migration.clone()]),
        Standing::Nothing => {
            refused("has no verify steps", "write a `[[verify]]` step, or `-- Verify` in a SQL file")
        }
        Standing::Contracted => {
            refused("is contracted: what it was compared with is gone", "nothing is left to verify")
        }
        Standing::Unfinished => {
            refused("is not so far: steps before its verify are still to run", "run `dunlin up` first")
        }
    }
}

fn is_broken(proof: &Proof) -> bool {
    !proof.violations.is_empty()
}

fn text(proofs: &[Proof], took: &str) -> String {
    if proofs.is_empty() {
        return "nothing to verify: no migration waits for its contract\n".to_owned();
    }
    let compared: u64 = proofs.iter().map(|proof| proof.compared).sum();
    let broken = proofs.iter().filter(|proof| is_broken(proof)).count();
    let all = count(proofs.len(), "step");
    let records =
        if compared > 0 { format!(", {} records compared", grouped(compared)) } else { String::new() };
    match broken {
        0 => format!("{all} verified{records}, {took}\n"),
        _ => format!("{broken} of {all} found what must not be there{records}, {took}\n"),
    }
}

fn data(proofs: &[Proof]) -> Value {
    let step = |proof: &Proof| {
        json!({
            "version": proof.id.version.as_str(),
            "slug": &*proof.id.slug,
            "store": proof.store.as_str(),
            "summary": proof.summary,
            "compared": proof.compared,
            "violations": proof.violations,
            "violations_unlisted": proof.unlisted,
        })
    };
    json!({ "steps": proofs.iter().map(step).collect::<Vec<_>>() })
}
