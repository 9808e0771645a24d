//! The text of a configuration as it may be shown: secrets are starred out, letter by letter, so that every place in
//! the text stays where it is.

use std::ops::Range;

/// Words that make the value after them a secret.
const SECRET_WORDS: [&str; 6] = ["password", "passwd", "pass", "secret", "token", "authmechanismproperties"];

/// The same text with `*` in place of every byte of a secret.
pub(super) fn mask(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in secrets(text) {
        bytes[range].fill(b'*');
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Where passwords stand in a text: in URLs, and behind words that announce one. What only names a variable is none.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        found.extend(in_urls(line).into_iter().chain(after_words(line)).filter_map(|range| {
            let secret = &line[range.clone()];
            (!secret.is_empty() && !is_reference(secret)).then_some(start + range.start..start + range.end)
        }));
        start += line.len();
    }
    found
}

/// Whether a secret is written out, outside of every `${…}`.
pub(super) fn is_literal(text: &str, secret: &Range<usize>) -> bool {
    let before = &text[..secret.start];
    let is_inside = before.rfind("${").is_some_and(|open| !before[open..].contains('}'));
    !is_inside && !text[secret.clone()].contains("${")
}

/// Whether a text is one `${…}` and nothing else.
fn is_reference(text: &str) -> bool {
    text.strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| !name.contains([':', '}', '{']))
}

/// `scheme://user:PASSWORD@host`: up to the last `@` of the string, so that too much is hidden rather than too little.
fn in_urls(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, separator) in line.match_indices("://") {
        let authority = at + separator.len();
        let rest = &line[authority..];
        let end = rest.find(['"', '\'', '\n', '\r']).unwrap_or(rest.len());
        let end = rest[..end].find("://").unwrap_or(end);
        let Some(sign) = rest[..end].rfind('@') else { continue };
        let Some(colon) = user_end(&rest[..sign]) else { continue };
        found.push(authority + colon + 1..authority + sign);
    }
    found
}

/// The colon behind the user's name, which may be a `${VAR:-default}`.
fn user_end(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ':' if depth <= 0 => return Some(at),
            _ => {}
        }
    }
    None
}

/// `password=SECRET` in a URL's query, and `password = "SECRET"` as a key.
fn after_words(line: &str) -> Vec<Range<usize>> {
    let lower = line.to_ascii_lowercase();
    let mut found = Vec::new();
    for word in SECRET_WORDS {
        for (at, _) in lower.match_indices(word) {
            let after = at + word.len();
            let rest = &line[after..];
            let Some(value) = rest.trim_start().strip_prefix('=') else { continue };
            let value = value.trim_start();
            let (value, ends): (&str, &[char]) = match value.strip_prefix(['"', '\'']) {
                Some(inner) => (inner, &['"', '\'', '\n', '\r']),
                None => (value, &['&', '"', '\'', '\n', '\r', '#', ' ']),
            };
            let start = line.len() - value.len();
            found.push(start..start + value.find(ends).unwrap_or(value.len()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_starred_out_and_nothing_moves() {
        for (text, shown) in [
            ("url = \"postgres://u:pé@h/d\"\n", "url = \"postgres://u:***@h/d\"\n"),
            ("url = 'redis://:a@b@h'", "url = 'redis://:***@h'"),
            ("url = \"x://u:${PW}@h\"", "url = \"x://u:${PW}@h\""),
            ("url = \"${URL:-x://u:pw@h}\"", "url = \"${URL:-x://u:**@h}\""),
            ("url = \"x://${U:-me}:pw@h\"", "url = \"x://${U:-me}:**@h\""),
            ("url = \"x://h/d?user=u&password=pw&ssl=1\"", "url = \"x://h/d?user=u&password=**&ssl=1\""),
            ("password = \"pw\" # why", "password = \"**\" # why"),
            ("url = \"x://u:pw@h", "url = \"x://u:**@h"),
            ("url = \"sqlite://a.db\"", "url = \"sqlite://a.db\""),
            ("a = \"x://u:p1@h\"\nb = \"x://u:p2@h\"", "a = \"x://u:**@h\"\nb = \"x://u:**@h\""),
        ] {
            assert_eq!(mask(text), shown);
            assert_eq!(mask(text).len(), text.len());
        }
    }
}
