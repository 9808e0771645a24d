//! `dunlin down` and `dunlin redo`: back by the way that was written, and forth again.

use std::io::{BufRead as _, IsTerminal as _};
use std::num::NonZeroU32;
use std::time::Instant;

use dunlin_core::{Diagnostic, Version};
use dunlin_engine::{Context, Extent, Goal, Plan, run, verify};

use super::back::Back;
use super::planned::{self, Planned};
use super::running::{shown, watched};
use super::stage::{Stage, block_on};
use super::up::ended;
use crate::answer::{Answer, Failure};
use crate::args::commands::{Down, Redo};
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::words::{count, grouped, span};
use crate::render::{Printer, complain};

/// How many losses are named.
const SHOWN: usize = 12;

pub(crate) fn run(
    args: &Down,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let mut stage = Stage::open_connecting(global, config, None)?;
    stage.pace(&args.pacing);
    let extent = extent(args.count, args.to.clone());
    block_on(async {
        if args.dry_run {
            let (answer, _) = dry(&mut stage, &extent, printer).await?;
            return Ok(stage.finish(answer));
        }
        let (context, back) = Back::find(&mut stage, &extent).await?;
        consent(
            &losses(&stage, &context, &back.plan, printer).await?,
            args.allow_data_loss,
            global,
            printer,
        )?;
        let answer = back.go(&stage, &context, printer).await?;
        Ok(stage.finish(answer))
    })
}

pub(crate) fn redo(
    args: &Redo,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let mut stage = Stage::open_connecting(global, config, Some(&args.rules))?;
    stage.pace(&args.pacing);
    block_on(async {
        let (context, back) = Back::find(&mut stage, &Extent::Count(args.count.get() as usize)).await?;
        consent(
            &losses(&stage, &context, &back.plan, printer).await?,
            args.allow_data_loss,
            global,
            printer,
        )?;
        let newest = back.migrations.first().map(|migration| migration.id().version.clone());
        let lost = back
            .migrations
            .iter()
            .find(|migration| !stage.loaded.migrations.contains_key(&migration.id().version));
        if let Some(lost) = lost {
            let fault = Diagnostic::error(
                "missing",
                format!("there is no file of {}, so it could not be applied again", lost.id()),
            );
            return Err(fault.help("nothing was changed; `dunlin down` undoes it by the stored text").into());
        }
        let began = Instant::now();
        let undone = back.go(&stage, &context, printer).await?;
        if undone.exit != Exit::Done {
            return Ok(stage.finish(undone));
        }
        let goal = Goal { to: newest, ..Goal::default() };
        let context = Context { known: None, ..context };
        let forward = run::forward(&stage.loaded.migrations, stage.project.policy, &goal);
        let answer = ended(&context, watched(&context, &forward, printer).await, &stage)?;
        let steps = count(back.plan.items.len(), "step");
        let text = match answer.exit {
            Exit::Done => format!("{steps} undone and applied again, {}\n", span(began.elapsed())),
            _ => format!("{steps} undone, and stopped while applying again; `dunlin up` continues\n"),
        };
        Ok(stage.finish(Answer { text, ..answer }))
    })
}

/// How far back, from what was said.
pub(crate) fn extent(count: Option<NonZeroU32>, to: Option<Version>) -> Extent {
    match to {
        Some(version) => Extent::To(version),
        None => Extent::Count(count.map_or(1, NonZeroU32::get) as usize),
    }
}

/// What `down` would run now, as an answer, and whether that is nothing.
pub(crate) async fn dry(
    stage: &mut Stage,
    extent: &Extent,
    printer: &Printer,
) -> Result<(Answer, bool), Failure> {
    let (context, back) = Back::find(stage, extent).await?;
    let histories = context.known.clone().unwrap_or_default();
    let planned =
        Planned::ask(back.plan, &context.stores, &histories).await.map_err(|error| stage.failure(error))?;
    let answer = planned::answer(&planned, "nothing to undo", stage, printer.out);
    Ok((Answer { notes: back.notes, ..answer }, planned.is_empty()))
}

/// What a plan takes away with the data in it, and the records it cannot put back into the old shape as they are.
async fn losses(
    stage: &Stage,
    context: &Context,
    plan: &Plan,
    printer: &Printer,
) -> Result<Vec<String>, Failure> {
    let removed = plan.items.iter().flat_map(|item| {
        item.op.iter().flat_map(|op| op.removes()).map(move |lost| format!("{lost} in `{}`", item.store))
    });
    let mut lost: Vec<String> = removed.collect();
    let (found, stopped_by) =
        shown(&context.cancel, printer, async |report| verify::losses(context, plan, report).await).await;
    let found = found.transpose().map_err(|error| stage.failure(error))?.flatten();
    let Some(mut found) = found else {
        let exit = stopped_by.unwrap_or(Exit::Paused);
        return Err(Failure { exit, faults: Vec::new(), data: Box::default(), sources: stage.sources() });
    };
    stage.redact(&mut found);
    for proof in &found {
        let records = proof
            .violations
            .iter()
            .map(|record| format!("what was written to {record} in `{}`", proof.store));
        lost.extend(records);
        if proof.unlisted > 0 {
            lost.push(format!("and {} more records in `{}`", grouped(proof.unlisted), proof.store));
        }
    }
    Ok(lost)
}

/// What would be lost is said beforehand, and somebody must want it: on a terminal by a typed word, elsewhere by a flag.
fn consent(losses: &[String], is_allowed: bool, global: &Global, printer: &Printer) -> Result<(), Failure> {
    if losses.is_empty() || is_allowed {
        return Ok(());
    }
    let mut shown = format!("this takes away, with the data in it:{}", listed(losses));
    if !global.no_input && printer.is_terminal() && std::io::stdin().is_terminal() {
        shown.push_str("\ntype `lose it` to go on: ");
        complain(&shown);
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if read.is_ok() && line.trim() == "lose it" {
            return Ok(());
        }
        let fault = Diagnostic::error("declined", "not confirmed; nothing was changed");
        return Err(Failure { exit: Exit::Declined, ..Failure::from(fault) });
    }
    let fault = Diagnostic::error("data-loss", shown);
    let fault =
        fault.help("nothing was changed; say `--allow-data-loss` if that is meant (`--yes` is not enough)");
    Err(Failure { exit: Exit::Declined, ..Failure::from(fault) })
}

/// Each on a line; of very many, the first.
fn listed(losses: &[String]) -> String {
    let mut text: String = losses.iter().take(SHOWN).flat_map(|lost| ["\n  ", lost.as_str()]).collect();
    if losses.len() > SHOWN {
        text.push_str("\n  and ");
        text.push_str(&(losses.len() - SHOWN).to_string());
        text.push_str(" more");
    }
    text
}
