//! The walk through a table: chunks of a key, each in one transaction with the position after it, several at once where
//! that was asked. Whatever is killed, a row is met exactly once.

mod crew;
mod fault;
pub(crate) mod start;

use std::time::Duration;

use dunlin_core::position::{Position, Start, sum_of};
use dunlin_core::{Advance, EventKind, Pace, Result, Sizer, Work};
use serde::{Deserialize, Serialize};

use crate::conn::Conn;
use crate::courtesy::Courtesy;
use crate::dialect::Dialect;
use crate::history::Entry;
use crate::keyset::{Key, Values};
use crate::moves::Move;
use crate::session::Session;
use crate::{connect, keyset};

/// How long a chunk should take: what measuring found no writer to mind. MySQL waits some milliseconds for its log at
/// each commit, whoever asks: shorter chunks would spend a tenth of the time on that.
pub(crate) fn target(dialect: Dialect) -> Duration {
    Duration::from_millis(if dialect == Dialect::MySql { 50 } else { 30 })
}

/// The first chunk's size, and the bounds of all others'.
pub(crate) fn sizer() -> Sizer {
    Sizer::new(1000, 100, 50_000)
}

/// Where a walk stands: by this key of this table, in these lanes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    table: String,
    key: Vec<String>,
    lanes: Vec<Lane>,
}

/// A stretch of the key that one worker goes through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lane {
    /// It begins after this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Values>,
    /// It was gone through up to this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Values>,
    /// It ends at this key.
    to: Values,
}

impl Lane {
    fn is_done(&self) -> bool {
        self.at.as_ref() == Some(&self.to)
    }
}

/// What a session keeps of the walk under way, so that it need not be found out for each bout.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The walk: its op, in one of two directions.
    sum: String,
    is_undo: bool,
    key: Key,
    /// The columns that it leaves as they are.
    kept: Vec<String>,
    sizers: Vec<Sizer>,
    /// The connections of further workers, and the server's numbers of them.
    others: Vec<(Conn, Option<i64>)>,
    courtesy: Courtesy,
}

impl Walk {
    fn is_of(&self, op: &Move, work: &Work<'_>) -> bool {
        self.is_undo == work.is_undo() && self.sum == sum_of(op)
    }
}

/// Goes on for one bout.
pub(crate) async fn run(session: &mut Session, op: &Move, work: &Work<'_>) -> Result<Advance> {
    let begun = match Start::of(work)? {
        Start::On(position) => Some(position),
        Start::Fresh | Start::Back(_) => None,
    };
    let known = session.walk.take().filter(|walk| walk.is_of(op, work));
    let (Some(mut walk), Some(position)) = (known, begun) else {
        return begin(session, op, work).await;
    };
    let bout = crew::bout(session, &mut walk, (op, work), position).await;
    session.walk = Some(walk);
    let bout = match bout {
        Ok(bout) => bout,
        Err(error) if error.temporary => return Err(error),
        Err(error) => {
            // On a connection that broke this fails as well; the first failure is the one to tell.
            drop(leave(session).await);
            return Err(error);
        }
    };
    if !bout.position.place.lanes.iter().all(Lane::is_done) {
        return Ok(Advance::partly(work.partly(bout.position.checkpoint(), bout.changed), bout.changed));
    }
    let record = work.complete(bout.changed);
    leave(session).await?;
    write(session, work, &record, work.ends_as()).await?;
    Ok(Advance::complete(record, bout.changed))
}

/// Ends the walk that is under way, if one is.
pub(crate) async fn leave(session: &mut Session) -> Result<()> {
    if session.walk.take().is_none() || session.tables.dialect != Dialect::MySql {
        return Ok(());
    }
    wait_for_rows(session, session.store.target.lock_timeout).await
}

/// MySQL waits for locks of rows in whole seconds, and a chunk has locks of its own meanwhile.
async fn wait_for_rows(session: &mut Session, time: Duration) -> Result<()> {
    let sql = format!("set innodb_lock_wait_timeout = {}", time.as_secs().max(1));
    session
        .conn
        .execute(&sql)
        .await
        .map(drop)
        .map_err(|failure| session.fail(&failure, "cannot set a timeout"))
}

