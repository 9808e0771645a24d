//! A neutral value tree with the place of every value: what `.toml` steps are decoded from. Backends see no TOML.

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::suggest;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The whole value, quotes included.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text. `verbatim` is where the text stands letter by letter in the file, if no escape changed it.
    String {
        /// The text.
        text: String,
        /// Where it stands unescaped.
        verbatim: Option<Span>,
    },
    /// A date or time, as written.
    Datetime(String),
    /// A list.
    Array(Vec<Node>),
    /// A table, in the order written.
    Table(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// What kind of value this is, in words.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::String { .. } => "a text",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The text, or what is wrong.
    pub fn text(&self) -> Result<&str, Diagnostic> {
        match &self.value {
            Value::String { text, .. } => Ok(text),
            _ => Err(self.wrong("a text")),
        }
    }

    /// The items, or what is wrong.
    pub fn items(&self) -> Result<&[Node], Diagnostic> {
        match &self.value {
            Value::Array(items) => Ok(items),
            _ => Err(self.wrong("a list")),
        }
    }

    /// The entries, or what is wrong.
    pub fn table(&self) -> Result<Table<'_>, Diagnostic> {
        match &self.value {
            Value::Table(entries) => {
                Ok(Table { span: self.span, entries: entries.iter().map(Some).collect() })
            }
            _ => Err(self.wrong("a table")),
        }
    }

    /// The place inside this text from byte `start` to `end` of it; the whole value where escapes moved the letters.
    pub fn inside(&self, start: usize, end: usize) -> Span {
        match &self.value {
            Value::String { verbatim: Some(span), .. } => span.slice(start, end),
            _ => self.span,
        }
    }

    fn wrong(&self, wanted: &str) -> Diagnostic {
        Diagnostic::error("wrong-type", format!("expected {wanted}, found {}", self.kind()))
            .at(self.span, format!("not {wanted}"))
    }
}

/// A table being taken apart. What nobody took is reported by [`Table::finish`].
#[derive(Debug)]
pub struct Table<'a> {
    span: Span,
    entries: Vec<Option<&'a (Key, Node)>>,
}

impl<'a> Table<'a> {
    /// Takes an entry out.
    pub fn take(&mut self, name: &str) -> Option<&'a Node> {
        self.take_entry(name).map(|(_, node)| node)
    }

    /// Takes an entry out, key included.
    pub fn take_entry(&mut self, name: &str) -> Option<(&'a Key, &'a Node)> {
        let slot = self.entries.iter_mut().find(|slot| slot.is_some_and(|(key, _)| key.name == name))?;
        slot.take().map(|(key, node)| (key, node))
    }

    /// Takes an entry out that must be there.
    pub fn require(&mut self, name: &str) -> Result<&'a Node, Diagnostic> {
        self.take(name).ok_or_else(|| {
            Diagnostic::error("missing-key", format!("`{name}` is missing"))
                .at(self.span, format!("needs `{name}`"))
        })
    }

    /// The keys still there.
    pub fn keys(&self) -> impl Iterator<Item = &'a Key> + '_ {
        self.entries.iter().flatten().map(|(key, _)| key)
    }

    /// Reports every entry nobody took, with the nearest of the `known` keys.
    pub fn finish(self, known: &[&str]) -> Vec<Diagnostic> {
        let unknown = |key: &Key| {
            Diagnostic::error("unknown-key", format!("unknown key `{}`", key.name))
                .at(key.span, "not known here")
                .help(suggest::help(&key.name, known.iter().copied()))
        };
        self.keys().map(unknown).collect()
    }
}
