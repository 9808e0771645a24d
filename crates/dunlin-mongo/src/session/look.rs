//! Looking whether a command took effect: is the collection there, the index, the user?

use std::collections::BTreeSet;

use bson::{Bson, Document, doc};
use dunlin_core::Result;
use futures_util::TryStreamExt as _;
use mongodb::Database;
use mongodb::error::Error as DriverError;
use serde_json::{Value, json};

use super::Session;
use crate::command::{self, Class};
use crate::op::Command;

/// What there is of that which a command would make or take away; `None` where that says nothing.
pub(super) async fn look(session: &mut Session, command: &Command) -> Result<Option<Value>> {
    if command::class(&command.document) != Class::Shape {
        return Ok(None);
    }
    let db = session.store.database(command);
    let looked = at(session, &db, &command.document).await;
    looked.map_err(|failure| session.fail(&failure, "cannot look at the collections"))
}

async fn at(session: &mut Session, db: &Database, document: &Document) -> Result<Option<Value>, DriverError> {
    let target = command::target(document).unwrap_or_default();
    Ok(match command::name(document) {
        "create" => Some(json!(has_collection(session, db, target).await?)),
        "dropIndexes" | "deleteIndexes" => {
            has_index(db, target, document.get("index")).await?.map(|has| json!(has))
        }
        "drop" => Some(json!(uuid(db, target).await?)),
        "renameCollection" => {
            let to = document.get_str("to").unwrap_or_default();
            Some(json!({ "from": uuid(db, target).await?, "to": uuid(db, to).await? }))
        }
        "createUser" | "dropUser" => Some(json!(is_listed(db, doc! { "usersInfo": target }, "users").await?)),
        "createRole" | "dropRole" => Some(json!(is_listed(db, doc! { "rolesInfo": target }, "roles").await?)),
        _ => None,
    })
}

/// Whether a collection is there. Asked once a session: a migration that makes a thousand asks for no list a thousand
/// times.
async fn has_collection(session: &mut Session, db: &Database, name: &str) -> Result<bool, DriverError> {
    if let Some(known) = session.names.get(db.name()) {
        return Ok(known.contains(name));
    }
    let names: BTreeSet<String> = db.list_collection_names().await?.into_iter().collect();
    let has = names.contains(name);
    session.names.insert(db.name().to_owned(), names);
    Ok(has)
}

/// Keeps the list of collections true after a command of our own.
pub(super) fn changed(session: &mut Session, command: &Command) {
    let database = session.store.database(command).name().to_owned();
    match command::name(&command.document) {
        "create" => {
            if let (Some(names), Some(name)) =
                (session.names.get_mut(&database), command::target(&command.document))
            {
                names.insert(name.to_owned());
            }
        }
        "createIndexes" | "collMod" | "dropIndexes" => {}
        _ => session.names.clear(),
    }
}

/// Whether an index is there, or any of those that are meant: they are dropped as one.
async fn has_index(
    db: &Database,
    collection: &str,
    index: Option<&Bson>,
) -> Result<Option<bool>, DriverError> {
    let Some(index) = index else { return Ok(None) };
    let mut indexes = match db.run_cursor_command(doc! { "listIndexes": collection }).await {
        Err(error) if crate::error::code(&error) == Some(26) => return Ok(Some(false)),
        indexes => indexes?,
    };
    while let Some(found) = indexes.try_next().await? {
        if is_meant(&found, index) {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}

/// Whether an index is one of those that `dropIndexes` is told of.
fn is_meant(found: &Document, index: &Bson) -> bool {
    let name = found.get_str("name").ok();
    match index {
        // All but the one that every collection has.
        Bson::String(all) if all == "*" => name != Some("_id_"),
        Bson::String(meant) => name == Some(meant),
        Bson::Array(names) => names.iter().any(|meant| meant.as_str() == name),
        pattern => found.get("key") == Some(pattern),
    }
}

/// What identifies a collection whatever it is called.
async fn uuid(db: &Database, name: &str) -> Result<Option<String>, DriverError> {
    let mut found = db.list_collections().filter(doc! { "name": name }).await?;
    let found = found.try_next().await?;
    Ok(found.map(|found| {
        found.info.uuid.map_or_else(|| "view".to_owned(), |uuid| crate::extended::hex(&uuid.bytes))
    }))
}

async fn is_listed(db: &Database, question: Document, list: &str) -> Result<bool, DriverError> {
    let answer = db.run_command(question).await?;
    Ok(answer.get_array(list).is_ok_and(|list| !list.is_empty()))
}

/// Whether a command took effect between two looks; `None` where they do not tell.
pub(super) fn took_effect(document: &Document, before: &Value, now: &Value) -> Option<bool> {
    match command::name(document) {
        "renameCollection" => {
            let (from, to) = (&before["from"], &now["to"]);
            if now["from"] == *from {
                Some(false)
            } else {
                (now["from"].is_null() && from == to).then_some(true)
            }
        }
        // A collection of the same name that is another one was made since, and is not ours to drop.
        "drop" => Some(!before.is_null() && before != now),
        // What held before it was announced says nothing about it: sent again, it fails or does nothing.
        _ => Some(holds(document, now) && !holds(document, before)),
    }
}

/// Whether that which a command should bring about is so.
pub(super) fn holds(document: &Document, now: &Value) -> bool {
    match command::name(document) {
        "create" | "createUser" | "createRole" => *now == json!(true),
        "renameCollection" => now["from"].is_null() && !now["to"].is_null(),
        "drop" => now.is_null(),
        _ => *now == json!(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_is_known_by_the_collection_itself() {
        let rename = doc! { "renameCollection": "a", "to": "b" };
        let before = json!({ "from": "1", "to": null });
        assert_eq!(took_effect(&rename, &before, &json!({ "from": "1", "to": null })), Some(false));
        assert_eq!(took_effect(&rename, &before, &json!({ "from": null, "to": "1" })), Some(true));
        assert_eq!(took_effect(&rename, &before, &json!({ "from": null, "to": "2" })), None);
    }

    #[test]
    fn what_held_before_is_no_effect() {
        let create = doc! { "create": "a" };
        assert_eq!(took_effect(&create, &json!(false), &json!(true)), Some(true));
        assert_eq!(took_effect(&create, &json!(true), &json!(true)), Some(false));
        let collection = doc! { "drop": "a" };
        assert_eq!(took_effect(&collection, &json!("1"), &json!("1")), Some(false));
        assert_eq!(took_effect(&collection, &json!("1"), &json!(null)), Some(true));
        assert_eq!(took_effect(&collection, &json!("1"), &json!("2")), Some(true), "made anew since");
        let drop = doc! { "dropIndexes": "a", "index": "x" };
        assert_eq!(took_effect(&drop, &json!(true), &json!(false)), Some(true));
        assert_eq!(took_effect(&drop, &json!(true), &json!(true)), Some(false));
    }
}
