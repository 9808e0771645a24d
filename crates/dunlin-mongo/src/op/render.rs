//! A command as a person would type it into mongosh. For people only: nothing is hashed or sent from here.

mod value;

use bson::{Bson, Document};

use super::Command;
use crate::command;

use value::{is_word, quoted, show};

pub(crate) use value::inline;

/// The command, as the method call it stands for where there is one.
pub(crate) fn command(command: &Command) -> String {
    let document = &command.document;
    let db = database(command);
    match method(document) {
        Some((Owner::Database, call, arguments)) => format!("{db}.{call}({})", arguments.join(", ")),
        Some((Owner::Collection, call, arguments)) => {
            format!("{}.{call}({})", collection(command), arguments.join(", "))
        }
        None => format!("{db}.runCommand({})", show(&Bson::Document(shown(document)), 0)),
    }
}

fn database(command: &Command) -> String {
    match &command.database {
        Some(database) => format!("db.getSiblingDB({})", quoted(database)),
        None => "db".to_owned(),
    }
}

/// The collection that a command is about, as mongosh has it.
pub(crate) fn collection(command: &Command) -> String {
    format!("{}{}", database(command), member(command::target(&command.document).unwrap_or_default()))
}

/// What a method belongs to.
enum Owner {
    Database,
    Collection,
}

type Call = (Owner, &'static str, Vec<String>);

/// The method that sends exactly this command.
fn method(document: &Document) -> Option<Call> {
    let text = |value: &Bson| show(value, 0);
    let without = |keys: &[&str]| -> Document {
        document.iter().filter(|(key, _)| !keys.contains(&key.as_str())).map(pair).collect()
    };
    let only = |keys: &[&str]| without(keys).is_empty();
    let (call, arguments) = match command::name(document) {
        "insert" if only(&["insert", "documents"]) => {
            match document.get_array("documents").ok()?.as_slice() {
                [one] => ("insertOne", vec![text(one)]),
                many => ("insertMany", vec![text(&Bson::Array(many.to_vec()))]),
            }
        }
        "update" if only(&["update", "updates"]) => update(document)?,
        "delete" if only(&["delete", "deletes"]) => {
            let delete = single(document, "deletes")?;
            let call = if delete.get_i32("limit").ok()? == 0 { "deleteMany" } else { "deleteOne" };
            (call, arguments(delete, &["q"], &["q", "limit"]))
        }
        "create" => {
            let options = without(&["create"]);
            let mut all = vec![text(document.get("create")?)];
            all.extend((!options.is_empty()).then(|| text(&Bson::Document(options))));
            return Some((Owner::Database, "createCollection", all));
        }
        "createIndexes" if only(&["createIndexes", "indexes"]) => {
            ("createIndex", arguments(single(document, "indexes")?, &["key"], &["key"]))
        }
        "dropIndexes" if only(&["dropIndexes", "index"]) => match document.get("index")? {
            Bson::String(all) if all == "*" => ("dropIndexes", Vec::new()),
            Bson::Array(names) => ("dropIndexes", vec![text(&Bson::Array(names.clone()))]),
            index => ("dropIndex", vec![text(index)]),
        },
        "drop" if only(&["drop"]) => ("drop", Vec::new()),
        "renameCollection" if only(&["renameCollection", "to"]) => {
            ("renameCollection", vec![text(document.get("to")?)])
        }
        _ => return None,
    };
    Some((Owner::Collection, call, arguments))
}

fn update(document: &Document) -> Option<(&'static str, Vec<String>)> {
    let update = single(document, "updates")?;
    let has_operators = match update.get("u")? {
        Bson::Document(u) => u.keys().any(|key| key.starts_with('$')),
        _ => true,
    };
    let call = match (update.get_bool("multi").unwrap_or(false), has_operators) {
        (true, _) => "updateMany",
        (false, true) => "updateOne",
        (false, false) => "replaceOne",
    };
    Some((call, arguments(update, &["q", "u"], &["q", "u", "multi"])))
}

fn single<'a>(document: &'a Document, list: &str) -> Option<&'a Document> {
    match document.get_array(list).ok()?.as_slice() {
        [Bson::Document(one)] => Some(one),
        _ => None,
    }
}

