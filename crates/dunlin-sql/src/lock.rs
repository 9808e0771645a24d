//! The migration lock of a SQL store. Two ways of staying its holder, one fencing token for both: a session lock that
//! the server drops with the connection, or a lease in our lock row that is renewed. Either way the row names the
//! holder, and every write of a session checks that the row still has its token.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dunlin_core::history::{damaged, readable};
use dunlin_core::{Holder, Result, RunId, Target, Timestamp};
use tokio::task::JoinHandle;

use crate::conn::{Cell, Conn, Param};
use crate::connect;
use crate::dialect::Dialect;
use crate::history::is_missing_table;
use crate::tables::Tables;

/// What the lock row says.
#[derive(Debug)]
pub(crate) struct LockRow {
    pub(crate) holder: Holder,
    /// The server's number of the holder's connection, where the lock is the session's.
    pub(crate) backend: Option<i64>,
    /// Whether the lease has run out.
    pub(crate) is_lapsed: bool,
}

/// Who the lock row names, if anybody.
pub(crate) async fn row(conn: &mut Conn, tables: &Tables) -> sqlx::Result<Result<Option<LockRow>>> {
    match conn.rows(&tables.select_lock(), &[]).await {
        Ok(rows) => Ok(rows.first().map_or(Ok(None), |row| parse(row))),
        Err(error) if is_missing_table(&error) => Ok(Ok(None)),
        Err(error) => Err(error),
    }
}

fn parse(row: &[Cell]) -> Result<Option<LockRow>> {
    readable(row[10].int().unwrap_or_default())?;
    let Some(who) = row[1].text() else { return Ok(None) };
    let text = |index: usize| row[index].text().unwrap_or_default();
    let holder = Holder {
        who: who.into(),
        host: text(2).into(),
        pid: row[3].int().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default(),
        process: text(4).into(),
        run: RunId(text(5).into()),
        token: row[0].int().ok_or_else(|| damaged("token", "nothing"))?,
        since: row[6].int().map(Timestamp),
        expires: row[7].int().map(Timestamp),
    };
    Ok(Some(LockRow { holder, backend: row[8].int(), is_lapsed: row[9].int() == Some(1) }))
}

/// The expression that names our session lock, one for each schema of each database, and what is bound in it. Where
/// the schema is known it is said: a script may have changed the connection's own.
fn session_key(tables: &Tables) -> (String, Vec<Param>) {
    let bound = tables.schema.as_deref().map(Param::from);
    let key = match (tables.dialect, &bound) {
        (Dialect::Postgres, Some(_)) => "hashtextextended('dunlin ' || $1::text, 0)",
        (Dialect::Postgres, None) => "hashtextextended('dunlin ' || coalesce(current_schema(), ''), 0)",
        // At most 64 characters, and the server has one name space for all its databases.
        (_, Some(_)) => "concat('dunlin ', sha2(?, 224))",
        (_, None) => "concat('dunlin ', sha2(database(), 224))",
    };
    (key.to_owned(), bound.into_iter().collect())
}

/// Asks for the session lock once.
pub(crate) async fn try_session_lock(conn: &mut Conn, tables: &Tables) -> sqlx::Result<bool> {
    let (key, params) = session_key(tables);
    let sql = match tables.dialect {
        Dialect::Postgres => {
            format!("select case when pg_try_advisory_lock({key}) then 1 else 0 end::bigint")
        }
        Dialect::MySql => format!("select get_lock({key}, 0)"),
        Dialect::Sqlite => return Ok(true),
    };
    Ok(conn.cell(&sql, &params).await?.int() == Some(1))
}

/// The same lock, until the transaction ends (PostgreSQL).
pub(crate) async fn try_transaction_lock(conn: &mut Conn, tables: &Tables) -> sqlx::Result<bool> {
    let (key, params) = session_key(tables);
    let sql = format!("select case when pg_try_advisory_xact_lock({key}) then 1 else 0 end::bigint");
    Ok(conn.cell(&sql, &params).await?.int() == Some(1))
}

/// Gives the session lock back.
pub(crate) async fn drop_session_lock(conn: &mut Conn, tables: &Tables) -> sqlx::Result<()> {
    let (key, params) = session_key(tables);
    let sql = match tables.dialect {
        Dialect::Postgres => format!("select case when pg_advisory_unlock({key}) then 1 else 0 end::bigint"),
        Dialect::MySql => format!("select release_lock({key})"),
        Dialect::Sqlite => return Ok(()),
    };
    conn.cell(&sql, &params).await.map(drop)
}

/// Whether some connection holds the session lock now.
pub(crate) async fn is_session_locked(conn: &mut Conn, tables: &Tables) -> sqlx::Result<bool> {
    let (key, params) = session_key(tables);
    let sql = match tables.dialect {
        Dialect::Postgres => format!(
            "select 1::bigint from pg_locks, (select {key} as key) k where locktype = 'advisory' and granted \
             and database = (select oid from pg_database where datname = current_database()) \
             and classid::bigint = (key >> 32) & 4294967295 and objid::bigint = key & 4294967295 and objsubid = 1"
        ),
        Dialect::MySql => format!("select is_used_lock({key})"),
        Dialect::Sqlite => return Ok(false),
    };
    Ok(conn.cell(&sql, &params).await? != Cell::Null)
}

