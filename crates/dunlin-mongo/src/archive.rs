//! What contracts set aside: collections whose name begins with `dunlin_archive_`, the version and the number of the
//! change. One with more of a name is a collection that was dropped, or documents that were moved aside; one without has
//! the values of fields, under `old`, by the `_id` of their document.

use bson::{Document, doc};
use dunlin_core::{Archive, Error, ErrorKind, EventKind, Op, Result, Session as _, Version};
use futures_util::TryStreamExt as _;
use mongodb::Database;
use mongodb::error::Error as DriverError;

use crate::change::keep::{Keep, What};
use crate::change::staged;
use crate::command;
use crate::moves::Task;
use crate::op::render;
use crate::patience::Failure;
use crate::session::{Session, remembered_now};
use crate::store::Store;

const PREFIX: &str = "dunlin_archive_";

/// All there are, in order of version.
pub(crate) async fn list(db: &Database) -> Result<Vec<Archive>, DriverError> {
    let names: Vec<String> = db.list_collection_names().await?;
    let mut found = Vec::new();
    for name in names {
        let Some((version, rest)) = parts(&name) else { continue };
        let what = match rest {
            Some(rest) => what(rest),
            None => fields(db, &name).await?,
        };
        found.push(Archive { version, name, what, expires: None });
    }
    found.sort();
    Ok(found)
}

/// Whether a collection is called like an archive.
pub(crate) fn is_named(name: &str) -> bool {
    parts(name).is_some()
}

/// What an archive with more of a name is.
fn what(rest: &str) -> String {
    match rest {
        "quarantine" => "quarantine of documents that could not be converted".to_owned(),
        name => format!("collection {name}"),
    }
}

/// The version in a name, and what is after the number of the change.
fn parts(name: &str) -> Option<(Version, Option<&str>)> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '_');
    let version = Version::parse(parts.next()?)?;
    parts.next()?.parse::<u32>().ok()?;
    Some((version, parts.next()))
}

/// Which fields an archive has values of; what it holds first says so.
async fn fields(db: &Database, name: &str) -> Result<String, DriverError> {
    let mut first = db.collection::<Document>(name).find(doc! {}).limit(1).await?;
    let old = first.try_next().await?.and_then(|first| first.get_document("old").ok().cloned());
    let fields: Vec<String> = old.iter().flat_map(Document::keys).cloned().collect();
    Ok(if fields.is_empty() { EMPTY.to_owned() } else { format!("field {}", fields.join(", ")) })
}

/// What an archive is called that no document had anything for.
const EMPTY: &str = "archive that nothing is in";

/// What a way back would bring back and that is not there any more. An archive is there as long as it was not purged,
/// and be it empty.
pub(crate) async fn gone(store: &Store, op: &dyn Op) -> Result<Vec<String>> {
    let fail = |failure: DriverError| store.fail(&failure, "cannot look for what was set aside");
    if let Some(keep) = staged::keep(op) {
        let Some(what) = needed(keep) else { return Ok(Vec::new()) };
        let is_there = remembered_now(&store.db, keep).await.map_err(fail)?.is_some();
        return Ok(if is_there { Vec::new() } else { vec![what] });
    }
    let names = match staged::walk(op) {
        Some(walk) if matches!(walk.task, Task::Merge(_)) => vec![walk.collection.clone()],
        Some(_) => Vec::new(),
        None => renamed(op),
    };
    let mut gone = Vec::new();
    for name in names {
        let Some((version, rest)) = parts(&name) else { continue };
        let list = store.db.list_collection_names().filter(doc! { "name": &name });
        if list.await.map_err(fail)?.is_empty() {
            gone.push(match rest {
                Some(rest) => what(rest),
                None => purged(store, &version, &name).await?.unwrap_or_else(|| words(op)),
            });
        }
    }
    Ok(gone)
}

/// The archives that the commands of a way back give their old names.
fn renamed(op: &dyn Op) -> Vec<String> {
    let Ok(commands) = staged::commands(op) else { return Vec::new() };
    let renames = commands.commands.iter().map(|command| &command.document);
    let renames = renames.filter(|document| command::name(document) == "renameCollection");
    renames.filter_map(|document| command::target(document).map(str::to_owned)).collect()
}

/// What a change of a shape must know of before to be taken back.
fn needed(keep: &Keep) -> Option<String> {
    match &keep.what {
        What::Recreate(index) | What::Show(index) => {
            Some(format!("index {} of {}", render::inline(index), keep.collection))
        }
        What::Revalidate => Some(format!("validator of {}", keep.collection)),
        _ => None,
    }
}

/// What the journal calls an archive that was purged.
async fn purged(store: &Store, version: &Version, name: &str) -> Result<Option<String>> {
    let events = dunlin_core::Store::journal(store, Some(version), u32::MAX).await?;
    Ok(events.iter().rev().find_map(|event| Archive::purged_as(event, name)).map(str::to_owned))
}

/// What a step brings back, where nothing but the step itself says so.
fn words(op: &dyn Op) -> String {
    let summary = op.summary();
    format!("field {}", summary.strip_prefix("restore ").unwrap_or(&summary))
}

/// Removes one for good. No transaction holds the removal of a collection and the journal: there is a line before it and
/// one after it.
pub(crate) async fn purge(session: &mut Session, archive: &Archive) -> Result<()> {
    if parts(&archive.name).is_none() {
        let message = format!("{} is no archive of dunlin's", archive.name);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    // A follower that was killed before the contract may have left its document.
    crate::follow::forget(&session.store, &archive.version).await?;
    let history = session.history().await?;
    let Some(record) = history.records.get(&archive.version) else {
        let message = format!("the history has no migration {}", archive.version);
        return Err(Error::new(ErrorKind::Unsupported, message)
            .help("whose archive it is cannot be known; drop the collection by hand"));
    };
    let db = session.store.db.clone();
    let list = db.list_collection_names().filter(doc! { "name": &archive.name });
    let failed = |session: &Session, failure: DriverError| session.store.fail(&failure, "cannot purge");
    if list.await.map_err(|failure| failed(session, failure))?.is_empty() {
        return Ok(());
    }
    session.note(record, EventKind::Marked, &archive.purging()).await?;
    let drop = doc! { "drop": &archive.name, "writeConcern": { "w": "majority" } };
    match session.patience().send(&db, drop).await {
        // Servers before 7.0 report a collection that is not there.
        Err(Failure::Driver(failure)) if crate::error::code(&failure) == Some(26) => {}
        Err(failure) => return Err(failure.error(|failure| session.store.fail(failure, "cannot purge"))),
        Ok(_) => {}
    }
    session.note(record, EventKind::Marked, &archive.purged()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_archive_it_is() {
        let parts = |name| parts(name).map(|(version, rest)| (version.to_string(), rest.map(str::to_owned)));
        let version = || "20261121".to_owned();
        assert_eq!(parts("dunlin_archive_20261121_2"), Some((version(), None)));
        assert_eq!(parts("dunlin_archive_20261121_2_a_b"), Some((version(), Some("a_b".to_owned()))));
        for other in ["dunlin_archive_x_1", "dunlin_archive_1", "dunlin_archive_1_x", "orders"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