/// Finds out where to start or to go on, and writes that down: from here on the record is this run's.
async fn begin(session: &mut Session, op: &Move, work: &Work<'_>) -> Result<Advance> {
    let url = session.store.target.url.clone();
    let start: Start<Place> = Start::of(work)?;
    // A key that was found when the step began is kept to, whatever the catalogue would choose by now.
    let wanted = match &start {
        Start::On(position) => Some(position.place.key.clone()),
        Start::Fresh | Start::Back(_) => op.rows.key.clone(),
    };
    let key = keyset::find(&mut session.conn, &op.rows.table, wanted.as_deref(), &url).await?;
    start::check(op, &key)?;
    start::check_engine(session, op).await?;
    let kept = start::kept(&mut session.conn, op).await;
    let kept = kept.map_err(|failure| session.fail(&failure, "cannot read the catalogue"))?;
    let mut notes = Vec::new();
    let position = match start {
        Start::On(mut position) => {
            notes.extend(position.adopt(op));
            position
        }
        Start::Fresh => start::fresh(session, op, work, &key).await?,
        Start::Back(there) => match start::back(op, work, &key, there) {
            Some(position) => position,
            None => start::fresh(session, op, work, &key).await?,
        },
    };
    let record = work.partly(position.checkpoint(), 0);
    write(session, work, &record, EventKind::Begun).await?;
    let courtesy = Courtesy::new(&mut session.conn)
        .await
        .map_err(|failure| session.fail(&failure, "cannot look at the file"))?;
    if session.tables.dialect == Dialect::MySql {
        wait_for_rows(session, Duration::ZERO).await?;
    }
    let others = open_others(session, work.pace, position.place.lanes.len()).await?;
    session.walk = Some(Walk {
        sum: sum_of(op),
        is_undo: work.is_undo(),
        key,
        kept,
        sizers: vec![sizer(); others.len() + 1],
        others,
        courtesy,
    });
    Ok(Advance { notes, ..Advance::partly(record, 0) })
}

async fn write(
    session: &mut Session,
    work: &Work<'_>,
    record: &dunlin_core::Record,
    kind: EventKind,
) -> Result<()> {
    let detail = record.checkpoint.as_ref().map(|checkpoint| checkpoint.0.clone());
    let entry = Entry { record, files: work.files, kind, step: work.step(), detail: detail.as_deref() };
    session.write_apart(entry).await
}

/// A connection for each worker but the first, which has the session's own.
async fn open_others(session: &Session, pace: &Pace, lanes: usize) -> Result<Vec<(Conn, Option<i64>)>> {
    let mut others = Vec::new();
    if session.tables.dialect == Dialect::Sqlite {
        return Ok(others);
    }
    let jobs = usize::try_from(pace.jobs.get()).unwrap_or(1).min(lanes);
    let number = match session.tables.dialect {
        Dialect::Postgres => "select pg_backend_pid()::bigint",
        Dialect::MySql | Dialect::Sqlite => "select cast(connection_id() as signed)",
    };
    for _ in 1..jobs {
        let opened = connect::open(session.tables.dialect, &session.store.target, false).await?;
        let Some(mut conn) = opened else { break };
        if session.tables.dialect == Dialect::MySql {
            let sql = "set innodb_lock_wait_timeout = 1";
            conn.execute(sql).await.map_err(|failure| session.fail(&failure, "cannot set a timeout"))?;
        }
        let number =
            conn.cell(number, &[]).await.map_err(|failure| session.fail(&failure, "cannot connect"))?;
        others.push((conn, number.int()));
    }
    Ok(others)
}

/// A position of this op, before anything of it was done.
fn position(op: &Move, work: &Work<'_>, key: &Key, lanes: Vec<Lane>) -> Position<Place> {
    let place = Place { table: op.rows.table.quoted(op.dialect), key: key.names(), lanes };
    Position { is_undo: work.is_undo(), is_clean: true, ..Position::new(op, place) }
}
