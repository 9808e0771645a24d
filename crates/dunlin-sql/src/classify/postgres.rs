//! PostgreSQL: what its documentation says "cannot be executed inside a transaction block".

use crate::cursor::Cursor;

use super::{Class, refused};

pub(super) fn classify(first: &str, mut cursor: Cursor<'_>) -> Class {
    let what = match first {
        "create" => create(&mut cursor),
        "drop" => drop(&mut cursor),
        "alter" => return alter(&mut cursor),
        "vacuum" => Some("VACUUM"),
        "reindex" => reindex(&mut cursor),
        "cluster" | "repack" => whole_database(first, &mut cursor),
        "discard" if cursor.is("all") => Some("DISCARD ALL"),
        "commit" | "rollback" | "end" => Some("finishing a prepared transaction"),
        _ => None,
    };
    what.map_or(Class::Ordinary, refused)
}

fn create(cursor: &mut Cursor<'_>) -> Option<&'static str> {
    cursor.eat("unique");
    if cursor.eat("index") {
        return cursor.is("concurrently").then_some("CREATE INDEX CONCURRENTLY");
    }
    match cursor.word()?.as_str() {
        "database" => Some("CREATE DATABASE"),
        "tablespace" => Some("CREATE TABLESPACE"),
        "subscription" => makes_slot(cursor).then_some("CREATE SUBSCRIPTION"),
        _ => None,
    }
}

/// Whether a `CREATE SUBSCRIPTION` makes a replication slot, as it does unless told not to.
fn makes_slot(cursor: &mut Cursor<'_>) -> bool {
    while !cursor.is_at_end() {
        if !cursor.eat_any(&["create_slot", "connect"]) {
            cursor.next();
            continue;
        }
        cursor.eat_symbol("=");
        let value = cursor.peek().map(|(_, value)| value.trim_matches('\'').to_ascii_lowercase());
        if matches!(value.as_deref(), Some("false" | "off" | "no" | "0")) {
            return false;
        }
    }
    true
}

fn drop(cursor: &mut Cursor<'_>) -> Option<&'static str> {
    match cursor.word()?.as_str() {
        "index" => cursor.is("concurrently").then_some("DROP INDEX CONCURRENTLY"),
        "database" => Some("DROP DATABASE"),
        "tablespace" => Some("DROP TABLESPACE"),
        "subscription" => Some("DROP SUBSCRIPTION"),
        _ => None,
    }
}

fn alter(cursor: &mut Cursor<'_>) -> Class {
    let what = match cursor.word().unwrap_or_default().as_str() {
        "system" => Some("ALTER SYSTEM"),
        "database" => {
            cursor.name();
            cursor.eat_all(&["set", "tablespace"]).then_some("ALTER DATABASE … SET TABLESPACE")
        }
        "table" => {
            let is_concurrent = cursor.has("detach") && cursor.has("concurrently");
            is_concurrent.then_some("DETACH PARTITION … CONCURRENTLY")
        }
        "subscription" => {
            let touches_slot = ["publication", "two_phase", "failover"].iter().any(|word| cursor.has(word));
            touches_slot.then_some("ALTER SUBSCRIPTION")
        }
        "type" => {
            cursor.name();
            return label(cursor).map_or(Class::Ordinary, Class::EnumLabel);
        }
        _ => None,
    };
    what.map_or(Class::Ordinary, refused)
}

/// The label that `ADD VALUE` adds.
fn label(cursor: &mut Cursor<'_>) -> Option<String> {
    if !cursor.eat_all(&["add", "value"]) {
        return None;
    }
    cursor.eat_all(&["if", "not", "exists"]);
    cursor.literal()
}

fn reindex(cursor: &mut Cursor<'_>) -> Option<&'static str> {
    if cursor.has("concurrently") {
        return Some("REINDEX CONCURRENTLY");
    }
    cursor.eat_parentheses();
    match cursor.word()?.as_str() {
        "database" => Some("REINDEX DATABASE"),
        "system" => Some("REINDEX SYSTEM"),
        "schema" => Some("REINDEX SCHEMA"),
        _ => None,
    }
}

/// `CLUSTER` and `REPACK` without a table work on all of them, each in a transaction of its own.
fn whole_database(first: &str, cursor: &mut Cursor<'_>) -> Option<&'static str> {
    let is_concurrent = cursor.has("concurrently");
    cursor.eat_parentheses();
    cursor.eat("verbose");
    let what = if first == "cluster" { "CLUSTER without a table" } else { "REPACK" };
    (is_concurrent || cursor.is_at_end()).then_some(what)
}
