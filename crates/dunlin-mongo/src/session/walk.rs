//! A walk over the documents of a collection, chunk by chunk, each recorded as it is done.
//!
//! A chunk is one transaction together with the position after it, through the fence: it is done once, and by nobody who
//! lost the lock. Within a bout only the last one waits for the majority; a failover that loses those before it loses
//! their positions with them, and the walk goes on from what is there. Where there is no transaction, a chunk is sent
//! and then recorded, and the time in which a process that lost its lease could still send one is that between asking
//! for the lease and sending, as for every command that runs apart (see [`super::apart`]).
//!
//! Whatever goes wrong with a chunk of several documents, a smaller one is tried: a document that the application just
//! wrote, a chunk that is too much for a transaction, and a document that cannot be changed are all got past, or found.

mod apart;
mod kept;
mod odd;
mod start;
mod stride;
mod together;

use std::time::{Duration, Instant};

use dunlin_core::words::{agree, counted};
use dunlin_core::{Advance, Error, ErrorKind, Position, Record, Result, Work};
use mongodb::error::Error as DriverError;
use serde::{Deserialize, Serialize};

use super::{Failure, Session, ledger};
use crate::chunk::{Chunk, Collection, Route};
use crate::connect::Topology;
use crate::fill::Seed;
use crate::moves::{Move, PASSES, Task};
use crate::{error, lock};

use odd::Odd;
pub(super) use stride::Stride;

/// How often one document is tried that somebody else writes just then: for some seconds in all.
const TRIES: u32 = 12;

/// Where a walk is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// The collection, with its database if that is another one.
    of: String,
    route: Route,
    /// Whether it only looks yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_survey: bool,
    /// Whether every chunk so far was one with its position.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_exact: bool,
    #[serde(default, skip_serializing_if = "Odd::is_empty")]
    odd: Odd,
    /// What fills the placeholders of the op.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<Seed>,
    /// How often it came to the end, where it goes on until it finds nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    passes: u64,
    /// How many documents the pass under way changed.
    #[serde(default, skip_serializing_if = "is_zero")]
    found: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks this way")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Why a chunk was not done.
enum Stop {
    /// The server says so. Nothing of it is there, or it may be done again.
    Driver(DriverError),
    /// The server says so of one of the documents.
    Write(Failure),
    /// We say so.
    Ours(Error),
    /// What would be taken away is not in the archive as it is now.
    Unkept,
    /// The commit was sent and not answered.
    Unknown(DriverError),
}

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

/// One bout of a walk.
struct Bout<'a> {
    op: &'a Move,
    work: &'a Work<'a>,
    /// The record as it was last written.
    running: Record,
    began: Instant,
    changed: u64,
    scanned: u64,
}

/// A chunk to be done, and the position after it.
struct Next<'a> {
    chunk: &'a Chunk,
    position: Position<Place>,
    /// Whether the step is complete with it.
    is_end: bool,
    /// Whether it must outlive any failover before anything else happens.
    is_final: bool,
}

impl Bout<'_> {
    fn now(&self) -> Work<'_> {
        Work { running: &self.running, ..*self.work }
    }

    /// The record with a chunk done that changed so many documents.
    fn record(&self, next: &mut Next<'_>, changed: u64) -> Record {
        let work = self.now();
        if self.op.has_passes() {
            next.position.place.found += changed;
        }
        next.position.is_clean &= next.position.place.is_survey;
        let record = if next.is_end {
            work.complete(changed)
        } else {
            work.partly(next.position.checkpoint(), changed)
        };
        Record { started: self.running.started, ..record }
    }

    /// It was written.
    fn wrote(&mut self, record: Record, changed: u64, scanned: u64) {
        self.running = record;
        self.changed += changed;
        self.scanned += scanned;
    }

    fn advance(self, is_done: bool, notes: Vec<String>) -> Advance {
        Advance { is_done, notes, ..Advance::partly(self.running, self.changed) }
    }
}

