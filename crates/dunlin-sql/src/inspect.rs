//! A table as the catalogue has it: what must be known to change it beside those who use it. Looks only.

mod mysql;
mod postgres;
mod sqlite;

use dunlin_core::{Error, ErrorKind, Result, StoreUrl};
use serde::{Deserialize, Serialize};

use crate::conn::{Cell, Conn};
use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::error;
use crate::op::Name;
use crate::rewrite;

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what each server says of a table, independent of the rest"
)]
pub(crate) struct Table {
    /// In their order.
    pub(crate) columns: Vec<Column>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) constraints: Vec<Constraint>,
    /// What other objects build on its columns: `(column, what)`. A view that reads all of them is named for each.
    pub(crate) readers: Vec<(String, String)>,
    /// What the server counts over several of its columns (PostgreSQL).
    pub(crate) statistics: Vec<Statistics>,
    /// Its triggers.
    pub(crate) triggers: Vec<String>,
    /// The statement that made it (SQLite).
    pub(crate) text: String,
    /// Whether its rows have a number of their own (SQLite).
    pub(crate) has_rowid: bool,
    /// Whether the server keeps what its rows were (MariaDB).
    pub(crate) is_versioned: bool,
    /// Whether it is made of parts (PostgreSQL).
    pub(crate) is_partitioned: bool,
    /// Its parts, and theirs, each behind what it is a part of.
    pub(crate) parts: Vec<Part>,
    /// A table that inherits from it, whose rows are its own to a query and not to a trigger (PostgreSQL).
    pub(crate) heir: Option<String>,
    /// Whether policies say who sees which rows (PostgreSQL).
    pub(crate) is_secured: bool,
    /// Who may do what with all of its columns (PostgreSQL), as of a column.
    pub(crate) grants: Vec<(String, String)>,
}

/// What a server counts of several columns together (PostgreSQL).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) name: Name,
    /// The kinds, if not all: `(ndistinct)`.
    pub(crate) kinds: String,
    /// The columns and expressions.
    pub(crate) items: String,
    /// How much is looked at, if that is said.
    pub(crate) target: Option<String>,
    pub(crate) comment: String,
}

/// A part of a table (PostgreSQL).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) table: Name,
    /// The part that it is a part of; none for the table's own.
    pub(crate) of: Option<Name>,
    /// Whether the rows are there.
    pub(crate) is_leaf: bool,
    /// Its indexes that are complete.
    pub(crate) indexes: Vec<String>,
    /// Those that are parts of an index: `(that one, its own)`.
    pub(crate) attached: Vec<(String, String)>,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Its type, collation included where it is not the type's own, as a new column would be given it.
    pub(crate) kind: String,
    pub(crate) default: Option<String>,
    pub(crate) is_nullable: bool,
    /// Whether it takes NULL for a while only (SQLite).
    pub(crate) is_relaxed: bool,
    /// Whether the server computes or counts it.
    pub(crate) is_generated: bool,
    /// What else its declaration says: `invisible`, `on update current_timestamp()`; `stored` where it is computed and kept
    /// (MySQL).
    pub(crate) extra: String,
    /// The check that is part of its declaration: what is in the parentheses (MariaDB).
    pub(crate) check: String,
    /// Its comment (MySQL, PostgreSQL).
    pub(crate) comment: String,
    /// The constraint that keeps NULL out, where that has a name (PostgreSQL 18).
    pub(crate) rule: Option<NotNull>,
    /// The sequences that go with it (PostgreSQL).
    pub(crate) sequences: Vec<String>,
    /// How the server is told to keep and to count it (PostgreSQL): `set statistics 500`.
    pub(crate) tuning: Vec<String>,
    /// Who may do what with this column alone (PostgreSQL): `select`, `app with grant option`.
    pub(crate) grants: Vec<(String, String)>,
}

/// A NOT NULL with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotNull {
    pub(crate) name: String,
    /// Whether the rows were looked at. Until then the column counts as one that takes NULL.
    pub(crate) is_checked: bool,
}

