//! From a URL to a connection, with the settings that keep a migration from stalling the application.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use dunlin_core::{Error, ErrorKind, LockMode, Result, Target};
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::Notify;

use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::error;

/// How long SQLite waits for another writer of the file.
pub(crate) const BUSY: Duration = Duration::from_secs(10);

/// Whether the URL leads through a pooler that hands out a server session per transaction, as far as a URL tells.
pub(crate) fn is_pooled(target: &Target) -> bool {
    let url = target.url.expose();
    target.url.parameter("pgbouncer") == Some("true")
        || url.contains(":6432")
        || url.contains("-pooler.")
        || url.contains(".pooler.")
}

/// Whether the lock ends with the connection, or is a lease.
pub(crate) fn is_lease(dialect: Dialect, target: &Target) -> bool {
    match target.lock {
        LockMode::Lease => true,
        LockMode::Session => dialect == Dialect::Sqlite,
        LockMode::Auto => dialect == Dialect::Sqlite || is_pooled(target),
    }
}

/// The schemas that a PostgreSQL store names, the first of which keeps the history.
fn schemas(target: &Target) -> impl Iterator<Item = &str> {
    let entries = target.schema.as_deref().unwrap_or_default().split(',');
    entries.map(|entry| entry.trim().trim_matches('"')).filter(|entry| !entry.is_empty())
}

/// The schema that keeps the history, if the store names one.
pub(crate) fn history_schema(target: &Target) -> Option<&str> {
    schemas(target).next()
}

/// The `search_path` that the store asks for.
pub(crate) fn search_path(target: &Target) -> Option<String> {
    let quoted: Vec<String> = schemas(target).map(|schema| Dialect::Postgres.quote(schema)).collect();
    (!quoted.is_empty()).then(|| quoted.join(", "))
}

/// Whether a SQLite URL names no file.
pub(crate) fn is_memory(target: &Target) -> bool {
    target.url.expose().contains(":memory:")
}

/// Opens a connection. A SQLite file is created only if both the caller and the URL say so; without, `None` stands for
/// a file that does not exist yet.
pub(crate) async fn open(dialect: Dialect, target: &Target, may_create: bool) -> Result<Option<Conn>> {
    let connecting = async {
        match dialect {
            Dialect::Postgres => postgres(target).await.map(Some),
            Dialect::MySql => mysql(target).await.map(Some),
            Dialect::Sqlite => sqlite(target, may_create).await,
        }
    };
    match tokio::time::timeout(target.connect_timeout, connecting).await {
        Ok(conn) => conn.map_err(|failure| error::own(&failure, "cannot connect", &target.url)),
        Err(_) => {
            let message = format!("cannot connect: no answer within {:?}", target.connect_timeout);
            Err(Error::new(ErrorKind::Connect, message).with("url", &target.url))
        }
    }
}

/// A URL that names a host. Behind a login there may be none, where a socket is said further on (libpq: "Connection URIs");
/// the drivers' grammar of URLs wants one there.
fn with_host(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?']).map_or(url.len(), |at| start + at);
    match url[start..end].rsplit_once('@') {
        Some((login, address)) if address.is_empty() || address.starts_with(':') => {
            format!("{}{login}@localhost{address}{}", &url[..start], &url[end..])
        }
        _ => url.to_owned(),
    }
}

async fn postgres(target: &Target) -> sqlx::Result<Conn> {
    let url = with_host(target.url.without(&["pgbouncer"]).expose());
    let mut options =
        PgConnectOptions::from_str(&url)?.application_name("dunlin").disable_statement_logging();
    // A pooler refuses settings in the handshake; there they are made in every transaction.
    if !is_pooled(target) {
        let millis = |time: Duration| time.as_millis().to_string();
        options = options.options([
            ("lock_timeout", millis(target.lock_timeout)),
            // A runner that was stopped in a transaction must not keep its locks for ever.
            ("idle_in_transaction_session_timeout", millis(target.lease)),
        ]);
        if let Some(path) = search_path(target) {
            options = options.options([("search_path", path)]);
        }
    }
    Ok(Conn::Postgres(options.connect().await?))
}

async fn mysql(target: &Target) -> sqlx::Result<Conn> {
    let url = target.url.expose();
    let url = url.strip_prefix("mariadb:").map_or_else(|| url.to_owned(), |rest| format!("mysql:{rest}"));
    let url = with_host(&url);
    // The file's statements must mean here what they mean in the server's own client.
    let options = MySqlConnectOptions::from_str(&url)?
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .disable_statement_logging();
    let mut conn = Conn::MySql(options.connect().await?);
    let seconds = target.lock_timeout.as_secs().max(1);
    // A runner that was stopped in a transaction must not keep its locks for ever; only MariaDB can see to that.
    let idle = target.lease.as_secs().max(1);
    conn.execute(&format!(
        "set lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds} /*M! , idle_transaction_timeout = {idle} */"
    ))
    .await?;
    Ok(conn)
}

async fn sqlite(target: &Target, may_create: bool) -> sqlx::Result<Option<Conn>> {
    let url = target.url.without(&["create"]);
    let wants_create =
        target.url.parameter("create") == Some("true") || target.url.parameter("mode") == Some("rwc");
    let options = SqliteConnectOptions::from_str(url.expose())?
        .create_if_missing(wants_create && may_create)
        .busy_timeout(BUSY)
        // Rows cross from the thread of the library to ours; in larger parcels they cross faster.
        .row_buffer_size(1024)
        .disable_statement_logging();
    if wants_create && !may_create && !is_memory(target) && !Path::new(options.get_filename()).exists() {
        return Ok(None);
    }
    let mut conn = options.connect().await?;
    let committing = Arc::new(Notify::new());
    let told = committing.clone();
    conn.lock_handle().await?.set_commit_hook(move || {
        told.notify_one();
        true
    });
    Ok(Some(Conn::Sqlite(conn, committing)))
}
