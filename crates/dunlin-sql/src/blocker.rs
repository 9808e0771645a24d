//! Who stands in the way of a statement that waits for a lock of the database: asked over a second connection, because
//! the one that waits cannot ask, and nobody knows any more once it gave up.

use std::time::Duration;

use dunlin_core::Target;

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
pub(crate) async fn watched(session: &mut Session, texts: &[&str]) -> Seen {
    let Session { conn, store, tables, token, .. } = session;
    if tables.dialect == Dialect::Sqlite || is_pooled(&store.target) {
        return Seen { came: conn.execute_all(texts).await, blocker: None };
    }
    let mut pause = (store.target.lock_timeout / 3).clamp(Duration::from_millis(50), Duration::from_secs(1));
    let work = conn.execute_all(texts);
    tokio::pin!(work);
    let (mut eye, mut blocker) = (None, None);
    loop {
        tokio::select! {
            biased;
            came = &mut work => return Seen { came, blocker },
            found = look(pause, &mut eye, &store.target, tables, *token) => blocker = found.or(blocker),
        }
        pause = (pause * 3 / 2).min(RARELY);
    }
}

async fn look(
    pause: Duration,
    eye: &mut Option<Conn>,
    target: &Target,
    tables: &Tables,
    token: i64,
) -> Option<String> {
    tokio::time::sleep(pause).await;
    if eye.is_none() {
        // One that cannot be had costs no more than the name.
        *eye = connect::open(tables.dialect, target, false).await.ok().flatten();
    }
    let conn = eye.as_mut()?;
    let mut found = Vec::new();
    for (sql, params) in questions(tables, token) {
        let rows = conn.rows(&sql, &params).await.unwrap_or_default();
        found.extend(rows.iter().filter_map(|row| row[0].text().map(str::to_owned)));
        if !found.is_empty() {
            break;
        }
    }
    (!found.is_empty()).then(|| found.join("; "))
}

/// Questions of which the first with an answer counts. Our own connection's number is in the lock row.
fn questions(tables: &Tables, token: i64) -> Vec<(String, Vec<Param>)> {
    let ours = format!(
        "(select backend from {} where id = 1 and token = {})",
        tables.lock(),
        tables.dialect.placeholder(1)
    );
    if tables.dialect == Dialect::Postgres {
        let sql = format!(
            "select 'process ' || pid || ' of ' || coalesce(usename, '?') || coalesce(' (' || nullif(application_name, '') || ')', '') \
             || coalesce(', ' || state, '') || coalesce(', in a transaction for ' || extract(epoch from clock_timestamp() - xact_start)::int || ' s', '') \
             from pg_stat_activity where pid = any (pg_blocking_pids({ours}::int)) order by xact_start limit 3"
        );
        return vec![(sql, vec![token.into()])];
    }
    let who = "select concat('connection ', p.id, ' of ', p.user, '@', p.host, ', ', lower(p.command), \
               ', in a transaction for ', timestampdiff(second, t.trx_started, now()), ' s') \
               from information_schema.innodb_trx t join information_schema.processlist p on p.id = t.trx_mysql_thread_id";
    let rows = format!(
        "{who} join information_schema.innodb_lock_waits w on w.blocking_trx_id = t.trx_id \
         join information_schema.innodb_trx r on r.trx_id = w.requesting_trx_id where r.trx_mysql_thread_id = {ours} limit 3"
    );
    // The server does not say who holds a table's metadata lock: whoever has a transaction open in this database may.
    let tables_locked = format!(
        "{who} join information_schema.processlist mine on mine.id = {ours} and mine.state like 'Waiting for table%lock' \
         where p.id <> mine.id and p.db = database() order by t.trx_started limit 3"
    );
    vec![(rows, vec![token.into()]), (tables_locked, vec![token.into()])]
}
