//! What `baseline` and `mark` have in common: records written under the locks, and what changed by it.

use std::fmt::Write as _;
use std::sync::Arc;

use dunlin_core::{Cursor, Error, History, MigrationId, Record, Seen, Session, State, StoreName, StoredFile};
use dunlin_engine::run::{self, Histories, Stores};
use dunlin_engine::{Context, Event, lock, mark};
use serde_json::{Value, json};

use crate::progress::about_lock;
use crate::render::color::Style;
use crate::render::table::{Side, Table};
use crate::render::words::{along, count};
use crate::render::{Printer, Volume, complain};

/// A record to write, with the files that go with it.
pub(super) struct Entry {
    pub(super) record: Record,
    pub(super) files: Vec<StoredFile>,
}

/// What was written.
pub(super) struct Change {
    pub(super) store: StoreName,
    pub(super) id: MigrationId,
    pub(super) before: String,
    pub(super) after: String,
}

/// Says what to write into a store, from what it remembers.
pub(super) type Choose<'a> = &'a (dyn Fn(&StoreName, &History) -> Result<Vec<Entry>, Error> + Sync);

/// Writes what `choose` says into each store, under the locks. With nothing to write no lock is taken.
pub(super) async fn write(
    context: &Context,
    histories: &Histories,
    choose: Choose<'_>,
    printer: &Printer,
) -> Result<Vec<Change>, Error> {
    let mut wanted = Stores::new();
    for (name, history) in histories {
        let entries = choose(name, history).map_err(|error| error.with("store", name))?;
        if let Some(store) = context.stores.get(name).filter(|_| !entries.is_empty()) {
            wanted.insert(name.clone(), Arc::clone(store));
        }
    }
    let me = lock::me(&context.author.who, &context.author.run);
    let mut report = |event: Event<'_>| {
        if let Some(line) = about_lock(&event).filter(|_| printer.volume > Volume::Quiet) {
            complain(&format!("{line}\n"));
        }
    };
    let mut sessions = lock::take(&wanted, &me, context.lock_wait, &context.cancel, &mut report).await?;
    let mut changes = Vec::new();
    let mut result = Ok(());
    for (name, session) in &mut sessions {
        result = write_one(name, session, choose, &mut changes).await;
        if result.is_err() {
            break;
        }
    }
    let released = lock::release(sessions).await;
    result.and(released).map_err(|error| recorded(error, &changes))?;
    Ok(changes)
}

async fn write_one(
    name: &StoreName,
    session: &mut Box<dyn Session>,
    choose: Choose<'_>,
    changes: &mut Vec<Change>,
) -> Result<(), Error> {
    let write = async {
        let history = session.history().await?;
        for Entry { record, files } in choose(name, &history)? {
            mark::write(session, &record, &files).await?;
            changes.push(Change {
                store: name.clone(),
                id: record.id.clone(),
                before: standing(history.record(&record.id.version)),
                after: standing(Some(&record)),
            });
        }
        Ok(())
    };
    write.await.map_err(|error: Error| error.with("store", name))
}

/// The failure, with what was written before it.
fn recorded(error: Error, changes: &[Change]) -> Error {
    if changes.is_empty() {
        return error;
    }
    let list: Vec<String> =
        changes.iter().map(|change| format!("{} in {}", change.id, change.store)).collect();
    error.with("already recorded", list.join(", "))
}

/// Where a record stands, in words.
pub(super) fn standing(record: Option<&Record>) -> String {
    let Some(record) = record else { return "pending".to_owned() };
    if record.state.is_settled() {
        return match (record.state, record.origin) {
            (State::Undone, _) => "undone".to_owned(),
            (state, dunlin_core::Origin::Run) => state.to_string(),
            (state, dunlin_core::Origin::Baseline) => format!("{state} (baseline)"),
            (state, dunlin_core::Origin::Mark) => format!("{state} (marked)"),
        };
    }
    let mut text = format!("{}, {} complete", record.state, count(record.steps.len(), "step"));
    if let Some(seen) = Seen::of(record) {
        let _ = write!(text, ", the next at {}", along(&seen));
        return text;
    }
    match Cursor::of(record) {
        Ok(cursor) if cursor.open => {
            let _ = write!(text, ", statement {} of unknown outcome", cursor.at + 1);
        }
        Ok(cursor) if cursor.at > 0 => {
            let _ = write!(text, ", then {}", count(cursor.at, "statement"));
        }
        _ => {}
    }
    text
}

/// The changes under each other.
pub(super) fn table(changes: &[Change], printer: &Printer) -> String {
    let mut table = Table::new(&[
        ("store", Side::Left),
        ("migration", Side::Left),
        ("before", Side::Left),
        ("now", Side::Left),
    ]);
    for change in changes {
        table.row(vec![
            (Style::Plain, change.store.to_string()),
            (Style::Plain, change.id.to_string()),
            (Style::Dim, change.before.clone()),
            (Style::Good, change.after.clone()),
        ]);
    }
    table.render(printer.width(), printer.out)
}

/// The same for programs.
pub(super) fn data(context: &Context, changes: &[Change]) -> Value {
    let change = |change: &Change| {
        json!({
            "store": change.store.as_str(),
            "version": change.id.version.as_str(),
            "slug": &*change.id.slug,
            "before": change.before,
            "now": change.after,
        })
    };
    json!({ "run": context.author.run.to_string(), "recorded": changes.iter().map(change).collect::<Vec<_>>() })
}

/// The histories of connected stores.
pub(super) async fn histories(context: &Context) -> Result<Histories, Error> {
    run::histories(&context.stores).await
}
