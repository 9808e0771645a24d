//! Commands in another slot of a cluster than the history. A script runs them there once: it keeps in that very slot
//! which attempt of the step came how far, and refuses holders of the lock that others have overtaken. The history
//! follows in a second write; a run that is cut off between the two finds the first one done.

use std::ops::Range;

use dunlin_core::{Advance, Cursor, Error, ErrorKind, Result, Work};
use redis::cmd;
use serde_json::Value as Json;

use crate::atomic::{entries, failed_at, is_apart};
use crate::commit::push_command;
use crate::connect;
use crate::lock::{millis, unknown_reply, words};
use crate::op::Op;
use crate::place::Place;
use crate::session::{Session, advance, entry};
use crate::store::server_time;
use crate::{apart, error, script};

/// How long a fence stays after its step went on. It holds off whoever slept through a takeover; the lease, which the
/// server of the slot checks too, has long done so by then.
const FENCE_STAYS: i64 = 3_600_000;

/// Runs the commands of a unit in their slot, then records it.
pub(crate) async fn run(
    session: &mut Session,
    op: &Op,
    unit: Range<usize>,
    (at, slot, keys): (&Cursor, u16, Vec<Vec<u8>>),
    work: &Work<'_>,
) -> Result<Advance> {
    let Some(attempt) = attempt(at) else { return begin(session, op, at, work).await };
    let fence = session.store.keys.fence(slot);
    let mut all_keys = vec![fence.clone().into_bytes()];
    all_keys.extend(keys);
    let deadline = deadline(session, slot).await?;
    let mut args = vec![
        session.token.to_string().into_bytes(),
        attempt.as_bytes().to_vec(),
        unit.start.to_string().into_bytes(),
        deadline.to_string().into_bytes(),
        unit.len().to_string().into_bytes(),
    ];
    op.commands[unit.clone()].iter().for_each(|command| push_command(&mut args, command));
    let first = &op.commands[unit.start];
    let url = session.store.target.url.clone();
    let reply = session.store.net.eval(slot, &script::FENCED, &all_keys, &args).await?;
    let reply = reply.map_err(|failure| error::of_command(&failure, &first.text(), first.span, &url))?;
    let said = words(&reply);
    let number =
        |index: usize| said.get(index).and_then(|word| word.parse::<usize>().ok()).unwrap_or_default();
    let rows = |index: usize| {
        work.running.rows + said.get(index).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
    };
    match said.first().map(String::as_str) {
        Some("ok") => {
            let end = entries(op, unit.clone(), at, work).pop().expect("a unit has commands");
            let record = session.record(work, end, rows(2)).await?;
            expire(session, slot, &fence).await;
            let notes = op.commands[unit].iter().take(number(1));
            let notes =
                notes.map(|command| format!("found in effect from an interrupted run: {}", command.text()));
            Ok(advance(work, record, notes.collect()))
        }
        Some("failed") => {
            let complete = number(1);
            let words = said.get(2).map_or("", String::as_str).to_owned();
            if complete == 0 && unit.len() == 1 && is_apart(&words) {
                return apart::run(session, op, &Place::Apart(slot), at, work).await;
            }
            if complete > 0 {
                let done =
                    entries(op, unit.start..unit.start + complete, at, work).pop().expect("more than none");
                session.record(work, done, rows(3)).await?;
            }
            failed_at(session, op, (unit.start + complete, at, &words), work).await
        }
        Some("lost") => Err(error::lost()),
        Some("unrecorded") => {
            let message =
                format!("the command ran, and that could not be recorded beside it: {}", number_or(&said));
            Err(Error::new(ErrorKind::Ambiguous, message).at(first.span).with("statement", first.text()))
        }
        _ => Err(unknown_reply(&reply)),
    }
}

fn number_or(said: &[String]) -> &str {
    said.get(1).map_or("", String::as_str)
}

/// The name of this attempt at the step, if it has one.
fn attempt(at: &Cursor) -> Option<&str> {
    at.before.as_ref().and_then(|before| before.get("attempt")).and_then(Json::as_str)
}

/// Gives the attempt a name that no other ever had, and records it before anything runs under it.
async fn begin(session: &mut Session, op: &Op, at: &Cursor, work: &Work<'_>) -> Result<Advance> {
    session.attempts += 1;
    let name = format!("{}.{}", session.token, session.attempts);
    let named = Cursor { before: Some(serde_json::json!({ "attempt": name })), ..at.clone() };
    let record = session.record(work, entry(work, op, &named), work.running.rows).await?;
    Ok(advance(work, record, Vec::new()))
}

/// Until when the server of a slot may take our writes, by its own clock: the end of the lease, less a tenth for what
/// the clocks' comparison may be off.
async fn deadline(session: &mut Session, slot: u16) -> Result<i64> {
    let net = session.store.net.clone();
    let here = session.store.keys.slot();
    let name = net.owner(slot).await.map(|place| connect::shown(&place)).unwrap_or_default();
    if !session.offsets.contains_key(&name) {
        let time = cmd("TIME");
        let (ours, theirs) = tokio::join!(net.ask(here, &time), net.ask(slot, &time));
        let offset =
            match (ours?.ok().as_ref().and_then(server_time), theirs?.ok().as_ref().and_then(server_time)) {
                (Some(ours), Some(theirs)) => theirs - ours,
                _ => 0,
            };
        session.offsets.insert(name.clone(), offset);
    }
    let offset = session.offsets.get(&name).copied().unwrap_or_default();
    Ok(session.heartbeat.expires() + offset - millis(session.store.target.lease) / 10)
}

/// The step went on; the fence may go in a while. Where it stays, it is in nobody's way.
async fn expire(session: &Session, slot: u16, fence: &str) {
    let mut request = cmd("PEXPIRE");
    request.arg(fence).arg(FENCE_STAYS);
    drop(session.store.net.call(slot, &request).await);
}
