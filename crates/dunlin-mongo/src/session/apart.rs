//! Commands that no transaction holds together with the history. The intent is recorded before each; after a run that
//! ended without saying how, the server is asked what is there.
//!
//! Between the fenced intent and the command itself a process may be stopped for longer than its lease. It asks for its
//! lease again when it wakes up; what remains is the time between that answer and the sending, which no client of a
//! server without fencing can close. The confirmation is fenced again, so such a command is never recorded as ours.
//!
//! A command itself waits for no majority: the confirmation does, which stands behind it in the same log. If another primary
//! took the confirmation than took the intent, the command may stand in a log that is lost, and the server is asked again.

use bson::{Bson, Document, doc};
use dunlin_core::words::counted;
use dunlin_core::{Advance, Checkpoint, Cursor, Error, ErrorKind, Record, Result, Work};
use mongodb::Database;

use super::look::look;
use super::{Session, before, cursor, is_transactional, look, outcome, unit_at};
use crate::command::{self, Class};
use crate::connect::Topology;
use crate::fill::Seed;
use crate::op::{Command, Op};
use crate::patience;

/// Documents in one insert; the driver's own limit for one message is 48 MB.
const BATCH: usize = 1000;
/// Bytes in one insert: the command that holds them can have 16 MB itself.
const BATCH_BYTES: usize = 8 << 20;

/// Commands that take a write concern.
const CONCERNED: [&str; 12] = [
    "insert",
    "update",
    "delete",
    "findAndModify",
    "create",
    "createIndexes",
    "drop",
    "dropIndexes",
    "collMod",
    "renameCollection",
    "createUser",
    "dropUser",
];

/// The documents to send for a command, its placeholders filled: several where an insert is too large for one.
pub(super) fn filled(command: &Command, seed: Option<&Seed>, place: usize) -> Vec<Document> {
    let document = seed.map_or_else(|| command.document.clone(), |seed| seed.fill(&command.document, place));
    let Ok(all) = document.get_array("documents") else { return vec![document] };
    if command::name(&document) != "insert" || all.len() <= BATCH && size(all) <= BATCH_BYTES {
        return vec![document];
    }
    let mut batches: Vec<Vec<Bson>> = vec![Vec::new()];
    let mut bytes = 0;
    for one in all {
        let size = size(std::slice::from_ref(one));
        if batches
            .last()
            .is_some_and(|batch| batch.len() >= BATCH || !batch.is_empty() && bytes + size > BATCH_BYTES)
        {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(one.clone());
        }
    }
    let with = |batch: Vec<Bson>| {
        let mut part = document.clone();
        part.insert("documents", batch);
        part
    };
    batches.into_iter().map(with).collect()
}

fn size(documents: &[Bson]) -> usize {
    let one = |document: &Bson| {
        document.as_document().and_then(|document| bson::RawDocumentBuf::try_from(document).ok())
    };
    documents.iter().filter_map(one).map(|document| document.as_bytes().len()).sum()
}

