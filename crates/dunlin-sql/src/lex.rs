//! The lexical rules of the three dialects, over bytes. A lexer never fails and never loses a byte: what it does not
//! know is a [`Kind::Symbol`], and what never ends is a token that is not [`closed`](Token::is_closed).

mod quote;

use crate::dialect::Dialect;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space, and the byte order mark.
    Blank,
    /// A comment, to the end of the line or between marks.
    Comment,
    /// Letters and digits outside quotes: a keyword, a name, a number.
    Word,
    /// A quoted name.
    Name,
    /// A string, dollar-quoted ones included.
    Text,
    /// `/*!40101`: what follows is a statement for the servers that know it (MySQL, MariaDB).
    Open,
    /// The `*/` that ends such a part.
    Close,
    /// Any other byte.
    Symbol,
}

/// A piece of text that has a meaning of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: Kind,
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
    /// Whether the quote or comment ends before the text does.
    pub(crate) is_closed: bool,
}

/// Reads tokens off a text, one after the other, without a gap.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    dialect: Dialect,
    bytes: &'a [u8],
    at: usize,
    conditional: u32,
    delimiter: &'a [u8],
}

impl<'a> Lexer<'a> {
    /// Starts at the first byte of `text`.
    pub(crate) fn new(dialect: Dialect, text: &'a str) -> Self {
        Self { dialect, bytes: text.as_bytes(), at: 0, conditional: 0, delimiter: b"" }
    }

    /// The place of the next token.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes on from another place, outside of everything.
    pub(crate) fn jump(&mut self, at: usize) {
        self.at = at.min(self.bytes.len());
        self.conditional = 0;
    }

    /// Ends words before `delimiter`, as the mysql client does: `END$$` is a word and a delimiter.
    pub(crate) fn stop_words_at(&mut self, delimiter: &'a str) {
        self.delimiter = delimiter.as_bytes();
    }

    /// Whether the place is inside `/*! … */`.
    pub(crate) fn is_conditional(&self) -> bool {
        self.conditional > 0
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn token(&mut self, kind: Kind, end: usize, is_closed: bool) -> Token {
        let start = std::mem::replace(&mut self.at, end);
        Token { kind, start, end, is_closed }
    }

    fn symbol(&mut self) -> Token {
        // A character outside ASCII is a word byte, so a symbol is one byte.
        self.token(Kind::Symbol, self.at + 1, true)
    }

    fn blank(&mut self) -> Token {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !is_blank(*byte)).unwrap_or(rest.len());
        self.token(Kind::Blank, self.at + length, true)
    }

    fn line_comment(&mut self) -> Token {
        let lone_return = |byte| byte == b'\r' && self.dialect == Dialect::Postgres;
        let line = line_end(self.bytes, self.at);
        let end = quote::find(&self.bytes[..line], self.at, lone_return).unwrap_or(line);
        self.token(Kind::Comment, end, true)
    }

    fn block_comment(&mut self) -> Token {
        let nests = self.dialect == Dialect::Postgres;
        let (mut at, mut depth) = (self.at + 2, 1_u32);
        while let Some(found) = quote::find(self.bytes, at, |byte| byte == b'*' || byte == b'/') {
            match (self.bytes[found], self.bytes.get(found + 1)) {
                (b'*', Some(b'/')) => depth -= 1,
                (b'/', Some(b'*')) if nests => depth += 1,
                _ => {
                    at = found + 1;
                    continue;
                }
            }
            at = found + 2;
            if depth == 0 {
                return self.token(Kind::Comment, at, true);
            }
        }
        self.token(Kind::Comment, self.bytes.len(), false)
    }

