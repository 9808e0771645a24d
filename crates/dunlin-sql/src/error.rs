//! What the three drivers report, as dunlin's one error.

use dunlin_core::{Error, ErrorKind, Span, StoreUrl};
use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use crate::dialect::Dialect;
use crate::op::Statement;

/// A failure while doing something of our own: connecting, reading or writing the history.
pub(crate) fn own(error: &sqlx::Error, doing: &str, url: &StoreUrl) -> Error {
    let (kind, temporary) = classify(error);
    let is_ours = kind == ErrorKind::Statement && !temporary && !is_worldly(error);
    let kind = if is_ours { ErrorKind::Unexpected } else { kind };
    let message = url.scrub(&words(error));
    let mut mapped = Error::new(kind, format!("{doing}: {message}")).with("url", url);
    mapped.temporary = temporary;
    match help(error) {
        Some(help) => mapped.help(help),
        None => mapped,
    }
}

/// A failure of a statement the user wrote, pointing at the place the server complained about. So many characters were
/// sent `before` it in the same request.
pub(crate) fn of_statement(
    error: &sqlx::Error,
    statement: &Statement,
    before: usize,
    url: &StoreUrl,
) -> Error {
    let span = match (statement.span, place(error, &statement.text, before)) {
        (Some(span), Some((start, end))) => Some(span.slice(start, end)),
        (span, _) => span.map(|span| span.slice(0, first_line(&statement.text))),
    };
    Error { span, ..told(error, url) }
}

/// All that the server says of a failure.
fn told(error: &sqlx::Error, url: &StoreUrl) -> Error {
    let (kind, temporary) = classify(error);
    let mut mapped = Error::new(kind, url.scrub(&words(error)));
    mapped.temporary = temporary;
    if let Some(code) = code(error) {
        mapped = mapped.with("code", code);
    }
    if let Some(pg) = postgres(error) {
        for (name, fact) in [("detail", pg.detail()), ("hint", pg.hint()), ("where", pg.r#where())] {
            if let Some(fact) = fact {
                mapped = mapped.with(name, url.scrub(fact));
            }
        }
    }
    match help(error) {
        Some(help) => mapped.help(help),
        None => mapped,
    }
}

/// A failure of a statement of ours that is made of parts the user wrote, pointing at the one it is about.
pub(crate) fn of_parts(error: &sqlx::Error, parts: &[(&str, Option<Span>)], url: &StoreUrl) -> Error {
    let found = parts.iter().find_map(|(text, span)| {
        // PostgreSQL counts from the start of the whole statement; but servers name what they do not know.
        let place = if postgres(error).is_some() { None } else { place(error, text, 0) };
        let (start, end) = place.or_else(|| named(error, text))?;
        Some(span.as_ref()?.slice(start, end))
    });
    Error { span: found, ..told(error, url) }
}

/// Where the first name that a message quotes stands.
fn named(error: &sqlx::Error, text: &str) -> Option<(usize, usize)> {
    let name = error.as_database_error()?.message().split(['"', '\'']).nth(1)?;
    find_word(text, name).map(|start| (start, start + name.len()))
}

/// Whether a statement failed because of the values in a row, not because of its words.
pub(crate) fn is_about_rows(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<MySqlDatabaseError>().is_some() {
        // SQLSTATE: data exceptions, broken constraints, what a trigger says, and what has no state of its own.
        return matches!(code.get(..2), Some("22" | "23" | "45" | "HY"));
    }
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        return matches!(code.get(..2), Some("22" | "23" | "P0"));
    }
    let words = ["no such ", "near \"", "wrong number", "misuse", "ambiguous", "table "];
    match code.parse::<u32>().unwrap_or_default() & 0xff {
        1 => !words.iter().any(|word| error.message().starts_with(word)),
        code => matches!(code, 18..=20),
    }
}