/// Goes on for one bout.
pub(super) async fn advance(session: &mut Session, op: &Move, work: &Work<'_>) -> Result<Advance> {
    let mut notes = Vec::new();
    let running = work.running.clone();
    let mut bout = Bout { op, work, running, began: Instant::now(), changed: 0, scanned: 0 };
    let Some(mut position) = start::start(session, &mut bout, &mut notes).await? else {
        let record = session.ledger.put_step(&session.store, work, &work.complete(0)).await?;
        return Ok(Advance { notes, ..Advance::complete(record, 0) });
    };
    let filled = position.place.seed.as_ref().map(|seed| op.filled(seed));
    bout.op = filled.as_ref().unwrap_or(op);
    let mut tries = 0;
    loop {
        session.check_lease().await?;
        if position.place.is_survey && position.place.route.is_over() {
            surveyed(session, &mut bout, &mut position).await?;
        }
        if op.has_passes() && position.place.route.is_over() {
            notes.extend(turn(session, (op, work), &mut position).await?);
        }
        let size = session.stride().size(work.pace, bout.scanned);
        let Some(chunk) = next_chunk(session, op, &position.place.route, size).await? else {
            let done = Record { started: bout.running.started, ..bout.now().complete(0) };
            let record = session.ledger.put_step(&session.store, &bout.now(), &done).await?;
            bout.wrote(record, 0, 0);
            return Ok(bout.advance(true, notes));
        };
        let mut next = next(session, &bout, &position, &chunk);
        match pass(session, &mut bout, &mut next).await {
            Ok(took) => {
                tries = 0;
                session.stride().learn(work.pace, size, chunk.count, took);
                let Next { position: passed, is_end, is_final, .. } = next;
                position = passed;
                if is_end {
                    notes.extend(position.place.odd.note(op));
                }
                if is_end || is_final {
                    return Ok(bout.advance(is_end, notes));
                }
            }
            Err(stop) => {
                tries += 1;
                again(session, &bout, &next, (stop, tries)).await?;
            }
        }
    }
}

fn next<'a>(
    session: &mut Session,
    bout: &Bout<'_>,
    position: &Position<Place>,
    chunk: &'a Chunk,
) -> Next<'a> {
    let mut position = position.clone();
    position.place.route.pass(chunk);
    position.scanned += chunk.count;
    position.near = position.place.route.near();
    let is_end = !position.place.is_survey && position.place.route.is_over() && !bout.op.has_passes();
    let is_final = is_end || session.stride().is_last(bout.work.pace, bout);
    Next { chunk, position, is_end, is_final }
}

