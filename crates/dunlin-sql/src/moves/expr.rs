//! Expressions of the user inside statements of ours: taken as they are, once it is certain that they end where they
//! end.

use std::sync::Arc;

use dunlin_core::{Diagnostic, Node, Span};

use crate::canonical::canonical;
use crate::cursor::Cursor;
use crate::dialect::Dialect;
use crate::lex::{Kind, Lexer, Token};
use crate::op::Name;

/// An expression or a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// As it is sent.
    pub text: Arc<str>,
    /// As it is hashed.
    pub canonical: Arc<str>,
    /// Where it stands.
    pub span: Option<Span>,
}

impl Expr {
    /// Inside a statement: in parentheses, with a line break against a comment at its end.
    pub(crate) fn sql(&self) -> String {
        let ends_in_comment = self.text.contains("--") || self.text.contains('#');
        format!("({}{})", self.text, if ends_in_comment { "\n" } else { "" })
    }

    /// Of a text that is known to be one.
    pub(crate) fn written(dialect: Dialect, text: &str) -> Self {
        Self { text: text.into(), canonical: canonical(dialect, text).into(), span: None }
    }

    fn of(dialect: Dialect, node: &Node, text: &str, start: usize) -> Result<Self, Diagnostic> {
        let at = |from: usize, to: usize| node.inside(start + from, start + to);
        let fault = |span: Span, what: &str| {
            Diagnostic::error("bad-expression", format!("`{}` is no expression", text.trim()))
                .at(span, what.to_owned())
                .help("write what may stand on the right of `=` in a statement")
        };
        let mut depth = 0_i32;
        for token in Lexer::new(dialect, text) {
            let part = &text[token.start..token.end];
            match (token.kind, part) {
                _ if !token.is_closed => return Err(fault(at(token.start, token.end), "never ends")),
                (Kind::Symbol, "(") => depth += 1,
                (Kind::Symbol, ")") => depth -= 1,
                (Kind::Symbol, ";") => {
                    return Err(fault(at(token.start, token.end), "a statement ends here"));
                }
                _ => {}
            }
            if depth < 0 {
                return Err(fault(at(token.start, token.end), "closes what was not opened"));
            }
        }
        let hashed = canonical(dialect, text);
        if depth > 0 || hashed.is_empty() {
            let what = if depth > 0 { "a parenthesis is not closed" } else { "says nothing" };
            return Err(fault(at(0, text.len()), what));
        }
        let blank = text.len() - text.trim_start().len();
        let text = text.trim();
        Ok(Self { text: text.into(), canonical: hashed.into(), span: Some(at(blank, blank + text.len())) })
    }
}

/// The expression that a value is.
pub(crate) fn read(dialect: Dialect, node: &Node) -> Result<Expr, Diagnostic> {
    Expr::of(dialect, node, node.text()?, 0)
}

/// `a = expr, b = expr`, split where an expression ends.
pub(crate) fn assignments(dialect: Dialect, node: &Node) -> Result<Vec<(String, Expr)>, Diagnostic> {
    let text = node.text()?;
    let mut pairs = Vec::new();
    for (start, end) in parts(dialect, text) {
        let part = &text[start..end];
        let fault = || {
            Diagnostic::error("bad-assignment", format!("`{}` sets no column", part.trim()))
                .at(node.inside(start, end), "not `column = expression`")
        };
        let mut cursor = Cursor::new(dialect, part);
        let column = cursor.identifier().ok_or_else(fault)?;
        let sign = cursor.at().filter(|at| part[*at..].starts_with('=')).ok_or_else(fault)?;
        pairs.push((column, Expr::of(dialect, node, &part[sign + 1..], start + sign + 1)?));
    }
    Ok(pairs)
}

/// The places between the commas that are in no parentheses.
fn parts(dialect: Dialect, text: &str) -> Vec<(usize, usize)> {
    let (mut depth, mut start, mut found) = (0_i32, 0, Vec::new());
    for Token { kind, start: from, end: to, .. } in Lexer::new(dialect, text) {
        match (kind, &text[from..to]) {
            (Kind::Symbol, "(" | "[" | "{") => depth += 1,
            (Kind::Symbol, ")" | "]" | "}") => depth -= 1,
            (Kind::Symbol, ",") if depth == 0 => {
                found.push((start, from));
                start = to;
            }
            _ => {}
        }
    }
    found.push((start, text.len()));
    found
}

/// The expressions of a list with commas.
pub(crate) fn list(dialect: Dialect, text: &str) -> Vec<&str> {
    parts(dialect, text).into_iter().map(|(start, end)| text[start..end].trim()).collect()
}

/// A name as SQL spells it, of a table or of a column.
pub(crate) fn name(dialect: Dialect, text: &str, span: Span) -> Result<Name, Diagnostic> {
    let mut cursor = Cursor::new(dialect, text);
    let name = cursor.name().filter(|_| cursor.is_at_end());
    name.ok_or_else(|| {
        Diagnostic::error("bad-sql-name", format!("`{text}` is no name"))
            .at(span, "not a name")
            .help("write it as in SQL: quote what is more than letters, digits and `_`")
    })
}

/// A name that stands alone.
pub(crate) fn column(dialect: Dialect, text: &str, span: Span) -> Result<String, Diagnostic> {
    let name = name(dialect, text, span)?;
    if name.schema.is_some() {
        return Err(Diagnostic::error("bad-sql-name", format!("`{text}` is no column of the table"))
            .at(span, "more than one name")
            .help("write the column alone"));
    }
    Ok(name.name)
}
