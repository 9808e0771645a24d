//! Several texts in one request: what each changed, and which of them failed.

use std::time::Duration;

use futures_util::{FutureExt as _, Stream, TryStreamExt};
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Either, Executor};
use tokio::sync::Notify;

use super::value::bind;
use super::{Conn, Param};
use crate::error;

/// For so long at most nobody listens to what a request of SQLite came to.
const DEAF: Duration = Duration::from_millis(2);

/// What stands behind a text of a request: its line ends where it may end in a comment. SQLite would keep a line's end in
/// its schema.
fn ending(text: &str) -> &'static str {
    if text.contains("--") || text.contains('#') { "\n;\n" } else { ";\n" }
}

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
            before += text.chars().count() + ending(text).len();
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

impl Conn {
    /// Runs texts one after the other in a single request, as they are: one message to PostgreSQL, one hop to the thread
    /// of SQLite's library. None of them may hold a `;` that ends a statement. Values can be bound in SQLite's alone. The
    /// number of rows that each changed.
    pub(crate) async fn execute_all(&mut self, texts: &[&str], params: &[Param]) -> Result<Vec<u64>, Broken> {
        let mut joined = String::new();
        for (at, text) in texts.iter().enumerate() {
            joined.push_str(at.checked_sub(1).map_or("", |before| ending(texts[before])));
            joined.push_str(text);
        }
        let joined = AssertSqlSafe(joined);
        let mut changed = Vec::with_capacity(texts.len());
        let failed = match self {
            Self::Postgres(conn) => {
                let results = sqlx::raw_sql(joined).fetch_many(conn);
                count(results, |done| changed.push(done.rows_affected())).await
            }
            Self::MySql(conn) => {
                let results = sqlx::raw_sql(joined).fetch_many(conn);
                count(results, |done| changed.push(done.rows_affected())).await
            }
            Self::Sqlite(conn, _) if params.is_empty() => {
                let results = sqlx::raw_sql(joined).fetch_many(conn);
                count(results, |done| changed.push(done.rows_affected())).await
            }
            Self::Sqlite(conn, committing) => match bind::<SqliteArguments>(params) {
                Ok(values) => {
                    let query = sqlx::query_with(joined, values).persistent(false);
                    let results = conn.fetch_many(query);
                    count_late(results, committing, |done| changed.push(done.rows_affected())).await
                }
                Err(failure) => Err(failure),
            },
        };
        failed.map_err(|failure| Broken::new(failure, texts, changed.len()))?;
        Ok(changed)
    }
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

/// The same for a transaction of SQLite in one request. The thread of its library tells of every statement, and being
/// woken for each costs both threads more than most statements do: nobody listens between the first and the commit.
async fn count_late<Q, R>(
    mut results: impl Stream<Item = sqlx::Result<Either<Q, R>>> + Unpin,
    committing: &Notify,
    mut tell: impl FnMut(Q),
) -> sqlx::Result<()> {
    // What an earlier transaction told.
    let _ = committing.notified().now_or_never();
    if let Some(Either::Left(done)) = results.try_next().await? {
        tell(done);
    }
    tokio::select! {
        () = committing.notified() => {}
        // A statement that failed, or that takes long.
        () = tokio::time::sleep(DEAF) => {}
    }
    count(results, tell).await
}
