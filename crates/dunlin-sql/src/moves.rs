//! Ops that change the rows of a table in chunks, in the order of a key: what they are, and what people see of them.

pub(crate) mod decode;
pub(crate) mod expr;
pub(crate) mod render;

use dunlin_core::{Line, Op as CoreOp};

use crate::chunk::target;
use crate::dialect::Dialect;
use crate::keyset::Key;
use crate::op::Name;
pub use expr::Expr;

/// Changes rows, chunk by chunk, each exactly once: a chunk and the position after it are one transaction.
///
/// ```toml
/// [[backfill]]
/// store = "app"
/// update = { table = "users", set = { full_name = "first || ' ' || last" }, where = "full_name is null" }
/// undo = { table = "users", set = { full_name = "null" } }
/// ```
///
/// | op | key | |
/// |---|---|---|
/// | `update` | `table` | the table |
/// | | `set` | columns and the expressions they get: a table, or a text `a = expr, b = expr` |
/// | `insert_select` | `from` | the table that is read |
/// | | `into` | the table that rows are added to |
/// | | `values` | its columns, and expressions over the columns of `from` |
/// | | `existing` | what happens where a unique key has the row already: `"fail"` (the default) or `"skip"` |
/// | `delete` | `table` | the table |
/// | all | `where` | which rows; `delete` needs it, and `"true"` stands for all |
/// | all | `key` | a column or a list of columns to go by, which an index must start with and which are NOT NULL; the primary key, or else a unique one, where it is not said |
///
/// Names are written as in SQL. What is there when the step begins is gone through; rows that come later are not chased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The grammar of its expressions.
    pub dialect: Dialect,
    /// What happens to each row.
    pub verb: Verb,
    /// The rows that are gone through, and by what.
    pub rows: Rows,
    /// Whether columns that the server sets to the time of an update (MySQL) stay as they are: to the application, nothing
    /// happens to the row.
    pub is_silent: bool,
}

/// The rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The table.
    pub table: Name,
    /// Which of them.
    pub filter: Option<Expr>,
    /// The columns of the key, if the author names one.
    pub key: Option<Vec<String>>,
}

/// What happens to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Columns get new values.
    Update {
        /// In the order written, which matters to MySQL.
        set: Vec<(String, Expr)>,
    },
    /// A row is made of it in another table.
    Insert {
        /// The other table.
        into: Name,
        /// Its columns.
        values: Vec<(String, Expr)>,
        /// Whether a row that is there already is left as it is.
        skips: bool,
    },
    /// It goes.
    Delete,
}

impl Rows {
    /// What is hashed.
    pub(crate) fn canonical(&self) -> String {
        let schema = self.table.schema.as_deref().unwrap_or_default();
        let key = self.key.as_ref().map(|key| format!("\nkey {}", key.join(", ")));
        let filter = self.filter.as_ref().map(|filter| format!("\nwhere {}", filter.canonical));
        format!("{schema}.{}{}{}", self.table.name, filter.unwrap_or_default(), key.unwrap_or_default())
    }

    /// Statements that go through the rows, for people.
    pub(crate) fn lines(&self, dialect: Dialect, statements: Vec<String>) -> Vec<Line> {
        let note = self.note(dialect);
        statements.into_iter().map(|text| Line { note: Some(note.clone()), ..Line::new(text) }).collect()
    }

    /// How the rows are gone through.
    fn note(&self, dialect: Dialect) -> String {
        let table = &self.table.name;
        let key = self
            .key
            .as_ref()
            .map_or_else(|| format!("the key of {table}"), |key| format!("{table}.{}", key.join(", ")));
        let pause = if dialect == Dialect::Sqlite { ", shorter while others write" } else { "" };
        let time = target(dialect).as_millis();
        format!("in chunks over {key}, about {time} ms each{pause}")
    }

    /// The key as far as it is known without asking the catalogue.
    pub(crate) fn guess(&self, dialect: Dialect) -> Key {
        Key::unknown(dialect, self.key.as_deref())
    }
}

impl Move {
    /// The same with NULL for every column that it sets, in whatever row.
    pub(crate) fn emptied(&self) -> Self {
        let null = Expr::written(self.dialect, "null");
        let verb = match &self.verb {
            Verb::Update { set } => {
                Verb::Update { set: set.iter().map(|(column, _)| (column.clone(), null.clone())).collect() }
            }
            other => other.clone(),
        };
        Self { verb, rows: Rows { filter: None, ..self.rows.clone() }, ..self.clone() }
    }

    /// The statements of a chunk that goes by this key and leaves these columns as they are.
    pub(crate) fn shown(&self, key: &Key, kept: &[String]) -> Vec<Line> {
        self.rows.lines(self.dialect, render::preview(self, key, kept))
    }
}

impl CoreOp for Move {
    fn summary(&self) -> String {
        let table = &self.rows.table.name;
        match &self.verb {
            Verb::Update { set } => {
                let columns: Vec<&str> = set.iter().map(|(column, _)| column.as_str()).collect();
                format!("update {table} set {}", columns.join(", "))
            }
            Verb::Insert { into, .. } => format!("insert into {} from {table}", into.name),
            Verb::Delete => format!("delete from {table}"),
        }
    }

    fn preview(&self) -> Vec<Line> {
        self.shown(&self.rows.guess(self.dialect), &[])
    }

    fn canonical(&self) -> String {
        let pairs = |pairs: &[(String, Expr)]| {
            let lines: Vec<String> =
                pairs.iter().map(|(column, expr)| format!("\n{column} = {}", expr.canonical)).collect();
            lines.concat()
        };
        let rows = self.rows.canonical();
        match &self.verb {
            Verb::Update { set } => format!("update 1 {rows}{}", pairs(set)),
            Verb::Insert { into, values, skips } => {
                let schema = into.schema.as_deref().unwrap_or_default();
                let existing = if *skips { "\nskip" } else { "" };
                format!("insert_select 1 {rows}\ninto {schema}.{}{}{existing}", into.name, pairs(values))
            }
            Verb::Delete => format!("delete 1 {rows}"),
        }
    }

    fn course(&self) -> String {
        let verb = match &self.verb {
            Verb::Update { .. } => Verb::Update { set: Vec::new() },
            Verb::Insert { into, .. } => {
                Verb::Insert { into: into.clone(), values: Vec::new(), skips: false }
            }
            Verb::Delete => Verb::Delete,
        };
        let rows = Rows { filter: None, ..self.rows.clone() };
        Self { verb, rows, ..self.clone() }.canonical()
    }

    fn removes(&self) -> Vec<String> {
        let table = &self.rows.table.name;
        match (&self.verb, &self.rows.filter) {
            (Verb::Delete, Some(filter)) if filter.canonical.as_ref() != "true" => {
                vec![format!("the rows of {table} where {}", filter.canonical)]
            }
            (Verb::Delete, _) => vec![format!("all rows of {table}")],
            _ => Vec::new(),
        }
    }

    fn moves(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
