//! Statements that succeed or fail together, with the history row that says so in the same transaction.

use dunlin_core::{Advance, Checkpoint, Error, ErrorKind, EventKind, Result, Target, Work};

use crate::connect::{is_pooled, search_path};
use crate::dialect::Dialect;
use crate::history::Entry;
use crate::look::look;
use crate::op::{Op, Statement};
use crate::session::{Session, cursor};
use crate::{error, keys, send};

/// Opens a transaction that may write.
pub(crate) async fn begin(session: &mut Session) -> Result<()> {
    send::send_all(session, &opening(session.tables.dialect, &session.store.target), &[])
        .await
        .map(drop)
        .map_err(|failed| failed.error)
}

/// The texts that open a transaction that may write.
pub(crate) fn opening(dialect: Dialect, target: &Target) -> Vec<String> {
    match dialect {
        // Taken at once, so that a second writer waits here and not halfway through.
        Dialect::Sqlite => vec!["begin immediate".to_owned()],
        Dialect::MySql => vec!["start transaction".to_owned()],
        Dialect::Postgres if is_pooled(target) => {
            let timeout = format!("set local lock_timeout = {}", target.lock_timeout.as_millis());
            let path = search_path(target).map(|path| format!("set local search_path = {path}"));
            ["begin".to_owned(), timeout].into_iter().chain(path).collect()
        }
        Dialect::Postgres => vec!["begin".to_owned()],
    }
}

/// Commits.
pub(crate) async fn commit(session: &mut Session) -> Result<()> {
    let committed = session.conn.execute("commit").await;
    committed.map(drop).map_err(|failure| session.fail(&failure, "cannot commit"))
}

/// Rolls back what went wrong, or could not be committed.
pub(crate) async fn settle<T>(session: &mut Session, result: Result<T>) -> Result<T> {
    if result.is_err() {
        // On a connection that is gone the server rolls back by itself.
        let _ = session.conn.execute("rollback").await;
    }
    result
}

/// Runs one unit of a script. Statements of a way back that fail although their effect already holds are left out.
pub(crate) async fn run(
    session: &mut Session,
    op: &Op,
    unit: usize,
    first: usize,
    work: &Work<'_>,
) -> Result<Advance> {
    let mut skipped: Vec<usize> = Vec::new();
    let mut known = keys::Broken::new();
    loop {
        let keys = keys::before(session, op).await?;
        let result = attempt(session, op, (unit, first), work, (&skipped, &known)).await;
        keys::after(session, keys).await?;
        match result {
            Ok(mut advance) => {
                let passed_over = |index: &usize| {
                    format!(
                        "passed over, its effect already holds: {}",
                        op.units[unit].statements[*index].text
                    )
                };
                advance.notes = skipped.iter().map(passed_over).collect();
                return Ok(advance);
            }
            Err(Failed { error, is_broken: true, .. }) if known.is_empty() => {
                // What pointed at nothing before is not this script's doing.
                known = keys::broken(session).await?;
                if known.is_empty() {
                    return Err(error);
                }
            }
            Err(Failed { error, index: Some(index), .. }) if work.is_undo() && !skipped.contains(&index) => {
                if !already_holds(session, &op.units[unit].statements[index]).await? {
                    return Err(error);
                }
                skipped.push(index);
            }
            Err(Failed { error, .. }) => return Err(error),
        }
    }
}

/// A failure, and the statement of the unit that caused it.
struct Failed {
    error: Error,
    index: Option<usize>,
    /// Whether foreign keys would be broken by it.
    is_broken: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, index: None, is_broken: false }
    }
}

async fn attempt(
    session: &mut Session,
    op: &Op,
    (unit, first): (usize, usize),
    work: &Work<'_>,
    (skipped, known): (&[usize], &keys::Broken),
) -> Result<Advance, Failed> {
    set_up(session, op, first).await?;
    let sent = statements(session, &op.units[unit].statements, skipped).await;
    let index = sent.as_ref().err().and_then(|failed| failed.index);
    let sent = sent.map_err(|failed| with_leftover(failed.error, op, first));
    let checked = if sent.is_ok() { keys::check(session, op, known).await } else { Ok(()) };
    let is_broken = checked.is_err();
    let result = match (sent, checked) {
        (Ok(changed), Ok(())) => record(session, op, (unit, first), work, changed).await,
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    settle(session, result).await.map_err(|error| Failed { error, index, is_broken })
}

/// Sends the statements of a unit, at the head of a transaction; the rows they changed. A failure knows its statement.
async fn statements(
    session: &mut Session,
    statements: &[Statement],
    skipped: &[usize],
) -> Result<u64, send::Failed> {
    let indexes: Vec<usize> = (0..statements.len()).filter(|index| !skipped.contains(index)).collect();
    let kept: Vec<&Statement> = indexes.iter().map(|index| &statements[*index]).collect();
    let opening = opening(session.tables.dialect, &session.store.target);
    let sent = send::send_all(session, &opening, &kept).await;
    sent.map_err(|failed| send::Failed { index: failed.index.map(|index| indexes[index]), ..failed })
}

/// Writes down that a unit is complete, and commits both.
async fn record(
    session: &mut Session,
    op: &Op,
    (unit, first): (usize, usize),
    work: &Work<'_>,
    changed: u64,
) -> Result<Advance> {
    let at = first + op.units[unit].statements.len();
    let is_last = unit + 1 == op.units.len();
    let record =
        if is_last { work.complete(changed) } else { work.partly(Checkpoint::of(&cursor(op, at)), changed) };
    let kind = if is_last { work.ends_as() } else { EventKind::Begun };
    let detail = record.checkpoint.as_ref().map(|checkpoint| checkpoint.0.clone());
    let entry =
        Entry { record: &record, files: work.files, kind, step: work.step(), detail: detail.as_deref() };
    session.write_and_commit(entry).await?;
    Ok(if is_last { Advance::complete(record, changed) } else { Advance::partly(record, changed) })
}

fn with_leftover(error: Error, op: &Op, first: usize) -> Error {
    if error.kind != ErrorKind::Statement {
        return error;
    }
    error.with("left behind", error::leftover(op.dialect, false, first))
}

/// Sends again what an earlier run of this script had set on its own connection.
pub(crate) async fn set_up(session: &mut Session, op: &Op, first: usize) -> Result<()> {
    if std::mem::replace(&mut session.is_set_up, true) || first == 0 {
        return Ok(());
    }
    let settings: Vec<Statement> =
        op.statements().take(first).filter(|statement| statement.is_setting()).cloned().collect();
    for statement in &settings {
        send::send(session, statement).await?;
    }
    Ok(())
}

/// Whether what a statement should bring about is so already.
pub(crate) async fn already_holds(session: &mut Session, statement: &Statement) -> Result<bool> {
    let Some(effect) = statement.effect() else { return Ok(false) };
    let presence = look(&mut session.conn, &effect.object)
        .await
        .map_err(|failure| session.fail(&failure, "cannot look at the catalogue"))?;
    Ok(presence.is_some_and(|presence| presence.fulfils(&effect)))
}
