//! The one pass over the tokens of a text.

use std::ops::Range;

use crate::dialect::Dialect;
use crate::lex::{Kind, Lexer, Token};
use crate::marker::{self, Marker};

use super::body::{Body, Part, Spot};
use super::{Fault, Markers, Piece, PieceKind, Split, client, copy};

/// A statement whose end is not found yet.
#[derive(Debug)]
pub(super) struct Open {
    start: usize,
    /// The end of the last token that belongs to it for sure.
    end: usize,
    pub(super) parens: u32,
    body: Body,
    /// What was seen since: inside the statement if it goes on, after it if not.
    tail: Vec<Piece>,
}

/// What is known between two tokens.
#[derive(Debug)]
pub(super) struct Splitter<'a> {
    pub(super) dialect: Dialect,
    pub(super) text: &'a str,
    pub(super) lexer: Lexer<'a>,
    pub(super) split: Split,
    pub(super) open: Option<Open>,
    /// What `DELIMITER` chose, if that is not `;`.
    pub(super) delimiter: Option<&'a str>,
    conditional: usize,
    markers: Markers,
}

pub(super) fn run(dialect: Dialect, text: &str, markers: Markers) -> Split {
    let mut splitter = Splitter {
        dialect,
        text,
        lexer: Lexer::new(dialect, text),
        split: Split::default(),
        open: None,
        delimiter: None,
        conditional: 0,
        markers,
    };
    while splitter.step() {}
    splitter.end();
    splitter.split
}

