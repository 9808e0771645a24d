//! The key by which the records of a table are gone through, in its order: what its values are read as, so that they
//! can be kept exactly, and what they are bound as, so that an index serves the comparison.

mod choose;
mod mysql;
mod postgres;
mod sqlite;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clause::Clause;
use crate::conn::{Cell, Param};
use crate::dialect::Dialect;

pub(crate) use choose::{UNTOUCHED, find, look, spare};

/// What a column is called where it was made a text.
const AS_TEXT: &str = "dunlin_text";

/// A key of a table.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) dialect: Dialect,
    pub(crate) columns: Vec<Column>,
    /// The index that has these columns; where the server would guess wrongly (MySQL), it is told.
    index: Option<String>,
}

/// A column of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) form: Form,
}

/// How values of a column are read as text, and made values of its type again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are: whole numbers, all of them (SQLite's rowid). Also what is shown of a key that nobody looked up.
    Bare,
    /// As they are, each with its own type (SQLite).
    Typed,
    /// As text, and as text bound (MySQL): a cast would lose the column's collation.
    Plain,
    /// As hexadecimal digits (MySQL).
    Hex,
    /// As text, and cast back to this type, which is the catalogue's own spelling of it.
    Cast(String),
    /// As ISO 8601, whatever the session's style of dates is (PostgreSQL).
    Iso(String),
}

/// One value of a key, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Value {
    Int(i64),
    Text(String),
    /// A number with a fraction, in as many digits as it takes.
    Real(String),
    /// Bytes, as hexadecimal digits.
    Blob(String),
}

/// The values of one record's key.
pub(crate) type Values = Vec<Value>;

impl Value {
    fn param(&self) -> Param {
        match self {
            Self::Int(value) => (*value).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Real(digits) => Param::Real(digits.parse().unwrap_or_default()),
            Self::Blob(digits) => Param::Blob(bytes(digits)),
        }
    }
}

/// Bytes of hexadecimal digits.
fn bytes(digits: &str) -> Arc<[u8]> {
    let pair = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits.len()).step_by(2).filter_map(pair).collect()
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(text) | Self::Real(text) => f.write_str(text),
            Self::Blob(digits) => write!(f, "x'{digits}'"),
        }
    }
}

impl Column {
    fn quoted(&self, dialect: Dialect) -> String {
        dialect.quote(&self.name)
    }

    /// The expressions that read it.
    fn read(&self, dialect: Dialect) -> String {
        self.read_of(dialect, &self.quoted(dialect))
    }

    /// The expressions that read a value of its type.
    fn read_of(&self, dialect: Dialect, name: &str) -> String {
        match &self.form {
            Form::Bare => name.to_owned(),
            Form::Typed => format!(
                "typeof({name}), case typeof({name}) when 'blob' then hex({name}) when 'real' then printf('%!.17g', {name}) else {name} end"
            ),
            Form::Plain => format!("cast({name} as char)"),
            Form::Hex => format!("hex({name})"),
            Form::Cast(_) if dialect == Dialect::MySql => format!("cast({name} as char)"),
            // Under a name of its own: `order by` would take the text for the column that it was made of.
            Form::Cast(_) => format!("{name}::text as {AS_TEXT}"),
            Form::Iso(_) => format!("to_json({name}) #>> '{{}}' as {AS_TEXT}"),
        }
    }

    /// One expression that reads it for people.
    fn text(&self, dialect: Dialect) -> String {
        let name = self.quoted(dialect);
        match self.form {
            Form::Typed => {
                format!("case typeof({name}) when 'blob' then hex({name}) else cast({name} as text) end")
            }
            Form::Cast(_) | Form::Iso(_) if dialect == Dialect::Postgres => format!("{name}::text"),
            _ => self.read(dialect),
        }
    }

    /// How many cells [`Column::read`] yields.
    fn width(&self) -> usize {
        if self.form == Form::Typed { 2 } else { 1 }
    }