/// Puts us into the lock row unless an unexpired lease is there; our token if we are in.
pub(crate) async fn enter(
    conn: &mut Conn,
    tables: &Tables,
    me: &Holder,
    lease: Option<Duration>,
) -> sqlx::Result<Option<i64>> {
    let dialect = conn.dialect();
    let mark = |index: usize| dialect.placeholder(index);
    let (token, backend) = match dialect {
        Dialect::Postgres => ("token + 1", "pg_backend_pid()"),
        Dialect::MySql => ("last_insert_id(token + 1)", "connection_id()"),
        Dialect::Sqlite => ("token + 1", "null"),
    };
    let expires = lease.map_or("null".to_owned(), |_| tables.now_plus(6));
    let returning = if dialect == Dialect::MySql { "" } else { " returning token" };
    let now = tables.now();
    let sql = format!(
        "update {} set token = {token}, who = {}, host = {}, pid = {}, process = {}, run = {}, since = {now}, \
         backend = {backend}, expires = {expires} where id = 1 and (expires is null or expires < {now}){returning}",
        tables.lock(),
        mark(1),
        mark(2),
        mark(3),
        mark(4),
        mark(5),
    );
    let mut params: Vec<Param> = vec![
        (&*me.who).into(),
        (&*me.host).into(),
        i64::from(me.pid).into(),
        (&*me.process).into(),
        (&*me.run.0).into(),
    ];
    params.extend(lease.map(millis));
    if dialect == Dialect::MySql {
        let changed = conn.run(&sql, &params).await?;
        return if changed == 1 {
            Ok(conn.cell("select cast(last_insert_id() as signed)", &[]).await?.int())
        } else {
            Ok(None)
        };
    }
    Ok(conn.cell(&sql, &params).await?.int())
}

/// Takes us out of the lock row. The token stays what it was, so that the next holder's is higher.
pub(crate) async fn leave(conn: &mut Conn, tables: &Tables, token: i64) -> sqlx::Result<()> {
    let mark = conn.dialect().placeholder(1);
    let sql = format!(
        "update {} set who = null, expires = null, backend = null where id = 1 and token = {mark}",
        tables.lock()
    );
    conn.run(&sql, &[token.into()]).await.map(drop)
}

/// Takes whoever has `token` out of the lock row, and makes that token worthless.
pub(crate) async fn evict(conn: &mut Conn, tables: &Tables, token: i64) -> sqlx::Result<bool> {
    let mark = conn.dialect().placeholder(1);
    let sql = format!(
        "update {} set token = token + 1, who = null, expires = null, backend = null where id = 1 and token = {mark}",
        tables.lock()
    );
    Ok(conn.run(&sql, &[token.into()]).await? == 1)
}

pub(crate) fn millis(time: Duration) -> Param {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).into()
}

/// When the writes of a session last renewed its lease.
#[derive(Debug, Clone)]
pub(crate) struct Renewed(Arc<Mutex<Option<Instant>>>);

impl Renewed {
    pub(crate) fn now() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }

    pub(crate) fn again(&self) {
        self.set(Some(Instant::now()));
    }

    /// The write is rolled back, and with it what it renewed.
    pub(crate) fn taken_back(&self) {
        self.set(None);
    }

    pub(crate) fn is_within(&self, time: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() <= time)
    }

    fn set(&self, last: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

/// Renews a lease for as long as it lives.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    task: JoinHandle<()>,
    lost: Arc<AtomicBool>,
}

impl Heartbeat {
    /// On a connection of its own, opened at the first renewal that the session's writes do not make needless: it
    /// reads the whole schema of a SQLite file once more.
    pub(crate) fn start(tables: Tables, target: Target, token: i64, renewed: Renewed) -> Self {
        let lost = Arc::new(AtomicBool::new(false));
        let flag = lost.clone();
        let task = tokio::spawn(async move {
            let mut conn = None;
            loop {
                tokio::time::sleep(target.lease / 3).await;
                if renewed.is_within(target.lease / 3) {
                    continue;
                }
                if conn.is_none() {
                    conn = connect::open(tables.dialect, &target, false).await.ok().flatten();
                }
                let Some(open) = conn.as_mut() else { continue };
                match renew(open, &tables, token, target.lease).await {
                    Ok(true) => {}
                    Ok(false) => {
                        flag.store(true, Ordering::SeqCst);
                        return;
                    }
                    // A busy file or a lost connection: the next beat tries again, and the fence decides in the end.
                    Err(_) => conn = None,
                }
            }
        });
        Self { task, lost }
    }

    /// Whether a renewal found the lease gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn renew(conn: &mut Conn, tables: &Tables, token: i64, lease: Duration) -> sqlx::Result<bool> {
    if tables.dialect == Dialect::Sqlite {
        // Every chunk that moves data renews the lease, and a write more would seem to be another program's.
        let fresh = format!(
            "select 1 from {} where id = 1 and token = $2 and expires > {}",
            tables.lock(),
            tables.now_plus(1)
        );
        if conn.cell(&fresh, &[millis(lease / 2), token.into()]).await?.int() == Some(1) {
            return Ok(true);
        }
    }
    let (first, second) = (conn.dialect().placeholder(2), tables.now_plus(1));
    let sql = format!("update {} set expires = {second} where id = 1 and token = {first}", tables.lock());
    Ok(conn.run(&sql, &[millis(lease), token.into()]).await? == 1)
}