    fn slash_star(&mut self) -> Token {
        if self.dialect != Dialect::MySql {
            return self.block_comment();
        }
        let mark = match (self.peek(2), self.peek(3)) {
            (b'!', _) => 3,
            (b'M', b'!') => 4,
            // An optimizer hint belongs to its statement.
            (b'+', _) => {
                let comment = self.block_comment();
                return Token { kind: Kind::Text, ..comment };
            }
            _ => return self.block_comment(),
        };
        let digits = self.bytes[self.at + mark..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let end = self.at + mark + digits;
        // No server is that new: mariadb-dump writes its `\-` for the mariadb client between such marks.
        if self.bytes[..end].ends_with(b"!999999") {
            return self.block_comment();
        }
        self.conditional += 1;
        self.token(Kind::Open, end, true)
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        let is_inside = |byte: u8| is_word(byte) || byte == b'$';
        let rest = &self.bytes[start..];
        let mut length = rest.iter().position(|byte| !is_inside(*byte)).unwrap_or(rest.len()).max(1);
        if self.delimiter.first().is_some_and(|byte| is_inside(*byte)) {
            let cut = (1..length).find(|ahead| rest[*ahead..].starts_with(self.delimiter));
            length = cut.unwrap_or(length);
        }
        self.token(Kind::Word, start + length, true)
    }

    fn quoted(&mut self, kind: Kind, escapes: bool) -> Token {
        let (end, is_closed) = quote::end(self.bytes, self.at + 1, self.bytes[self.at], escapes);
        self.token(kind, end, is_closed)
    }

    fn is_line_comment(&self) -> bool {
        // MySQL wants a blank or a control character after `--`, so that `5--1` stays a sum.
        self.peek(1) == b'-'
            && (self.dialect != Dialect::MySql || self.at + 2 >= self.bytes.len() || self.peek(2) <= b' ')
    }

    fn dollar(&mut self) -> Token {
        if self.dialect != Dialect::Postgres {
            return self.word();
        }
        match quote::dollar(self.bytes, self.at) {
            Some((end, is_closed)) => self.token(Kind::Text, end, is_closed),
            None => self.symbol(),
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        use Dialect::{MySql, Postgres, Sqlite};
        let byte = *self.bytes.get(self.at)?;
        let token = match (byte, self.dialect) {
            (byte, _) if is_blank(byte) => self.blank(),
            (b'-', _) if self.is_line_comment() => self.line_comment(),
            (b'#', MySql) => self.line_comment(),
            (b'/', _) if self.peek(1) == b'*' => self.slash_star(),
            (b'*', MySql) if self.conditional > 0 && self.peek(1) == b'/' => {
                self.conditional -= 1;
                self.token(Kind::Close, self.at + 2, true)
            }
            (b'\'', dialect) => self.quoted(Kind::Text, dialect == MySql),
            (b'e' | b'E', Postgres) if self.peek(1) == b'\'' => {
                let (end, is_closed) = quote::escaped(self.bytes, self.at + 2);
                self.token(Kind::Text, end, is_closed)
            }
            (b'"', MySql) => self.quoted(Kind::Text, true),
            (b'"', _) | (b'`', MySql | Sqlite) => self.quoted(Kind::Name, false),
            (b'[', Sqlite) => {
                let end = quote::find(self.bytes, self.at, |byte| byte == b']');
                self.token(Kind::Name, end.map_or(self.bytes.len(), |end| end + 1), end.is_some())
            }
            (b'$', _) => self.dollar(),
            (0xEF, _) if self.at == 0 && self.bytes.starts_with(b"\xEF\xBB\xBF") => {
                self.token(Kind::Blank, 3, true)
            }
            (byte, _) if is_word(byte) => self.word(),
            _ => self.symbol(),
        };
        Some(token)
    }
}

/// Whether a byte is white space to every server.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

/// Whether a byte belongs to a word; `$` depends on what comes before it.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The end of the line that `at` is on, before its line break.
pub(crate) fn line_end(bytes: &[u8], at: usize) -> usize {
    let end = quote::find(bytes, at, |byte| byte == b'\n').unwrap_or(bytes.len());
    if end > at && bytes.get(end) == Some(&b'\n') && bytes[end - 1] == b'\r' { end - 1 } else { end }
}

#[cfg(test)]
mod tests;