/// Runs the first command of a unit, apart from any transaction.
pub(super) async fn run(
    session: &mut Session,
    op: &Op,
    unit: &[Command],
    at: &Cursor,
    work: &Work<'_>,
) -> Result<Advance> {
    let command = &unit[0];
    let announced = session.announced.take();
    let is_resumed = at.open && announced.as_ref() != work.running.checkpoint.as_ref();
    let seed = session.seed(op, at)?;
    let seed = seed.as_ref();
    let mut running = work.running.clone();
    let mut notes = Vec::new();
    let mut changed = 0;
    let mut opened = work.running.checkpoint.clone();
    let is_done_already = is_resumed && took_effect(session, command, at).await?;
    if is_done_already {
        notes.push(format!("found in effect from an interrupted run: {}", words(command)));
    } else {
        if !at.open {
            let look = look(session, command).await?;
            let open = cursor(op, at.at, seed, look, true);
            let announcement = work.partly(Checkpoint::of(&open), 0);
            // Where the answer to this is lost, the command was not sent: this session knows when it finds it written.
            session.announced.clone_from(&announcement.checkpoint);
            running = session.ledger.put_step(&session.store, work, &announcement).await?;
            session.announced = None;
            opened = announcement.checkpoint;
            session.check_lease().await?;
        }
        let sent = match try_for_lock(session, command).await {
            Ok(()) => send(session, command, seed, (at.at, is_resumed)).await,
            Err(late) => Err(late),
        };
        match sent {
            Ok(sent) => changed = sent,
            Err(failure) => match passed_over(session, command, &failure, work).await? {
                Some(note) => notes.push(note),
                None => return Err(close(session, op, at.at, seed, (work, failure)).await?),
            },
        }
        look::changed(session, command);
    }
    let mut done = at.at + 1;
    // Looking tells a collection that was created, and an index is created again without harm: the indexes of a new
    // collection need no word of their own in the history.
    while command::name(&command.document) == "create"
        && let Some([index]) = unit_at(op, done)
        && command::name(&index.document) == "createIndexes"
    {
        if let Err(failure) = send(session, index, seed, (done, false)).await {
            return Err(close(session, op, done, seed, (work, failure)).await?);
        }
        done += 1;
    }
    let mut record = next(session, op, done, seed, (work, changed)).await?;
    record.started = running.started.or(record.started);
    session.announced.clone_from(&record.checkpoint);
    let term = session.ledger.term();
    let record = session.ledger.put_step(&session.store, work, &record).await?;
    if term.is_some() && session.ledger.term() != term {
        return Err(doubted(session, work, opened).await?);
    }
    let is_done = record.checkpoint.is_none();
    Ok(Advance { notes, is_done, ..Advance::partly(record, changed) })
}

/// Takes a confirmation back: another primary was elected since the intent, and may know nothing of the command.
async fn doubted(session: &mut Session, work: &Work<'_>, opened: Option<Checkpoint>) -> Result<Error> {
    session.announced = None;
    if let Some(opened) = opened {
        session.ledger.put_step(&session.store, work, &work.partly(opened, 0)).await?;
    }
    session.ledger.doubt();
    let message = "another primary was elected while a command ran, and may know nothing of it";
    Ok(Error::new(ErrorKind::Connect, message).temporary().help("whether it took effect is looked up"))
}