impl Splitter<'_> {
    fn step(&mut self) -> bool {
        if let Some(delimiter) = self.delimiter {
            let at = self.lexer.at();
            if self.text.as_bytes()[at..].starts_with(delimiter.as_bytes()) {
                self.lexer.jump(at + delimiter.len());
                self.finish();
                self.push(PieceKind::Delimiter, at..at + delimiter.len());
                return true;
            }
        }
        let Some(token) = self.lexer.next() else { return false };
        if !token.is_closed {
            self.unterminated(token);
        }
        match token.kind {
            Kind::Blank => self.between(PieceKind::Blank, token),
            Kind::Comment => self.comment(token),
            Kind::Symbol if self.text.as_bytes()[token.start] == b';' => self.semicolon(token),
            _ if client::read(self, token) => {}
            _ => self.part(token),
        }
        true
    }

    /// Adds a piece outside of any statement.
    pub(super) fn push(&mut self, kind: PieceKind, range: Range<usize>) {
        self.split.pieces.push(Piece { kind, range });
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.split.faults.push(fault);
    }

    /// Ends the open statement, if there is one, before what came after its last token.
    pub(super) fn finish(&mut self) {
        let Some(open) = self.open.take() else { return };
        // An explicit delimiter is trusted more than our idea of the grammar.
        if let Some(at) = open.body.opening().filter(|_| self.delimiter.is_none()) {
            self.fault(unterminated_body(at..line_end(self.text, at), self.dialect));
        }
        self.push(PieceKind::Statement, open.start..open.end);
        self.split.pieces.extend(open.tail);
    }

    /// What may lie between statements.
    pub(super) fn between(&mut self, kind: PieceKind, token: Token) {
        let piece = Piece { kind, range: token.start..token.end };
        match &mut self.open {
            Some(open) => open.tail.push(piece),
            None => self.split.pieces.push(piece),
        }
    }

    fn comment(&mut self, token: Token) {
        let comment = &self.text[token.start..token.end];
        if marker::directive(comment).is_some() {
            self.split.directives.push(token.start..token.end);
        }
        let may_mark = self.markers == Markers::Seen
            && self.is_at_line_start(token.start)
            && self.open.as_ref().is_none_or(|open| open.parens == 0 && open.body.opening().is_none());
        match may_mark.then(|| marker::read(comment)).flatten() {
            None => self.between(PieceKind::Comment, token),
            Some(Err(fault)) => {
                self.fault(Fault { range: token.start..token.end, ..fault });
                self.between(PieceKind::Comment, token);
            }
            Some(Ok(marker)) => {
                self.finish_without_delimiter();
                self.push(PieceKind::Marker(marker.clone()), token.start..token.end);
                if marker == Marker::BlockStart {
                    self.block(token);
                }
            }
        }
    }

    /// Reads on to the end of a block that the file says is one statement.
    fn block(&mut self, start: Token) {
        let bytes = self.text.as_bytes();
        let mut line = line_end(self.text, start.end);
        let end = loop {
            let next = bytes[line..].iter().position(|byte| *byte == b'\n').map(|at| line + at + 1);
            let Some(next) = next else { break None };
            line = line_end(self.text, next);
            if matches!(marker::read(self.text[next..line].trim()), Some(Ok(Marker::BlockEnd))) {
                break Some(next);
            }
        };
        let end = end.unwrap_or_else(|| {
            self.fault(Fault {
                code: "unterminated-block",
                message: "a statement block that does not end".to_owned(),
                range: start.start..start.end,
                label: "begins here",
                help: "close it with a `StatementEnd` comment on a line of its own".to_owned(),
            });
            bytes.len()
        });
        self.lexer.jump(end);
        self.one_statement(start.end..end);
    }

    fn one_statement(&mut self, range: Range<usize>) {
        let text = &self.text[range.clone()];
        let is_part = |token: &Token| {
            !matches!(token.kind, Kind::Blank | Kind::Comment) && &text[token.start..token.end] != ";"
        };
        let mut parts = Lexer::new(self.dialect, text).filter(is_part);
        let Some(first) = parts.next() else { return self.push(PieceKind::Blank, range) };
        let last = parts.last().unwrap_or(first);
        let (start, end) = (range.start + first.start, range.start + last.end);
        self.push(PieceKind::Blank, range.start..start);
        self.push(PieceKind::Statement, start..end);
        self.push(PieceKind::Delimiter, end..range.end);
    }

    fn semicolon(&mut self, token: Token) {
        let Some(open) = &mut self.open else {
            return self.push(PieceKind::Delimiter, token.start..token.end);
        };
        if self.lexer.is_conditional() {
            open.take(token);
        } else if self.delimiter.is_some() && open.body.is_program() {
            // Without the last one: the server wants none after `END`.
            open.body.semicolon(Spot { at: token.start, parens: open.parens });
            open.tail.push(Piece { kind: PieceKind::Delimiter, range: token.start..token.end });
        } else if open.body.semicolon(Spot { at: token.start, parens: open.parens }) {
            let is_copy = open.body.is_copy();
            self.finish();
            self.push(PieceKind::Delimiter, token.start..token.end);
            if is_copy {
                copy::read(self);
            }
        } else {
            open.take(token);
        }
    }

    fn part(&mut self, token: Token) {
        let dialect = self.dialect;
        let open = self.open.get_or_insert_with(|| Open {
            start: token.start,
            end: token.end,
            parens: 0,
            body: Body::new(dialect),
            tail: Vec::new(),
        });
        open.take(token);
        let byte = self.text.as_bytes()[token.start];
        match (token.kind, byte) {
            (Kind::Symbol, b'(') => open.parens += 1,
            (Kind::Symbol, b')') => open.parens = open.parens.saturating_sub(1),
            (Kind::Open, _) => self.conditional = token.start,
            _ => {}
        }
        if matches!(open.body, Body::Plain) || matches!(token.kind, Kind::Open | Kind::Close) {
            return;
        }
        let spot = Spot { at: token.start, parens: open.parens };
        match token.kind {
            Kind::Symbol => open.body.part(Part::Symbol(byte), spot),
            Kind::Word => lower(&self.text[token.start..token.end], |word| {
                open.body.part(Part::Word(word), spot);
            }),
            _ => open.body.part(Part::Quoted, spot),
        }
    }

    /// Ends the open statement where no delimiter stands.
    pub(super) fn finish_without_delimiter(&mut self) {
        let copy = self.open.as_ref().filter(|open| open.body.is_copy()).map(|open| open.start..open.end);
        if let Some(range) = copy {
            self.fault(copy::without_data(range));
        }
        self.finish();
    }

    fn end(&mut self) {
        if self.lexer.is_conditional() {
            let at = self.conditional;
            self.fault(Fault {
                code: "unterminated-comment",
                message: "a conditional comment that does not end".to_owned(),
                range: at..at + 3,
                label: "begins here",
                help: "close it with `*/`".to_owned(),
            });
        }
        self.finish_without_delimiter();
    }

    /// Whether nothing but blanks stands before `at` on its line.
    pub(super) fn is_at_line_start(&self, at: usize) -> bool {
        let before = &self.text.as_bytes()[..at];
        let blanks = before.iter().rev().take_while(|byte| matches!(**byte, b' ' | b'\t')).count();
        let rest = &before[..at - blanks];
        rest.is_empty() || rest.ends_with(b"\n") || rest == b"\xEF\xBB\xBF"
    }

    fn unterminated(&mut self, token: Token) {
        let opening = &self.text[token.start..token.end];
        let (code, what, close, length) = match opening.as_bytes() {
            [b'/', ..] => ("unterminated-comment", "comment", "*/", 2),
            [b'$', ..] => {
                let length = opening[1..].find('$').map_or(1, |at| at + 2);
                ("unterminated-dollar-quote", "dollar quote", &opening[..length], length)
            }
            [b'[', ..] => ("unterminated-name", "quoted name", "]", 1),
            [b'e' | b'E', ..] => ("unterminated-string", "string", "'", 2),
            [b'\'', ..] => ("unterminated-string", "string", "'", 1),
            _ if token.kind == Kind::Text => ("unterminated-string", "string", "\"", 1),
            _ => ("unterminated-name", "quoted name", &opening[..1], 1),
        };
        self.fault(Fault {
            code,
            message: format!("a {what} that does not end"),
            range: token.start..token.start + length,
            label: "begins here",
            help: format!("close it with `{close}`"),
        });
    }
}

impl Open {
    fn take(&mut self, token: Token) {
        self.end = token.end;
        self.tail.clear();
    }
}

fn unterminated_body(range: Range<usize>, dialect: Dialect) -> Fault {
    let help = match dialect {
        Dialect::MySql => "close each block with its `END`, or put the statement between `DELIMITER` lines",
        Dialect::Postgres | Dialect::Sqlite => "close it with `END;`",
    };
    Fault {
        code: "unterminated-body",
        message: "a body that does not end".to_owned(),
        range,
        label: "begins here",
        help: help.to_owned(),
    }
}

/// Calls `then` with a word in lower case; no keyword is longer than sixteen bytes, and what is longer is `""`.
fn lower(word: &str, then: impl FnOnce(&str)) {
    let mut buffer = [0_u8; 16];
    let Some(bytes) = buffer.get_mut(..word.len()) else { return then("") };
    bytes.copy_from_slice(word.as_bytes());
    bytes.make_ascii_lowercase();
    then(std::str::from_utf8(bytes).unwrap_or_default());
}

/// The end of the line that `at` is on.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    crate::lex::line_end(text.as_bytes(), at)
}