    /// The value that was read; none where there was no record.
    fn value(&self, cells: &[Cell]) -> Option<Value> {
        match (&self.form, cells) {
            (Form::Typed, [Cell::Text(kind), Cell::Text(digits)]) if kind == "blob" => {
                Some(Value::Blob(digits.clone()))
            }
            (Form::Typed, [Cell::Text(kind), Cell::Text(digits)]) if kind == "real" => {
                Some(Value::Real(digits.clone()))
            }
            (_, [.., Cell::Int(value)]) => Some(Value::Int(*value)),
            (_, [.., Cell::Text(text)]) => Some(Value::Text(text.clone())),
            (_, [.., Cell::Null] | []) => None,
        }
    }

    /// A bound text as a value of its type.
    fn bound(&self, dialect: Dialect, mark: String) -> String {
        match &self.form {
            Form::Bare | Form::Typed | Form::Plain => mark,
            Form::Hex => format!("unhex({mark})"),
            Form::Cast(kind) if dialect == Dialect::MySql => format!("cast({mark} as {kind})"),
            Form::Cast(kind) | Form::Iso(kind) => format!("{mark}::text::{kind}"),
        }
    }
}

impl Key {
    pub(crate) fn new(dialect: Dialect, columns: Vec<Column>, index: Option<String>) -> Self {
        Self { dialect, columns, index }
    }

    /// A stand-in for a key that only the catalogue knows, for people to look at.
    pub(crate) fn unknown(dialect: Dialect, names: Option<&[String]>) -> Self {
        let names = names.map_or_else(|| vec!["key".to_owned()], <[String]>::to_vec);
        let columns = names.into_iter().map(|name| Column { name, form: Form::Bare }).collect();
        Self { dialect, columns, index: None }
    }

    /// Makes the keys of two tables that are matched take each other's values. Says so if they cannot.
    pub(crate) fn meet(&mut self, other: &mut Self) -> bool {
        for (one, other) in self.columns.iter_mut().zip(&mut other.columns) {
            let (Form::Cast(left), Form::Cast(right)) = (&one.form, &other.form) else { continue };
            let are = |kinds: &[&str]| kinds.contains(&left.as_str()) && kinds.contains(&right.as_str());
            let wide = match self.dialect {
                _ if left == right => continue,
                Dialect::Postgres if are(&["smallint", "integer", "bigint"]) => "bigint",
                Dialect::MySql if are(&["signed", "unsigned"]) => "decimal(20, 0)",
                _ => continue,
            };
            (one.form, other.form) = (Form::Cast(wide.to_owned()), Form::Cast(wide.to_owned()));
        }
        self.columns.len() == other.columns.len()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    pub(crate) fn quoted(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.quoted(self.dialect)).collect()
    }

    /// Its columns, in order or against it.
    pub(crate) fn order(&self, direction: &str) -> String {
        self.quoted().iter().map(|name| format!("{name}{direction}")).collect::<Vec<_>>().join(", ")
    }

    /// The expressions that read it; [`Key::values`] takes their cells.
    pub(crate) fn read(&self) -> String {
        self.read_of(str::to_owned)
    }

    /// The same of something made of each column.
    pub(crate) fn read_of(&self, made: impl Fn(&str) -> String) -> String {
        let read = |column: &Column| column.read_of(self.dialect, &made(&column.quoted(self.dialect)));
        self.columns.iter().map(read).collect::<Vec<_>>().join(", ")
    }

    /// Expressions that read it for people, one for each column, called `t0`, `t1` and so on.
    pub(crate) fn texts(&self) -> Vec<String> {
        let columns = self.columns.iter().enumerate();
        columns.map(|(at, column)| format!("{} as t{at}", column.text(self.dialect))).collect()
    }

    /// The values that were read; none where there was no record.
    pub(crate) fn values(&self, cells: &[Cell]) -> Option<Values> {
        let mut rest = cells;
        let value = |column: &Column| {
            let (own, others) = rest.split_at_checked(column.width())?;
            rest = others;
            column.value(own)
        };
        self.columns.iter().map(value).collect()
    }