/// An index. The journal keeps one that is dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) is_unique: bool,
    #[serde(default, skip_serializing_if = "Role::is_plain")]
    pub(crate) role: Role,
    /// Whether its build did not come to its end (PostgreSQL).
    #[serde(skip)]
    pub(crate) is_invalid: bool,
    /// What stands where `unique` does: `fulltext`, `spatial` (MySQL).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) word: String,
    /// What follows the table's name in the statement that makes it, or its own where MySQL shows it: `using btree (email)
    /// where …`.
    pub(crate) body: String,
    /// Its tablespace, if that is not the database's (PostgreSQL).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) place: String,
    /// What is said of it (PostgreSQL; MySQL has that in the body).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) comment: String,
    /// When the constraint that it is of is looked at, if not at once: `deferrable` (PostgreSQL).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) timing: String,
}

impl Index {
    /// Whether queries do not see it (MySQL, MariaDB).
    pub(crate) fn is_hidden(&self, dialect: Dialect) -> bool {
        let has = |word| Cursor::new(dialect, &self.body).has(word);
        dialect == Dialect::MySql && (has("ignored") || has("invisible"))
    }
}

/// What an index is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Itself.
    #[default]
    Plain,
    /// A constraint, and it goes with that.
    Constraint,
    /// The primary key.
    Primary,
}

impl Role {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

/// What a constraint is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rule {
    #[default]
    Check,
    Foreign,
    /// A foreign key of another table that points here.
    PointedAt,
}

/// A constraint that is no index. The journal keeps those of columns that are set aside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constraint {
    pub(crate) name: String,
    pub(crate) rule: Rule,
    /// As it is declared: `check (…)`, `foreign key (…) references …`.
    pub(crate) body: String,
    /// The columns of this table in it.
    pub(crate) columns: Vec<String>,
    /// Whether the rows were not checked yet (PostgreSQL).
    pub(crate) is_unchecked: bool,
}

impl Constraint {
    /// Whether it is a rule about this column of its own table.
    pub(crate) fn is_about(&self, dialect: Dialect, column: &str) -> bool {
        let has = |other: &String| rewrite::is_same(dialect, other, column);
        self.rule != Rule::PointedAt && self.columns.iter().any(has)
    }

    /// What it says of this table's columns, and the rest: what a foreign key points at has columns of its own.
    pub(crate) fn own_part(&self) -> (&str, &str) {
        match self.body.to_lowercase().find(" references ") {
            Some(at) if self.rule == Rule::Foreign => self.body.split_at(at),
            _ => (&self.body, ""),
        }
    }

    /// Its body for another column.
    pub(crate) fn of(&self, dialect: Dialect, from: &str, to: &str) -> String {
        let (own, target) = self.own_part();
        format!("{}{target}", rewrite::renamed(dialect, own, from, to))
    }
}

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) dialect: Dialect,
    pub(crate) is_mariadb: bool,
    /// Its version: `(15, 7)`, `(10, 11)`, `(3, 51)`.
    pub(crate) version: (u32, u32),
}

impl Column {
    /// Whether it is meant to take no NULL.
    pub(crate) fn is_needed(&self) -> bool {
        !self.is_nullable || self.is_relaxed
    }

    /// Whether the server sets it to the time of every update (MySQL).
    pub(crate) fn is_timed(&self) -> bool {
        self.extra.starts_with("on update")
    }

    /// Its default, if that is the same for every row.
    pub(crate) fn constant(&self) -> Option<&str> {
        let default = self.default.as_deref()?;
        let lower = default.to_lowercase();
        let is_computed = lower.contains('(') && !lower.starts_with('\'') || lower.starts_with("current_");
        (!is_computed && lower != "null").then_some(default)
    }
}

