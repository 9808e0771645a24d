//! `${VAR}`, `${VAR:-default}` and `$${`, looked up in the environment of the process and then in `.env`.

use std::collections::BTreeMap;
use std::ops::Range;

use super::dotenv::is_name;

/// The variables a configuration may name.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    process: BTreeMap<String, String>,
    dotenv: BTreeMap<String, String>,
}

/// One thing that is wrong with a text that names variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The variable is not set.
    Unset { name: String, range: Range<usize> },
    /// `${` without `}`.
    Open { range: Range<usize> },
    /// What stands between the braces is no name.
    BadName { range: Range<usize> },
}

impl Variables {
    /// Those of this process. Values that are not UTF-8 cannot be named.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A variable's value.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.process.get(name).or_else(|| self.dotenv.get(name)).map(String::as_str)
    }

    /// A variable's value where it is set and not empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// Adds what `.env` says; the environment of the process goes first.
    pub(super) fn add_dotenv(&mut self, values: BTreeMap<String, String>) {
        self.dotenv = values;
    }

    /// The text with its variables replaced, or everything that is wrong with it.
    pub(super) fn expand(&self, text: &str) -> Result<String, Vec<Fault>> {
        let mut faults = Vec::new();
        let expanded = self.expand_from(text, 0, &mut faults);
        if faults.is_empty() { Ok(expanded) } else { Err(faults) }
    }

    fn expand_from(&self, text: &str, offset: usize, faults: &mut Vec<Fault>) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(found) = text[at..].find("${") {
            let start = at + found;
            if text[at..start].ends_with('$') {
                out.push_str(&text[at..start - 1]);
                out.push_str("${");
                at = start + 2;
                continue;
            }
            out.push_str(&text[at..start]);
            let Some(length) = closing_brace(&text[start + 2..]) else {
                faults.push(Fault::Open { range: offset + start..offset + text.len() });
                return out;
            };
            let inner = start + 2..start + 2 + length;
            at = inner.end + 1;
            out.push_str(&self.reference(text, &inner, offset, faults));
        }
        out.push_str(&text[at..]);
        out
    }

    /// The value of what stands between `${` and `}`.
    fn reference(&self, text: &str, inner: &Range<usize>, offset: usize, faults: &mut Vec<Fault>) -> String {
        let body = &text[inner.clone()];
        let (name, default) =
            body.split_once(":-").map_or((body, None), |(name, default)| (name, Some(default)));
        let range = offset + inner.start - 2..offset + inner.end + 1;
        if !is_name(name) {
            faults.push(Fault::BadName { range });
            return String::new();
        }
        match (self.value(name), default) {
            (Some(value), None) => value.to_owned(),
            (Some(value), Some(_)) if !value.is_empty() => value.to_owned(),
            (_, Some(default)) => self.expand_from(default, offset + inner.end - default.len(), faults),
            (None, None) => {
                faults.push(Fault::Unset { name: name.to_owned(), range });
                String::new()
            }
        }
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { process: variables.into_iter().collect(), dotenv: BTreeMap::new() }
    }
}

/// Where the brace that was opened before this text is closed; defaults may name further variables.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' if text[..at].ends_with('$') => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let set = [("A", "1"), ("EMPTY", ""), ("URL", "redis://h/${A}")];
        let mut variables: Variables =
            set.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        variables.add_dotenv([("A".to_owned(), "2".to_owned()), ("B".to_owned(), "3".to_owned())].into());
        variables
    }

    #[test]
    fn variables_defaults_and_escapes_are_replaced() {
        for (text, expanded) in [
            ("x${A}y${B}", "x1y3"),
            ("${NO:-d}${EMPTY:-e}${A:-f}", "de1"),
            ("${NO:-}", ""),
            ("${EMPTY}", ""),
            ("$${A} $A $ {A}", "${A} $A $ {A}"),
            ("${NO:-a${NO:-${B}}c}", "a3c"),
            ("${URL}", "redis://h/${A}"),
        ] {
            assert_eq!(variables().expand(text).unwrap(), expanded, "{text}");
        }
    }

    #[test]
    fn every_fault_is_found_at_its_place() {
        let text = "${NO}é${NO:-${X}} ${} ${A";
        let faults = variables().expand(text).unwrap_err();
        let places = faults.iter().map(|fault| match fault {
            Fault::Unset { range, .. } | Fault::Open { range } | Fault::BadName { range } => {
                &text[range.clone()]
            }
        });
        assert_eq!(places.collect::<Vec<_>>(), ["${NO}", "${X}", "${}", "${A"]);
    }
}
