//! Statements on their way to the server: what is looked at before each, which ones go together, and what a failure
//! says about them.

use dunlin_core::{Error, Result};

use crate::blocker::{self, Seen};
use crate::conn::{Broken, Param};
use crate::dialect::Dialect;
use crate::op::Statement;
use crate::session::Session;
use crate::{error, keys, settings};

/// So many bytes go in one request. PostgreSQL keeps the parse trees of all of it.
const PARCEL: usize = 64 << 10;

/// A failure, and which of the statements caused it, if it was one of them.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) index: Option<usize>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, index: None }
    }
}

/// Sends statements one after the other, in as few requests as may be, behind `opening`, which begins their
/// transaction; the rows they changed.
pub(crate) async fn send_all(
    session: &mut Session,
    opening: &[String],
    statements: &[&Statement],
) -> Result<u64, Failed> {
    let (mut changed, mut at) = (0, 0);
    let mut opening = opening;
    while at < statements.len() || !opening.is_empty() {
        let parcel = parcel(session, &statements[at..]).await?;
        if parcel > 0 || !opening.is_empty() {
            let together =
                together(session, opening, &statements[at..at + parcel], &Closing::default()).await;
            changed += together.map_err(|failed| failed.behind(at))?;
        } else {
            let sent = send(session, statements[at]).await;
            changed += sent.map_err(|error| Failed { error, index: Some(at) })?;
            at += 1;
        }
        at += parcel;
        opening = &[];
    }
    Ok(changed)
}

impl Failed {
    fn behind(self, others: usize) -> Self {
        Self { index: self.index.map(|index| others + index), ..self }
    }
}

/// How many of the statements can go in one request.
async fn parcel(session: &mut Session, statements: &[&Statement]) -> Result<usize> {
    let (mut count, mut size) = (0, 0);
    for statement in statements {
        size += statement.text.len();
        if size > PARCEL
            || !is_sociable(statement, session.tables.dialect)
            || keys::guards(session, statement).await?
        {
            break;
        }
        count += 1;
    }
    Ok(count)
}

/// Whether a statement can go in one request with others. Not if it changes how the ones after it are read, if data
/// follow it, or if it may be several: then nobody could tell which of all failed. MySQL's are few: what it has in a
/// transaction is never DDL.
fn is_sociable(statement: &Statement, dialect: Dialect) -> bool {
    dialect != Dialect::MySql
        && statement.copy_data.is_none()
        && !statement.text.contains(';')
        && !settings::sets(statement)
}

/// Sends one statement; the rows it changed.
pub(crate) async fn send(session: &mut Session, statement: &Statement) -> Result<u64> {
    settings::before(session, statement).await?;
    let lost = keys::Lost::before(session, statement).await?;
    let changed = match &statement.copy_data {
        Some(data) => match session.conn.copy_in(&statement.text, data).await {
            Ok(changed) => counted(statement, changed),
            Err(failure) => return Err(explain(session, &failure, statement, 0).await),
        },
        None => {
            let sent = together(session, &[], &[statement], &Closing::default()).await;
            sent.map_err(|failed| failed.error)?
        }
    };
    if let Some(lost) = lost {
        lost.refuse(session, statement).await?;
    }
    Ok(changed)
}

/// What ends a transaction in the request that began it, and the values bound there.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    pub(crate) texts: Vec<String>,
    pub(crate) params: Vec<Param>,
}

/// Sends one request that begins a transaction and ends it.
pub(crate) async fn send_whole(
    session: &mut Session,
    opening: &[String],
    statements: &[&Statement],
    closing: &Closing,
) -> Result<(), Failed> {
    together(session, opening, statements, closing).await.map(drop)
}

/// Whether the statements can be a request of their own together with their transaction's beginning and end. What is
/// written at the end is bound and known before anything ran: nothing among the statements may look like a parameter, and
/// none may count rows.
pub(crate) async fn is_one_request(session: &mut Session, statements: &[&Statement]) -> Result<bool> {
    let is_plain =
        |statement: &&Statement| !statement.text.contains(['?', '$', ':', '@']) && !counts(statement);
    let can = session.tables.dialect == Dialect::Sqlite
        && !session.is_renewal_due()
        && statements.iter().all(is_plain);
    Ok(can && parcel(session, statements).await? == statements.len())
}

/// Sends one request.
async fn together(
    session: &mut Session,
    opening: &[String],
    statements: &[&Statement],
    closing: &Closing,
) -> Result<u64, Failed> {
    let texts = opening.iter().map(String::as_str).chain(statements.iter().map(|statement| &*statement.text));
    let texts: Vec<&str> = texts.chain(closing.texts.iter().map(String::as_str)).collect();
    let Seen { came, blocker } = blocker::watched(session, &texts, &closing.params).await;
    match came {
        Ok(changed) => {
            let changed = statements.iter().zip(changed.iter().skip(opening.len()));
            Ok(changed.map(|(statement, changed)| counted(statement, *changed)).sum())
        }
        Err(Broken { failure, index, before }) => match index.checked_sub(opening.len()) {
            Some(index) if index >= statements.len() => Err(session.unwritten(&failure).into()),
            Some(index) => {
                let error = explain(session, &failure, statements[index], before).await;
                Err(Failed { error: blocker::named(error, blocker), index: Some(index) })
            }
            None => Err(session.fail(&failure, "cannot begin a transaction").into()),
        },
    }
}

/// The rows of a statement that changes rows: some servers count what others return or define as well.
fn counted(statement: &Statement, changed: u64) -> u64 {
    if counts(statement) { changed } else { 0 }
}

/// Whether a statement changes rows.
fn counts(statement: &Statement) -> bool {
    let words = ["insert", "update", "delete", "replace", "merge", "copy", "with"];
    let head = statement.head();
    words.iter().any(|word| head.starts_with(word))
}

/// The failure of a statement, pointing at its place in the file.
async fn explain(
    session: &mut Session,
    failure: &sqlx::Error,
    statement: &Statement,
    before: usize,
) -> Error {
    let mapped = error::of_statement(failure, statement, before, &session.store.target.url);
    let Some(token) = error::near(failure).filter(|_| session.tables.dialect == Dialect::Sqlite) else {
        return mapped;
    };
    // SQLite names the token its parser stopped at, not where: it is the first one up to which it complains.
    for (start, _) in statement.text.match_indices(&token) {
        let end = start + token.len();
        let stops_here = session
            .conn
            .prepare(&statement.text[..end])
            .await
            .is_err_and(|failure| error::near(&failure).as_ref() == Some(&token));
        if stops_here {
            return error::point(mapped, statement.span, start, end);
        }
    }
    mapped
}
