//! One connection to a SQL server: an enum with the few calls everything else is written in. Statements of the user go
//! by the text protocol exactly as written; dunlin's own are prepared and bind their values.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Arguments, AssertSqlSafe, Column, Database, Decode, Either, Executor, MySqlConnection, PgConnection, Row,
    SqliteConnection, Type, TypeInfo, ValueRef,
};

use crate::dialect::Dialect;
use crate::error;

/// A connection of one of the three drivers.
pub(crate) enum Conn {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    Sqlite(SqliteConnection),
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conn({})", self.dialect().name())
    }
}

/// What stands between two texts of one request. The line ends a comment that the first may end with.
const BETWEEN: &str = "\n;\n";

/// A request of several texts that failed.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) failure: sqlx::Error,
    /// Which of the texts did.
    pub(crate) index: usize,
    /// How many characters of the request come before that text: PostgreSQL counts positions from its start.
    pub(crate) before: usize,
}

impl Broken {
    /// PostgreSQL parses the whole request before it runs any of it: a syntax error says by its position where it
    /// belongs. Everything else belongs to the text after those that were `done`.
    fn new(failure: sqlx::Error, texts: &[&str], done: usize) -> Self {
        let mut before = 0;
        let starts = texts.iter().map(|text| {
            let start = before;
            before += text.chars().count() + BETWEEN.len();
            start
        });
        let starts: Vec<usize> = starts.collect();
        let index = match error::position(&failure) {
            Some(position) => starts.partition_point(|start| *start < position).saturating_sub(1),
            None => done.min(texts.len() - 1),
        };
        Self { before: starts[index], failure, index }
    }
}

/// A value bound to a statement of ours.
#[derive(Debug, Clone)]
pub(crate) enum Param {
    Null,
    Int(i64),
    /// SQLite's keys alone are bound as what they are.
    Real(f64),
    Text(Arc<str>),
    Blob(Arc<[u8]>),
}

impl From<i64> for Param {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Param {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Param {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<Option<&str>> for Param {
    fn from(value: Option<&str>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// A value read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
}

impl Cell {
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Text(text) => text.parse().ok(),
            Self::Null => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Conn {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::MySql(_) => Dialect::MySql,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Runs text as it is; the number of rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str) -> sqlx::Result<u64> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        Ok(match self {
            Self::Postgres(conn) => query.execute(conn).await?.rows_affected(),
            Self::MySql(conn) => query.execute(conn).await?.rows_affected(),
            Self::Sqlite(conn) => query.execute(conn).await?.rows_affected(),
        })
    }

