//! Commands in another slot of a cluster than the history. A script runs them there once: it keeps in that very slot
//! which attempt of the step came how far. The history follows in a second write; a run that is cut off between the two
//! finds the first one done.
//!
//! The history announces the slot before anything runs there. So whoever takes the lock over knows the one slot in
//! which an earlier holder may still be writing, and shuts it before doing anything else.

use std::ops::Range;

use dunlin_core::{Advance, Cursor, Error, ErrorKind, History, Result, Work};
use redis::cmd;

use crate::atomic::{failed_at, is_apart};
use crate::commit::push_command;
use crate::lock::{millis, unknown_reply, words};
use crate::op::Op;
use crate::place::Place;
use crate::position::{self, advance, announced_slot};
use crate::session::Session;
use crate::{apart, error, script};

/// How long a fence stays once nobody needs to know any more what ran behind it.
const FENCE_STAYS: i64 = 3_600_000;
/// How long after the end of its lease a holder is taken to be asleep, whatever a fence says; as much as the clocks of
/// a cluster's servers may differ, and much less than a fence stays.
const ASLEEP_AFTER: i64 = 600_000;

/// Shuts the slots in which earlier holders of the lock may still be writing.
pub(crate) async fn shut(session: &Session, history: &History) -> Result<()> {
    for slot in history.records.values().filter_map(|record| announced_slot(record)) {
        let fence = session.store.keys.fence(slot);
        let args = [session.token.to_string(), FENCE_STAYS.to_string()].map(String::into_bytes);
        let net = &session.store.net;
        let reply = net.eval(slot, &script::FENCE, &[fence.as_bytes()], &args).await?;
        reply.map_err(|failure| error::own_state(&failure, "cannot shut out an earlier run", net))?;
    }
    Ok(())
}

/// Runs the commands of a unit in their slot, then records it.
pub(crate) async fn run(
    session: &mut Session,
    op: &Op,
    unit: Range<usize>,
    (at, slot, keys): (&Cursor, u16, Vec<Vec<u8>>),
    work: &Work<'_>,
) -> Result<Advance> {
    let Some(attempt) = position::attempt(at, Some(slot)) else {
        let announced = position::announcing(session, op, at.clone()).await;
        let entry = position::under_way(work, &announced);
        let record = session.record(work, entry, work.running.rows).await?;
        return Ok(advance(work, record, Vec::new()));
    };
    let fence = session.store.keys.fence(slot);
    let mut all_keys = vec![fence.clone().into_bytes()];
    all_keys.extend(keys);
    let deadline = session.heartbeat.expires() + millis(session.store.target.lease) + ASLEEP_AFTER;
    let mut args = vec![
        session.token.to_string().into_bytes(),
        attempt.as_bytes().to_vec(),
        unit.start.to_string().into_bytes(),
        deadline.to_string().into_bytes(),
        unit.len().to_string().into_bytes(),
    ];
    op.commands[unit.clone()].iter().for_each(|command| push_command(&mut args, command));
    let first = &op.commands[unit.start];
    let reply = session.store.net.eval(slot, &script::FENCED, &all_keys, &args).await?;
    let url = &session.store.target.url;
    let reply = reply.map_err(|failure| error::of_command(&failure, &first.text(), first.span, url))?;
    let said = words(&reply);
    match said.first().map(String::as_str) {
        Some("ok") => {
            let notes = op.commands[unit.clone()].iter().take(number(&said, 1));
            let notes =
                notes.map(|command| format!("found in effect from an interrupted run: {}", command.text()));
            let notes = notes.collect();
            let end =
                position::entries(session, op, unit, at, work).await.pop().expect("a unit has commands");
            let record = session.record(work, end, work.running.rows + rows(&said, 2)).await?;
            expire(session, slot, &fence).await;
            Ok(advance(work, record, notes))
        }
        Some("failed") => failed(session, op, unit, (at, slot, &said), work).await,
        Some("lost") => Err(error::lost()),
        Some("unrecorded") => {
            let why = said.get(1).map_or("", String::as_str);
            let message = format!("the command ran, and that could not be recorded beside it: {why}");
            Err(Error::new(ErrorKind::Ambiguous, message).at(first.span).with("statement", first.text()))
        }
        _ => Err(unknown_reply(&reply)),
    }
}

async fn failed(
    session: &mut Session,
    op: &Op,
    unit: Range<usize>,
    (at, slot, said): (&Cursor, u16, &[String]),
    work: &Work<'_>,
) -> Result<Advance> {
    let complete = number(said, 1);
    let words = said.get(2).map_or("", String::as_str);
    if complete == 0 && unit.len() == 1 && is_apart(words) {
        return apart::run(session, op, &Place::Apart(slot), at, work).await;
    }
    if complete > 0 {
        let done = op.commands[unit.start..unit.start + complete]
            .iter()
            .fold(at.clone(), |at, command| position::after(&at, command));
        session.record(work, position::entry(work, op, &done), work.running.rows + rows(said, 3)).await?;
    }
    failed_at(session, op, (unit.start + complete, at, words), work).await
}

fn number(said: &[String], index: usize) -> usize {
    said.get(index).and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn rows(said: &[String], index: usize) -> u64 {
    said.get(index).and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The history knows what ran; the fence may go in a while. Where this fails it stays, in nobody's way.
async fn expire(session: &Session, slot: u16, fence: &str) {
    let mut request = cmd("PEXPIRE");
    request.arg(fence).arg(FENCE_STAYS);
    drop(session.store.net.call(slot, &request).await);
}
