//! What the driver and the server report, as dunlin's one error.

use bson::{Bson, Document};
use dunlin_core::{Error, ErrorKind, StoreUrl};
use mongodb::error::{Error as DriverError, ErrorKind as Driver, WriteFailure};

use crate::command;
use crate::op::{Command, render};

/// The primary is another member now, or the server is on its way down: what was asked may be asked again.
const STEPPING_DOWN: [i32; 11] = [6, 7, 89, 91, 189, 9001, 10107, 11600, 11602, 13435, 13436];
/// Somebody else is in the way for a moment: a lock, a conflicting write or index build, a snapshot that is gone.
const IN_THE_WAY: [i32; 7] = [24, 46, 112, 117, 246, 262, 267];
/// The one of them that is about a document.
const WRITTEN: i32 = 112;
const WRITTEN_NOW: &str =
    "a document of it was written by another transaction just now, or by one that is still open";
/// A transaction ran longer, or held more, than the server allows.
const TOO_MUCH: [i32; 4] = [NO_TRANSACTION, 257, 290, 388];
/// A transaction is not there: it ran too long, or began on what was the primary then.
const NO_TRANSACTION: i32 = 251;

/// A failure while doing something of our own: connecting, reading or writing the history.
pub(crate) fn own(error: &DriverError, doing: &str, url: &StoreUrl) -> Error {
    let (kind, temporary) = classify(error);
    let message = url.scrub(&words(error));
    let mut mapped = Error::new(kind_of_own(kind), format!("{doing}: {message}")).with("url", url);
    mapped.temporary = temporary;
    match help(error) {
        Some(help) => mapped.help(help),
        None => mapped,
    }
}

/// A failure of a command the user wrote.
pub(crate) fn of_command(error: &DriverError, written: &Command, url: &StoreUrl) -> Error {
    let (kind, temporary) = classify(error);
    let mut mapped = Error::new(kind, url.scrub(&words(error))).at(written.span);
    mapped.temporary = temporary;
    if let Some(code) = code(error) {
        mapped = mapped.with("code", code);
    }
    let name = command::name(&written.document);
    if let Some(target) = command::target(&written.document) {
        mapped = mapped.with("command", format!("{name} {target}"));
    }
    if code(error) == Some(11000) {
        let response = error.server_response().and_then(|raw| Document::try_from(raw.as_ref()).ok());
        let key = response.as_ref().and_then(|response| response.get_document("keyValue").ok());
        return mapped.help(duplicate(written, key));
    }
    match help(error) {
        Some(help) => mapped.help(help),
        None => mapped,
    }
}

/// What to do about a key that more than one document would have: which ones they are, and what goes on then.
pub(crate) fn duplicate(written: &Command, key: Option<&Document>) -> String {
    let place = render::collection(written);
    let show = match (unique(&written.document), key) {
        (Some(fields), _) => {
            let stages = bson::bson!([
                { "$group": { "_id": fields, "ids": { "$push": "$_id" }, "n": { "$sum": 1 } } },
                { "$match": { "n": { "$gt": 1 } } },
            ]);
            format!("`{place}.aggregate({})` lists the documents that share a key", render::inline(&stages))
        }
        (None, Some(key)) => {
            let key = render::inline(&Bson::Document(key.clone()));
            format!("`{place}.find({key})` shows the document that has this key already")
        }
        (None, None) => format!("`{place}.getIndexes()` lists what must be unique"),
    };
    format!(
        "nothing was overwritten. {show}; change the documents or the file, then `dunlin up` goes on there (`dunlin down` on the way back)"
    )
}

/// The fields of the unique index that a command would build, as an expression.
fn unique(command: &Document) -> Option<Bson> {
    let indexes = command.get_array("indexes").ok()?.iter().filter_map(Bson::as_document);
    let index = indexes.into_iter().find(|index| index.get_bool("unique").unwrap_or_default())?;
    let mut fields: Vec<Bson> =
        index.get_document("key").ok()?.keys().map(|path| format!("${path}").into()).collect();
    if fields.len() == 1 { fields.pop() } else { Some(Bson::Array(fields)) }
}

/// The server's number for a failure.
pub(crate) fn code(error: &DriverError) -> Option<i32> {
    match &*error.kind {
        Driver::Command(error) => Some(error.code),
        Driver::Write(WriteFailure::WriteError(error)) => Some(error.code),
        Driver::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        _ => None,
    }
}

/// What helps where a script asks for a transaction that cannot be.
pub(crate) const NO_TRANSACTION_HERE: &str =
    "leave the session out for this collection: its commands then run one by one, outside of a transaction";

/// What helps where a validator refuses a document.
pub(crate) const VALIDATOR: &str =
    "the collection's validator refuses the document: let it take the new shape first, by `set_validator`";