/// The values under `first`, and a document of all that is not `known`.
fn arguments(statement: &Document, first: &[&str], known: &[&str]) -> Vec<String> {
    let mut all: Vec<String> =
        first.iter().filter_map(|key| statement.get(key)).map(|value| show(value, 0)).collect();
    let rest: Document =
        statement.iter().filter(|(key, _)| !known.contains(&key.as_str())).map(pair).collect();
    all.extend((!rest.is_empty()).then(|| show(&Bson::Document(rest), 0)));
    all
}

fn pair((key, value): (&String, &Bson)) -> (String, Bson) {
    (key.clone(), value.clone())
}

/// The document without what must not be read over a shoulder.
fn shown(document: &Document) -> Document {
    let hide = |(key, value): (&String, &Bson)| {
        let value = if key == "pwd" { Bson::String("***".to_owned()) } else { value.clone() };
        (key.clone(), value)
    };
    document.iter().map(hide).collect()
}

/// What mongosh's `db` has under these names is no collection.
const METHODS: [&str; 24] = [
    "adminCommand",
    "aggregate",
    "auth",
    "constructor",
    "createCollection",
    "createRole",
    "createUser",
    "createView",
    "currentOp",
    "dropDatabase",
    "dropRole",
    "dropUser",
    "getCollection",
    "getName",
    "hello",
    "hostInfo",
    "isMaster",
    "logout",
    "runCommand",
    "serverStatus",
    "sql",
    "stats",
    "version",
    "watch",
];

fn member(name: &str) -> String {
    let is_plain = is_word(name) && !name.starts_with('_') && !METHODS.contains(&name);
    if is_plain { format!(".{name}") } else { format!(".getCollection({})", quoted(name)) }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::fill;

    fn rendered(document: Document) -> String {
        command(&Command::new(document))
    }

    #[test]
    fn commands_are_shown_as_the_calls_they_stand_for() {
        for (document, text) in [
            (
                doc! { "insert": "users", "documents": [{ "_id": 1, "at": fill::now() }] },
                "db.users.insertOne({ _id: 1, at: new Date() })",
            ),
            (
                doc! { "update": "a.b", "updates": [
                    { "q": {}, "u": { "$set": { "x": 1_i64 } }, "upsert": true, "multi": true },
                ] },
                "db.getCollection(\"a.b\").updateMany({}, { $set: { x: NumberLong(\"1\") } }, { upsert: true })",
            ),
            (
                doc! { "delete": "a", "deletes": [{ "q": { "x.y": 1 }, "limit": 1 }] },
                "db.a.deleteOne({ \"x.y\": 1 })",
            ),
            (doc! { "create": "a", "capped": true }, "db.createCollection(\"a\", { capped: true })"),
            (
                doc! { "createIndexes": "a", "indexes": [{ "key": { "x": 1 }, "name": "x_1", "unique": true }] },
                "db.a.createIndex({ x: 1 }, { name: \"x_1\", unique: true })",
            ),
            (doc! { "drop": "stats" }, "db.getCollection(\"stats\").drop()"),
            (doc! { "dropIndexes": "a", "index": "*" }, "db.a.dropIndexes()"),
            (
                doc! { "createUser": "u", "pwd": "geheim" },
                "db.runCommand({ createUser: \"u\", pwd: \"***\" })",
            ),
        ] {
            assert_eq!(rendered(document), text);
        }
    }

    #[test]
    fn long_documents_are_broken_over_lines() {
        let long = "x".repeat(60);
        let text = rendered(doc! { "insert": "a", "documents": [{ "_id": 1, "a": &long, "b": &long }] });
        assert_eq!(text.lines().count(), 5, "{text}");
    }
}
