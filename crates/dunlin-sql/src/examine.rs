//! Facts about a server and our login there, for `dunlin doctor`.

use dunlin_core::Target;

use crate::conn::Conn;
use crate::connect;
use crate::dialect::Dialect;

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
                "select case when has_schema_privilege(current_schema(), 'create') then 'yes' else 'no' end",
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
    let lock = if connect::is_lease(dialect, target) { "lease" } else { "session" };
    facts.push(("migration lock by".to_owned(), lock.to_owned()));
    Ok(facts)
}