/// The statement that a failing place is looked for in, when SQLite names a token but no position.
pub(crate) fn near(error: &sqlx::Error) -> Option<String> {
    let message = error.as_database_error()?.message();
    let rest = message.strip_prefix("near \"")?;
    Some(rest.split_once("\": syntax error")?.0.to_owned())
}

/// Points an error at `offset` within its statement.
pub(crate) fn point(error: Error, span: Option<Span>, start: usize, end: usize) -> Error {
    Error { span: span.map(|span| span.slice(start, end)).or(error.span), ..error }
}

fn first_line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// The server's code, as its documentation lists it.
/// Whether what was to be set is nobody's to set, or the whole server's (MySQL).
pub(crate) fn is_no_setting(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("1229" | "1238"))
}

fn code(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    match error.try_downcast_ref::<MySqlDatabaseError>() {
        Some(mysql) => Some(mysql.number().to_string()),
        None => error.code().map(Into::into),
    }
}

fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// Whether the server ran out of something, or was told to stop: no fault of any statement.
fn is_worldly(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    let code = error.code().unwrap_or_default();
    if let Some(mysql) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return matches!(
            mysql.number(),
            3 | 28 | 1020 | 1021 | 1037 | 1041 | 1114 | 1197 | 1317 | 1969 | 3024
        );
    }
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        return matches!(code.get(..2), Some("53" | "54" | "57" | "58" | "XX"));
    }
    // SQLite: no memory, interrupted, I/O, corrupt, full.
    matches!(code.parse::<u32>().unwrap_or_default() & 0xff, 7 | 9 | 10 | 11 | 13)
}

/// The kind of a failure, and whether trying again may help.
pub(crate) fn classify(error: &sqlx::Error) -> (ErrorKind, bool) {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => {
            (ErrorKind::Connect, false)
        }
        sqlx::Error::Protocol(_) => (ErrorKind::Connect, false),
        sqlx::Error::Configuration(_) => (ErrorKind::Config, false),
        sqlx::Error::Database(error) => classify_database(&**error),
        _ => (ErrorKind::Unexpected, false),
    }
}

fn classify_database(error: &dyn DatabaseError) -> (ErrorKind, bool) {
    let code = error.code().unwrap_or_default();
    if let Some(mysql) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return match mysql.number() {
            1044 | 1045 | 1049 | 1142 | 1143 | 1227 | 1290 | 1370 | 1698 => (ErrorKind::Access, false),
            1205 | 1213 => (ErrorKind::Statement, true),
            1040 | 1053 | 1077 | 1927 | 2006 | 2013 => (ErrorKind::Connect, false),
            _ => (ErrorKind::Statement, false),
        };
    }
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        return match &*code {
            "28000" | "28P01" | "3D000" | "42501" | "25006" => (ErrorKind::Access, false),
            // A lock that was not had in time, a deadlock, a serialization failure: nothing is wrong with the statement.
            "55P03" | "40P01" | "40001" => (ErrorKind::Statement, true),
            "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03" => (ErrorKind::Connect, false),
            code if code.starts_with("08") => (ErrorKind::Connect, false),
            _ => (ErrorKind::Statement, false),
        };
    }
    // SQLite's extended codes keep the primary one in the low byte.
    match code.parse::<u32>().unwrap_or_default() & 0xff {
        5 | 6 => (ErrorKind::Statement, true),
        3 | 8 | 23 => (ErrorKind::Access, false),
        14 | 26 => (ErrorKind::Connect, false),
        _ => (ErrorKind::Statement, false),
    }
}

