//! One connection to a SQL server: an enum with the few calls everything else is written in. Statements of the user go
//! by the text protocol exactly as written; dunlin's own are prepared and bind their values.

mod request;
mod sample;
mod value;

use std::fmt;
use std::sync::Arc;

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Executor, MySqlConnection, PgConnection, SqliteConnection};
use tokio::sync::Notify;

use crate::dialect::Dialect;
use sample::describe;
use value::bind;

pub(crate) use request::Broken;
pub(crate) use value::{Cell, Param, cells};

/// A connection of one of the three drivers.
pub(crate) enum Conn {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    /// And what is told when a transaction is about to commit.
    Sqlite(SqliteConnection, Arc<Notify>),
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conn({})", self.dialect().name())
    }
}

impl Conn {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::MySql(_) => Dialect::MySql,
            Self::Sqlite(..) => Dialect::Sqlite,
        }
    }

    /// Runs text as it is; the number of rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str) -> sqlx::Result<u64> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        Ok(match self {
            Self::Postgres(conn) => query.execute(conn).await?.rows_affected(),
            Self::MySql(conn) => query.execute(conn).await?.rows_affected(),
            Self::Sqlite(conn, _) => query.execute(conn).await?.rows_affected(),
        })
    }

    /// Runs `COPY … FROM stdin` with its data.
    pub(crate) async fn copy_in(&mut self, sql: &str, data: &str) -> sqlx::Result<u64> {
        let Self::Postgres(conn) = self else {
            return Err(sqlx::Error::Protocol("COPY … FROM stdin is PostgreSQL's".to_owned()));
        };
        let mut copy = conn.copy_in_raw(sql).await?;
        copy.send(data.as_bytes()).await?;
        copy.finish().await
    }

    /// Runs a statement of ours; the number of rows it changed.
    pub(crate) async fn run(&mut self, sql: &str, params: &[Param]) -> sqlx::Result<u64> {
        self.change(sql, params, true).await
    }

    /// The same, planned for these very values.
    pub(crate) async fn run_planned(&mut self, sql: &str, params: &[Param]) -> sqlx::Result<u64> {
        self.change(sql, params, false).await
    }

    async fn change(&mut self, sql: &str, params: &[Param], is_kept: bool) -> sqlx::Result<u64> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Self::Postgres(conn) => {
                let query = sqlx::query_with(sql, bind::<PgArguments>(params)?).persistent(is_kept);
                query.execute(conn).await?.rows_affected()
            }
            Self::MySql(conn) => {
                sqlx::query_with(sql, bind::<MySqlArguments>(params)?).execute(conn).await?.rows_affected()
            }
            Self::Sqlite(conn, _) => {
                sqlx::query_with(sql, bind::<SqliteArguments>(params)?).execute(conn).await?.rows_affected()
            }
        })
    }

    /// Reads with a statement of ours, whose columns are whole numbers and texts.
    pub(crate) async fn rows(&mut self, sql: &str, params: &[Param]) -> sqlx::Result<Vec<Vec<Cell>>> {
        self.read(sql, params, true).await
    }

    /// The same, planned for these very values: PostgreSQL's plan for any values would go through the whole table
    /// where the next few rows are wanted.
    pub(crate) async fn planned(&mut self, sql: &str, params: &[Param]) -> sqlx::Result<Vec<Vec<Cell>>> {
        self.read(sql, params, false).await
    }

    async fn read(&mut self, sql: &str, params: &[Param], is_kept: bool) -> sqlx::Result<Vec<Vec<Cell>>> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres(conn) => {
                let query = sqlx::query_with(sql, bind::<PgArguments>(params)?).persistent(is_kept);
                query.fetch_all(conn).await?.iter().map(cells::<PgRow>).collect()
            }
            Self::MySql(conn) => {
                let rows = sqlx::query_with(sql, bind::<MySqlArguments>(params)?).fetch_all(conn).await?;
                rows.iter().map(cells::<MySqlRow>).collect()
            }
            Self::Sqlite(conn, _) => {
                let rows = sqlx::query_with(sql, bind::<SqliteArguments>(params)?).fetch_all(conn).await?;
                rows.iter().map(cells::<SqliteRow>).collect()
            }
        }
    }

    /// The first cell of the first row.
    pub(crate) async fn cell(&mut self, sql: &str, params: &[Param]) -> sqlx::Result<Cell> {
        let rows = self.rows(sql, params).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Cell::Null))
    }

    /// Runs a query of the user and describes its first `limit` rows as `column=value` texts. Says how many more there
    /// are.
    pub(crate) async fn sample(&mut self, sql: &str, limit: usize) -> sqlx::Result<(Vec<String>, u64)> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Postgres(conn) => describe(query.fetch(conn), limit).await,
            Self::MySql(conn) => describe(query.fetch(conn), limit).await,
            Self::Sqlite(conn, _) => describe(query.fetch(conn), limit).await,
        }
    }

    /// Whether the text is a complete statement as far as SQLite's parser gets; its complaint if not.
    pub(crate) async fn prepare(&mut self, sql: &str) -> sqlx::Result<()> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres(conn) => conn.prepare(sqlx::SqlSafeStr::into_sql_str(sql)).await.map(drop),
            Self::MySql(conn) => conn.prepare(sqlx::SqlSafeStr::into_sql_str(sql)).await.map(drop),
            Self::Sqlite(conn, _) => conn.prepare(sqlx::SqlSafeStr::into_sql_str(sql)).await.map(drop),
        }
    }
}

/// The number that a query yielded, where it was to count.
pub(crate) fn number(rows: &[Vec<Cell>]) -> u64 {
    let cell = rows.first().and_then(|row| row.first());
    cell.and_then(Cell::int).and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
}
