//! What verify steps ask: every row they find is one that must not be there. Whatever they are made of, nothing of it
//! can write.

use dunlin_core::{Check, Checked, Error, ErrorKind, Result, Target, Violation};

use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::error;
use crate::op::Op;
use crate::survey::Survey;
use crate::transaction::{self, Access};

/// How many rows a query shows.
pub(crate) const SHOWN: usize = 20;

/// Asks on from where the check stands.
pub(crate) async fn run(conn: &mut Conn, check: &Check<'_>, target: &Target) -> Result<Checked> {
    let fail = |failure: sqlx::Error| error::own(&failure, "cannot look without writing", &target.url);
    open(conn, target).await.map_err(fail)?;
    let checked = ask(conn, check, target).await;
    let closed = close(conn).await.map_err(fail);
    let checked = checked.map_err(|error| refused(error, conn.dialect()))?;
    closed.map(|()| checked)
}

async fn ask(conn: &mut Conn, check: &Check<'_>, target: &Target) -> Result<Checked> {
    if let Some(survey) = Survey::of(check.op) {
        return survey.run(conn, check, &target.url).await;
    }
    let op: &Op = check.op.own()?;
    let (mut violations, mut unlisted) = (Vec::new(), 0);
    for statement in op.statements() {
        let found = conn.sample(&statement.text, SHOWN).await;
        let (found, more) =
            found.map_err(|failure| error::of_statement(&failure, statement, 0, &target.url))?;
        violations.extend(found.into_iter().map(Violation::new));
        unlisted += more;
    }
    Ok(Checked::Wholly { violations, unlisted, scanned: 0 })
}

/// From here on the server refuses whatever would write. A transaction of SQLite would hold up the writers of the file
/// for as long as it reads.
async fn open(conn: &mut Conn, target: &Target) -> sqlx::Result<()> {
    if conn.dialect() == Dialect::Sqlite {
        return conn.execute("pragma query_only = on").await.map(drop);
    }
    for text in transaction::opening(conn.dialect(), target, Access::Reads) {
        conn.execute(&text).await?;
    }
    Ok(())
}

async fn close(conn: &mut Conn) -> sqlx::Result<()> {
    let end = if conn.dialect() == Dialect::Sqlite { "pragma query_only = off" } else { "rollback" };
    conn.execute(end).await.map(drop)
}

/// Says of a failure that it is the refusal to write, if it is.
fn refused(error: Error, dialect: Dialect) -> Error {
    let code = error.fact("code").unwrap_or_default();
    let is_refusal = match dialect {
        Dialect::Postgres => code == "25006",
        Dialect::MySql => code == "1792",
        Dialect::Sqlite => code == "8",
    };
    if !is_refusal {
        return error;
    }
    let message = format!("a verify step would write, where it may only look: {}", error.message);
    let help = "nothing was changed: verify steps run where the server refuses to write; changes belong under \
                `-- Up`, or in a step of `[[expand]]` or `[[backfill]]`";
    Error { kind: ErrorKind::Statement, message, ..error }.help(help)
}
