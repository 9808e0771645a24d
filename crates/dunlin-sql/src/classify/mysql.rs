//! MySQL and MariaDB: the statements that commit implicitly, from the manuals' lists, and those that may.

use crate::cursor::Cursor;

use super::Class;

const COMMITS: &str = "MySQL commits around it";

pub(super) fn classify(first: &str, mut cursor: Cursor<'_>) -> Class {
    let commits = match first {
        "create" | "drop" => !is_private(&mut cursor),
        "lock" | "unlock" if cursor.eat_any(&["table", "tables"]) => return Class::TableLock,
        "lock" | "unlock" | "alter" | "rename" | "truncate" | "grant" | "revoke" | "optimize" | "repair"
        | "check" | "cache" | "flush" | "reset" | "install" | "uninstall" | "start" | "stop" | "change"
        | "import" | "shutdown" | "restart" | "clone" | "backup" | "purge" => true,
        "analyze" => cursor.eat_any(&["table", "tables", "local", "no_write_to_binlog"]),
        "load" => cursor.is("index"),
        "set" => return set(&mut cursor),
        "call" | "execute" => return may_commit("what it runs"),
        "begin" | "if" | "case" | "loop" | "while" | "repeat" | "for" => return may_commit("a block"),
        "xa" => return Class::Alone("XA is a transaction of its own".to_owned()),
        _ => false,
    };
    if commits { Class::Alone(COMMITS.to_owned()) } else { Class::Ordinary }
}

/// Whether a `CREATE` or `DROP` concerns this connection only, and commits nothing.
fn is_private(cursor: &mut Cursor<'_>) -> bool {
    cursor.eat_all(&["or", "replace"]);
    cursor.eat("temporary") || cursor.eat("prepare")
}

fn may_commit(what: &str) -> Class {
    Class::Alone(format!("{what} may commit by itself"))
}

fn set(cursor: &mut Cursor<'_>) -> Class {
    cursor.eat_any(&["session", "local"]);
    if cursor.eat_symbol("@") {
        // `@@autocommit`, `@@session.autocommit`
        cursor.eat_symbol("@");
        if cursor.eat_any(&["session", "local"]) {
            cursor.eat_symbol(".");
        }
    }
    if cursor.eat("password") {
        return Class::Alone(COMMITS.to_owned());
    }
    // `SET STATEMENT max_statement_time = 60 FOR ALTER TABLE …` (MariaDB)
    if cursor.eat("statement") {
        return may_commit("what it runs");
    }
    if !cursor.eat("autocommit") {
        return Class::Ordinary;
    }
    cursor.eat_symbol(":");
    cursor.eat_symbol("=");
    let value = cursor.next().map(|(_, value)| value.to_ascii_lowercase());
    match value.as_deref() {
        _ if !cursor.is_at_end() => Class::Ordinary,
        Some("0" | "off" | "false") => Class::Begin { has_modes: false },
        _ => Class::Commit,
    }
}
