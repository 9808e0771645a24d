//! Patterns out of text, with what is wrong with them.

use super::{Part, Pattern};

/// What is wrong with a pattern, from one byte of it to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) help: &'static str,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

const BRACES: &str = "a brace of the name itself is written twice: {{user:{id}}}:profile";

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let bytes = text.as_bytes();
        let fault = |message: String, help, start, end| Fault { message, help, start, end };
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            let is_double = bytes.get(at + 1) == Some(&byte);
            match byte {
                b'{' | b'}' if is_double => {
                    literal.push(byte);
                    at += 2;
                }
                b'{' => {
                    let Some(length) = bytes[at..].iter().position(|byte| *byte == b'}') else {
                        return Err(fault("a `{` without its `}`".to_owned(), BRACES, at, bytes.len()));
                    };
                    let end = at + length + 1;
                    let inner = &text[at + 1..end - 1];
                    let name = inner.strip_suffix('*').unwrap_or(inner);
                    if !is_name(name) {
                        return Err(fault(format!("`{{{inner}}}` is no capture"), BRACES, at, end));
                    }
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    } else if !parts.is_empty() {
                        let message = format!("where `{{{name}}}` begins cannot be told");
                        let help = "put something between the two captures, best a `:`";
                        return Err(fault(message, help, at, end));
                    }
                    parts.push(Part::Capture { name: name.to_owned(), is_wide: inner.ends_with('*') });
                    at = end;
                }
                b'}' => return Err(fault("a `}` without its `{`".to_owned(), BRACES, at, at + 1)),
                _ => {
                    literal.push(byte);
                    at += 1;
                }
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if parts.is_empty() {
            return Err(fault("an empty pattern".to_owned(), "write the names it stands for", 0, 0));
        }
        Ok(Self { parts, text: text.to_owned() })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.as_bytes()[0].is_ascii_digit()
}
