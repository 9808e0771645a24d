//! SQL databases, and a look into them as text, the same for all three engines.

use std::str::FromStr as _;

use dunlin_core::StoreUrl;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, raw_sql};

use super::{Hold, Scratch, unique_name, with_database};
use crate::server::{self, Kind};

/// A connection that stays open: for what lasts, such as a transaction that holds a lock.
#[derive(Debug)]
pub enum Connection {
    /// To PostgreSQL.
    Postgres(PgConnection),
    /// To MariaDB.
    Mysql(MySqlConnection),
    /// To a SQLite file.
    Sqlite(SqliteConnection),
}

/// The rows of any query as text, in one engine's types.
macro_rules! rows {
    ($connection:expr, $sql:expr) => {{
        let rows = raw_sql(AssertSqlSafe($sql.to_owned())).fetch_all($connection).await?;
        let text = |row: &_, at| sqlx::Row::try_get_unchecked::<Option<String>, usize>(row, at);
        rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect()
    }};
}

impl Connection {
    /// Connects.
    pub async fn open(kind: Kind, url: &StoreUrl) -> sqlx::Result<Self> {
        let url = url.expose();
        Ok(match kind {
            Kind::Postgres => Self::Postgres(PgConnectOptions::from_str(url)?.connect().await?),
            Kind::Mysql => Self::Mysql(MySqlConnectOptions::from_str(url)?.connect().await?),
            Kind::Sqlite => Self::Sqlite(SqliteConnectOptions::from_str(url)?.connect().await?),
            Kind::Mongo | Kind::Redis | Kind::RedisCluster => panic!("{kind} does not speak SQL"),
        })
    }

    /// Runs statements, and returns the rows of all of them as text.
    pub async fn rows(&mut self, sql: &str) -> sqlx::Result<Vec<Vec<Option<String>>>> {
        match self {
            Self::Postgres(connection) => rows!(connection, sql),
            Self::Mysql(connection) => rows!(connection, sql),
            Self::Sqlite(connection) => rows!(connection, sql),
        }
    }

    /// Runs statements.
    pub async fn sql(&mut self, sql: &str) -> sqlx::Result<()> {
        self.rows(sql).await.map(drop)
    }
}

impl Scratch {
    /// A SQL connection that stays open.
    pub async fn connect(&self) -> Connection {
        let connected = Connection::open(self.kind, &self.url).await;
        connected.unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.url))
    }

    /// Runs SQL statements.
    pub async fn sql(&self, sql: &str) {
        self.rows(sql).await;
    }

    /// The rows of a SQL query, as text.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let rows = self.connect().await.rows(sql).await;
        rows.unwrap_or_else(|error| panic!("{} refuses {sql}: {error}", self.kind))
    }

    /// The one value of a SQL query that has one, as text; none for null.
    pub async fn value(&self, sql: &str) -> Option<String> {
        let mut rows = self.rows(sql).await;
        assert!(rows.len() == 1 && rows[0].len() == 1, "{sql} yields {rows:?}, not one value");
        rows.remove(0).remove(0)
    }

    /// The number that a SQL query yields.
    pub async fn number(&self, sql: &str) -> i64 {
        let value = self.value(sql).await;
        let number = value.as_deref().and_then(|value| value.parse().ok());
        number.unwrap_or_else(|| panic!("{sql} yields {value:?}, not a number"))
    }
}

pub(super) async fn create(kind: Kind) -> Scratch {
    let (server, name) = (server::url(kind), unique_name());
    let mut connection = Connection::open(kind, &server)
        .await
        .unwrap_or_else(|error| panic!("cannot connect to {server}: {error}"));
    let created = connection.sql(&format!("create database {name}")).await;
    created.unwrap_or_else(|error| panic!("cannot create a database on {kind}: {error}"));
    Scratch { url: with_database(&server, &name), kind, hold: Hold::Database(name) }
}

/// Drops a database, under the feet of whoever is still connected.
pub(super) async fn remove(kind: Kind, name: String) {
    let Ok(mut connection) = Connection::open(kind, &server::url(kind)).await else { return };
    let statement = match kind {
        Kind::Postgres => format!("drop database if exists {name} with (force)"),
        // A forgotten transaction would make it wait for a day.
        _ => format!("set lock_wait_timeout = 2; drop database if exists {name}"),
    };
    drop(connection.sql(&statement).await);
}
