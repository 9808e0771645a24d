//! Where a walk starts, and whether it can.

use bson::{Bson, doc};
use dunlin_core::position::Start;
use dunlin_core::{Error, ErrorKind, Phase, Position, Result};
use mongodb::Database;
use mongodb::error::Error as DriverError;

use super::odd::{self, Odd};
use super::{Bout, Place, Stride};
use crate::chunk::{Collection, Route, number};
use crate::fill::Seed;
use crate::follow;
use crate::moves::{Move, OnError, Task};
use crate::session::{Session, ledger, outcome};

/// What is known of a collection.
#[derive(Debug, Default)]
struct Facts {
    is_there: bool,
    kind: String,
    /// What a view looks at.
    view_on: String,
    is_capped: bool,
    count: u64,
    /// The size of a document.
    average: u64,
}

/// The position to go on from; none where there is nothing to walk over.
pub(super) async fn start(
    session: &mut Session,
    bout: &mut Bout<'_>,
    notes: &mut Vec<String>,
) -> Result<Option<Position<Place>>> {
    let (op, work) = (bout.op, bout.work);
    let of = op.database.as_ref().map_or(op.collection.clone(), |db| format!("{db}.{}", op.collection));
    let start = Start::<Place>::of(work)?;
    if session.has_stride(op, work.is_undo())
        && let Start::On(position) = start
    {
        return Ok(Some(position));
    }
    let db = session.store.database(&op.command());
    let fail = |failure: DriverError| session.of_command(&failure, &op.command());
    let facts = facts(&db, &op.collection).await.map_err(fail)?;
    if !facts.is_there {
        notes.push(nothing(op)?);
        return Ok(None);
    }
    refuse(&facts, op)?;
    let is_exact = is_exact(session, op, &facts)?;
    if let Some(into) = op.target() {
        refuse_target(&self::facts(&db, into).await.map_err(fail)?, into, op)?;
    }
    let stride = Stride::new(op, work.is_undo(), facts.average);
    // A step of a change finds by itself what is to be gone back over, and others wrote meanwhile, too.
    let is_guarded = matches!(op.task, Task::Reshape(_));
    let mut position = match start {
        Start::On(mut position) => {
            position.place.is_exact &= is_exact;
            notes.extend(position.adopt(op));
            position.place.seed = position.place.seed.or_else(|| seed(session, op));
            session.stride = Some(stride);
            close(session, bout, &mut position).await?;
            return Ok(Some(position));
        }
        Start::Back(position) if position.place.of == of && position.place.is_exact && !is_guarded => {
            let is_survey = position.place.is_survey;
            let route = if is_survey { Route::default() } else { position.place.route.past() };
            fresh(op, (of, route), position.scanned)
        }
        Start::Fresh | Start::Back(_) => {
            let route = op.route(&db).await.map_err(fail)?;
            fresh(op, (of, route), facts.count)
        }
    };
    position.is_undo = work.is_undo();
    position.place.is_exact = is_exact;
    position.place.seed = seed(session, op);
    let filled = position.place.seed.as_ref().map(|seed| op.filled(seed));
    rehearse(session, &db, filled.as_ref().unwrap_or(op)).await?;
    odd::refuse_collisions(session, filled.as_ref().unwrap_or(op)).await?;
    glance(&Collection { db: &db, name: &op.collection }, (bout, &mut position)).await.map_err(fail)?;
    position.is_clean = is_exact || position.place.is_survey;
    session.stride = Some(stride);
    // The journal has a line where the walk begins, and one where it ends.
    let record = work.partly(position.checkpoint(), 0);
    bout.running = session.ledger.put_step(&session.store, work, &record).await?;
    close(session, bout, &mut position).await?;
    Ok(Some(position))
}

/// What fills the placeholders of an op, if it has any.
fn seed(session: &Session, op: &Move) -> Option<Seed> {
    op.has_placeholder().then(|| Seed::new(session.ledger.now().0))
}

