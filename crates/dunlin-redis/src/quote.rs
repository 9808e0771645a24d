//! The quoting of redis-cli, both ways. Reading follows its `sdssplitargs` to the letter: quotes may open in the middle
//! of a word, and nothing but a blank may follow a closing one.

use std::fmt::Write as _;

/// One argument, and where it stands in its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) bytes: Vec<u8>,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Whether any part of it stood in quotes.
    pub(crate) is_quoted: bool,
}

/// Why a line cannot be split, and the bytes that are to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: &'static str,
    pub(crate) help: &'static str,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Splits a line into its arguments.
pub(crate) fn split(line: &str) -> Result<Vec<Word>, Fault> {
    let bytes = line.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(|byte| is_blank(*byte)) {
            at += 1;
        }
        if at == bytes.len() {
            return Ok(words);
        }
        let word = word(line, at)?;
        at = word.end;
        words.push(word);
    }
}

/// What `isspace` takes for a blank, and the NUL at which redis-cli stops a word.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0)
}

fn word(line: &str, start: usize) -> Result<Word, Fault> {
    let bytes = line.as_bytes();
    let mut word = Word { bytes: Vec::new(), start, end: start, is_quoted: false };
    let mut at = start;
    while let Some(byte) = bytes.get(at).copied().filter(|byte| !is_blank(*byte)) {
        if byte == b'"' || byte == b'\'' {
            word.is_quoted = true;
            at = quoted(line, at, &mut word.bytes)?;
        } else {
            word.bytes.push(byte);
            at += 1;
        }
    }
    word.end = at;
    Ok(word)
}

/// Reads from an opening quote to behind the closing one.
fn quoted(line: &str, open: usize, into: &mut Vec<u8>) -> Result<usize, Fault> {
    let bytes = line.as_bytes();
    let quote = bytes[open];
    let mut at = open + 1;
    loop {
        match bytes.get(at) {
            None => {
                return Err(Fault {
                    message: "unbalanced quotes",
                    help: "close the quote on this line; a line break inside a value is written \"\\n\"",
                    start: open,
                    end: bytes.len(),
                });
            }
            Some(byte) if *byte == quote => break,
            Some(b'\\') => at += escape(&bytes[at..], quote, into),
            Some(byte) => {
                into.push(*byte);
                at += 1;
            }
        }
    }
    let after = at + 1;
    if bytes.get(after).is_none_or(|byte| is_blank(*byte)) {
        return Ok(after);
    }
    let rest = &bytes[after..];
    let length = rest.iter().position(|byte| is_blank(*byte)).unwrap_or(rest.len());
    Err(Fault {
        message: "text right after a closing quote",
        help: "put a blank between the two, or both into one pair of quotes",
        start: after,
        end: after + length,
    })
}

/// Reads what a backslash begins; says how many bytes that were.
fn escape(rest: &[u8], quote: u8, into: &mut Vec<u8>) -> usize {
    if quote == b'\'' {
        let is_quote = rest.get(1) == Some(&b'\'');
        into.push(if is_quote { b'\'' } else { b'\\' });
        return if is_quote { 2 } else { 1 };
    }
    let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    if rest.get(1) == Some(&b'x')
        && let (Some(high), Some(low)) = (digit(2), digit(3))
    {
        into.extend(u8::try_from(high * 16 + low));
        return 4;
    }
    // A backslash at the very end is left to the caller, who finds the quote unbalanced.
    let Some(byte) = rest.get(1) else { return 1 };
    into.push(match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => *other,
    });
    2
}

/// Arguments as a line that redis-cli reads back to the same.
pub(crate) fn join(args: &[Vec<u8>]) -> String {
    args.iter().map(|arg| quote(arg)).collect::<Vec<_>>().join(" ")
}

/// One argument, in quotes where it needs them.
pub(crate) fn quote(arg: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(arg)
        && !text.is_empty()
        && !text
            .chars()
            .any(|char| char.is_whitespace() || char.is_control() || matches!(char, '"' | '\'' | '\\'))
        && !text.starts_with('#')
    {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for chunk in arg.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{7}' => out.push_str("\\a"),
                char if char.is_ascii_control() => push_hex(&mut out, char as u8),
                char => out.push(char),
            }
        }
        chunk.invalid().iter().for_each(|byte| push_hex(&mut out, *byte));
    }
    out.push('"');
    out
}

fn push_hex(out: &mut String, byte: u8) {
    write!(out, "\\x{byte:02x}").expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<Vec<u8>> {
        split(line).unwrap().into_iter().map(|word| word.bytes).collect()
    }

    #[test]
    fn splits_as_redis_cli_does() {
        assert_eq!(args(" SET  a\t1 "), [&b"SET"[..], b"a", b"1"]);
        assert_eq!(
            args(r#"SET "a b" "\n\r\t\b\a\x00\xfF\"\\\q""#)[1..],
            [&b"a b"[..], b"\n\r\t\x08\x07\x00\xff\"\\q"]
        );
        assert_eq!(args(r"SET 'it\'s' 'no \n here' ''")[1..], [&b"it's"[..], br"no \n here", b""]);
        assert_eq!(args(r#"SET foo"bar baz" "\xg1""#)[1..], [&b"foobar baz"[..], b"xg1"]);
        assert_eq!(args(""), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn faults_point_at_the_bytes_to_blame() {
        let fault = split(r#"SET "a b"#).unwrap_err();
        assert_eq!((fault.message, fault.start, fault.end), ("unbalanced quotes", 4, 8));
        let fault = split(r#"SET "a"bc d"#).unwrap_err();
        assert_eq!((fault.message, fault.start, fault.end), ("text right after a closing quote", 7, 9));
        assert_eq!(split("GET 'a\"").unwrap_err().start, 4);
        assert_eq!(split(r#"GET "a\"#).unwrap_err().message, "unbalanced quotes");
    }

    #[test]
    fn what_is_joined_splits_back() {
        let all: Vec<u8> = (0..=255).collect();
        let given = vec![
            b"SET".to_vec(),
            b"".to_vec(),
            b"a b".to_vec(),
            all,
            "naïve".into(),
            b"#x".to_vec(),
            b"\\".to_vec(),
        ];
        assert_eq!(args(&join(&given)), given);
        assert_eq!(
            join(&[b"SET".to_vec(), b"user:{1}".to_vec(), b"it's".to_vec()]),
            r#"SET user:{1} "it's""#
        );
    }
}
