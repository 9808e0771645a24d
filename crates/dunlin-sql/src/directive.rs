//! What authors say to us in comments: `-- dunlin: …`.

use std::ops::Range;

use dunlin_core::suggest;

use crate::dialect::Dialect;
use crate::marker;
use crate::op::ForeignKeys;
use crate::split::Fault;
use crate::text::Text;

/// What a comment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Directive {
    /// No transaction around the statements.
    NoTransaction,
    /// How foreign keys are treated.
    ForeignKeys(ForeignKeys),
    /// There is no way back, and why.
    Irreversible(String),
    /// Nothing has to be done on the way back, and why.
    NoOp(String),
}

const KNOWN: [&str; 4] = ["no-transaction", "foreign-keys", "irreversible", "no-op"];

/// Reads the directive at a place of a text.
pub(crate) fn read(text: Text<'_>, range: &Range<usize>) -> Result<Directive, Fault> {
    let line = marker::directive(&text.content[range.clone()]).unwrap_or_default();
    let (name, value) = match line.split_once(':') {
        Some((name, value)) => (name.trim(), value.trim()),
        None => (line, ""),
    };
    let reason = |directive: fn(String) -> Directive| match value {
        "" => Err(no_reason(name, range)),
        _ => Ok(directive(value.to_owned())),
    };
    match name.to_ascii_lowercase().as_str() {
        "no-transaction" => Ok(Directive::NoTransaction),
        "foreign-keys" if text.dialect != Dialect::Sqlite => Err(misplaced(
            range,
            "`foreign-keys` is for SQLite".to_owned(),
            "delete it: constraints can be deferred here",
        )),
        "foreign-keys" => foreign_keys(value).map(Directive::ForeignKeys).map_err(|help| Fault {
            code: "bad-directive",
            message: format!("`{value}` is no way to treat foreign keys"),
            range: range.clone(),
            label: "not understood",
            help,
        }),
        "irreversible" => reason(Directive::Irreversible),
        "no-op" => reason(Directive::NoOp),
        _ => Err(Fault {
            code: "unknown-directive",
            message: format!("unknown directive `{name}`"),
            range: range.clone(),
            label: "not known here",
            help: suggest::help(name.split_whitespace().next().unwrap_or_default(), KNOWN),
        }),
    }
}

/// The treatment of a word, or the nearest known word.
pub(crate) fn foreign_keys(word: &str) -> Result<ForeignKeys, String> {
    match word.to_ascii_lowercase().as_str() {
        "off" => Ok(ForeignKeys::Off),
        "on" => Ok(ForeignKeys::On),
        "as-written" => Ok(ForeignKeys::AsWritten),
        _ => Err(suggest::help(word, ["off", "on", "as-written"])),
    }
}

fn no_reason(name: &str, range: &Range<usize>) -> Fault {
    Fault {
        code: "missing-reason",
        message: format!("`{name}` without a reason"),
        range: range.clone(),
        label: "why?",
        help: format!("write `-- dunlin: {name}: …` with the reason, for those who read it at night"),
    }
}

/// A directive that means nothing where it stands.
pub(crate) fn misplaced(range: &Range<usize>, message: String, help: &str) -> Fault {
    Fault {
        code: "misplaced-directive",
        message,
        range: range.clone(),
        label: "means nothing here",
        help: help.to_owned(),
    }
}