/// The record after `at` commands, already announcing the next one where that runs apart too.
async fn next(
    session: &mut Session,
    op: &Op,
    at: usize,
    seed: Option<&Seed>,
    (work, changed): (&Work<'_>, u64),
) -> Result<Record> {
    let Some(unit) = unit_at(op, at) else { return Ok(work.complete(changed)) };
    let is_apart = !is_transactional(&session.store, unit)?;
    let look = if is_apart { look(session, &unit[0]).await? } else { None };
    let cursor = cursor(op, at, seed, look, is_apart);
    Ok(work.partly(Checkpoint::of(&cursor), changed))
}

fn words(command: &Command) -> String {
    let target = command::target(&command.document).unwrap_or_default();
    format!("{} {target}", command::name(&command.document)).trim_end().to_owned()
}

/// Tries for the lock with which a command begins, where the command itself cannot be told how long to wait for it.
async fn try_for_lock(session: &Session, command: &Command) -> Result<()> {
    let tried = session.patience().try_for(&session.store.database(command), &command.document).await;
    tried.map_err(|failure| failure.error(|failure| session.of_command(failure, command)))
}

/// Sends a command; how many documents it changed.
async fn send(
    session: &Session,
    command: &Command,
    seed: Option<&Seed>,
    (place, is_resumed): (usize, bool),
) -> Result<u64> {
    let db = session.store.database(command);
    let mut changed = 0;
    for mut document in filled(command, seed, place) {
        let db = expand(session, command, &mut document).unwrap_or_else(|| db.clone());
        if CONCERNED.contains(&command::name(&document)) && !document.contains_key("writeConcern") {
            // Where there is one log the confirmation that follows in it waits for the majority.
            let is_one = session.store.topology != Topology::Sharded;
            let nodes = if is_one { Bson::from(1) } else { Bson::from("majority") };
            document.insert("writeConcern", doc! { "w": nodes });
        }
        if is_resumed && command::name(&document) == "insert" {
            // Those that an interrupted run inserted are there, under the very ids it chose.
            document.insert("ordered", false);
        }
        let response = session.patience().send(&db, document).await;
        let response =
            response.map_err(|failure| failure.error(|failure| session.of_command(failure, command)))?;
        match outcome(&response, command) {
            Ok(count) => changed += count,
            Err(failure) if is_resumed && failure.are_own_ids => changed += failure.changed,
            Err(failure) => {
                let left = changed + failure.changed;
                let error = failure.error(&session.store, command);
                // What it did stays, and sent again it would be done again; whoever lost the server looks.
                let temporary = error.temporary && error.kind == ErrorKind::Connect;
                let error = Error { temporary, ..error };
                return Err(
                    error.with("left behind", format!("{} written before it", counted(left, "document")))
                );
            }
        }
    }
    Ok(changed)
}

/// `renameCollection` runs in `admin` and needs full names, which a migration does not know.
fn expand(session: &Session, command: &Command, document: &mut Document) -> Option<Database> {
    if command::name(document) != "renameCollection" || command.database.as_deref() == Some("admin") {
        return None;
    }
    let database = session.store.database(command).name().to_owned();
    for key in ["renameCollection", "to"] {
        if let Ok(name) = document.get_str(key) {
            let full = format!("{database}.{name}");
            document.insert(key, full);
        }
    }
    Some(session.store.client.database("admin"))
}

/// Whether a command that an earlier run announced, and of which it never said more, took effect.
async fn took_effect(session: &mut Session, command: &Command, at: &Cursor) -> Result<bool> {
    let document = &command.document;
    match command::class(document) {
        Class::Repeatable | Class::Redo | Class::Read => return Ok(false),
        Class::Documents if command::name(document) == "insert" || command::is_pinned(document) => {
            return Ok(false);
        }
        Class::Shape => {
            session.names.clear();
            let now = look(session, command).await?;
            if let (Some(before), Some(now)) = (before(at)?.look, now)
                && let Some(took_effect) = look::took_effect(document, &before, &now)
            {
                return Ok(took_effect);
            }
        }
        Class::Documents | Class::Opaque => {}
    }
    let message = "an earlier run was cut off while this command ran, and the server cannot tell whether it took effect";
    Err(Error::new(ErrorKind::Ambiguous, message).at(command.span).with("statement", words(command)))
}

/// What to say where a command failed because what it should bring about holds already.
async fn passed_over(
    session: &mut Session,
    command: &Command,
    failure: &Error,
    work: &Work<'_>,
) -> Result<Option<String>> {
    let code = failure.fact("code").and_then(|code| code.parse::<i32>().ok());
    // Servers before 7.0 report a collection that is not there; the shell has always passed over it.
    if command::name(&command.document) == "drop" && code == Some(26) {
        return Ok(Some(format!(
            "was not there: {}",
            command::target(&command.document).unwrap_or_default()
        )));
    }
    if !work.is_undo() || failure.kind != ErrorKind::Statement || failure.temporary {
        return Ok(None);
    }
    session.names.clear();
    let now = look(session, command).await?;
    let holds = now.is_some_and(|now| look::holds(&command.document, &now));
    Ok(holds.then(|| format!("passed over, its effect already holds: {}", words(command))))
}

/// A failure closes the announcement: the server said that the command did not take effect. Where it did not say so,
/// the announcement stays open for the next run to look.
async fn close(
    session: &mut Session,
    op: &Op,
    at: usize,
    seed: Option<&Seed>,
    (work, failure): (&Work<'_>, Error),
) -> Result<Error> {
    if patience::is_given_up(&failure) {
        // The server may have done it in the very moment in which it gave up: the next try looks.
        return Ok(failure);
    }
    if matches!(failure.kind, ErrorKind::Connect | ErrorKind::Unexpected) {
        return Ok(failure.help("whether the command took effect is looked up by the next `dunlin up`"));
    }
    let closed = cursor(op, at, seed, None, false);
    let record = work.partly(Checkpoint::of(&closed), 0);
    session.ledger.put_step(&session.store, work, &record).await?;
    Ok(failure)
}
