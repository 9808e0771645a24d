//! `dunlin contract`: remove the old shape, once every store has proven the new one.

use std::io::{BufRead as _, IsTerminal as _};

use dunlin_core::{Diagnostic, Migration, Phase, State, StoreName};
use dunlin_engine::lock::Sessions;
use dunlin_engine::run::{self, Histories, Stores};
use dunlin_engine::{Context, Goal, verify};

use super::running::shown;
use super::stage::{Stage, block_on};
use super::up::{apply, told};
use super::{findings, plan};
use crate::answer::{Answer, Failure, Fault};
use crate::args::commands::Contract;
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::{Printer, complain};

pub(crate) fn run(
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
            let (planned, summary) = plan::forward(&stage, &goal).await?;
            let answer = plan::shown(&stage, &planned, &summary, printer);
            return Ok(stage.finish(answer));
        }
        consent(&**migration, &histories, global, printer)?;
        prove_others(&stage, stores, args, printer).await?;
        let force = args.reason.as_deref().filter(|_| args.force);
        let (run, context, began) = apply(&stage, &goal, (|_| Ok(()), force), printer).await?;
        told(&stage, &context, run, began)
    })
}

/// The stores in which a migration has not come as far as contract.
fn behind(histories: &Histories, migration: &dyn Migration) -> Vec<String> {
    let stands = |store: &StoreName| {
        let record = histories.get(store).and_then(|history| history.live(&migration.id().version));
        record.map(|record| record.state)
    };
    let is_behind = |store: &&StoreName| {
        let contracts = |step: &dunlin_core::Step| step.store == **store && step.phase == Phase::Contract;
        match stands(store) {
            Some(State::Done | State::Expanded) => false,
            // A contract that was interrupted, or is being taken back: it was expanded once.
            Some(State::Applying) => !migration.steps().iter().any(contracts),
            // Where all it does is to remove, there is nothing to come up to.
            None => migration.steps().iter().any(|step| step.store == **store && !contracts(step)),
            _ => true,
        }
    };
    let stores = dunlin_engine::lane::stores(migration).into_iter();
    stores.filter(is_behind).map(|store| format!("`{store}`")).collect()
}

/// Removing is asked for: on a terminal by typing the version, elsewhere by `--yes`. With nothing left to remove nobody
/// is asked.
fn consent(
    migration: &dyn Migration,
    histories: &Histories,
    global: &Global,
    printer: &Printer,
) -> Result<(), Failure> {
    let version = &migration.id().version;
    let is_done = |store: &StoreName| {
        let record = histories.get(store).and_then(|history| history.live(version));
        record.is_some_and(|record| record.state == State::Done)
    };
    if global.yes || dunlin_engine::lane::stores(migration).into_iter().all(is_done) {
        return Ok(());
    }
    let declined = |fault: Diagnostic| Err(Failure { exit: Exit::Declined, ..Failure::from(fault) });
    if global.no_input || !printer.is_terminal() || !std::io::stdin().is_terminal() {
        let message = format!("contract removes the old shape of {}", migration.id());
        let fault = Diagnostic::error("not-confirmed", message);
        return declined(
            fault.help("nothing was changed; `--dry-run` shows what goes, `--yes` says that it may"),
        );
    }
    complain(&format!(
        "this removes the old shape of {}; `--dry-run` shows what goes\ntype {version} to go on: ",
        migration.id()
    ));
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(_) if line.trim() == version.as_str() => Ok(()),
        _ => declined(Diagnostic::error("declined", "not confirmed; nothing was changed")),
    }
}

/// Asks the stores that `--store` leaves out. Those the run is about are asked by the run itself, under its locks.
async fn prove_others(
    stage: &Stage,
    mut stores: Stores,
    args: &Contract,
    printer: &Printer,
) -> Result<(), Failure> {
    let selected = stage.stores();
    stores.retain(|name, _| !selected.contains(name));
    let context: Context = stage.project.context(stores);
    let migration = &stage.loaded.migrations[&args.version];
    let (proven, stopped_by) = shown(&context.cancel, printer, async |report| {
        verify::verify(&context, migration, &mut Sessions::new(), report).await
    })
    .await;
    let proofs = proven.transpose().map_err(|error| stage.failure(error))?.flatten();
    let failure =
        |exit, faults| Err(Failure { exit, faults, data: Box::default(), sources: stage.sources() });
    let Some(mut proofs) = proofs else { return failure(stopped_by.unwrap_or(Exit::Paused), Vec::new()) };
    stage.redact(&mut proofs);
    let broken = proofs.iter().filter(|proof| !proof.violations.is_empty());
    let faults: Vec<Fault> = broken.map(findings::broken).collect();
    if faults.is_empty() { Ok(()) } else { failure(Exit::Verification, faults) }
}
