//! Why moving data should wait just now, as the server itself tells.

use dunlin_core::{Error, ErrorKind, Pace, Result};

use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::session::Session;
use crate::{connect, error};

/// A replica that is so many bytes behind is behind, whatever it last said of the time.
const MOST_BYTES: i64 = 1 << 30;

/// The first reason to wait, if there is one.
pub(crate) async fn look(session: &mut Session, pace: &Pace) -> Result<Option<String>> {
    match session.tables.dialect {
        Dialect::Postgres => postgres(session, pace).await,
        Dialect::MySql => mysql(session, pace).await,
        Dialect::Sqlite => Ok(None),
    }
}

async fn postgres(session: &mut Session, pace: &Pace) -> Result<Option<String>> {
    if let Some(most) = pace.max_waiting {
        let waiting = "select count(distinct pid) from pg_locks where not granted";
        let waiting = number(session, waiting).await?.unwrap_or_default();
        if waiting > i64::from(most.get()) {
            return Ok(Some(format!("{waiting} sessions wait for locks, more than {most}")));
        }
    }
    let Some(most) = pace.max_lag else { return Ok(None) };
    // Who may not look sees the rows, but nothing in them.
    let hidden = "select count(*) from pg_stat_replication where state is null and not pg_has_role('pg_read_all_stats', 'usage')";
    if number(session, hidden).await?.unwrap_or_default() > 0 {
        let error = Error::new(
            ErrorKind::Access,
            "there are replicas, and this login may not see how far they are behind",
        );
        return Err(error.help("grant it the role pg_monitor, or switch the limit off: `max_lag = \"off\"`; nothing is moved blindly"));
    }
    let lags = "select coalesce(nullif(application_name, ''), client_addr::text, pid::text), \
        (extract(epoch from greatest(coalesce(replay_lag, write_lag, interval '0'), interval '0')) * 1000)::bigint, \
        coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, write_lsn, sent_lsn)), 0)::bigint \
        from pg_stat_replication where state = 'streaming' order by 2 desc nulls last, 3 desc";
    let rows = session
        .conn
        .rows(lags, &[])
        .await
        .map_err(|failure| session.fail(&failure, "cannot read the lag"))?;
    for row in &rows {
        let (name, millis) = (row[0].text().unwrap_or("a replica"), row[1].int().unwrap_or_default());
        let bytes = row[2].int().unwrap_or_default();
        if u128::try_from(millis).unwrap_or_default() > most.as_millis() {
            return Ok(Some(format!(
                "replica {name} is {} s behind, more than {}",
                seconds(millis),
                most.as_secs()
            )));
        }
        if bytes > MOST_BYTES {
            return Ok(Some(format!(
                "replica {name} is {} MB behind, more than {}",
                bytes >> 20,
                MOST_BYTES >> 20
            )));
        }
    }
    Ok(None)
}

async fn mysql(session: &mut Session, pace: &Pace) -> Result<Option<String>> {
    if let Some(most) = pace.max_running {
        let status = session.conn.sample("show global status like 'Threads_running'", 1).await;
        let (status, _) = status.map_err(|failure| session.fail(&failure, "cannot read the status"))?;
        let running =
            status.first().and_then(|row| row.rsplit('=').next()?.parse::<i64>().ok()).unwrap_or_default();
        if running > i64::from(most.get()) {
            return Ok(Some(format!("{running} threads run, more than {most}")));
        }
    }
    let Some(most) = pace.max_lag else { return Ok(None) };
    for (at, url) in pace.replicas.iter().enumerate() {
        if session.replicas.len() <= at {
            let mut target = (*session.store.target).clone();
            target.url = url.clone();
            let conn = connect::open(Dialect::MySql, &target, false).await.map_err(Error::temporary)?;
            session.replicas.extend(conn);
        }
        let behind = match session.replicas.get_mut(at) {
            Some(conn) => behind(conn).await,
            None => continue,
        };
        let behind = match behind {
            Ok(behind) => behind,
            Err(failure) => {
                // Opened anew the next time.
                session.replicas.truncate(at);
                let error = error::own(&failure, "cannot read the lag", url);
                let is_access = error.kind == ErrorKind::Access;
                let help = "grant that login REPLICATION CLIENT (SLAVE MONITOR on MariaDB), or take it out of `replicas`";
                return Err(if is_access { error.help(help) } else { error.temporary() });
            }
        };
        match behind {
            Some(lag) if u64::try_from(lag).unwrap_or_default() <= most.as_secs() => {}
            Some(lag) => {
                return Ok(Some(format!("replica {url} is {lag} s behind, more than {}", most.as_secs())));
            }
            None => return Ok(Some(format!("replica {url} does not replicate"))),
        }
    }
    Ok(None)
}

/// How many seconds a replica is behind; none where it is none, or was stopped.
async fn behind(conn: &mut Conn) -> sqlx::Result<Option<i64>> {
    // The word for it changed, in MySQL and MariaDB at different times.
    let (rows, _) = match conn.sample("show replica status", 8).await {
        Err(sqlx::Error::Database(failure)) if failure.code().as_deref() == Some("42000") => {
            conn.sample("show slave status", 8).await?
        }
        other => other?,
    };
    let lag = |row: &String| {
        let fact = row.split(' ').find_map(|fact| {
            fact.strip_prefix("Seconds_Behind_Master=")
                .or_else(|| fact.strip_prefix("Seconds_Behind_Source="))
        });
        fact.and_then(|seconds| seconds.parse::<i64>().ok())
    };
    let lags: Option<Vec<i64>> = rows.iter().map(lag).collect();
    Ok(lags.and_then(|lags| lags.into_iter().max()))
}

async fn number(session: &mut Session, sql: &str) -> Result<Option<i64>> {
    let cell = session.conn.cell(sql, &[]).await;
    cell.map(|cell| cell.int())
        .map_err(|failure| session.fail(&failure, "cannot read how the server is doing"))
}

/// Milliseconds as seconds, for people.
fn seconds(millis: i64) -> String {
    format!("{}.{}", millis / 1000, millis % 1000 / 100)
}
