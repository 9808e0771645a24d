//! Key patterns: `user:{id}:profile`. `{name}` captures a run of one or more bytes without `:`, `{name*}` one or more
//! bytes of any kind, and `{{` and `}}` stand for braces. Matching is exact and done here; the server only gets a glob
//! that lets through at least what matches.

mod compare;
mod parse;

pub(crate) use compare::{inverts, is_one_slot, may_overlap};
pub(crate) use parse::Fault;

/// A pattern for names of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    text: String,
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Capture {
        name: String,
        /// Whether it also takes colons.
        is_wide: bool,
    },
}

/// What the captures of a pattern stand for in one key, in the order of the pattern's captures.
pub(crate) type Found<'k> = Vec<&'k [u8]>;

impl Pattern {
    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The names it stands for, for people: with a star for each capture.
    pub(crate) fn starred(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Part::Capture { .. } => "*".to_owned(),
        };
        self.parts.iter().map(part).collect()
    }

    /// The names of the captures, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture { name, .. } => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// What `SCAN MATCH` is given. It lets through more than what matches, and never less.
    pub(crate) fn glob(&self) -> Vec<u8> {
        let mut glob = Vec::new();
        for part in &self.parts {
            match part {
                Part::Capture { .. } => glob.push(b'*'),
                Part::Literal(bytes) => {
                    for byte in bytes {
                        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'^' | b'-' | b'\\') {
                            glob.push(b'\\');
                        }
                        glob.push(*byte);
                    }
                }
            }
        }
        glob
    }

    /// What each capture stands for in a key, the first of them as short as can be; nothing if it does not match.
    pub(crate) fn matches<'k>(&self, key: &'k [u8]) -> Option<Found<'k>> {
        let mut found = Vec::with_capacity(4);
        self.match_from(0, key, &mut found).then_some(found)
    }

    fn match_from<'k>(&self, at: usize, rest: &'k [u8], found: &mut Found<'k>) -> bool {
        match self.parts.get(at) {
            None => rest.is_empty(),
            Some(Part::Literal(bytes)) => {
                rest.strip_prefix(bytes.as_slice()).is_some_and(|rest| self.match_from(at + 1, rest, found))
            }
            Some(Part::Capture { name, is_wide }) => {
                if let Some(known) = self.names().take(found.len()).position(|known| known == name) {
                    let Some(after) = rest.strip_prefix(found[known]) else { return false };
                    found.push(&rest[..rest.len() - after.len()]);
                    return self.match_from(at + 1, after, found) || found.pop().is_none();
                }
                let most = match is_wide {
                    true => rest.len(),
                    false => rest.iter().position(|byte| *byte == b':').unwrap_or(rest.len()),
                };
                let least = if at + 1 == self.parts.len() { rest.len() } else { 1 };
                (least.max(1)..=most).any(|length| {
                    // Most tries fail at the first byte behind the capture.
                    if let Some(Part::Literal(next)) = self.parts.get(at + 1)
                        && rest.get(length) != next.first()
                    {
                        return false;
                    }
                    found.push(&rest[..length]);
                    self.match_from(at + 1, &rest[length..], found) || found.pop().is_none()
                })
            }
        }
    }
}

/// Names made from those that match another pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Fill>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fill {
    Literal(Vec<u8>),
    /// The capture of the source with this index.
    Capture(usize),
}

impl Template {
    /// The names of `to` for keys of `from`; the name of a capture that `from` has not.
    pub(crate) fn new(from: &Pattern, to: &Pattern) -> Result<Self, String> {
        let fill = |part: &Part| match part {
            Part::Literal(bytes) => Ok(Fill::Literal(bytes.clone())),
            Part::Capture { name, .. } => {
                from.names().position(|known| known == name).map(Fill::Capture).ok_or_else(|| name.clone())
            }
        };
        Ok(Self { parts: to.parts.iter().map(fill).collect::<Result<_, _>>()? })
    }

    /// Writes the name into `name`.
    pub(crate) fn expand(&self, found: &[&[u8]], name: &mut Vec<u8>) {
        name.clear();
        for part in &self.parts {
            match part {
                Fill::Literal(bytes) => name.extend_from_slice(bytes),
                Fill::Capture(index) => name.extend_from_slice(found[*index]),
            }
        }
    }
}

#[cfg(test)]
mod tests;
