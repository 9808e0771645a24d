//! The words of a statement, for those who must know what it does. Enough to find objects and names; not a parser.

use std::iter::Peekable;

use crate::dialect::Dialect;
use crate::lex::{Kind, Lexer, Token};
use crate::op::Name;

/// A place among the tokens of a statement. Comments and the marks of conditional comments are not seen.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    dialect: Dialect,
    text: &'a str,
    tokens: Peekable<Lexer<'a>>,
}

impl<'a> Cursor<'a> {
    /// Starts before the first token.
    pub(crate) fn new(dialect: Dialect, text: &'a str) -> Self {
        Self { dialect, text, tokens: Lexer::new(dialect, text).peekable() }
    }

    /// The next token, which stays.
    pub(crate) fn peek(&mut self) -> Option<(Kind, &'a str)> {
        let is_silent =
            |token: &Token| matches!(token.kind, Kind::Blank | Kind::Comment | Kind::Open | Kind::Close);
        while self.tokens.next_if(is_silent).is_some() {}
        self.tokens.peek().map(|token| (token.kind, &self.text[token.start..token.end]))
    }

    /// Where the next token stands.
    pub(crate) fn at(&mut self) -> Option<usize> {
        self.peek()?;
        self.tokens.peek().map(|token| token.start)
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Option<(Kind, &'a str)> {
        let found = self.peek()?;
        self.tokens.next();
        Some(found)
    }

    /// Whether the next token is this word.
    pub(crate) fn is(&mut self, word: &str) -> bool {
        self.peek().is_some_and(|(kind, text)| kind == Kind::Word && text.eq_ignore_ascii_case(word))
    }

    /// Goes past this word, if it is next.
    pub(crate) fn eat(&mut self, word: &str) -> bool {
        let is_next = self.is(word);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Goes past the first of these words that is next.
    pub(crate) fn eat_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.eat(word))
    }

    /// Goes past these words, if all of them are next.
    pub(crate) fn eat_all(&mut self, words: &[&str]) -> bool {
        let mut ahead = self.clone();
        let are_next = words.iter().all(|word| ahead.eat(word));
        if are_next {
            *self = ahead;
        }
        are_next
    }

    /// Goes past this byte of punctuation, if it is next.
    pub(crate) fn eat_symbol(&mut self, symbol: &str) -> bool {
        let is_next = self.peek() == Some((Kind::Symbol, symbol));
        if is_next {
            self.next();
        }
        is_next
    }

    /// The next word, in lower case.
    pub(crate) fn word(&mut self) -> Option<String> {
        let (_, text) = self.next().filter(|(kind, _)| *kind == Kind::Word)?;
        Some(text.to_ascii_lowercase())
    }

    /// Whether this word comes anywhere, parentheses included.
    pub(crate) fn has(&self, word: &str) -> bool {
        let mut ahead = self.clone();
        std::iter::from_fn(|| ahead.next())
            .any(|(kind, text)| kind == Kind::Word && text.eq_ignore_ascii_case(word))
    }

    /// Whether nothing is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Goes past `(…)`, if it is next.
    pub(crate) fn eat_parentheses(&mut self) -> bool {
        if !self.eat_symbol("(") {
            return false;
        }
        let mut depth = 1_u32;
        while let Some((kind, text)) = self.next() {
            match (kind, text) {
                (Kind::Symbol, "(") => depth += 1,
                (Kind::Symbol, ")") => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        true
    }

    /// One name, as the catalogue spells it.
    pub(crate) fn identifier(&mut self) -> Option<String> {
        let (kind, text) = self.peek()?;
        let name = match kind {
            Kind::Word if self.dialect == Dialect::Postgres => text.to_ascii_lowercase(),
            Kind::Word => text.to_owned(),
            Kind::Name => unquote(text),
            // SQLite takes strings for names where nothing else fits.
            Kind::Text if self.dialect == Dialect::Sqlite => unquote(text),
            _ => return None,
        };
        self.next();
        Some(name)
    }

    /// A name that may say its schema.
    pub(crate) fn name(&mut self) -> Option<Name> {
        let mut name = Name { schema: None, name: self.identifier()? };
        while self.eat_symbol(".") {
            name = Name { schema: Some(name.name), name: self.identifier()? };
        }
        Some(name)
    }

    /// A string without escapes, as a value.
    pub(crate) fn literal(&mut self) -> Option<String> {
        let (_, text) = self.next().filter(|(kind, text)| *kind == Kind::Text && text.starts_with('\''))?;
        Some(unquote(text))
    }
}

/// A quoted text without its quotes, doubled ones made one.
fn unquote(text: &str) -> String {
    let mut letters = text.chars();
    let Some(mark) = letters.next() else { return String::new() };
    let inside = letters.as_str();
    let inside = &inside[..inside.len().saturating_sub(1)];
    if mark == '[' { inside.to_owned() } else { inside.replace(&format!("{mark}{mark}"), &mark.to_string()) }
}