impl Table {
    pub(crate) fn column(&self, dialect: Dialect, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| rewrite::is_same(dialect, &column.name, name))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// What finds a row again (SQLite).
    pub(crate) fn row_key(&self, dialect: Dialect) -> Vec<String> {
        if self.has_rowid {
            return vec!["rowid".to_owned()];
        }
        let primary = self.indexes.iter().find(|index| index.role == Role::Primary);
        let in_key = |name: &String| primary.is_some_and(|index| rewrite::reads(dialect, &index.body, name));
        self.names().into_iter().filter(in_key).collect()
    }

    pub(crate) fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }
}

/// The server of a connection.
pub(crate) async fn server(conn: &mut Conn, url: &StoreUrl) -> Result<Server> {
    let dialect = conn.dialect();
    let question = match dialect {
        Dialect::Postgres => "show server_version",
        Dialect::MySql => "select version()",
        Dialect::Sqlite => "select sqlite_version()",
    };
    let answer = conn.cell(question, &[]).await;
    let answer = answer.map_err(|failure| error::own(&failure, "cannot read the server's version", url))?;
    let text = answer.text().unwrap_or_default();
    let mut numbers =
        text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    Ok(Server { dialect, is_mariadb: text.contains("MariaDB"), version })
}

/// A table; none where there is no table of that name.
pub(crate) async fn table(conn: &mut Conn, name: &Name, url: &StoreUrl) -> Result<Option<Table>> {
    let found = match conn.dialect() {
        Dialect::Postgres => postgres::table(conn, name).await,
        Dialect::MySql => mysql::table(conn, name).await,
        Dialect::Sqlite => sqlite::table(conn, name).await,
    };
    found.map_err(|failure| error::own(&failure, "cannot read the catalogue", url))
}

/// A table, or what has its name and is none: `view`.
pub(crate) async fn named(
    conn: &mut Conn,
    name: &Name,
    url: &StoreUrl,
) -> Result<(Option<Table>, Option<String>)> {
    let table = table(conn, name, url).await?;
    if table.is_some() {
        return Ok((table, None));
    }
    let other = other(conn, name).await;
    Ok((None, other.map_err(|failure| error::own(&failure, "cannot read the catalogue", url))?))
}

/// What has the name of a table and is none.
pub(crate) async fn other(conn: &mut Conn, name: &Name) -> sqlx::Result<Option<String>> {
    let named = name.quoted(Dialect::Postgres);
    let (schema, plain) = (name.schema.as_deref(), name.name.as_str());
    let found = match conn.dialect() {
        Dialect::Postgres => {
            let sql = "select case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table' \
                       when 'S' then 'sequence' when 'i' then 'index' when 'c' then 'type' end from pg_class \
                       where oid = to_regclass($1) and relkind not in ('r', 'p')";
            conn.cell(sql, &[named.as_str().into()]).await
        }
        Dialect::MySql => {
            let sql = "select lower(table_type) from information_schema.tables where table_schema = coalesce(?, database()) \
                       and table_name = ? and table_type <> 'BASE TABLE'";
            conn.cell(sql, &[schema.into(), plain.into()]).await
        }
        Dialect::Sqlite => {
            let sql = "select case type when 'virtual' then 'virtual table' else type end from pragma_table_list \
                       where lower(name) = lower(?2) and lower(schema) = lower(coalesce(?1, 'main')) and type <> 'table'";
            conn.cell(sql, &[schema.into(), plain.into()]).await
        }
    };
    Ok(found?.text().map(str::to_owned))
}

/// An error for a table that is not there, or is none.
pub(crate) fn missing(name: &Name, other: Option<&str>) -> Error {
    match other {
        None => Error::new(ErrorKind::Statement, format!("there is no table `{}`", name.name))
            .help("the change names a table that this store does not have"),
        Some(other) => {
            let message = format!("`{}` is a {other}, and a change is about a table", name.name);
            Error::new(ErrorKind::Unsupported, message).help(
                "name the table that has the rows, or change this one with statements of your own, `sql = { up, down }`; nothing was changed",
            )
        }
    }
}

fn text(cell: &Cell) -> String {
    cell.text().unwrap_or_default().to_owned()
}