/// Whether a read took longer than it was given.
pub(crate) fn is_out_of_time(error: &DriverError) -> bool {
    matches!(code(error), Some(50 | 262))
}

fn words(error: &DriverError) -> String {
    match &*error.kind {
        Driver::Command(error) if error.code == WRITTEN => WRITTEN_NOW.to_owned(),
        Driver::Command(error) => error.message.clone(),
        Driver::Write(WriteFailure::WriteError(error)) => error.message.clone(),
        Driver::Write(WriteFailure::WriteConcernError(error)) => error.message.clone(),
        Driver::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// The kind of a failure, and whether trying again may help.
fn classify(error: &DriverError) -> (ErrorKind, bool) {
    match &*error.kind {
        Driver::Authentication { .. } => (ErrorKind::Access, false),
        Driver::InvalidArgument { .. } | Driver::InvalidTlsConfig { .. } => (ErrorKind::Config, false),
        Driver::DnsResolve { .. } => (ErrorKind::Connect, false),
        Driver::ServerSelection { .. } | Driver::Io(_) | Driver::ConnectionPoolCleared { .. } => {
            (ErrorKind::Connect, true)
        }
        _ => match code(error) {
            Some(code) => {
                let (kind, temporary) = classify_code(code);
                (kind, temporary || error.contains_label(mongodb::error::TRANSIENT_TRANSACTION_ERROR))
            }
            None => (ErrorKind::Unexpected, false),
        },
    }
}

fn classify_code(code: i32) -> (ErrorKind, bool) {
    match code {
        13 | 18 | 8000 => (ErrorKind::Access, false),
        code if STEPPING_DOWN.contains(&code) => (ErrorKind::Connect, true),
        code => (ErrorKind::Statement, IN_THE_WAY.contains(&code)),
    }
}

/// A failure that the server reports of one document of a write, in an answer that is no failure itself.
pub(crate) fn of_document(code: i32, message: String) -> Error {
    let (kind, temporary) = classify_code(code);
    Error { temporary, ..Error::new(kind, message) }
}

/// The same of a document of our own.
pub(crate) fn of_own_document(code: i32, message: String) -> Error {
    let error = of_document(code, message);
    Error { kind: kind_of_own(error.kind), ..error }
}

/// What we write ourselves is no statement of the user's.
fn kind_of_own(kind: ErrorKind) -> ErrorKind {
    if kind == ErrorKind::Statement { ErrorKind::Unexpected } else { kind }
}

/// Whether a transaction that was tried so often failed because of what it is, rather than because of what was in it.
pub(crate) fn is_too_much(error: &DriverError, tries: u32) -> bool {
    code(error).is_some_and(|code| TOO_MUCH.contains(&code) && (code != NO_TRANSACTION || tries > 1))
}

/// Whether the server said that this command cannot be part of a transaction: time series, capped collections, some
/// older servers' creations.
pub(crate) fn is_no_transaction(error: &DriverError) -> bool {
    code(error).is_some_and(|code| says_no_transaction(code, &words(error)))
}

/// The same of a write that the server refuses in an answer that is no failure itself.
pub(crate) fn says_no_transaction(code: i32, words: &str) -> bool {
    code == 263 || code == 20 && words.contains("ransaction")
}

fn help(error: &DriverError) -> Option<&'static str> {
    let code = code(error);
    Some(match (&*error.kind, code) {
        (Driver::Authentication { .. }, _) | (_, Some(18 | 8000)) => {
            "user or password is wrong, or `authSource` names another database than the user's"
        }
        (_, Some(13)) => {
            "the login needs the role readWrite on the database, and dbAdmin for indexes and collMod"
        }
        (Driver::InvalidArgument { .. }, _) => {
            "check the URL; in a user's name and password `@`, `:`, `/` and `%` are written %40, %3A, %2F and %25"
        }
        (Driver::ServerSelection { .. }, _) => "is the server running, and reachable from here?",
        (Driver::DnsResolve { .. }, _) => "the host name of the URL cannot be resolved",
        (_, Some(121)) => VALIDATOR,
        (_, Some(263)) => NO_TRANSACTION_HERE,
        (_, Some(48)) => "a collection of this name is there already",
        (_, Some(26 | 27)) => "the collection or the index is not there",
        (_, Some(85 | 86)) => {
            "an index of this name or key is there already with other options; drop it first"
        }
        (_, Some(166)) => {
            "this is a view, or a time series, which is one: it cannot be written to by document, or renamed; name the collection under it"
        }
        (_, Some(10334)) => "one document, the migration's text included, can have 16 MB at most",
        (_, Some(code)) if TOO_MUCH.contains(&code) => {
            "the change is too large for one transaction; write it as an `update_many` step in a .toml file, or split it"
        }
        _ => return None,
    })
}
