//! What a command is, as far as running it safely depends on it. Pure: nothing here talks to a server.

use bson::{Bson, Document};

/// How a command can be run so that its outcome is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Documents are written: a transaction decides where there are transactions.
    Documents,
    /// Documents are written so that doing it again changes nothing more. Run outside of a transaction, which has a
    /// limit of 60 seconds, and done again after an interruption.
    Repeatable,
    /// The shape of the database changes, and looking at it tells whether it did.
    Shape,
    /// Doing it again is harmless.
    Redo,
    /// Only looks.
    Read,
    /// Neither is known.
    Opaque,
}

/// The command's name: its first key.
pub(crate) fn name(command: &Document) -> &str {
    command.keys().next().map_or("", String::as_str)
}

/// The collection it is about, if it is about one.
pub(crate) fn target(command: &Document) -> Option<&str> {
    command.iter().next().and_then(|(_, value)| value.as_str())
}

/// What kind of command this is.
pub(crate) fn class(command: &Document) -> Class {
    match name(command) {
        "insert" | "findAndModify" | "findandmodify" => Class::Documents,
        "update" => one(command, "updates")
            .filter(|update| is_repeatable_update(update))
            .map_or(Class::Documents, repeatable),
        "delete" => one(command, "deletes")
            .filter(|delete| is_repeatable_delete(delete))
            .map_or(Class::Documents, repeatable),
        "create" | "drop" | "dropIndexes" | "deleteIndexes" | "renameCollection" | "createUser"
        | "dropUser" | "createRole" | "dropRole" => Class::Shape,
        "createIndexes"
        | "collMod"
        | "convertToCapped"
        | "updateUser"
        | "updateRole"
        | "grantRolesToUser"
        | "revokeRolesFromUser"
        | "grantRolesToRole"
        | "revokeRolesFromRole"
        | "grantPrivilegesToRole"
        | "revokePrivilegesFromRole"
        | "shardCollection"
        | "enableSharding"
        | "compact"
        | "reIndex"
        | "setParameter"
        | "setFeatureCompatibilityVersion"
        | "profile"
        | "cloneCollectionAsCapped" => Class::Redo,
        "aggregate" => aggregate(command),
        _ if is_read(command) => Class::Read,
        _ => Class::Opaque,
    }
}

fn repeatable(_: &Document) -> Class {
    Class::Repeatable
}

/// The only statement of a command that holds one.
fn one<'a>(command: &'a Document, list: &str) -> Option<&'a Document> {
    match command.get_array(list).ok()?.as_slice() {
        [Bson::Document(statement)] => Some(statement),
        _ => None,
    }
}

/// Operators whose second application changes nothing.
const STEADY: [&str; 9] =
    ["$set", "$unset", "$rename", "$min", "$max", "$addToSet", "$pull", "$pullAll", "$currentDate"];

pub(crate) fn is_repeatable_update(update: &Document) -> bool {
    let is_multi = update.get_bool("multi").unwrap_or(false);
    let is_upsert = update.get_bool("upsert").unwrap_or(false);
    let Ok(operators) = update.get_document("u") else { return false };
    let is_steady = operators.keys().all(|key| STEADY.contains(&key.as_str()));
    is_multi && !is_upsert && is_steady
}

fn is_repeatable_delete(delete: &Document) -> bool {
    delete.get("limit").is_some_and(|limit| limit == &Bson::Int32(0) || limit == &Bson::Int64(0))
}

/// Whether a statement names the document it is about, so that it cannot take another one the second time.
pub(crate) fn is_pinned(command: &Document) -> bool {
    let is_id = |filter: Option<&Bson>| {
        let id = filter.and_then(Bson::as_document).and_then(|filter| filter.get("_id"));
        id.is_some_and(|id| {
            id.as_document().is_none_or(|inner| !inner.keys().any(|key| key.starts_with('$')))
        })
    };
    let is_steady = |update: Option<&Bson>| {
        update.and_then(Bson::as_document).is_some_and(|update| {
            update
                .keys()
                .all(|key| !key.starts_with('$') || STEADY.contains(&key.as_str()) || key == "$setOnInsert")
        })
    };
    match name(command) {
        "update" => {
            one(command, "updates").is_some_and(|update| is_id(update.get("q")) && is_steady(update.get("u")))
        }
        "delete" => one(command, "deletes").is_some_and(|delete| is_id(delete.get("q"))),
        "findAndModify" | "findandmodify" => {
            let is_remove = command.get_bool("remove").unwrap_or(false);
            is_id(command.get("query")) && (is_remove || is_steady(command.get("update")))
        }
        _ => false,
    }
}

fn aggregate(command: &Document) -> Class {
    let Ok(pipeline) = command.get_array("pipeline") else { return Class::Read };
    let Some(last) = pipeline.last().and_then(Bson::as_document) else { return Class::Read };
    let source = target(command);
    if let Some(out) = last.get("$out") {
        let to = out.as_str().or_else(|| out.as_document().and_then(|out| out.get_str("coll").ok()));
        return if to == source { Class::Opaque } else { Class::Redo };
    }
    let Some(merge) = last.get("$merge") else { return Class::Read };
    let into = merge.as_document().and_then(|merge| merge.get("into")).unwrap_or(merge);
    let to = into.as_str().or_else(|| into.as_document().and_then(|into| into.get_str("coll").ok()));
    let when = merge.as_document().and_then(|merge| merge.get("whenMatched"));
    let is_steady =
        when.is_none_or(|when| matches!(when.as_str(), Some("merge" | "replace" | "keepExisting" | "fail")));
    if to != source && is_steady { Class::Redo } else { Class::Opaque }
}