/// What is said where there is no collection; refused where what it held is needed.
fn nothing(op: &Move) -> Result<String> {
    if matches!(&op.task, Task::Merge(merge) if !merge.matched.is_empty()) {
        let message = format!("{} was purged: what it held cannot be brought back", op.collection);
        let help =
            "bring it back from a backup, or say that it is gone: `dunlin mark VERSION undone --reason …`";
        return Err(unsupported(op, message).help(help));
    }
    Ok(format!("there is no collection {}", op.collection))
}

/// Shuts out whoever follows, once the record says that a shape begins to go: none can begin to follow after that. What
/// was mended until now may lie beyond the end that was found before.
async fn close(session: &mut Session, bout: &mut Bout<'_>, position: &mut Position<Place>) -> Result<()> {
    let (op, work) = (bout.op, bout.work);
    let is_contract = work.running.phase == Phase::Contract && !work.op.prepares();
    let version = &work.running.id.version;
    if !is_contract && !work.is_undo() || !follow::close(&session.store, version).await? {
        return Ok(());
    }
    if matches!(op.task, Task::Reshape(_)) {
        let db = session.store.database(&op.command());
        position.place.route =
            op.route(&db).await.map_err(|failure| session.of_command(&failure, &op.command()))?;
        let record = bout.now().partly(position.checkpoint(), 0);
        bout.running = session.ledger.put(&session.store, ledger::light(&record, &[]), true).await?;
    }
    follow::forget(&session.store, version).await
}

