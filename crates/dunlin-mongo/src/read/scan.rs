//! The little of JavaScript's grammar that is needed to find places in a text: what is code, what is a string, what is
//! a comment, and how deep the brackets are there.

use std::ops::Range;

/// What a byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Code,
    Text,
    Comment,
}

/// A comment, delimiters included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comment {
    pub(super) range: Range<usize>,
    /// How many brackets are open there.
    pub(super) depth: usize,
}

/// A text, taken apart.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) kinds: Vec<Kind>,
    pub(super) comments: Vec<Comment>,
}

/// Words after which a slash begins a regular expression.
const BEFORE_REGEX: [&str; 12] =
    ["return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "await", "else", "do"];

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    kinds: Vec<Kind>,
    comments: Vec<Comment>,
    /// Open brackets; `true` where a `}` ends the expression inside a template.
    open: Vec<bool>,
    /// The last byte of code that was no blank.
    last: Option<usize>,
    /// Whether a string or a regular expression came after that: a slash divides it.
    is_after_text: bool,
}

/// Takes a text apart.
pub(super) fn scan(text: &str) -> Scan<'_> {
    let bytes = text.as_bytes();
    let kinds = vec![Kind::Code; bytes.len()];
    let (comments, open) = (Vec::new(), Vec::new());
    let mut scanner = Scanner { bytes, at: 0, kinds, comments, open, last: None, is_after_text: false };
    while scanner.at < bytes.len() {
        scanner.step();
    }
    Scan { text, kinds: scanner.kinds, comments: scanner.comments }
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn mark(&mut self, end: usize, kind: Kind) {
        let end = end.min(self.bytes.len());
        self.kinds[self.at..end].fill(kind);
        self.at = end;
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (b'/', b'/') => {
                let rest = &self.bytes[self.at..];
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                self.comment(self.at + end);
            }
            (b'/', b'*') => {
                let rest = &self.bytes[self.at + 2..];
                let end = rest.windows(2).position(|pair| pair == b"*/").map_or(rest.len(), |end| end + 2);
                self.comment(self.at + 2 + end);
            }
            (b'/', _) if self.is_regex() => self.regex(),
            (quote @ (b'\'' | b'"'), _) => self.quoted(quote),
            (b'`', _) => {
                self.mark(self.at + 1, Kind::Text);
                self.template();
            }
            (byte, _) => self.code(byte),
        }
    }

    fn comment(&mut self, end: usize) {
        let end = end.min(self.bytes.len());
        self.comments.push(Comment { range: self.at..end, depth: self.open.len() });
        self.mark(end, Kind::Comment);
    }

    fn code(&mut self, byte: u8) {
        match byte {
            b'(' | b'[' | b'{' => self.open.push(false),
            b')' | b']' => drop(self.open.pop()),
            b'}' if self.open.pop() == Some(true) => {
                self.mark(self.at + 1, Kind::Text);
                return self.template();
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            self.last = Some(self.at);
            self.is_after_text = false;
        }
        self.at += 1;
    }

    fn is_regex(&self) -> bool {
        let Some(last) = self.last else { return !self.is_after_text };
        if self.is_after_text {
            return false;
        }
        let byte = self.bytes[last];
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' {
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'$';
            let start = self.bytes[..=last].iter().rposition(|byte| !is_word(byte)).map_or(0, |at| at + 1);
            let word = &self.bytes[start..=last];
            return BEFORE_REGEX.iter().any(|known| known.as_bytes() == word);
        }
        !matches!(byte, b')' | b']' | b'}')
    }

    fn regex(&mut self) {
        let mut end = self.at + 1;
        let mut is_class = false;
        while let Some(byte) = self.bytes.get(end) {
            match byte {
                b'\\' => end += 1,
                b'[' => is_class = true,
                b']' => is_class = false,
                b'/' if !is_class => break,
                b'\n' => break,
                _ => {}
            }
            end += 1;
        }
        self.ended(end + 1);
    }

    /// A string ends at its quote, or at the end of the line where that is missing.
    fn quoted(&mut self, quote: u8) {
        let mut end = self.at + 1;
        while let Some(byte) = self.bytes.get(end) {
            match byte {
                b'\\' => end += 1,
                b'\n' => break,
                byte if *byte == quote => {
                    end += 1;
                    break;
                }
                _ => {}
            }
            end += 1;
        }
        self.ended(end);
    }

    /// The text of a template, up to its end or to the next expression in it.
    fn template(&mut self) {
        let mut end = self.at;
        while let Some(byte) = self.bytes.get(end) {
            match byte {
                b'\\' => end += 1,
                b'`' => return self.ended(end + 1),
                b'$' if self.bytes.get(end + 1) == Some(&b'{') => {
                    self.mark(end + 2, Kind::Text);
                    self.open.push(true);
                    return;
                }
                _ => {}
            }
            end += 1;
        }
        self.ended(end);
    }

    fn ended(&mut self, end: usize) {
        self.mark(end, Kind::Text);
        self.is_after_text = true;
    }
}