fn help(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    let code = error.code().unwrap_or_default();
    let text = match &*code {
        "28P01" | "28000" => "check user and password in the store's URL",
        "3D000" => "create the database first, or correct its name in the store's URL",
        "42501" => "grant the login the right it lacks",
        "25006" => {
            "the server takes no writes here: a replica, or a read-only transaction; connect to the primary"
        }
        "55P03" => "another transaction holds a lock on it for longer than `lock_timeout`",
        "53100" => "the server's disk is full; make room and run `dunlin up` again",
        "8" | "264" | "520" | "776" | "1032" | "1288" | "1544" => {
            "the file, or its directory, cannot be written to"
        }
        "13" => "the disk is full; make room and run `dunlin up` again",
        "14" => "the file does not exist; `?create=true` in the URL creates it",
        "5" | "261" | "517" => "another program writes to this file; wait for it to finish",
        _ => match error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number) {
            Some(1045 | 1698) => "check user and password in the store's URL",
            Some(1049) => "create the database first, or correct its name in the store's URL",
            Some(1142 | 1143 | 1227 | 1044 | 1370) => "grant the login the right it lacks",
            _ => return None,
        },
    };
    Some(text.to_owned())
}

/// Where in the request PostgreSQL found the fault: the number of a character, from 1.
pub(crate) fn position(error: &sqlx::Error) -> Option<usize> {
    match postgres(error)?.position()? {
        PgErrorPosition::Original(position) => Some(position),
        PgErrorPosition::Internal { .. } => None,
    }
}

/// The bytes of the statement's text that the server complained about.
fn place(error: &sqlx::Error, text: &str, before: usize) -> Option<(usize, usize)> {
    if postgres(error).is_some() {
        let characters = position(error)?.checked_sub(1 + before)?;
        let start = text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset);
        return Some((start, start + word_length(&text[start..])));
    }
    let message = error.as_database_error()?.message();
    if error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().is_some() {
        return mysql_place(message, text);
    }
    let named = [
        "no such table: ",
        "no such column: ",
        "duplicate column name: ",
        "no such function: ",
        "no such index: ",
    ];
    let name = named.iter().find_map(|prefix| message.strip_prefix(prefix));
    let name =
        name.or_else(|| message.strip_suffix(" already exists").and_then(|rest| rest.rsplit(' ').next()))?;
    let name = name.rsplit('.').next()?.trim_end_matches('"');
    find_word(text, name).map(|start| (start, start + name.len()))
}

/// `… near 'text' at line N`: the text runs from the fault to the end of the statement or to 80 characters.
fn mysql_place(message: &str, text: &str) -> Option<(usize, usize)> {
    let (_, rest) = message.split_once(" near '")?;
    let (near, line) = rest.rsplit_once("' at line ")?;
    let line: usize = line.trim().parse().ok()?;
    let line_start = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum::<usize>();
    if near.is_empty() {
        let end = text.trim_end().len();
        return Some((end.saturating_sub(1), end));
    }
    let start = line_start + text.get(line_start..)?.find(near)?;
    Some((start, start + word_length(&text[start..])))
}

/// The length of the word, or the one sign, that a text starts with.
pub(crate) fn word_length(text: &str) -> usize {
    let end = text.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(text.len());
    if end == 0 { text.chars().next().map_or(0, char::len_utf8) } else { end }
}

/// Where a name stands in a text as a word of its own, in any case.
fn find_word(text: &str, name: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    let name = name.to_ascii_lowercase();
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    lower.match_indices(&name).map(|(start, _)| start).find(|start| {
        !lower[..*start].ends_with(is_word) && !lower[start + name.len()..].starts_with(is_word)
    })
}

/// What a dialect leaves behind of a script that failed in a statement, in words.
pub(crate) fn leftover(dialect: Dialect, alone: bool, at: usize) -> String {
    match (alone, at, dialect) {
        (false, 0, _) => "nothing of it stayed: the transaction was rolled back".to_owned(),
        (true, 0, _) => "no statement before it ran".to_owned(),
        (_, 1, _) => {
            "the statement before it stayed and is recorded; the next run continues after it".to_owned()
        }
        (_, at, _) => {
            format!(
                "the {at} statements before it stayed and are recorded; the next run continues after them"
            )
        }
    }
}
