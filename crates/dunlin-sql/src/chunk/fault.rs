//! What is said about a chunk that failed: which row it was, what stays, and where in the user's text it happened.

use dunlin_core::{Error, ErrorKind, StoreUrl};

use super::Lane;
use super::crew::Crew;
use crate::conn::Conn;
use crate::moves::{Expr, Move, Verb};
use crate::{error, transaction};

/// A failure, and what the server said if it was the chunk's own statement.
pub(super) struct Failed {
    pub(super) error: Error,
    pub(super) failure: Option<sqlx::Error>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, failure: None }
    }
}

/// A failure of a statement made of the user's expressions, pointing at the one it complains about.
pub(super) fn of(op: &Move, failure: &sqlx::Error, url: &StoreUrl) -> Error {
    let pairs = match &op.verb {
        Verb::Update { set: pairs } | Verb::Insert { values: pairs, .. } => pairs.as_slice(),
        Verb::Delete => &[],
    };
    let exprs: Vec<&Expr> = pairs.iter().map(|(_, expr)| expr).chain(&op.rows.filter).collect();
    error::of_parts(failure, &exprs.iter().map(|expr| (&*expr.text, expr.span)).collect::<Vec<_>>(), url)
}

/// The same error with the row that caused it and with what stays.
pub(super) async fn explain(
    crew: &Crew<'_>,
    conn: &mut Conn,
    (lane, size): (&Lane, u32),
    mut error: Error,
    failure: Option<sqlx::Error>,
) -> Error {
    if error.temporary || !matches!(error.kind, ErrorKind::Statement | ErrorKind::Unexpected) {
        return error;
    }
    let is_about_rows = failure.is_some_and(|failure| error::is_about_rows(&failure));
    if is_about_rows && let Some(row) = culprit(crew, conn, lane, size).await {
        error = error.with("row", row);
    }
    let table = &crew.op.rows.table.name;
    let stays = match &lane.at {
        Some(at) => {
            format!(
                "the rows of {table} up to {} are done and recorded; the rest is as it was",
                crew.key.describe(at)
            )
        }
        None => format!("nothing of it: no row of {table} was changed"),
    };
    let error = error.with("left behind", stays);
    if error.help.is_some() {
        return error;
    }
    let way_out = match &crew.op.verb {
        _ if !is_about_rows => "correct the step",
        Verb::Insert { skips: false, .. } => {
            "mend the row, or leave it out with `where`, or pass by rows that are there with `existing = \"skip\"`"
        }
        _ => "mend the row, or leave it out with `where`",
    };
    error.help(format!("{way_out}; `dunlin up` then goes on where this one stopped"))
}

/// The first row that fails, found by halves. Nothing of it stays.
async fn culprit(crew: &Crew<'_>, conn: &mut Conn, lane: &Lane, size: u32) -> Option<String> {
    // The first `good` rows pass, the first `bad` rows fail.
    let (mut good, mut bad) = (0, size);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        conn.execute(&transaction::opening_text(crew.key.dialect, &crew.store.target)).await.ok()?;
        let tried = crew.change_rows(conn, lane, middle).await;
        conn.execute("rollback").await.ok()?;
        match tried {
            Ok(()) => good = middle,
            Err(failure) if error::is_about_rows(&failure) => bad = middle,
            Err(_) => return None,
        }
    }
    let values = crew.bound(conn, lane, bad).await.ok()??;
    Some(crew.key.describe(&values))
}
