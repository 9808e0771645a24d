//! Statements that succeed or fail together, with the history row that says so in the same transaction.

use dunlin_core::{Advance, Checkpoint, Error, ErrorKind, EventKind, Result, Target, Work};

use crate::connect::{is_pooled, search_path};
use crate::dialect::Dialect;
use crate::history::Entry;
use crate::look::look;
use crate::op::{Op, Statement};
use crate::session::{Session, cursor};
use crate::{blocker, error, keys, settings};

/// What opens a transaction that may write.
pub(crate) fn opening(dialect: Dialect, target: &Target) -> String {
    match dialect {
        // Taken at once, so that a second writer waits here and not halfway through.
        Dialect::Sqlite => "begin immediate".to_owned(),
        Dialect::MySql => "start transaction".to_owned(),
        Dialect::Postgres if is_pooled(target) => pooled_begin(target),
        Dialect::Postgres => "begin".to_owned(),
    }
}

/// Opens a transaction that may write.
pub(crate) async fn begin(session: &mut Session) -> Result<()> {
    let text = opening(session.tables.dialect, &session.store.target);
    session
        .conn
        .execute(&text)
        .await
        .map(drop)
        .map_err(|failure| session.fail(&failure, "cannot begin a transaction"))
}

fn pooled_begin(target: &Target) -> String {
    let path = search_path(target).map(|path| format!("; set local search_path = {path}"));
    format!("begin; set local lock_timeout = {}{}", target.lock_timeout.as_millis(), path.unwrap_or_default())
}

/// Commits what went well and rolls back what did not; the first failure is returned.
pub(crate) async fn end<T>(session: &mut Session, result: Result<T>) -> Result<T> {
    match result {
        Ok(value) => match session.conn.execute("commit").await {
            Ok(_) => Ok(value),
            Err(failure) => {
                let failed = session.fail(&failure, "cannot commit");
                let _ = session.conn.execute("rollback").await;
                Err(failed)
            }
        },
        Err(first) => {
            // On a connection that is gone the server rolls back by itself.
            let _ = session.conn.execute("rollback").await;
            Err(first)
        }
    }
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
    begin(session).await?;
    let mut culprit = None;
    let sent = statements(session, op, (unit, first), skipped, &mut culprit).await;
    let index = culprit;
    let checked = if sent.is_ok() { keys::check(session, op, known).await } else { Ok(()) };
    let is_broken = checked.is_err();
    let result = match (sent, checked) {
        (Ok(changed), Ok(())) => record(session, op, (unit, first), work, changed).await,
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    end(session, result).await.map_err(|error| Failed { error, index, is_broken })
}

/// Sends the statements of a unit; the rows they changed.
async fn statements(
    session: &mut Session,
    op: &Op,
    (unit, first): (usize, usize),
    skipped: &[usize],
    culprit: &mut Option<usize>,
) -> Result<u64> {
    let mut changed = 0;
    let statements = op.units[unit].statements.iter().enumerate();
    for (index, statement) in statements.filter(|(index, _)| !skipped.contains(index)) {
        *culprit = Some(index);
        changed += send(session, statement).await.map_err(|error| with_leftover(error, op, first))?;
    }
    *culprit = None;
    Ok(changed)
}

/// Writes down that a unit is complete.
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
    session.write_here(entry).await?;
    Ok(if is_last { Advance::complete(record, changed) } else { Advance::partly(record, changed) })
}

/// Sends one statement; the rows it changed.
pub(crate) async fn send(session: &mut Session, statement: &Statement) -> Result<u64> {
    settings::before(session, statement).await?;
    let lost = keys::Lost::before(session, statement).await?;
    let mut seen = None;
    let sent = match &statement.copy_data {
        Some(data) => session.conn.copy_in(&statement.text, data).await,
        None => {
            let (sent, blocker) = blocker::watched(session, &statement.text).await;
            seen = blocker;
            sent
        }
    };
    let changed = match sent {
        Ok(changed) => changed,
        Err(failure) => return Err(blocker::named(explain(session, &failure, statement).await, seen)),
    };
    if let Some(lost) = lost {
        lost.refuse(session, statement).await?;
    }
    let counts = ["insert", "update", "delete", "replace", "merge", "copy", "with"];
    Ok(if counts.iter().any(|word| statement.canonical.starts_with(word)) { changed } else { 0 })
}

/// The failure of a statement, pointing at its place in the file.
pub(crate) async fn explain(session: &mut Session, failure: &sqlx::Error, statement: &Statement) -> Error {
    let mapped = error::of_statement(failure, statement, &session.store.target.url);
    let Some(token) = error::near(failure).filter(|_| session.tables.dialect == Dialect::Sqlite) else {
        return mapped;
    };
    // SQLite names the token its parser stopped at, not where: it is the first one up to which it complains.
    for (start, _) in statement.text.match_indices(&token) {
        let end = start + token.len();
        let stops_here = session
            .conn
            .prepare(&statement.text[..end])
            .await
            .is_err_and(|failure| error::near(&failure).as_ref() == Some(&token));
        if stops_here {
            return error::point(mapped, statement.span, start, end);
        }
    }
    mapped
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
        send(session, statement).await?;
    }
    Ok(())
}

/// Whether what a statement should bring about is so already.
pub(crate) async fn already_holds(session: &mut Session, statement: &Statement) -> Result<bool> {
    let Some(effect) = &statement.effect else { return Ok(false) };
    let presence = look(&mut session.conn, &effect.object)
        .await
        .map_err(|failure| session.fail(&failure, "cannot look at the catalogue"))?;
    Ok(presence.is_some_and(|presence| presence.fulfils(effect)))
}