/// Whether this only looks, and says by what it finds whether something must not be there.
pub(crate) fn is_read(command: &Document) -> bool {
    match name(command) {
        "find" | "count" | "distinct" | "listIndexes" | "listCollections" => true,
        "aggregate" => aggregate(command) == Class::Read,
        _ => false,
    }
}

/// Why a command may not stand in a migration, and what to do instead.
pub(crate) fn refusal(command: &Document) -> Option<(String, &'static str)> {
    let name = name(command);
    let ours = ["dunlin_history", "dunlin_journal", "dunlin_lock", "dunlin_shape"];
    if let Some(collection) = target(command).filter(|collection| ours.contains(collection)) {
        let message = format!("`{collection}` belongs to dunlin");
        return Some((message, "`dunlin mark` and `dunlin baseline` change the history"));
    }
    let help = match name {
        "" => return Some(("the command is empty".to_owned(), "its first key is its name")),
        "dropDatabase" => {
            "drop the collections one by one; dropping the database would take the migration history with it"
        }
        "shutdown" | "fsync" | "fsyncUnlock" | "replSetStepDown" | "replSetReconfig" | "replSetInitiate"
        | "killOp" | "killAllSessions" | "killSessions" | "logRotate" => {
            "this is about the server, not about the data; run it by hand"
        }
        "commitTransaction" | "abortTransaction" | "startSession" | "endSessions" | "getMore"
        | "killCursors" => "every step runs in a session of dunlin's own",
        _ => {
            let field = ["lsid", "txnNumber", "autocommit", "startTransaction"].into_iter();
            let field = field.clone().find(|field| command.contains_key(*field))?;
            let message = format!("`{field}` belongs to the session, which is dunlin's own");
            return Some((message, "leave it out"));
        }
    };
    Some((format!("`{name}` is refused in a migration"), help))
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn only_what_may_be_done_twice_leaves_the_transaction() {
        let update = |u: Bson, multi: bool, upsert: bool| {
            class(&doc! { "update": "a", "updates": [{ "q": {}, "u": u, "multi": multi, "upsert": upsert }] })
        };
        assert_eq!(update(doc! { "$set": { "a": 1 } }.into(), true, false), Class::Repeatable);
        assert_eq!(update(doc! { "$rename": { "a": "b" } }.into(), true, false), Class::Repeatable);
        assert_eq!(update(doc! { "$set": { "a": 1 } }.into(), false, false), Class::Documents);
        assert_eq!(update(doc! { "$set": { "a": 1 } }.into(), true, true), Class::Documents);
        assert_eq!(
            update(doc! { "$set": { "a": 1 }, "$inc": { "n": 1 } }.into(), true, false),
            Class::Documents
        );
        assert_eq!(
            update(vec![doc! { "$set": { "n": { "$add": ["$n", 1] } } }].into(), true, false),
            Class::Documents
        );
        // One after the other, the first may take what the second made.
        let two = doc! { "update": "a", "updates": [
            { "q": { "a": 2 }, "u": { "$set": { "a": 3 } }, "multi": true }, { "q": { "a": 1 }, "u": { "$set": { "a": 2 } }, "multi": true },
        ] };
        assert_eq!(class(&two), Class::Documents);
        assert_eq!(class(&doc! { "delete": "a", "deletes": [{ "q": {}, "limit": 0 }] }), Class::Repeatable);
        assert_eq!(class(&doc! { "delete": "a", "deletes": [{ "q": {}, "limit": 1 }] }), Class::Documents);
    }

    #[test]
    fn an_aggregation_is_what_its_last_stage_says() {
        let last = |stage: Document| class(&doc! { "aggregate": "a", "pipeline": [stage], "cursor": {} });
        assert_eq!(last(doc! { "$match": {} }), Class::Read);
        assert_eq!(last(doc! { "$out": "b" }), Class::Redo);
        assert_eq!(last(doc! { "$out": "a" }), Class::Opaque);
        assert_eq!(last(doc! { "$merge": { "into": "b" } }), Class::Redo);
        assert_eq!(
            last(doc! { "$merge": { "into": "b", "whenMatched": [{ "$set": { "n": 1 } }] } }),
            Class::Opaque
        );
    }

    #[test]
    fn a_statement_is_pinned_by_a_plain_id() {
        let update =
            |q: Document| doc! { "update": "a", "updates": [{ "q": q, "u": { "$set": { "a": 1 } } }] };
        assert!(is_pinned(&update(doc! { "_id": 1 })));
        assert!(is_pinned(&update(doc! { "_id": { "x": 1 } })));
        assert!(!is_pinned(&update(doc! { "_id": { "$gt": 1 } })));
        assert!(!is_pinned(&update(doc! { "name": "x" })));
    }
}
