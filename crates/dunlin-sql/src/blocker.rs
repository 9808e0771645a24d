//! Who stands in the way of a statement that waits for a lock of the database: asked over a second connection, because
//! the one that waits cannot ask, and nobody knows any more once it gave up.

use std::future::Future;
use std::time::Duration;

use dunlin_core::{Error, Target};

use crate::conn::{Broken, Conn, Param};
use crate::connect::{self, is_pooled};
use crate::dialect::Dialect;
use crate::session::Session;
use crate::tables::Tables;

/// How much longer each look waits than the one before, at most.
const RARELY: Duration = Duration::from_secs(5);

/// What came of a request, and who was in its way when that was last seen.
pub(crate) struct Seen {
    pub(crate) came: Result<Vec<u64>, Broken>,
    pub(crate) blocker: Option<String>,
}

/// Runs texts as they are, in one request.
pub(crate) async fn watched(session: &mut Session, texts: &[&str], params: &[Param]) -> Seen {
    let Session { conn, store, tables, token, .. } = session;
    let patience = store.target.lock_timeout;
    let eye = Eye { target: &store.target, tables, waiting: Waiting::Holder(*token), patience };
    let (came, blocker) = eye.on(conn.execute_all(texts, params)).await;
    Seen { came, blocker }
}

/// Whose way is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Waiting {
    /// The connection in the lock row with this token.
    Holder(i64),
    /// The connection with this number.
    Connection(i64),
}

/// What is needed to look on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eye<'a> {
    pub(crate) target: &'a Target,
    pub(crate) tables: &'a Tables,
    pub(crate) waiting: Waiting,
    /// How long the one who is watched waits for a lock.
    pub(crate) patience: Duration,
}

impl Eye<'_> {
    /// Does something; what came of it, and who was in its way when that was last seen.
    pub(crate) async fn on<T>(&self, work: impl Future<Output = T>) -> (T, Option<String>) {
        if self.tables.dialect == Dialect::Sqlite || is_pooled(self.target) {
            return (work.await, None);
        }
        let mut pause = (self.patience / 3).clamp(Duration::from_millis(50), Duration::from_secs(1));
        tokio::pin!(work);
        let (mut conn, mut seen) = (None, None);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (done, seen),
                found = self.look(pause, &mut conn) => seen = found.or(seen),
            }
            pause = (pause * 3 / 2).min(RARELY);
        }
    }

    async fn look(&self, pause: Duration, conn: &mut Option<Conn>) -> Option<String> {
        tokio::time::sleep(pause).await;
        if conn.is_none() {
            // One that cannot be had costs no more than the name.
            *conn = connect::open(self.tables.dialect, self.target, false).await.ok().flatten();
        }
        let conn = conn.as_mut()?;
        let mut found = Vec::new();
        for (sql, params) in questions(self.tables, self.waiting) {
            let rows = conn.rows(&sql, &params).await.unwrap_or_default();
            found.extend(rows.iter().filter_map(|row| row[0].text().map(str::to_owned)));
            if !found.is_empty() {
                break;
            }
        }
        (!found.is_empty()).then(|| found.join("; "))
    }
}

/// A lock that was not had in time, with the one who has it.
pub(crate) fn named(mut error: Error, blocker: Option<String>) -> Error {
    if let (true, Some(blocker)) = (error.temporary, blocker) {
        error.message = format!("{}; blocked by {blocker}", error.message);
    }
    error
}

/// Questions of which the first with an answer counts. Our own connection's number is in the lock row.
fn questions(tables: &Tables, waiting: Waiting) -> Vec<(String, Vec<Param>)> {
    let mark = tables.dialect.placeholder(1);
    let (ours, number) = match waiting {
        Waiting::Holder(token) => {
            (format!("(select backend from {} where id = 1 and token = {mark})", tables.lock()), token)
        }
        Waiting::Connection(number) => {
            (format!("(select cast({mark} as {}))", integer(tables.dialect)), number)
        }
    };
    if tables.dialect == Dialect::Postgres {
        let sql = format!(
            "select 'process ' || pid || ' of ' || coalesce(usename, '?') || coalesce(' (' || nullif(application_name, '') || ')', '') \
             || coalesce(', ' || state, '') || coalesce(', in a transaction for ' || extract(epoch from clock_timestamp() - xact_start)::int || ' s', '') \
             || coalesce(': ' || nullif(left(regexp_replace(query, '\\s+', ' ', 'g'), 100), ''), '') \
             from pg_stat_activity where pid = any (pg_blocking_pids({ours}::int)) order by xact_start limit 3"
        );
        return vec![(sql, vec![number.into()])];
    }
    let who = "select concat('connection ', p.id, ' of ', p.user, '@', p.host, ', ', lower(p.command), \
               ', in a transaction for ', timestampdiff(second, t.trx_started, now()), ' s', coalesce(concat(': ', left(p.info, 100)), '')) \
               from information_schema.innodb_trx t join information_schema.processlist p on p.id = t.trx_mysql_thread_id";
    let rows = format!(
        "{who} join information_schema.innodb_lock_waits w on w.blocking_trx_id = t.trx_id \
         join information_schema.innodb_trx r on r.trx_id = w.requesting_trx_id where r.trx_mysql_thread_id = {ours} limit 3"
    );
    // MySQL keeps them elsewhere from 8.0 on.
    let rows_of_mysql = format!(
        "{who} join performance_schema.data_lock_waits w on w.blocking_engine_transaction_id = t.trx_id \
         join information_schema.innodb_trx r on r.trx_id = w.requesting_engine_transaction_id where r.trx_mysql_thread_id = {ours} limit 3"
    );
    // The server does not say who holds a table's metadata lock: whoever has a transaction open in this database may.
    let tables_locked = format!(
        "{who} join information_schema.processlist mine on mine.id = {ours} and mine.state like 'Waiting for table%lock' \
         where p.id <> mine.id and p.db = database() order by t.trx_started limit 3"
    );
    [rows, rows_of_mysql, tables_locked].map(|sql| (sql, vec![number.into()])).into()
}

fn integer(dialect: Dialect) -> &'static str {
    if dialect == Dialect::MySql { "signed" } else { "bigint" }
}
