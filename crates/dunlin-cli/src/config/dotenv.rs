//! The `.env` file beside the configuration: `KEY=VALUE` lines, quotes, `export`, comments. Nothing is expanded in it.

use std::collections::BTreeMap;

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Dotenv {
    pub(super) values: BTreeMap<String, String>,
    /// The numbers of the lines that say nothing, from 1.
    pub(super) unread: Vec<usize>,
}

pub(super) fn parse(text: &str) -> Dotenv {
    let mut read = Dotenv::default();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (after, entry) = entry(rest);
        match entry {
            Entry::Nothing => {}
            Entry::Unread => read.unread.push(line),
            Entry::Value(key, value) => {
                read.values.insert(key, value);
            }
        }
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    read
}

enum Entry {
    Nothing,
    Unread,
    Value(String, String),
}

/// One entry and the text after it. A quoted value may go over several lines.
fn entry(text: &str) -> (&str, Entry) {
    let line_end = text.find('\n').map_or(text.len(), |newline| newline + 1);
    let (line, after) = text.split_at(line_end);
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return (after, Entry::Nothing);
    }
    let Some((key, _)) = line.split_once('=') else { return (after, Entry::Unread) };
    let value_start = key.len() + 1;
    let key = key.trim();
    let key = key.strip_prefix("export ").unwrap_or(key).trim();
    if !is_name(key) {
        return (after, Entry::Unread);
    }
    let value = &text[value_start..];
    let value = value.trim_start_matches([' ', '\t']);
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => match quoted(&value[1..], quote) {
            Some((value, rest)) => {
                let rest = rest.split_once('\n').map_or("", |(_, next)| next);
                (rest, Entry::Value(key.to_owned(), value))
            }
            None => (after, Entry::Unread),
        },
        _ => {
            let value = line[value_start..].trim();
            let comment =
                value.find(" #").or_else(|| value.find("\t#")).or(value.starts_with('#').then_some(0));
            let value = comment.map_or(value, |at| value[..at].trim_end());
            (after, Entry::Value(key.to_owned(), value.to_owned()))
        }
    }
}

/// The text up to the closing quote, and what follows it. Escapes mean something in double quotes only.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            _ if letter == quote => return Some((value, &text[at + 1..])),
            '\\' if quote == '"' => match letters.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                escaped @ ('"' | '\\' | '$') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            _ => value.push(letter),
        }
    }
    None
}

/// Whether this can be the name of an environment variable.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|letter: char| letter.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_people_write_them() {
        let text = "# a comment\n\nA=1\nexport B = two words # why\r\nC=\"x\\n\\\"y\\\" # z\" # gone\nD='$A \\n'\nE=\nF=a#b\n\
                    KEY=\"first\nsecond\"\nG=last";
        let read = parse(text);
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "x\n\"y\" # z"),
            ("D", "$A \\n"),
            ("E", ""),
            ("F", "a#b"),
            ("KEY", "first\nsecond"),
            ("G", "last"),
        ];
        for (key, value) in expected {
            assert_eq!(read.values.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert_eq!((read.values.len(), read.unread.len()), (expected.len(), 0));
    }

    #[test]
    fn lines_that_say_nothing_are_counted() {
        let read = parse("A=1\nnonsense\nB=\"never closed\n2C=3\nD=4\n");
        assert_eq!(read.unread, [2, 3, 4]);
        assert_eq!(read.values.len(), 2);
    }
}
