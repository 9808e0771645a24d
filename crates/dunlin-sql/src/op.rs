//! SQL as a value: a script, split into statements and grouped into the units that a session runs as one.

use std::fmt::Write as _;
use std::sync::Arc;

use dunlin_core::{Excerpt, Line, Op as CoreOp, Span};

use crate::canonical::{canonical, head};
use crate::dialect::Dialect;
use crate::effect::effects;

/// A script.
#[derive(Debug, Clone)]
pub struct Op {
    /// The grammar it was split by.
    pub dialect: Dialect,
    /// What runs as one, in order.
    pub units: Vec<Unit>,
    /// How SQLite's foreign keys are treated meanwhile.
    pub foreign_keys: ForeignKeys,
}

/// Statements that succeed or fail together.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Why this unit runs outside a transaction, alone; `None`: inside one.
    pub alone: Option<Arc<str>>,
    /// In order; if `alone`, exactly one, or those from a table's lock to its release.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The text that is sent: without the delimiter, without the comments around it.
    pub text: Excerpt,
    /// Where that text stands. Byte offsets within `text` are byte offsets within the span.
    pub span: Option<Span>,
    /// The lines that follow `COPY … FROM stdin`, without the closing `\.`. Boxed, since hardly any statement has some.
    pub copy_data: Option<Box<Excerpt>>,
    /// The grammar it was split by.
    pub(crate) dialect: Dialect,
}

/// What a statement makes appear or disappear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The thing.
    pub object: Object,
    /// Whether it is there afterwards.
    pub appears: bool,
}

/// A thing in a catalogue. Names are as the catalogue spells them: unquoted, in lower case where the server folds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A table or view, materialized ones included.
    Table(Name),
    /// An index; MySQL's belong to a table, and elsewhere the table may be unknown (`DROP INDEX i`).
    Index {
        /// Its name.
        name: Name,
        /// Its table.
        table: Option<Name>,
    },
    /// A column of a table.
    Column {
        /// The table.
        table: Name,
        /// The column.
        column: String,
    },
    /// A constraint of a table.
    Constraint {
        /// The table.
        table: Name,
        /// The constraint.
        name: String,
    },
    /// A trigger.
    Trigger {
        /// The trigger's name.
        name: Name,
    },
    /// A stored procedure or function.
    Routine {
        /// The routine's name.
        name: Name,
    },
    /// A schema; in MySQL, which has no others, a database.
    Schema(String),
    /// A database of a PostgreSQL server.
    Database(String),
    /// A label of an enum type (PostgreSQL).
    EnumLabel {
        /// The type.
        kind: Name,
        /// The label.
        label: String,
    },
}

/// A name that may say its schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    /// The schema or database, if written.
    pub schema: Option<String>,
    /// The name itself.
    pub name: String,
}

/// How a SQLite script treats foreign keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForeignKeys {
    /// Off before the transaction, checked before its commit, back on after it: what SQLite's own documentation asks
    /// of a table rebuild. The default where a script rebuilds a table.
    Off,
    /// On throughout, as the connection has it. The default elsewhere.
    #[default]
    On,
    /// The file's own `PRAGMA foreign_keys` statements run outside the transaction that the statements between them
    /// share. The default where a file has such statements.
    AsWritten,
}

impl Name {
    /// As SQL.
    pub(crate) fn quoted(&self, dialect: Dialect) -> String {
        let schema = self.schema.as_ref().map(|schema| dialect.quote(schema) + ".");
        schema.unwrap_or_default() + &dialect.quote(&self.name)
    }
}

impl Op {
    /// All statements, in order.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.units.iter().flat_map(|unit| &unit.statements)
    }

    /// The statements before a unit that set up the connection for it. Who goes on at that unit with a new connection
    /// has to run them again.
    pub fn settings_before(&self, unit: usize) -> impl Iterator<Item = &Statement> {
        let before = self.units.iter().take(unit).flat_map(|unit| &unit.statements);
        before.filter(|statement| statement.is_setting())
    }
}

impl Statement {
    /// The text in which comments are gone, blanks are folded (none is kept beside parentheses and commas), and words
    /// outside quotes are in lower case: what is hashed. Worked out anew each time: thousands of statements are kept.
    pub fn canonical(&self) -> String {
        canonical(self.dialect, &self.text)
    }

