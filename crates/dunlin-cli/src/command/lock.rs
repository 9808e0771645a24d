//! `dunlin lock`: who holds the migration lock, and taking it away.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};

use dunlin_core::{Diagnostic, Error, Holder, StoreName};
use dunlin_engine::run::Stores;
use serde_json::{Value, json};

use super::stage::{Stage, block_on};
use super::when::Moment;
use crate::answer::{Answer, Failure};
use crate::args::commands::Lock;
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::color::Style;
use crate::render::table::{Side, Table};
use crate::render::{Printer, complain};

pub(crate) fn run(
    args: Lock,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let stage = Stage::without_files(global, config)?;
    block_on(async {
        let stores = stage.connect().await.map_err(|error| stage.failure(error))?;
        let holders = holders(&stores).await.map_err(|error| stage.failure(error))?;
        let answer = match args {
            Lock::Status => status(&holders, printer),
            Lock::Release => release(&stores, &holders, global, printer).await?,
        };
        Ok(stage.finish(answer))
    })
}

type Holders = Vec<(StoreName, Option<Holder>)>;

async fn holders(stores: &Stores) -> Result<Holders, Error> {
    let mut holders = Holders::new();
    for (name, store) in stores {
        let holder = store.holder().await.map_err(|error| error.with("store", name))?;
        holders.push((name.clone(), holder));
    }
    Ok(holders)
}

fn status(holders: &Holders, printer: &Printer) -> Answer {
    let mut table = Table::new(&[
        ("store", Side::Left),
        ("held by", Side::Left),
        ("process", Side::Right),
        ("since", Side::Left),
        ("expires", Side::Left),
        ("run", Side::Left),
    ]);
    for (store, holder) in holders {
        let mut cells = vec![(Style::Plain, store.to_string())];
        match holder {
            None => cells.push((Style::Dim, "nobody".to_owned())),
            Some(holder) => {
                let moment = |at: Option<dunlin_core::Timestamp>, none: &str| {
                    at.map_or_else(|| none.to_owned(), |at| Moment(at).to_string())
                };
                cells.extend([
                    (Style::Warning, format!("{}@{}", holder.who, holder.host)),
                    (Style::Plain, holder.pid.to_string()),
                    (Style::Plain, moment(holder.since, "unknown")),
                    (Style::Plain, moment(holder.expires, "with its connection")),
                    (Style::Dim, holder.run.to_string()),
                ]);
            }
        }
        table.row(cells);
    }
    let data: Vec<Value> = holders.iter().map(|(store, holder)| of_store(store, holder.as_ref())).collect();
    Answer::done(json!({ "locks": data }), table.render(printer.width(), printer.out))
}

fn of_store(store: &StoreName, holder: Option<&Holder>) -> Value {
    json!({ "store": store.as_str(), "holder": holder.map(of_holder) })
}

fn of_holder(holder: &Holder) -> Value {
    json!({
        "who": &*holder.who,
        "host": &*holder.host,
        "pid": holder.pid,
        "run": holder.run.to_string(),
        "since": holder.since.map(|at| Moment(at).to_string()),
        "expires": holder.expires.map(|at| Moment(at).to_string()),
    })
}

fn described(store: &StoreName, holder: &Holder) -> String {
    let since = holder.since.map_or_else(String::new, |at| format!(", since {}", Moment(at)));
    format!("`{store}` from {} on {}, process {}{since}", holder.who, holder.host, holder.pid)
}

async fn release(
    stores: &Stores,
    holders: &Holders,
    global: &Global,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let held: Vec<(&StoreName, &Holder)> =
        holders.iter().filter_map(|(store, holder)| Some((store, holder.as_ref()?))).collect();
    if held.is_empty() {
        return Ok(Answer::done(json!({ "released": [] }), "nobody holds the migration lock\n".to_owned()));
    }
    let list: Vec<String> = held.iter().map(|(store, holder)| described(store, holder)).collect();
    consent(&list, global, printer)?;
    let mut text = String::new();
    let mut data = Vec::new();
    for (name, holder) in held {
        if let Some(store) = stores.get(name) {
            store.unlock(holder.token).await.map_err(|error| error.with("store", name))?;
            let _ = writeln!(text, "took the lock of {}", described(name, holder));
            data.push(of_store(name, Some(holder)));
        }
    }
    Ok(Answer::done(json!({ "released": data }), text))
}

/// A holder that is alive loses its work under way, so somebody must want it.
fn consent(list: &[String], global: &Global, printer: &Printer) -> Result<(), Failure> {
    if global.yes {
        return Ok(());
    }
    let declined = |fault: Diagnostic| Failure { exit: Exit::Declined, ..Failure::from(fault) };
    if global.no_input || !printer.is_terminal() || !std::io::stdin().is_terminal() {
        let message = format!("this takes the lock of {}", list.join("; of "));
        let fault = Diagnostic::error("confirmation-missing", message);
        return Err(declined(fault.help("say `--yes` if the holder is gone; nothing was changed")));
    }
    for line in list {
        complain(&format!("this takes the lock of {line}\n"));
    }
    complain("a holder that is alive can write no more then. Go on? [y/N] ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(declined(Diagnostic::error("declined", "not confirmed; nothing was changed")))
}
