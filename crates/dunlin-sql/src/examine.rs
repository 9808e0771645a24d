//! Facts about a server and our login there, for `dunlin doctor`.

use dunlin_core::Target;

use crate::conn::{Cell, Conn};
use crate::dialect::Dialect;
use crate::{connect, error};

pub(crate) async fn facts(conn: &mut Conn, target: &Target) -> sqlx::Result<Vec<(String, String)>> {
    let dialect = conn.dialect();
    let questions: &[(&str, &str)] = match dialect {
        Dialect::Postgres => &[
            ("server", "select split_part(version(), ' on ', 1)"),
            ("database", "select current_database()::text"),
            ("schema", "select coalesce(current_schema()::text, 'none of the search path exists')"),
            ("login", "select current_user::text"),
            (
                "may create tables",
                "select case when current_setting('transaction_read_only') = 'on' then 'no: its transactions are read-only' \
                 when has_schema_privilege(current_schema(), 'create') then 'yes' else 'no' end",
            ),
            (
                "role of the server",
                "select case when pg_is_in_recovery() then 'replica: takes no writes' else 'primary' end",
            ),
            (
                "longest transaction",
                "select coalesce(max(now() - xact_start)::text, 'none') from pg_stat_activity where pid <> pg_backend_pid()",
            ),
        ],
        Dialect::MySql => &[
            ("server", "select version()"),
            ("database", "select coalesce(database(), 'none: name one in the URL')"),
            ("login", "select current_user()"),
            (
                "read only",
                "select case when @@global.read_only = 1 then 'yes: takes no writes' else 'no' end",
            ),
            ("sql_mode", "select @@sql_mode"),
        ],
        Dialect::Sqlite => &[
            ("library", "select sqlite_version()"),
            ("journal mode", "select journal_mode from pragma_journal_mode"),
            (
                "foreign keys",
                "select case when foreign_keys then 'on' else 'off' end from pragma_foreign_keys",
            ),
            ("integrity", "select quick_check from pragma_quick_check limit 1"),
        ],
    };
    let mut facts = Vec::new();
    for (what, question) in questions {
        let answer = conn.cell(question, &[]).await?;
        facts.push(((*what).to_owned(), answer.text().unwrap_or("unknown").to_owned()));
    }
    if dialect != Dialect::Postgres {
        let may = if dialect == Dialect::MySql { is_granted(conn).await? } else { is_writable(conn).await? };
        let answer = if may { "yes" } else { "no: it may only read" };
        facts.push(("may create tables".to_owned(), answer.to_owned()));
    }
    let lock = if connect::is_lease(dialect, target) { "lease" } else { "session" };
    facts.push(("migration lock by".to_owned(), lock.to_owned()));
    Ok(facts)
}

/// Whether the login or one of its roles may create tables in its database (MySQL). No catalogue shows a login the grants of
/// its roles; only this statement does.
async fn is_granted(conn: &mut Conn) -> sqlx::Result<bool> {
    for row in conn.rows("show grants", &[]).await? {
        let grant = row.first().and_then(Cell::text).unwrap_or_default();
        let Some((rights, rest)) = grant.strip_prefix("GRANT ").and_then(|grant| grant.split_once(" ON "))
        else {
            continue;
        };
        let mut rights = rights.split(',').map(str::trim);
        if !rights.any(|right| right == "CREATE" || right.starts_with("ALL")) {
            continue;
        }
        // Where it holds is a pattern.
        let place = rest.split_once(".* TO ").map_or("", |(place, _)| place);
        let pattern = if place == "*" { "%" } else { place.trim_matches('`') };
        if conn.cell("select coalesce(database(), '') like ?", &[pattern.into()]).await?.int() == Some(1) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the file and its folder take writes (SQLite): a number is set to what it is, and that taken back. Who else writes
/// just now may go on.
async fn is_writable(conn: &mut Conn) -> sqlx::Result<bool> {
    let version = conn.cell("select user_version from pragma_user_version", &[]).await?.int();
    let set = format!("pragma user_version = {}", version.unwrap_or_default());
    conn.execute("pragma busy_timeout = 0").await?;
    let mut written = conn.execute("begin immediate").await;
    if written.is_ok() {
        written = conn.execute(&set).await;
        conn.execute("rollback").await?;
    }
    conn.execute(&format!("pragma busy_timeout = {}", connect::BUSY.as_millis())).await?;
    Ok(match written {
        Ok(_) => true,
        // Another one who writes is in the way for a while only.
        Err(failure) => error::classify(&failure).1,
    })
}
