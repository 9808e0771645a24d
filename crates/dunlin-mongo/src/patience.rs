//! How long a command waits for the lock of a collection. One that waits stands in the way of everybody who comes after it,
//! so it gives way in time, says who has the lock, and is tried again.
//!
//! A server can be told how long a command may take (`maxTimeMS`), not how long it may wait. So a limit is set only where
//! there is nothing long to do but to wait: not for the building of an index, whose lock is tried for on its own before it
//! is begun (how it ends waits as long as the server lets a transaction live), and not in a sharded cluster, where a change
//! that was asked for goes on, and goes on waiting, after the one who asked was told that it took too long.

use std::time::Duration;

use bson::{Bson, Document, doc};
use dunlin_core::{Error, ErrorKind};
use mongodb::Database;
use mongodb::error::Error as DriverError;

use crate::connect::Topology;
use crate::store::Store;
use crate::{blocker, command, error};

/// The server's numbers for a command that took longer than it was given, and for a lock that was not had.
const LATE: [i32; 2] = [OUT_OF_TIME, 24];
const OUT_OF_TIME: i32 = 50;
/// The first of them as a fact of an error.
const OUT_OF_TIME_CODE: &str = "50";

/// Why a command did not come to its end.
pub(crate) enum Failure {
    /// The driver or the server says so.
    Driver(DriverError),
    /// Somebody else has the lock, in words, for longer than this.
    Late(DriverError, Duration, String),
    /// It was done, but no majority confirmed that.
    Unconfirmed(i32, String),
}

impl Failure {
    /// As dunlin's own error, by what `map` makes of the driver's.
    pub(crate) fn error(&self, map: impl FnOnce(&DriverError) -> Error) -> Error {
        match self {
            Self::Driver(failure) => map(failure),
            Self::Late(failure, patience, blocker) => {
                let error = map(failure);
                let message = format!("a lock was not had within {patience:?}; {blocker}");
                Error { message, temporary: true, kind: ErrorKind::Statement, ..error }.help(
                    "another operation holds a lock on it for longer than `lock_timeout`: end it, or wait for it to end",
                )
            }
            // Whoever lost the server looks what is there: the same holds here.
            Self::Unconfirmed(code, reason) => {
                let message = format!("no majority of the members confirmed it: {reason}");
                Error { temporary: true, ..Error::new(ErrorKind::Connect, message).with("code", code) }
            }
        }
    }
}

/// Whether this says that a command was given up while it waited, which it may have been a moment too late.
pub(crate) fn is_given_up(error: &Error) -> bool {
    error.temporary && error.fact("code") == Some(OUT_OF_TIME_CODE)
}

/// Whether all that can take long about a command is to wait for its lock.
fn only_waits(document: &Document) -> bool {
    match command::name(document) {
        "create" | "drop" | "dropIndexes" | "deleteIndexes" => true,
        // Into another database it copies.
        "renameCollection" => {
            let database = |key| document.get_str(key).ok().and_then(|name| name.split_once('.'));
            match (database("renameCollection"), database("to")) {
                (Some((from, _)), Some((to, _))) => from == to,
                _ => false,
            }
        }
        // To make an index unique, it looks at all of it.
        "collMod" => !document.get_document("index").is_ok_and(|index| index.contains_key("unique")),
        _ => false,
    }
}

/// How patient commands are with one store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience<'a> {
    pub(crate) store: &'a Store,
    pub(crate) time: Duration,
}

impl Patience<'_> {
    /// Sends a command that no transaction holds.
    pub(crate) async fn send(self, db: &Database, mut document: Document) -> Result<Document, Failure> {
        let is_limited = self.can_limit() && only_waits(&document) && !document.contains_key("maxTimeMS");
        if is_limited {
            document.insert("maxTimeMS", self.millis());
        }
        let names = is_limited.then(|| spaces(db, &document));
        let is_write = ["insert", "update", "delete"].contains(&command::name(&document));
        match db.run_command(document).await {
            Ok(response) if is_write => Ok(response),
            Ok(response) => confirmed(response),
            Err(failure) => Err(self.told(failure, names).await),
        }
    }

    /// Tries for the lock with which the building of an index begins, under the limit that the building cannot have: by
    /// asking to drop an index that cannot be there.
    pub(crate) async fn try_for(self, db: &Database, document: &Document) -> Result<(), Failure> {
        let (true, "createIndexes", Some(name)) =
            (self.can_limit(), command::name(document), command::target(document))
        else {
            return Ok(());
        };
        let attempt = doc! { "dropIndexes": name, "index": "", "maxTimeMS": self.millis() };
        let names = vec![format!("{}.{name}", db.name())];
        match db.run_command(attempt).await {
            Err(failure) if is_late(&failure) => Err(self.told(failure, Some(names)).await),
            // That it is not there, or that we may not: what is really wanted says more.
            _ => Ok(()),
        }
    }

    fn can_limit(self) -> bool {
        self.store.topology != Topology::Sharded
    }

    fn millis(self) -> i64 {
        i64::try_from(self.time.as_millis()).unwrap_or(i64::MAX).clamp(1, i64::from(i32::MAX))
    }

    /// A failure with who has the lock, where that was it.
    async fn told(self, failure: DriverError, names: Option<Vec<String>>) -> Failure {
        let Some(names) = names.filter(|_| is_late(&failure)) else { return Failure::Driver(failure) };
        Failure::Late(failure, self.time, blocker::blockers(self.store, &names).await)
    }
}

fn is_late(failure: &DriverError) -> bool {
    error::code(failure).is_some_and(|code| LATE.contains(&code))
}

/// The collections that a command locks, by their full names.
fn spaces(db: &Database, document: &Document) -> Vec<String> {
    if command::name(document) == "renameCollection" {
        let names = ["renameCollection", "to"].into_iter().filter_map(|key| document.get_str(key).ok());
        return names.map(str::to_owned).collect();
    }
    command::target(document).map(|name| format!("{}.{name}", db.name())).into_iter().collect()
}

/// An answer that says nothing of a write concern that was not met.
fn confirmed(response: Document) -> Result<Document, Failure> {
    let Ok(concern) = response.get_document("writeConcernError") else { return Ok(response) };
    let code = concern.get("code").and_then(Bson::as_i32).unwrap_or_default();
    Err(Failure::Unconfirmed(code, concern.get_str("errmsg").unwrap_or("no reason given").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_long_is_not_limited() {
        for document in [
            doc! { "drop": "a" },
            doc! { "renameCollection": "x.a", "to": "x.b" },
            doc! { "collMod": "a", "validator": {} },
            doc! { "collMod": "a", "index": { "name": "i", "hidden": true } },
        ] {
            assert!(only_waits(&document), "{document}");
        }
        for document in [
            doc! { "createIndexes": "a", "indexes": [] },
            doc! { "renameCollection": "x.a", "to": "y.a" },
            doc! { "collMod": "a", "index": { "name": "i", "unique": true } },
            doc! { "convertToCapped": "a", "size": 1 },
            doc! { "update": "a", "updates": [] },
        ] {
            assert!(!only_waits(&document), "{document}");
        }
    }
}
