//! Commands whose effect and record are one: a script runs them and writes the history unless they fail. A script and
//! not `MULTI`, because `EXEC` goes on after a failed command, and what stands behind it cannot tell.

use std::ops::Range;

use dunlin_core::{Advance, Cursor, Error, Result, Work};

use crate::commit::{Commit, Outcome, commit};
use crate::op::Op;
use crate::place::Place;
use crate::position::{self, advance};
use crate::session::Session;
use crate::{apart, error};

/// Runs the commands of a unit.
pub(crate) async fn run(
    session: &mut Session,
    op: &Op,
    unit: Range<usize>,
    at: &Cursor,
    work: &Work<'_>,
) -> Result<Advance> {
    let entries = position::entries(session, op, unit.clone(), at, work).await;
    let whole = Commit {
        about: work.running,
        step: work.step(),
        rows: work.running.rows,
        files: work.files,
        commands: &op.commands[unit.clone()],
        entries,
    };
    match commit(session, whole).await? {
        Outcome::Done(record) => Ok(advance(work, record, Vec::new())),
        Outcome::Failed { complete: 0, said } if unit.len() == 1 && is_apart(&said) => {
            // Nothing happened: the server takes this command from clients only.
            let slot = session.store.keys.slot();
            apart::run(session, op, &Place::Apart(slot), at, work).await
        }
        Outcome::Failed { complete, said } => {
            let failed = unit.start + complete;
            failed_at(session, op, (failed, at, &said), work).await
        }
    }
}

/// Whether a server said that scripts may not run a command: Redis and Valkey name themselves in that sentence.
pub(crate) fn is_apart(said: &str) -> bool {
    said.contains("command is not allowed from script")
}

/// A command failed: on the way back that may mean that nothing is left to do, else it is the user's to see.
pub(crate) async fn failed_at(
    session: &mut Session,
    op: &Op,
    (failed, at, said): (usize, &Cursor, &str),
    work: &Work<'_>,
) -> Result<Advance> {
    let command = &op.commands[failed];
    let refused = || -> Error {
        let error = error::refused(said, &command.text(), command.span, &session.store.target.url);
        if failed == at.at {
            error
        } else {
            error.with("done", format!("{} commands of the block", failed - at.at))
        }
    };
    if !work.is_undo() || failed != at.at || !apart::already_holds(session, command, said).await? {
        return Err(refused());
    }
    let note = format!("passed over, nothing is left to undo: {} ({})", command.text(), error::plain(said));
    let next = position::announcing(session, op, position::after(at, command)).await;
    let record = session.record(work, position::entry(work, op, &next), work.running.rows).await?;
    Ok(advance(work, record, vec![note]))
}
