//! What a statement means for transactions: whether it may share one, begins one, or ends one.

mod mysql;
mod postgres;
mod sqlite;

use crate::cursor::Cursor;
use crate::dialect::Dialect;

/// What a statement means for the transaction it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// It may share a transaction with others.
    Ordinary,
    /// It runs outside a transaction, and why.
    Alone(String),
    /// `PRAGMA foreign_keys = …`, which does nothing inside a transaction.
    ForeignKeys,
    /// A new label of an enum type, which can be used only after a commit.
    EnumLabel(String),
    /// `LOCK TABLES` and `UNLOCK TABLES` (MySQL): under such a lock the connection can write no other table, a history
    /// neither, and the next transaction releases it.
    TableLock,
    /// Begins a transaction.
    Begin {
        /// Whether it asks for more than a transaction: an isolation level, read only.
        has_modes: bool,
    },
    /// Commits one.
    Commit,
    /// Gives one up.
    Rollback,
    /// Leaves a transaction in a state that no migration can be in.
    Prepare,
}

/// What a statement means for transactions.
pub(crate) fn classify(dialect: Dialect, statement: &str) -> Class {
    let mut cursor = Cursor::new(dialect, statement);
    let Some(first) = cursor.word() else { return Class::Ordinary };
    if let Some(class) = control(dialect, &first, &mut cursor) {
        return class;
    }
    match dialect {
        Dialect::Postgres => postgres::classify(&first, cursor),
        Dialect::MySql => mysql::classify(&first, cursor),
        Dialect::Sqlite => sqlite::classify(&first, cursor),
    }
}

/// The statements that begin and end transactions.
fn control(dialect: Dialect, first: &str, cursor: &mut Cursor<'_>) -> Option<Class> {
    let is_mysql = dialect == Dialect::MySql;
    match first {
        "begin" if is_mysql && cursor.is("not") => None,
        "begin" => Some(begin(dialect, cursor)),
        "start" if cursor.eat("transaction") => Some(begin(dialect, cursor)),
        "commit" | "end" if dialect == Dialect::Postgres && cursor.is("prepared") => None,
        "commit" => Some(Class::Commit),
        "end" if !is_mysql => Some(Class::Commit),
        "abort" if dialect == Dialect::Postgres => Some(Class::Rollback),
        "rollback" if cursor.is("prepared") => None,
        "rollback" => {
            cursor.eat_any(&["work", "transaction"]);
            Some(if cursor.is("to") { Class::Ordinary } else { Class::Rollback })
        }
        "prepare" if cursor.is("transaction") => Some(Class::Prepare),
        _ => None,
    }
}

fn begin(dialect: Dialect, cursor: &mut Cursor<'_>) -> Class {
    if dialect == Dialect::Sqlite {
        // How the lock is taken is the runner's to say.
        return Class::Begin { has_modes: false };
    }
    cursor.eat_any(&["work", "transaction"]);
    cursor.eat_all(&["read", "write"]);
    Class::Begin { has_modes: !cursor.is_at_end() }
}

fn refused(what: &str) -> Class {
    Class::Alone(format!("{what} cannot run inside a transaction"))
}

#[cfg(test)]
mod tests;
