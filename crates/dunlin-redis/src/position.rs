//! How far a step came, as its checkpoint says it: which command is next, a sum of those before it, and what a reader of
//! an interrupted run must know of the next one: that it was announced, or in which slot of a cluster it may be running.

use dunlin_core::{Advance, Checkpoint, Checksum, Cursor, Error, ErrorKind, EventKind, Record, Result, Work};
use serde_json::{Value as Json, json};

use crate::commit::Entry;
use crate::op::{Command, Op};
use crate::place::{self, Place};
use crate::session::Session;

/// The position of a record, if the commands before it are still what they were.
pub(crate) fn of(op: &Op, record: &Record, is_known: bool) -> Result<Cursor> {
    let mut at = dunlin_core::position::cursor(record)?;
    if at.sum.is_empty() && at.at <= op.commands.len() {
        // A person said how far it got; only here can be told what that is.
        at.sum = start(op, at.at).sum;
    }
    if is_known || (at.at <= op.commands.len() && start(op, at.at).sum == at.sum) {
        return Ok(at);
    }
    let error = Error::new(ErrorKind::Integrity, "the commands that already ran were edited")
        .with("code", "edited-halfway");
    Err(error.help("put them back as they were; those after them may be edited freely"))
}

/// The position after the first `at` commands.
pub(crate) fn start(op: &Op, at: usize) -> Cursor {
    op.commands[..at].iter().fold(Cursor::default(), |cursor, command| after(&cursor, command))
}

/// The position one command further, in the same slot. Each sum covers the one before, so that going on costs the same
/// at every command.
pub(crate) fn after(cursor: &Cursor, command: &Command) -> Cursor {
    let sum = Checksum::of([&cursor.sum, &command.canonical()]).to_string();
    Cursor { at: cursor.at + 1, open: false, before: cursor.before.clone(), sum }
}

/// The same position, announcing what is about to run there as its place demands.
pub(crate) async fn announcing(session: &mut Session, op: &Op, at: Cursor) -> Cursor {
    if at.at >= op.commands.len() {
        return at;
    }
    // Where the place cannot be told, the step stops there and says why.
    match place::of_unit(session, op, at.at).await {
        Ok(Place::Slot { slot, .. }) => {
            let attempt = attempt(&at, None).map_or_else(|| session.name_attempt(), str::to_owned);
            Cursor { open: false, before: Some(json!({ "attempt": attempt, "slot": slot })), ..at }
        }
        // What runs apart is announced when it is sent and no sooner: a run that pauses here must not look as if it had
        // been cut off while sending.
        Ok(_) | Err(_) => Cursor { open: false, before: None, ..at },
    }
}

/// The name of the attempt at a step in slots of their own, if it was announced for this slot, or for any.
pub(crate) fn attempt(at: &Cursor, wanted: Option<u16>) -> Option<&str> {
    let before = at.before.as_ref()?;
    if wanted.is_some() && slot(before) != wanted {
        return None;
    }
    before.get("attempt").and_then(Json::as_str)
}

fn slot(before: &Json) -> Option<u16> {
    before.get("slot").and_then(Json::as_u64).and_then(|slot| u16::try_from(slot).ok())
}

/// The slot in which an interrupted run may have left a command under way.
pub(crate) fn announced_slot(record: &Record) -> Option<u16> {
    // Another kind of step keeps another kind of checkpoint.
    let cursor = Cursor::of(record).ok()?;
    slot(cursor.before.as_ref()?)
}

/// What is written once the commands before `next` are complete: a position, or the end of the step.
pub(crate) fn entry(work: &Work<'_>, op: &Op, next: &Cursor) -> Entry {
    if next.at < op.commands.len() {
        return under_way(work, next);
    }
    let done = work.complete(0);
    // The end of a step keeps the beginning of the migration.
    let record = Record { started: work.running.started.or(done.started), ..done };
    Entry { record: Some(record), kind: Some(work.ends_as()), detail: None }
}

/// A position, written.
pub(crate) fn under_way(work: &Work<'_>, cursor: &Cursor) -> Entry {
    let checkpoint = Checkpoint::of(cursor);
    let detail = Some(checkpoint.0.to_string());
    Entry { record: Some(work.partly(checkpoint, 0)), kind: Some(EventKind::Begun), detail }
}

/// What to write after each of some commands that run as one; what comes after the last of them is announced.
pub(crate) async fn entries(
    session: &mut Session,
    op: &Op,
    unit: std::ops::Range<usize>,
    at: &Cursor,
    work: &Work<'_>,
) -> Vec<Entry> {
    let mut next = at.clone();
    let mut entries = Vec::new();
    for index in unit.clone() {
        next = after(&next, &op.commands[index]);
        if index + 1 == unit.end {
            next = announcing(session, op, next).await;
        }
        entries.push(entry(work, op, &next));
    }
    entries
}

/// What the caller learns of a record that was written.
pub(crate) fn advance(work: &Work<'_>, record: Record, notes: Vec<String>) -> Advance {
    let changed = record.rows.saturating_sub(work.running.rows);
    let is_done = record.checkpoint.is_none();
    Advance { is_done, notes, ..Advance::partly(record, changed) }
}