/// Begins another pass, if the last one found something to change. What to say if it is not done although it did.
async fn turn(
    session: &Session,
    (op, work): (&Move, &Work<'_>),
    position: &mut Position<Place>,
) -> Result<Option<String>> {
    let place = &mut position.place;
    let db = session.store.database(&op.command());
    let documents = Collection { db: &db, name: &op.collection };
    // What the first pass leaves out is looked for even where it found nothing.
    if place.found == 0 && (place.passes > 0 || !op.has_late() || place.route.is_empty()) {
        return Ok(None);
    }
    if work.pace.rate.is_none()
        && let Some(stages) = op.left()
        && documents.has(stages).await.map_err(|failure| session.of_command(&failure, &op.command()))?
            == Some(false)
    {
        return Ok(None);
    }
    place.passes += 1;
    if place.passes >= u64::from(PASSES) {
        let words = format!(
            "{} of {} {} still being written while the last of {PASSES} passes went by",
            counted(place.found, "document"),
            op.collection,
            agree(place.found, "was", "were")
        );
        return Ok(Some(words));
    }
    place.route = op.route(&db).await.map_err(|failure| session.of_command(&failure, &op.command()))?;
    place.found = 0;
    // One after the other they have more to come past than there is.
    position.total = position.total.map(|total| total + position.scanned / place.passes);
    Ok(None)
}

/// Everything was looked at. What was found stops the step; the next run looks anew, since somebody may have mended it
/// by then.
async fn surveyed(session: &mut Session, bout: &mut Bout<'_>, position: &mut Position<Place>) -> Result<()> {
    let found = position.place.odd.refuse(bout.op);
    position.place.route.rewind();
    if found.is_ok() {
        position.place.is_survey = false;
        position.is_clean &= position.place.is_exact;
        if !position.is_clean {
            // Without transactions the first chunk is there before the position after it is.
            let record = bout.now().partly(position.checkpoint(), 0);
            bout.running = session.ledger.put(&session.store, ledger::light(&record, &[]), false).await?;
        }
        return Ok(());
    }
    position.place.odd = Odd::default();
    (position.scanned, position.near) = (0, String::new());
    let record = bout.now().partly(position.checkpoint(), 0);
    session.ledger.put(&session.store, ledger::light(&record, &[]), false).await?;
    found.map_err(|error| error.with("left behind", "nothing: no document was changed"))
}

/// Looks at a chunk, or changes it. How long others may have been kept waiting.
async fn pass(session: &mut Session, bout: &mut Bout<'_>, next: &mut Next<'_>) -> Result<Duration, Stop> {
    let began = Instant::now();
    if next.position.place.is_survey {
        odd::look(session, bout.op, next).await?;
        let record = bout.record(&mut *next, 0);
        let record = session
            .ledger
            .put(&session.store, ledger::light(&record, &[]), false)
            .await
            .map_err(Stop::Ours)?;
        bout.wrote(record, 0, next.chunk.count);
        return Ok(began.elapsed());
    }
    if next.position.place.is_exact {
        return together::run(session, bout, next).await;
    }
    apart::run(session, bout, next).await?;
    Ok(began.elapsed())
}

async fn next_chunk(session: &Session, op: &Move, route: &Route, size: u32) -> Result<Option<Chunk>> {
    let db = session.store.database(&op.command());
    let place = Collection { db: &db, name: &op.collection };
    route.next(&place, size).await.map_err(|failure| session.of_command(&failure, &op.command()))
}

/// Whether a chunk that failed is tried again, smaller; else the failure.
async fn again(
    session: &mut Session,
    bout: &Bout<'_>,
    next: &Next<'_>,
    (stop, tries): (Stop, u32),
) -> Result<()> {
    let written = bout.op.command();
    let mut error = match stop {
        Stop::Ours(error) if error.kind == ErrorKind::Statement => {
            return Err(left(error, bout.op, &bout.running));
        }
        Stop::Ours(error) => return Err(error),
        Stop::Unkept => {
            let message = format!("{} is written faster than it can be archived", bout.op.collection);
            Error::new(ErrorKind::Statement, message).temporary()
        }
        Stop::Unknown(failure) => {
            session.ledger.doubt();
            return Err(session.of_command(&failure, &written));
        }
        Stop::Write(failure) => failure.error(&session.store, &written),
        Stop::Driver(failure) => {
            let error = session.of_command(&failure, &written);
            Error { temporary: error.temporary && !error::is_too_much(&failure, tries), ..error }
        }
    };
    let is_about_documents = error.kind == ErrorKind::Statement;
    let is_one = next.chunk.count <= 1 || !next.chunk.is_divided();
    if is_about_documents && (!is_one || error.temporary && tries < TRIES) {
        session.stride().shrink(next.chunk.count);
        if error.temporary {
            let millis = if is_one { 10 * tries * tries } else { 2 * tries };
            tokio::time::sleep(Duration::from_millis(u64::from(millis))).await;
        }
        return Ok(());
    }
    if is_about_documents && let Some(last) = next.chunk.last() {
        error = error.with("document", last.text());
    }
    Err(left(error, bout.op, &bout.running))
}

/// A failure, with what was done before it.
fn left(error: Error, op: &Move, running: &Record) -> Error {
    let position =
        running.checkpoint.as_ref().and_then(|checkpoint| checkpoint.read::<Position<Place>>().ok());
    let moved = position.filter(|position| !position.place.is_survey);
    let near = moved.map(|position| position.near).unwrap_or_default();
    let words = if let Task::Merge(merge) = &op.task {
        let (from, into) = (&op.collection, &merge.into);
        let done = if near.is_empty() { String::new() } else { format!("{from} up to {near} is merged; ") };
        format!(
            "{done}perhaps some of the documents of {from} after that are in {into}: they are merged again"
        )
    } else if near.is_empty() {
        format!("nothing in {}: it is as it was", op.collection)
    } else {
        format!("the documents of {} up to {near} are done; the rest is as it was", op.collection)
    };
    let is_said = error.fact("left behind").is_some();
    let error = if is_said { error } else { error.with("left behind", words) };
    if error.help.is_some() {
        error
    } else {
        error.help("mend it and run `dunlin up` again, which goes on from there")
    }
}

/// With what a chunk is written: several shards have a log each, so nothing later vouches for it there.
fn concern(session: &Session, is_final: bool) -> mongodb::options::WriteConcern {
    if is_final || session.store.topology == Topology::Sharded { lock::for_good() } else { lock::in_order() }
}