    /// Tells MySQL which index to go by.
    pub(crate) fn hint(&self) -> String {
        match &self.index {
            Some(index) if self.dialect == Dialect::MySql => {
                format!(" force index ({})", self.dialect.quote(index))
            }
            _ => String::new(),
        }
    }

    /// `key > values`, or `key <= values`.
    pub(crate) fn compare(&self, clause: &mut Clause, operator: &str, name: &str, values: Option<&[Value]>) {
        if self.dialect == Dialect::MySql && self.columns.len() > 1 {
            for at in 0..self.columns.len() {
                self.unfold(clause, (operator, name), values, at);
            }
            clause.push(&"))".repeat(self.columns.len() - 1));
            return;
        }
        let marks: Vec<String> =
            (0..self.columns.len()).map(|at| self.mark(clause, name, values, at)).collect();
        clause.push(&format!("{} {operator} {}", tuple(&self.quoted()), tuple(&marks)));
    }

    /// MySQL finds no range of an index in a comparison of rows, so that it is written out, led by a range of the first
    /// column.
    fn unfold(
        &self,
        clause: &mut Clause,
        (operator, name): (&str, &str),
        values: Option<&[Value]>,
        at: usize,
    ) {
        let column = self.columns[at].quoted(self.dialect);
        let strict = &operator[..1];
        if at + 1 == self.columns.len() {
            let mark = self.mark(clause, name, values, at);
            clause.push(&format!("{column} {operator} {mark}"));
            return;
        }
        let marks: Vec<String> = (0..3).map(|_| self.mark(clause, name, values, at)).collect();
        clause.push(&format!(
            "{column} {strict}= {} and ({column} {strict} {} or ({column} = {} and ",
            marks[0], marks[1], marks[2]
        ));
    }

    /// One value of a key, bound.
    pub(crate) fn mark(
        &self,
        clause: &mut Clause,
        name: &str,
        values: Option<&[Value]>,
        at: usize,
    ) -> String {
        let column = &self.columns[at];
        let value = values.and_then(|values| values.get(at)).map_or(Param::Null, Value::param);
        let name = if self.columns.len() == 1 { name.to_owned() } else { format!("{name}_{}", column.name) };
        let mark = clause.mark(&name, value);
        column.bound(self.dialect, mark)
    }

    /// `key = values`.
    pub(crate) fn equal(&self, clause: &mut Clause, values: &[Value]) {
        for (at, name) in self.quoted().iter().enumerate() {
            let mark = self.mark(clause, "key", Some(values), at);
            clause.push(if at == 0 { "" } else { " and " }).push(&format!("{name} = {mark}"));
        }
    }

    /// The records after `after` and up to `upto`, as far as they are said.
    pub(crate) fn range(&self, clause: &mut Clause, after: Option<&[Value]>, upto: Option<&[Value]>) {
        let bounds = [(">", "after", after), ("<=", "until", upto)];
        let mut is_bare = true;
        for (operator, name, values) in bounds.into_iter().filter(|(_, _, values)| values.is_some()) {
            clause.push(if is_bare { "" } else { " and " });
            self.compare(clause, operator, name, values);
            is_bare = false;
        }
        if is_bare {
            clause.push("1 = 1");
        }
    }

    /// A record by its key, for people: `id = 4711`.
    pub(crate) fn describe(&self, values: &[Value]) -> String {
        let mut text = String::new();
        for (column, value) in self.columns.iter().zip(values) {
            let gap = if text.is_empty() { "" } else { ", " };
            let value: String = value.to_string().chars().take(80).collect();
            let _ = write!(text, "{gap}{} = {value}", column.name);
        }
        text
    }
}

/// One as it is, several in parentheses.
pub(crate) fn tuple(parts: &[String]) -> String {
    if let [one] = parts { one.clone() } else { format!("({})", parts.join(", ")) }
}
