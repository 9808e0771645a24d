//! What differs between the SQL databases as far as text goes. Nothing here talks to a server.

/// A family of SQL databases that share a grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// PostgreSQL and what speaks its protocol.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// The name people know.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::Sqlite => "SQLite",
        }
    }

    /// An identifier, quoted. The one place where a name becomes SQL.
    pub fn quote(self, name: &str) -> String {
        match self {
            Self::MySql => format!("`{}`", name.replace('`', "``")),
            Self::Postgres | Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// The placeholder of the bound value with this number, counted from 1. MySQL's have no numbers: bind in order.
    pub(crate) fn placeholder(self, index: usize) -> String {
        match self {
            // SQLite's own `?3` makes room for 1 and 2, which is miscounted in a request of several statements.
            Self::Postgres | Self::Sqlite => format!("${index}"),
            Self::MySql => "?".to_owned(),
        }
    }
}

/// A text as SQL writes it, where no backslash is in it or none means anything.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
