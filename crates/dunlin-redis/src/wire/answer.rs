//! Replies, parsed from as much as has arrived.

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Int(i64),
    Status(String),
    Error(String),
    Bulk(Vec<u8>),
    Nil,
    List(Vec<Answer>),
}

impl Answer {
    /// The number, where it is one.
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bulk(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The bytes, where it has any.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bulk(bytes) => Some(bytes),
            Self::Status(text) => Some(text.into_bytes()),
            Self::Int(number) => Some(number.to_string().into_bytes()),
            _ => None,
        }
    }

    /// The text, where it has one.
    pub(crate) fn text(self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The items; none where it is no list.
    pub(crate) fn list(self) -> Vec<Answer> {
        match self {
            Self::List(items) => items,
            _ => Vec::new(),
        }
    }

    /// The bytes of all items.
    pub(crate) fn all_bytes(self) -> Vec<Vec<u8>> {
        self.list().into_iter().filter_map(Self::bytes).collect()
    }
}

/// The first reply in `input` and how long it is; nothing while its end is missing.
pub(super) fn parse(input: &[u8]) -> Result<Option<(Answer, usize)>, ()> {
    let mut at = 0;
    let answer = read(input, &mut at, 0)?;
    Ok(answer.map(|answer| (answer, at)))
}

/// No server nests deeper than a few levels; whoever does is none.
const DEEPEST: usize = 16;

fn read(input: &[u8], at: &mut usize, depth: usize) -> Result<Option<Answer>, ()> {
    let Some(length) = input[*at..].iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = input[*at..*at + length].strip_suffix(b"\r").ok_or(())?;
    *at += length + 1;
    let (kind, rest) = line.split_first().ok_or(())?;
    let text = || String::from_utf8_lossy(rest).into_owned();
    Ok(Some(match kind {
        b':' => Answer::Int(number(rest)?),
        b'+' => Answer::Status(text()),
        b'-' => Answer::Error(text()),
        b'$' => {
            let Ok(size) = usize::try_from(number(rest)?) else { return Ok(Some(Answer::Nil)) };
            let Some(bytes) = input.get(*at..*at + size + 2) else { return Ok(None) };
            *at += size + 2;
            Answer::Bulk(bytes.strip_suffix(b"\r\n").ok_or(())?.to_vec())
        }
        b'*' => {
            let Ok(count) = usize::try_from(number(rest)?) else { return Ok(Some(Answer::Nil)) };
            let mut items = Vec::with_capacity(count.min(4096));
            for _ in 0..count {
                if depth == DEEPEST {
                    return Err(());
                }
                let Some(item) = read(input, at, depth + 1)? else { return Ok(None) };
                items.push(item);
            }
            Answer::List(items)
        }
        _ => return Err(()),
    }))
}

fn number(digits: &[u8]) -> Result<i64, ()> {
    let (is_negative, digits) = digits.strip_prefix(b"-").map_or((false, digits), |rest| (true, rest));
    if digits.is_empty() || digits.len() > 19 {
        return Err(());
    }
    let mut number: i64 = 0;
    for byte in digits {
        let digit = i64::from(byte.checked_sub(b'0').filter(|digit| *digit < 10).ok_or(())?);
        number = number.checked_mul(10).and_then(|number| number.checked_add(digit)).ok_or(())?;
    }
    Ok(if is_negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_once_they_are_whole_and_not_before() {
        let text = b"*6\r\n:-12\r\n+OK\r\n-ERR no\r\n$4\r\na\r\nb\r\n$-1\r\n*1\r\n:7\r\n";
        for end in 0..text.len() {
            assert_eq!(parse(&text[..end]), Ok(None), "{end}");
        }
        let whole = Answer::List(vec![
            Answer::Int(-12),
            Answer::Status("OK".to_owned()),
            Answer::Error("ERR no".to_owned()),
            Answer::Bulk(b"a\r\nb".to_vec()),
            Answer::Nil,
            Answer::List(vec![Answer::Int(7)]),
        ]);
        assert_eq!(parse(&[text, &b":1\r\n"[..]].concat()), Ok(Some((whole, text.len()))));
    }

    #[test]
    fn what_is_no_reply_is_told() {
        for text in ["HTTP/1.1 400\r\n", ":\r\n", ":1x\r\n", "$1\r\nabc\r\n", "+a\n", "\r\n"] {
            assert_eq!(parse(text.as_bytes()), Err(()), "{text:?}");
        }
    }
}
