//! Statements that succeed or fail together, with the history row that says so in the same transaction.

use dunlin_core::{Advance, Checkpoint, Error, ErrorKind, EventKind, Record, Result, Target, Work};

use crate::connect::{is_pooled, search_path};
use crate::dialect::Dialect;
use crate::history::Entry;
use crate::look::look;
use crate::op::{ForeignKeys, Op, Statement};
use crate::session::{Session, cursor};
use crate::{error, keys, send};

/// Opens a transaction that may write.
pub(crate) async fn begin(session: &mut Session) -> Result<()> {
    send::send_all(session, &opening(session.tables.dialect, &session.store.target, Access::Writes), &[])
        .await
        .map(drop)
        .map_err(|failed| failed.error)
}

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Writes,
    /// Nothing but read, by the server's word.
    Reads,
}

/// The texts that open a transaction.
pub(crate) fn opening(dialect: Dialect, target: &Target, access: Access) -> Vec<String> {
    let of_kind = |begin: &str| match access {
        Access::Writes => begin.to_owned(),
        Access::Reads => format!("{begin} read only"),
    };
    match dialect {
        // Taken at once, so that a second writer waits here and not halfway through.
        Dialect::Sqlite => vec!["begin immediate".to_owned()],
        Dialect::MySql => vec![of_kind("start transaction")],
        Dialect::Postgres if is_pooled(target) => {
            let timeout = format!("set local lock_timeout = {}", target.lock_timeout.as_millis());
            let path = search_path(target).map(|path| format!("set local search_path = {path}"));
            [of_kind("begin"), timeout].into_iter().chain(path).collect()
        }
        Dialect::Postgres => vec![of_kind("begin")],
    }
}

/// The same as one text, for what may write.
pub(crate) fn opening_text(dialect: Dialect, target: &Target) -> String {
    opening(dialect, target, Access::Writes).join("; ")
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
        session.renewed.taken_back();
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
    let kept = Kept::of(&op.units[unit].statements, skipped);
    if op.foreign_keys == ForeignKeys::On && send::is_one_request(session, &kept.statements).await? {
        return at_once(session, op, (unit, first), work, &kept).await;
    }
    let opening = opening(session.tables.dialect, &session.store.target, Access::Writes);
    let sent =
        send::send_all(session, &opening, &kept.statements).await.map_err(|failed| kept.placed(failed));
    let index = sent.as_ref().err().and_then(|failed| failed.index);
    let sent = sent.map_err(|failed| with_leftover(failed.error, op, first));
    let checked = if sent.is_ok() { keys::check(session, op, known).await } else { Ok(()) };
    let is_broken = checked.is_err();
    let result = match (sent, checked) {
        (Ok(changed), Ok(())) => record(session, End::of(op, (unit, first), work, changed), work).await,
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    settle(session, result).await.map_err(|error| Failed { error, index, is_broken })
}

/// The statements of a unit that are not left out, and their places in it.
struct Kept<'a> {
    statements: Vec<&'a Statement>,
    indexes: Vec<usize>,
}

impl<'a> Kept<'a> {
    fn of(statements: &'a [Statement], skipped: &[usize]) -> Self {
        let indexes: Vec<usize> = (0..statements.len()).filter(|index| !skipped.contains(index)).collect();
        Self { statements: indexes.iter().map(|index| &statements[*index]).collect(), indexes }
    }

    /// A failure that knows its statement's place in the unit.
    fn placed(&self, failed: send::Failed) -> send::Failed {
        send::Failed { index: failed.index.map(|index| self.indexes[index]), ..failed }
    }
}

/// Runs the statements of a unit and writes down that it is complete, in one request.
async fn at_once(
    session: &mut Session,
    op: &Op,
    (unit, first): (usize, usize),
    work: &Work<'_>,
    kept: &Kept<'_>,
) -> Result<Advance, Failed> {
    let opening = opening(session.tables.dialect, &session.store.target, Access::Writes);
    let end = End::of(op, (unit, first), work, 0);
    let closing = session.closing(end.entry(work));
    let sent = send::send_whole(session, &opening, &kept.statements, &closing).await;
    let sent = sent.map_err(|failed| kept.placed(failed));
    let index = sent.as_ref().err().and_then(|failed| failed.index);
    let sent = sent.map_err(|failed| with_leftover(failed.error, op, first));
    let settled = settle(session, sent).await;
    settled.map(|()| end.advance()).map_err(|error| Failed { error, index, is_broken: false })
}

/// What is written down at the end of a unit.
struct End {
    record: Record,
    kind: EventKind,
    changed: u64,
}

impl End {
    fn of(op: &Op, (unit, first): (usize, usize), work: &Work<'_>, changed: u64) -> Self {
        if unit + 1 == op.units.len() {
            return Self { record: work.complete(changed), kind: work.ends_as(), changed };
        }
        let at = cursor(op, first + op.units[unit].statements.len());
        Self { record: work.partly(Checkpoint::of(&at), changed), kind: EventKind::Begun, changed }
    }

    fn entry<'a>(&'a self, work: &Work<'a>) -> Entry<'a> {
        let detail = self.record.checkpoint.as_ref().map(|checkpoint| &*checkpoint.0);
        Entry { record: &self.record, files: work.files, kind: self.kind, step: work.step(), detail }
    }

    fn advance(self) -> Advance {
        let Self { record, changed, .. } = self;
        if record.checkpoint.is_none() {
            Advance::complete(record, changed)
        } else {
            Advance::partly(record, changed)
        }
    }
}

/// Writes down that a unit is complete, and commits both.
async fn record(session: &mut Session, end: End, work: &Work<'_>) -> Result<Advance> {
    session.write_and_commit(end.entry(work)).await?;
    Ok(end.advance())
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

/// Whether all that a statement should bring about is so already.
pub(crate) async fn already_holds(session: &mut Session, statement: &Statement) -> Result<bool> {
    let effects = statement.effects();
    for effect in &effects {
        let presence = look(&mut session.conn, &effect.object)
            .await
            .map_err(|failure| session.fail(&failure, "cannot look at the catalogue"))?;
        if !presence.is_some_and(|presence| presence.fulfils(effect)) {
            return Ok(false);
        }
    }
    Ok(!effects.is_empty())
}