    /// How [`Statement::canonical`] begins: what kind of statement it is, and no more.
    pub(crate) fn head(&self) -> String {
        head(self.dialect, &self.text)
    }

    /// Its `copy_data`, empty where it has none.
    fn copied(&self) -> &str {
        self.copy_data.as_ref().map_or("", |data| data)
    }

    /// Where to look whether it took effect, after a run that ended without saying so.
    pub fn effect(&self) -> Option<Effect> {
        self.effects().into_iter().next()
    }

    /// All that can be looked up of what it brings about.
    pub(crate) fn effects(&self) -> Vec<Effect> {
        effects(self.dialect, &self.text)
    }

    /// Whether all it does is to change the connection: `SET`, `USE`, `PRAGMA`, `ATTACH`. A new connection needs it
    /// again.
    pub fn is_setting(&self) -> bool {
        let head = self.head();
        let words = head.split([' ', '=', '(']).filter(|word| !word.starts_with("/*"));
        let mut words = words.filter(|word| !word.is_empty());
        match (words.next(), words.next().unwrap_or_default()) {
            (Some("set"), word) => {
                !matches!(word, "local" | "transaction" | "constraints" | "password" | "statement")
            }
            (Some("reset"), word) => {
                !matches!(word, "master" | "slave" | "replica" | "query" | "persist" | "binary")
            }
            (Some("select"), word) => matches!(word, "set_config" | "pg_catalog.set_config"),
            (Some("pragma"), name) => matches!(
                name,
                "foreign_keys"
                    | "legacy_alter_table"
                    | "recursive_triggers"
                    | "ignore_check_constraints"
                    | "case_sensitive_like"
                    | "writable_schema"
                    | "trusted_schema"
                    | "temp_store"
                    | "cache_size"
                    | "synchronous"
            ),
            (Some("use" | "attach" | "detach"), _) => true,
            _ => false,
        }
    }
}

impl CoreOp for Op {
    fn summary(&self) -> String {
        let mut statements = self.statements();
        let Some(first) = statements.next() else { return "nothing to do".to_owned() };
        let head = first.head();
        let words: Vec<&str> = head.split('(').next().unwrap_or_default().split(' ').take(5).collect();
        let mut summary: String = words.join(" ").chars().take(60).collect();
        let rest = statements.count();
        if rest > 0 {
            let _ = write!(summary, " … and {rest} more");
        }
        summary
    }

    fn preview(&self) -> Vec<Line> {
        let lines = |unit: &Unit| {
            // Said once for all that the unit holds.
            let mut note = unit.alone.as_deref().map(str::to_owned);
            let line = |statement: &Statement| Line {
                text: statement.text.to_string(),
                note: note.take(),
                span: statement.span,
            };
            unit.statements.iter().map(line).collect::<Vec<_>>()
        };
        self.units.iter().flat_map(lines).collect()
    }

    fn canonical(&self) -> String {
        let mut text = String::new();
        for statement in self.statements() {
            text.push_str(&statement.canonical());
            text.push_str(";\n");
            text.push_str(&statement.copied().replace("\r\n", "\n"));
        }
        text
    }

    fn removes(&self) -> Vec<String> {
        self.statements().flat_map(removed).collect()
    }

    fn is_empty(&self) -> bool {
        self.units.is_empty()
    }
}

/// What a statement takes away together with the data in it. Moving a table out of its name takes nothing away.
fn removed(statement: &Statement) -> Vec<String> {
    let gone: Vec<Effect> = statement.effects().into_iter().rev().filter(|effect| !effect.appears).collect();
    if gone.is_empty() {
        return Vec::new();
    }
    let canonical = statement.canonical();
    gone.into_iter()
        .filter_map(|effect| match effect.object {
            Object::Table(name) if canonical.starts_with("drop table") => {
                Some(format!("table {}", name.name))
            }
            Object::Column { table, column } if canonical.contains(" drop ") => {
                Some(format!("column {}.{column}", table.name))
            }
            Object::Schema(name) if canonical.starts_with("drop ") => Some(format!("schema {name}")),
            Object::Database(name) if canonical.starts_with("drop ") => Some(format!("database {name}")),
            _ => None,
        })
        .collect()
}
