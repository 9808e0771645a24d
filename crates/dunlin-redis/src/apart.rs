//! Commands that servers take from clients only, so that no script can record them as it runs them. The intent is
//! recorded before, the end after; a run that is cut off in between sends the command again if that does no harm, and
//! else says that it cannot know.

use dunlin_core::{Advance, Cursor, Error, ErrorKind, Result, Work};
use redis::{Cmd, RedisError, ServerErrorKind, cmd};

use crate::atomic::failed_at;
use crate::op::{Command, Op};
use crate::place::Place;
use crate::position::{self, advance};
use crate::session::Session;
use crate::{command, error, slot};

/// Runs the command at the cursor.
pub(crate) async fn run(
    session: &mut Session,
    op: &Op,
    place: &Place,
    at: &Cursor,
    work: &Work<'_>,
) -> Result<Advance> {
    let command = &op.commands[at.at];
    let mut notes = Vec::new();
    let is_ours = session.written.is_some() && session.written == work.running.checkpoint;
    if at.open && !is_ours {
        if !command::is_repeatable(&command.args) {
            return Err(ambiguous(command));
        }
        notes.push(format!("sent again after an interrupted run: {}", command.text()));
    }
    if !at.open {
        let intent = Cursor { open: true, ..at.clone() };
        session.record(work, position::under_way(work, &intent), work.running.rows).await?;
    }
    match send(session, place, command).await? {
        Ok(()) => {}
        Err(failure) if is_refusal(&failure) => {
            // The server did not do it, so it is not under way any more.
            let plain = Cursor { open: false, ..at.clone() };
            session.record(work, position::under_way(work, &plain), work.running.rows).await?;
            return failed_at(session, op, (at.at, &plain, &error::sentence(&failure)), work).await;
        }
        Err(failure) => {
            // It may have been done: from here on only what the history says counts.
            session.written = None;
            return Err(error::of_command(
                &failure,
                &command.text(),
                command.span,
                &session.store.target.url,
            ));
        }
    }
    let next = position::announcing(session, op, position::after(at, command)).await;
    let record = session.record(work, position::entry(work, op, &next), work.running.rows + 1).await?;
    Ok(advance(work, record, notes))
}

fn ambiguous(command: &Command) -> Error {
    let message = "an earlier run was cut off while this command ran, and the server cannot tell whether it took effect";
    Error::new(ErrorKind::Ambiguous, message).at(command.span).with("statement", command.text())
}

/// Whether the server answered with a refusal, and not the connection with its end.
fn is_refusal(failure: &RedisError) -> bool {
    matches!(failure.kind(), redis::ErrorKind::Server(_) | redis::ErrorKind::Extension)
}

async fn send(
    session: &Session,
    place: &Place,
    command: &Command,
) -> Result<std::result::Result<(), RedisError>> {
    let net = &session.store.net;
    let request = request(command);
    if *place != Place::Everywhere {
        let slot = if let Place::Apart(slot) = place { *slot } else { session.store.keys.slot() };
        return Ok(net.call(slot, &request).await?.map(drop));
    }
    for primary in net.primaries().await {
        match net.call_at(&primary, &request).await? {
            Ok(_) => {}
            // The slots moved on while we walked over their owners.
            Err(failure) if failure.kind() == redis::ErrorKind::Server(ServerErrorKind::ReadOnly) => {}
            Err(failure) => return Ok(Err(failure)),
        }
    }
    Ok(Ok(()))
}

/// A command as the driver takes it.
pub(crate) fn request(command: &Command) -> Cmd {
    let mut request = Cmd::new();
    request.arg(&command.args);
    request
}

/// Whether what a failed command should bring about holds already.
pub(crate) async fn already_holds(session: &Session, command: &Command, said: &str) -> Result<bool> {
    let said = error::plain(said);
    let second = command.args.get(1).map(|word| command::upper(word)).unwrap_or_default();
    Ok(match (command.name().as_str(), second.as_str()) {
        ("RENAME" | "RENAMENX", _) if said.contains("no such key") => {
            let [_, from, to] = command.args.as_slice() else { return Ok(false) };
            !exists(session, from).await? && exists(session, to).await?
        }
        ("XGROUP", "CREATE") => said.starts_with("BUSYGROUP"),
        ("XGROUP", "DESTROY") => said.contains("requires the key to exist"),
        ("FUNCTION", "DELETE") => said.contains("Library not found"),
        _ => false,
    })
}

async fn exists(session: &Session, key: &[u8]) -> Result<bool> {
    let mut request = cmd("EXISTS");
    request.arg(key);
    let slot = if session.store.net.is_cluster() { slot::of(key) } else { session.store.keys.slot() };
    let reply = session.store.net.ask(slot, &request).await?;
    let reply =
        reply.map_err(|failure| error::own(&failure, "cannot look for a key", &session.store.target.url))?;
    Ok(reply == redis::Value::Int(1))
}
