//! `dunlin mark`: what a person knows better than the history is written into it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_core::{Cursor, Diagnostic, Error, History, Migration, Record, State, StoreName, StoredFile};
use dunlin_engine::mark::{self, Mark, Remark};
use dunlin_engine::run::Histories;
use dunlin_engine::{Context, lane};

use super::holding::{self, Entry};
use super::stage::{Stage, block_on};
use crate::answer::{Answer, Failure};
use crate::args::commands::Marking;
use crate::args::global::Global;
use crate::config;
use crate::render::Printer;

pub(crate) fn run(
    args: &Marking,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let stage = Stage::open(global, config, None)?;
    block_on(async {
        let context = stage.context().await.map_err(|error| stage.failure(error))?;
        let mut histories = holding::histories(&context).await.map_err(|error| stage.failure(error))?;
        let migration = stage.loaded.migrations.get(&args.version);
        let touched = touched(args, migration, &histories)?;
        histories.retain(|store, _| touched.contains(store));
        let kept = kept(args, &context, &histories).await.map_err(|error| stage.failure(error))?;
        let choose = |store: &StoreName, history: &History| {
            let known = history.record(&args.version);
            let remark = Remark { store, author: &context.author, reason: &args.reason };
            let files = kept.get(store).map(Vec::as_slice).unwrap_or_default();
            entry(args.state, (migration, known), remark, files)
        };
        let changes = holding::write(&context, &histories, &choose, printer)
            .await
            .map_err(|error| stage.failure(error))?;
        let text = if changes.is_empty() {
            "nothing to do: the history says so already\n".to_owned()
        } else {
            holding::table(&changes, printer)
        };
        Ok(stage.finish(Answer::done(holding::data(&context, &changes), text)))
    })
}

/// The stores whose records are meant.
fn touched(
    args: &Marking,
    migration: Option<&Arc<dyn Migration>>,
    histories: &Histories,
) -> Result<BTreeSet<StoreName>, Failure> {
    let of_file = migration.map(|migration| lane::stores(&**migration)).unwrap_or_default();
    let record = |store: &StoreName| histories.get(store).and_then(|history| history.record(&args.version));
    let mut touched: BTreeSet<StoreName> = histories
        .keys()
        .filter(|store| of_file.contains(*store) || record(store).is_some())
        .cloned()
        .collect();
    if touched.is_empty() {
        let names: Vec<String> = histories.keys().map(|store| format!("`{store}`")).collect();
        let message = match migration {
            Some(migration) => format!("{} does not touch {}", migration.id(), names.join(", ")),
            None => format!("there is neither a file nor a record of {}", args.version),
        };
        let fault = Diagnostic::error("unknown-version", message);
        return Err(fault.help("`dunlin status` lists what there is; nothing was changed").into());
    }
    if matches!(args.state, Mark::StatementDone | Mark::StatementUndone) {
        let is_open = |store: &StoreName| {
            record(store).is_some_and(|record| Cursor::of(record).is_ok_and(|cursor| cursor.open))
        };
        let open: BTreeSet<StoreName> = touched.iter().filter(|store| is_open(store)).cloned().collect();
        match open.len() {
            // The engine says why of each; one is enough.
            0 => {}
            1 => touched = open,
            _ => {
                let names: Vec<&str> = open.iter().map(StoreName::as_str).collect();
                let message =
                    format!("{} has such a statement in several stores: {}", args.version, names.join(", "));
                let fault = Diagnostic::error("ambiguous-store", message);
                return Err(fault.help("say which is meant with `--store NAME`; nothing was changed").into());
            }
        }
    }
    Ok(touched)
}

/// The files that the stores kept.
async fn kept(
    args: &Marking,
    context: &Context,
    histories: &Histories,
) -> Result<BTreeMap<StoreName, Vec<StoredFile>>, Error> {
    let mut kept = BTreeMap::new();
    for (name, history) in histories {
        if let Some(store) = context.stores.get(name).filter(|_| history.records.contains_key(&args.version))
        {
            let files = store.files(&args.version).await.map_err(|error| error.with("store", name))?;
            kept.insert(name.clone(), files);
        }
    }
    Ok(kept)
}

/// What is to be written; nothing where the history says so already.
fn entry(
    state: Mark,
    (migration, known): (Option<&Arc<dyn Migration>>, Option<&Record>),
    remark: Remark<'_>,
    kept: &[StoredFile],
) -> Result<Vec<Entry>, Error> {
    let live = known.filter(|record| record.state != State::Undone);
    if state == Mark::Undone && live.is_none() {
        return Ok(Vec::new());
    }
    let record = mark::marked(migration, known, state, remark)?;
    let is_same = live.is_some_and(|live| {
        (live.state, &live.steps, &live.text, &live.id)
            == (record.state, &record.steps, &record.text, &record.id)
    });
    if state == Mark::Done && is_same {
        return Ok(Vec::new());
    }
    let files = match migration {
        Some(migration) if state == Mark::Done => migration.files(remark.store),
        _ => kept.to_vec(),
    };
    Ok(vec![Entry { record, files }])
}