/// Spares the walk what one look at all documents settles: that nothing is in the way, that nothing is to be done.
async fn glance(
    place: &Collection<'_>,
    (bout, position): (&Bout<'_>, &mut Position<Place>),
) -> Result<(), DriverError> {
    let op = bout.op;
    if bout.work.pace.rate.is_some() {
        return Ok(());
    }
    if position.place.is_survey
        && let Some(stages) = op.obstacles()
        && place.has(stages).await? == Some(false)
    {
        position.place.is_survey = false;
        position.scanned += position.total.unwrap_or_default() / 2;
    }
    if let Some(stages) = op.left()
        && place.has(stages).await? == Some(false)
    {
        position.place.route = Route::default();
    }
    Ok(())
}

fn fresh(op: &Move, (of, route): (String, Route), count: u64) -> Position<Place> {
    let is_survey = op.has_survey();
    let passes = if is_survey { 2 } else { 1 };
    let place =
        Place { of, route, is_survey, is_exact: true, odd: Odd::default(), seed: None, passes: 0, found: 0 };
    Position { total: Some(count.saturating_mul(passes)), ..Position::new(op, place) }
}

async fn facts(db: &Database, name: &str) -> Result<Facts, DriverError> {
    let list = doc! { "listCollections": 1, "filter": { "name": name }, "cursor": {} };
    let listed = Collection { db, name }.batch(list).await?;
    let Some(found) = listed.first() else { return Ok(Facts::default()) };
    let options = found.get_document("options").cloned().unwrap_or_default();
    let kind = found.get_str("type").unwrap_or("collection").to_owned();
    let mut facts = Facts {
        is_there: true,
        view_on: options.get_str("viewOn").unwrap_or_default().to_owned(),
        is_capped: options.get_bool("capped").unwrap_or_default(),
        ..Facts::default()
    };
    if kind == "collection" {
        let stats = db.run_command(doc! { "collStats": name }).await?;
        facts.count = number(stats.get("count"));
        facts.average = number(stats.get("avgObjSize"));
    }
    Ok(Facts { kind, ..facts })
}

fn unsupported(op: &Move, message: String) -> Error {
    let error = Error::new(ErrorKind::Unsupported, message).at(op.span);
    error.with("left behind", "nothing: no document was changed")
}

/// Refuses what is no collection of documents that can be walked over and changed.
fn refuse(facts: &Facts, op: &Move) -> Result<()> {
    let name = &op.collection;
    match facts.kind.as_str() {
        "view" => {
            let error =
                unsupported(op, format!("{name} is a view, whose documents are those of {}", facts.view_on));
            Err(error.help(format!("name {} instead, with the view's conditions as `filter`", facts.view_on)))
        }
        "timeseries" => {
            let error = unsupported(
                op,
                format!(
                    "{name} is a time series: its documents have no index on `_id`, and cannot be changed one by one"
                ),
            );
            Err(error.help("write a `mongo` step: an `aggregate` with `$out` into a new collection, or `delete` by its metaField"))
        }
        _ if facts.is_capped && matches!(op.task, Task::Delete) => {
            let error =
                unsupported(op, format!("{name} is capped: it gives up its oldest documents by itself"));
            Err(error.help("copy what is to stay with `merge_into`, or `drop` it and create it anew"))
        }
        _ => Ok(()),
    }
}

/// Refuses to put documents into what cannot take them.
fn refuse_target(facts: &Facts, into: &str, op: &Move) -> Result<()> {
    let what = match facts.kind.as_str() {
        "view" => "a view",
        "timeseries" => "a time series",
        _ if facts.is_capped => "capped",
        _ => return Ok(()),
    };
    let error = unsupported(op, format!("{into} is {what}, and documents cannot be moved into it"));
    Err(error.help("name a plain collection; it is created where there is none"))
}

/// Whether a chunk and its position can be one. Where they cannot, what must not be done twice is refused.
fn is_exact(session: &Session, op: &Move, facts: &Facts) -> Result<bool> {
    let is_elsewhere = matches!(op.database.as_deref(), Some("admin" | "local" | "config"));
    let has_transactions = session.store.topology.has_transactions() && !facts.is_capped && !is_elsewhere;
    if matches!(op.task, Task::Merge(_)) {
        return Ok(false);
    }
    if has_transactions || op.is_repeatable() {
        return Ok(has_transactions);
    }
    let why = if facts.is_capped {
        "capped collections have no transactions"
    } else {
        "this server has no transactions"
    };
    let is_quarantine =
        matches!(&op.task, Task::Convert(convert) if matches!(convert.on_error, OnError::Quarantine(_)));
    if is_quarantine {
        let error = unsupported(
            op,
            format!("{why}, so a document could not leave one collection and be in the other at once"),
        );
        return Err(error.help(
            "make it a replica set (one member will do), or use on_error = \"keep\" and look at what is left",
        ));
    }
    if matches!(op.task, Task::Reshape(_)) {
        let error = unsupported(
            op,
            format!("{why}, so a value could change between going into the archive and being taken away"),
        );
        return Err(error.help(if facts.is_capped {
            "copy the documents into a plain collection with `merge_into`, and change those"
        } else {
            "make it a replica set (one member will do)"
        }));
    }
    let error = unsupported(
        op,
        format!("{why}, and this update changes more when it is done twice, as it may be after a crash"),
    );
    Err(error.help(
        "make it a replica set (one member will do); or let the update read none of the fields it writes, and use none of $inc, $mul, $push, $pop and $bit",
    ))
}

/// Has the server read an update without applying it: what it does not understand is said before anything is changed.
async fn rehearse(session: &Session, db: &Database, op: &Move) -> Result<()> {
    let nothing: Vec<Bson> = Vec::new();
    let (Task::Update(_) | Task::Reshape(_)) = &op.task else { return Ok(()) };
    for command in op.commands(doc! { "_id": { "$in": nothing } }, false) {
        let written = op.command();
        let response = db.run_command(command).await;
        let response = response.map_err(|failure| session.of_command(&failure, &written))?;
        outcome(&response, &written).map_err(|failure| {
            failure.error(&session.store, &written).with("left behind", "nothing: no document was changed")
        })?;
    }
    Ok(())
}
