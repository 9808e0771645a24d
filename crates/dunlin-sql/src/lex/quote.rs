//! Where quoted text ends.

/// The first place from `from` on whose byte is wanted.
pub(super) fn find(bytes: &[u8], from: usize, is_wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.iter().position(|byte| is_wanted(*byte)).map(|length| from + length)
}

/// The end of a text that began before `from` and ends with `mark`; a doubled mark stands for itself, and so does a
/// byte after a backslash if there are `escapes`. Whether it ended at all comes second.
pub(super) fn end(bytes: &[u8], from: usize, mark: u8, escapes: bool) -> (usize, bool) {
    let mut at = from;
    while let Some(found) = find(bytes, at, |byte| byte == mark || (escapes && byte == b'\\')) {
        let doubled = bytes[found] != mark || bytes.get(found + 1) == Some(&mark);
        if !doubled {
            return (found + 1, true);
        }
        at = found + 2;
    }
    (bytes.len(), false)
}

/// The end of an `E'…'` text of PostgreSQL, whose parts may stand on several lines: the escapes hold for all of them.
pub(super) fn escaped(bytes: &[u8], from: usize) -> (usize, bool) {
    let (mut stop, mut is_closed) = end(bytes, from, b'\'', true);
    while let Some(next) = is_closed.then(|| continuation(bytes, stop)).flatten() {
        (stop, is_closed) = end(bytes, next, b'\'', true);
    }
    (stop, is_closed)
}

/// The inside of the next part of a text: blanks with a line break among them, then a quote.
fn continuation(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    let mut has_break = false;
    loop {
        match (*bytes.get(at)?, bytes.get(at + 1)) {
            (b'\n' | b'\r', _) => has_break = true,
            (byte, _) if super::is_blank(byte) => {}
            (b'-', Some(b'-')) => at = super::line_end(bytes, at) - 1,
            (b'\'', _) if has_break => return Some(at + 1),
            _ => return None,
        }
        at += 1;
    }
}

/// The end of a `$tag$ … $tag$` text of PostgreSQL, if one begins at `at`.
pub(super) fn dollar(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let close = find(bytes, at + 1, |byte| !super::is_word(byte))?;
    let is_tag = bytes[close] == b'$' && !bytes[at + 1].is_ascii_digit();
    if !is_tag {
        return None;
    }
    let tag = &bytes[at..=close];
    let mut from = close + 1;
    while let Some(found) = find(bytes, from, |byte| byte == b'$') {
        if bytes[found..].starts_with(tag) {
            return Some((found + tag.len(), true));
        }
        from = found + 1;
    }
    Some((bytes.len(), false))
}