    /// Runs texts one after the other in a single request, as they are: one message to PostgreSQL, one hop to the thread
    /// of SQLite's library. None of them may hold a `;` that ends a statement. The number of rows that each changed.
    pub(crate) async fn execute_all(&mut self, texts: &[&str]) -> Result<Vec<u64>, Broken> {
        let joined = texts.join(BETWEEN);
        let query = sqlx::raw_sql(AssertSqlSafe(joined));
        let mut changed = Vec::with_capacity(texts.len());
        let failed = match self {
            Self::Postgres(conn) => {
                count(query.fetch_many(conn), |done| changed.push(done.rows_affected())).await
            }
            Self::MySql(conn) => {
                count(query.fetch_many(conn), |done| changed.push(done.rows_affected())).await
            }
            Self::Sqlite(conn) => {
                count(query.fetch_many(conn), |done| changed.push(done.rows_affected())).await
            }
        };
        failed.map_err(|failure| Broken::new(failure, texts, changed.len()))?;
        Ok(changed)
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
            Self::Sqlite(conn) => {
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
            Self::Sqlite(conn) => {
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

    /// Runs a query of the user and describes its first `limit` rows as `column=value` texts.
    pub(crate) async fn sample(&mut self, sql: &str, limit: usize) -> sqlx::Result<Vec<String>> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Postgres(conn) => describe(query.fetch(conn), limit).await,
            Self::MySql(conn) => describe(query.fetch(conn), limit).await,
            Self::Sqlite(conn) => describe(query.fetch(conn), limit).await,
        }
    }

    /// Whether the text is a complete statement as far as SQLite's parser gets; its complaint if not.
    pub(crate) async fn prepare(&mut self, sql: &str) -> sqlx::Result<()> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres(conn) => conn.prepare(sqlx::SqlSafeStr::into_sql_str(sql)).await.map(drop),
            Self::MySql(conn) => conn.prepare(sqlx::SqlSafeStr::into_sql_str(sql)).await.map(drop),
            Self::Sqlite(conn) => conn.prepare(sqlx::SqlSafeStr::into_sql_str(sql)).await.map(drop),
        }
    }
}

/// The number that a query yielded, where it was to count.
pub(crate) fn number(rows: &[Vec<Cell>]) -> u64 {
    let cell = rows.first().and_then(|row| row.first());
    cell.and_then(Cell::int).and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
}

fn bind<A>(params: &[Param]) -> sqlx::Result<A>
where
    A: Arguments + Default,
    for<'q> i64: sqlx::Encode<'q, A::Database> + Type<A::Database>,
    for<'q> f64: sqlx::Encode<'q, A::Database> + Type<A::Database>,
    for<'q> Vec<u8>: sqlx::Encode<'q, A::Database> + Type<A::Database>,
    for<'q> String: sqlx::Encode<'q, A::Database> + Type<A::Database>,
    for<'q> Option<String>: sqlx::Encode<'q, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for param in params {
        match param {
            Param::Null => arguments.add(None::<String>),
            Param::Int(value) => arguments.add(*value),
            Param::Real(value) => arguments.add(*value),
            Param::Text(text) => arguments.add(text.to_string()),
            Param::Blob(bytes) => arguments.add(bytes.to_vec()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

pub(crate) fn cells<R>(row: &R) -> sqlx::Result<Vec<Cell>>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
{
    let cell = |index: usize| {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Cell::Null);
        }
        if <i64 as Type<R::Database>>::compatible(&raw.type_info()) {
            return row.try_get::<i64, _>(index).map(Cell::Int);
        }
        row.try_get_unchecked::<String, _>(index).map(Cell::Text)
    };
    (0..row.len()).map(cell).collect()
}

/// Runs a request to its end, and tells of every statement that is complete.
async fn count<Q, R>(
    mut results: impl Stream<Item = sqlx::Result<Either<Q, R>>> + Unpin,
    mut tell: impl FnMut(Q),
) -> sqlx::Result<()> {
    while let Some(result) = results.try_next().await? {
        if let Either::Left(done) = result {
            tell(done);
        }
    }
    Ok(())
}

async fn describe<R, S>(mut rows: S, limit: usize) -> sqlx::Result<Vec<String>>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database>,
    S: Stream<Item = sqlx::Result<R>> + Unpin,
{
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await? {
        if found.len() < limit {
            found.push(describe_row(&row)?);
        }
    }
    Ok(found)
}

fn describe_row<R>(row: &R) -> sqlx::Result<String>
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    for<'r> String: Decode<'r, R::Database>,
{
    let mut text = String::new();
    for (index, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(index)?;
        let value = if raw.is_null() { "NULL".to_owned() } else { shown::<R::Database>(raw)? };
        let separator = if index == 0 { "" } else { " " };
        let _ = write!(text, "{separator}{}={value}", column.name());
    }
    Ok(text)
}

/// A value in the text protocol is its own text; SQLite, which has no such protocol, converts.
fn shown<'r, D: Database>(raw: D::ValueRef<'r>) -> sqlx::Result<String>
where
    String: Decode<'r, D>,
{
    let kind = raw.type_info().name().to_owned();
    let value = <String as Decode<D>>::decode(raw);
    value.map_err(|source| sqlx::Error::ColumnDecode { index: kind, source })
}
