//! `dunlin purge`: remove for good what contracts set aside.

use std::io::{BufRead as _, IsTerminal as _};

use dunlin_core::{Diagnostic, State, Version};
use dunlin_engine::Context;
use dunlin_engine::purge::{self, Aside, Choice, Purged};
use dunlin_engine::run::{self, Histories};
use serde_json::{Value, json};

use super::running::shown;
use super::stage::{Stage, block_on};
use super::when::Moment;
use crate::answer::{Answer, Failure};
use crate::args::commands::Purge;
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::color::Style;
use crate::render::table::{Side, Table};
use crate::render::words::count;
use crate::render::{Printer, complain};

pub(crate) fn run(
    args: &Purge,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let stage = Stage::without_files(global, config)?;
    let mut choice = Choice { version: args.version.clone(), before: None };
    if let Some(age) = args.older_than {
        choice.older_than(age);
    }
    block_on(async {
        // A migration must be done in every store, also in those that `--store` leaves out.
        let stores = stage.connect_to(&[]).await.map_err(|error| stage.failure(error))?;
        let histories = run::histories(&stores).await.map_err(|error| stage.failure(error))?;
        done(args.version.as_ref(), &histories)?;
        let selected = stage.stores();
        let stores = stores.into_iter().filter(|(name, _)| selected.contains(name)).collect();
        let context = stage.project.context(stores);
        let found = purge::find(&context.stores, &histories, &choice).await;
        let found = found.map_err(|error| stage.failure(error))?;
        if args.dry_run || found.is_empty() {
            return Ok(stage.finish(listed(&found, printer)));
        }
        consent(&found, global, printer)?;
        go(&stage, &context, found, &histories, printer).await
    })
}

/// Refuses a version that is not done everywhere.
fn done(version: Option<&Version>, histories: &Histories) -> Result<(), Failure> {
    let Some(version) = version else { return Ok(()) };
    let records = || histories.iter().filter_map(|(name, history)| Some((name, history.live(version)?)));
    if records().next().is_none() {
        let fault = Diagnostic::error("unknown-version", format!("no store remembers a migration {version}"));
        return Err(fault.help("`dunlin status` lists what there is; nothing was removed").into());
    }
    let open: Vec<String> = records()
        .filter(|(_, record)| record.state != State::Done)
        .map(|(name, record)| format!("{} in `{name}`", record.state))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let message = format!("{version} still needs what it set aside: it is {}", open.join(", "));
    let fault = Diagnostic::error("not-done", message);
    Err(Failure::of_work(fault.help("only what is done is purged; nothing was removed")))
}

/// What there is, and nothing is done about it.
fn listed(found: &[Aside], printer: &Printer) -> Answer {
    let data = json!({ "purged": [], "archives": of_all(found) });
    if found.is_empty() {
        return Answer::done(data, "nothing to purge\n".to_owned());
    }
    Answer::done(data, table(found, printer))
}

fn table(found: &[Aside], printer: &Printer) -> String {
    let mut table = Table::new(&[
        ("store", Side::Left),
        ("migration", Side::Left),
        ("set aside", Side::Left),
        ("contracted", Side::Left),
        ("goes by itself", Side::Left),
    ]);
    for aside in found {
        let moment = |at: Option<dunlin_core::Timestamp>, none: &str| {
            at.map_or_else(|| none.to_owned(), |at| Moment(at).to_string())
        };
        table.row(vec![
            (Style::Plain, aside.store.to_string()),
            (Style::Plain, aside.id.to_string()),
            (Style::Warning, aside.archive.what.clone()),
            (Style::Plain, moment(aside.finished, "unknown")),
            (Style::Dim, moment(aside.archive.expires, "never")),
        ]);
    }
    table.render(printer.width(), printer.out)
}

fn of_all(asides: &[Aside]) -> Vec<Value> {
    let moment = |at: Option<dunlin_core::Timestamp>| at.map(|at| Moment(at).to_string());
    let of_one = |aside: &Aside| {
        json!({
            "store": aside.store.as_str(),
            "version": aside.id.version.as_str(),
            "slug": &*aside.id.slug,
            "what": aside.archive.what,
            "name": aside.archive.name,
            "finished": moment(aside.finished),
            "expires": moment(aside.archive.expires),
        })
    };
    asides.iter().map(of_one).collect()
}

/// What goes is shown, and somebody must want it: on a terminal by a typed word, elsewhere by `--yes`.
fn consent(found: &[Aside], global: &Global, printer: &Printer) -> Result<(), Failure> {
    if global.yes {
        return Ok(());
    }
    let declined = |fault: Diagnostic| Err(Failure { exit: Exit::Declined, ..Failure::from(fault) });
    if global.no_input || !printer.is_terminal() || !std::io::stdin().is_terminal() {
        let whose =
            |aside: &Aside| format!("\n  {} of {} in `{}`", aside.archive.what, aside.id, aside.store);
        let list: String = found.iter().map(whose).collect();
        let message = format!("this removes for good, and with it the way back:{list}");
        let fault = Diagnostic::error("not-confirmed", message);
        return declined(
            fault.help("nothing was changed; `--dry-run` shows what goes, `--yes` says that it may"),
        );
    }
    complain(&table(found, printer));
    complain("this goes for good, and with it the way back of these migrations\ntype `purge` to go on: ");
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(_) if line.trim() == "purge" => Ok(()),
        _ => declined(Diagnostic::error("declined", "not confirmed; nothing was changed")),
    }
}

async fn go(
    stage: &Stage,
    context: &Context,
    found: Vec<Aside>,
    histories: &Histories,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let (ended, stopped_by) =
        shown(&context.cancel, printer, async |report| purge::purge(context, found, histories, report).await)
            .await;
    let Some((purged, result)) = ended else {
        let exit = stopped_by.unwrap_or(Exit::Interrupted);
        let text = "stopped at once; `dunlin purge --dry-run` shows what is left\n".to_owned();
        return Ok(stage.finish(Answer { exit, ..Answer::done(Value::Null, text) }));
    };
    let data = json!({
        "run": context.author.run.to_string(),
        "purged": of_all(&purged.gone),
        "archives": of_all(&purged.left),
    });
    if let Err(error) = result {
        let error = match purged.gone.as_slice() {
            [] => error,
            gone => error.with("already purged", words(gone)),
        };
        let error = error.with("still there", words(&purged.left));
        let error = match error.help {
            None => error.help("`dunlin purge` goes on with what is left"),
            Some(_) => error,
        };
        let failure = stage.failure(error);
        return Err(Failure { exit: stopped_by.unwrap_or(failure.exit), data: Box::new(data), ..failure });
    }
    let exit = stopped_by.filter(|_| !purged.left.is_empty()).unwrap_or(Exit::Done);
    Ok(stage.finish(Answer { exit, ..Answer::done(data, text(&purged)) }))
}

fn words(asides: &[Aside]) -> String {
    let list: Vec<String> =
        asides.iter().map(|aside| format!("{} in {}", aside.archive.what, aside.store)).collect();
    list.join(", ")
}

fn text(purged: &Purged) -> String {
    let line =
        |aside: &Aside| format!("purged {} of {} in `{}`\n", aside.archive.what, aside.id, aside.store);
    let mut text: String = purged.gone.iter().map(line).collect();
    if purged.gone.is_empty() {
        text.push_str("nothing was left to purge\n");
    }
    if !purged.left.is_empty() {
        let left = count(purged.left.len(), "archive");
        text.extend(["stopped; ", &left, " left, `dunlin purge` goes on\n"]);
    }
    text
}