impl Scan<'_> {
    fn is_code(&self, at: usize) -> bool {
        self.kinds.get(at) == Some(&Kind::Code)
    }

    /// Whether a word stands in the code, not after a dot and not inside a longer one.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.text.match_indices(word).any(|(at, _)| {
            let before = self.text[..at].chars().next_back();
            let after = self.text[at + word.len()..].chars().next();
            let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
            self.is_code(at)
                && !before.is_some_and(|letter| is_part(letter) || letter == '.')
                && !after.is_some_and(is_part)
        })
    }

    /// Whether anything but blanks and comments stands in a part of the text.
    pub(super) fn has_code(&self, range: Range<usize>) -> bool {
        let bytes = &self.text.as_bytes()[range.clone()];
        let kinds = &self.kinds[range];
        bytes
            .iter()
            .zip(kinds)
            .any(|(byte, kind)| *kind != Kind::Comment && !byte.is_ascii_whitespace() && *byte != b';')
    }

    /// The call around a place the engine named: from the first name of its chain to its last bracket. The engine
    /// points at the method or at something inside its arguments.
    pub(super) fn call(&self, at: usize) -> Range<usize> {
        let bytes = self.text.as_bytes();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80;
        let mut start = at.min(bytes.len().saturating_sub(1));
        // To the beginning of the chain: names, dots, and whole brackets.
        let mut depth = 0_usize;
        while start > 0 {
            let before = bytes[start - 1];
            let is_code = self.is_code(start - 1);
            match before {
                b')' | b']' if is_code => depth += 1,
                b'(' | b'[' | b'{' if is_code && depth == 0 => break,
                b'(' | b'[' if is_code => depth -= 1,
                _ if depth > 0 || !is_code && self.kinds[start - 1] == Kind::Comment => {}
                b'.' => {}
                byte if byte.is_ascii_whitespace() => {
                    let rest = self.text[start..].trim_start();
                    if !rest.starts_with('.') && !self.text[..start].trim_end().ends_with('.') {
                        break;
                    }
                }
                byte if is_code && is_word(byte) => {}
                _ => break,
            }
            start -= 1;
        }
        let before = self.text[..start].trim_end();
        if before.ends_with("new") && before.len() < start && self.is_code(before.len() - 1) {
            start = before.len() - "new".len();
        }
        start..self.end_of_call(at)
    }

    /// The method of the call whose arguments a place is in, or the place itself where it names a method.
    pub(super) fn method(&self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'$';
        let end =
            bytes.iter().skip(at).position(|byte| !is_word(byte)).map_or(bytes.len(), |length| at + length);
        if self.text[end..].trim_start().starts_with('(') {
            return at;
        }
        let mut depth = 0_usize;
        for open in (0..at.min(bytes.len())).rev().filter(|open| self.is_code(*open)) {
            match bytes[open] {
                b')' | b']' | b'}' => depth += 1,
                b'(' if depth == 0 => {
                    let name = self.text[..open].trim_end().len();
                    return bytes[..name]
                        .iter()
                        .rposition(|byte| !is_word(byte))
                        .map_or(0, |before| before + 1);
                }
                b'[' | b'{' if depth == 0 => {}
                b'(' | b'[' | b'{' => depth -= 1,
                b';' if depth == 0 => return at,
                _ => {}
            }
        }
        at
    }

    /// One past the bracket that closes the first one opened at or after a place on the same statement.
    fn end_of_call(&self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        for (offset, byte) in bytes.iter().enumerate().skip(at) {
            if !self.is_code(offset) {
                continue;
            }
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' if depth <= 1 => {
                    return if depth == 1 { offset + 1 } else { offset.max(at + 1) };
                }
                b')' | b']' | b'}' => depth -= 1,
                b';' | b'\n' if depth == 0 => return offset.max(at + 1).min(bytes.len()),
                _ => {}
            }
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let scan = scan(text);
        text.char_indices()
            .map(|(at, letter)| if scan.kinds[at] == Kind::Code { letter } else { '_' })
            .collect()
    }

    #[test]
    fn strings_comments_templates_and_regular_expressions_are_no_code() {
        for (text, expected) in [
            ("a('(//' + \"'\") // x", "a(_____ + ___) ____"),
            ("f(`a${ g('`') }b`)", "f(____ g(___) ___)"),
            ("x = /[/\"]\\//.test(y) / 2", "x = ________.test(y) / 2"),
            ("return /a'/ /* ' */ + b", "return ____ _______ + b"),
            ("a / b / c", "a / b / c"),
            ("'open\nb", "_____\nb"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn calls_reach_from_the_first_name_to_the_last_bracket() {
        let text = "foo(); const r = await db.getSiblingDB('a')\n  .users.insertOne({ a: ')' }); bar()";
        let range = scan(text).call(text.find("insertOne").unwrap());
        assert_eq!(&text[range], "db.getSiblingDB('a')\n  .users.insertOne({ a: ')' })");
        let text = "[1].forEach(n => db[`c${n}`].drop())";
        let range = scan(text).call(text.find("drop").unwrap());
        assert_eq!(&text[range], "db[`c${n}`].drop()");
    }
}
