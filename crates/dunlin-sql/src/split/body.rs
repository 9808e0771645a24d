//! Where a `;` does not end a statement: inside the bodies that the dialects write without quotes.

mod mysql;
mod postgres;
mod sqlite;

use crate::dialect::Dialect;

use mysql::MySql;
use postgres::Postgres;
use sqlite::Sqlite;

/// What is known of a statement's body after the tokens seen so far.
#[derive(Debug)]
pub(super) enum Body {
    /// No body can come any more: the next `;` ends the statement.
    Plain,
    Postgres(Postgres),
    MySql(MySql),
    Sqlite(Sqlite),
}

/// A token, as far as a body cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// An unquoted word, in lower case.
    Word(&'a str),
    /// A quoted name or a string.
    Quoted,
    /// One byte of punctuation.
    Symbol(u8),
}

/// Where a part stands: its offset, and how many parentheses are open around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) at: usize,
    pub(super) parens: u32,
}

impl Body {
    pub(super) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Postgres => Self::Postgres(Postgres::default()),
            Dialect::MySql => Self::MySql(MySql::default()),
            Dialect::Sqlite => Self::Sqlite(Sqlite::default()),
        }
    }

    /// Takes note of a part that is not a `;`.
    pub(super) fn part(&mut self, part: Part<'_>, spot: Spot) {
        let goes_on = match self {
            Self::Plain => return,
            Self::Postgres(body) => body.part(part, spot),
            Self::MySql(body) => body.part(part, spot),
            Self::Sqlite(body) => body.part(part, spot),
        };
        if !goes_on {
            *self = Self::Plain;
        }
    }

    /// Takes note of a `;`. Whether it ends the statement.
    pub(super) fn semicolon(&mut self, spot: Spot) -> bool {
        match self {
            Self::Plain => true,
            Self::Postgres(body) => body.semicolon(spot),
            Self::MySql(body) => body.semicolon(),
            Self::Sqlite(body) => body.semicolon(),
        }
    }

    /// Where the body opened that is still open.
    pub(super) fn opening(&self) -> Option<usize> {
        match self {
            Self::Plain => None,
            Self::Postgres(body) => body.opening(),
            Self::MySql(body) => body.opening(),
            Self::Sqlite(body) => body.opening(),
        }
    }

    /// Whether the statement is of a kind that has a body of statements, so that only an explicit delimiter ends it.
    pub(super) fn is_program(&self) -> bool {
        matches!(self, Self::MySql(_))
    }

    /// Whether data follow the statement.
    pub(super) fn is_copy(&self) -> bool {
        matches!(self, Self::Postgres(body) if body.is_copy())
    }
}
