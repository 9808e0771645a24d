//! Exact splitting: a text becomes pieces that, joined, are the text again. Nothing here decides what a statement
//! means beyond where it ends.

mod body;
mod client;
mod copy;
mod splitter;

use std::ops::Range;

use crate::dialect::Dialect;
use crate::marker::Marker;

/// A text in pieces.
#[derive(Debug, Default)]
pub(crate) struct Split {
    /// All of the text, in order, without a gap.
    pub(crate) pieces: Vec<Piece>,
    /// What is wrong with it.
    pub(crate) faults: Vec<Fault>,
    /// The comments that begin with `dunlin:`, wherever they stand.
    pub(crate) directives: Vec<Range<usize>>,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// What it is.
    pub(crate) kind: PieceKind,
    /// Where it stands.
    pub(crate) range: Range<usize>,
}

/// What a piece is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// White space between statements.
    Blank,
    /// A comment between statements.
    Comment,
    /// A statement, from its first to its last word, without the delimiter.
    Statement,
    /// What ends a statement: `;`, or what `DELIMITER` chose.
    Delimiter,
    /// A line for a client program, which no server sees.
    Client,
    /// The lines after `COPY … FROM stdin`; belongs to the statement before.
    Copy,
    /// A comment that begins a section or says how to read one.
    Marker(Marker),
}

/// What is wrong at a place of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Kebab-case name.
    pub(crate) code: &'static str,
    /// What is wrong.
    pub(crate) message: String,
    /// Where.
    pub(crate) range: Range<usize>,
    /// What about that place.
    pub(crate) label: &'static str,
    /// The way out.
    pub(crate) help: String,
}

/// Whether comments can be section markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Markers {
    /// As in files.
    Seen,
    /// As in a text that is a part of something else.
    Ignored,
}

/// Splits a text.
pub(crate) fn split(dialect: Dialect, text: &str, markers: Markers) -> Split {
    let mut split = splitter::run(dialect, text, markers);
    if let Some(at) = text.bytes().position(|byte| byte == 0) {
        split.faults.push(Fault {
            code: "nul-byte",
            message: "a NUL byte in SQL text".to_owned(),
            range: at..at + 1,
            label: "here",
            help: "save the file as UTF-8 text; binary values are written as hexadecimal literals".to_owned(),
        });
    }
    split
}

#[cfg(test)]
mod tests;
