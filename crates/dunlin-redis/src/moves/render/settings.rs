//! Ops that go through keys, as they are hashed.

use std::fmt::Write as _;

use super::form::named;
use super::kept;
use crate::moves::{Existing, Shape, What};

impl Existing {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Replace => "replace",
        }
    }
}

/// The name of an op and its settings, in the order in which they are hashed.
pub(super) fn settings(what: &What) -> (&'static str, Vec<(&'static str, String)>) {
    let pair = named;
    match what {
        What::Rename { pair: names, existing } => {
            ("rename_keys", [pair(names), vec![("existing", existing.word().to_owned())]].concat())
        }
        What::Copy { pair: names, existing, is_at_once } => {
            let mut all = pair(names);
            all.push(("existing", existing.word().to_owned()));
            if *is_at_once {
                all.push(("big", "at_once".to_owned()));
            }
            ("copy_keys", all)
        }
        What::Delete { keys, if_same_as, is_copy } => {
            let mut all = vec![("keys", keys.text().to_owned())];
            all.extend(if_same_as.as_ref().map(|other| ("if_same_as", other.text().to_owned())));
            if *is_copy {
                all.push(("copy", "yes".to_owned()));
            }
            ("delete_keys", all)
        }
        What::Expire { keys, ttl, is_only_missing } => {
            let ttl = ttl.map_or_else(|| "none".to_owned(), |ttl| format!("{ttl}ms"));
            let mut all = vec![("keys", keys.text().to_owned()), ("ttl", ttl)];
            if *is_only_missing {
                all.push(("only", "missing".to_owned()));
            }
            ("expire_keys", all)
        }
        What::Convert { pair: names, into, is_lenient, is_back } => {
            let mut all = pair(names);
            all.push(("otherwise", if *is_lenient { "skip" } else { "fail" }.to_owned()));
            if *is_back {
                all.push(("back", "yes".to_owned()));
            }
            (if *into == Shape::Hash { "string_to_hash" } else { "hash_to_string" }, all)
        }
        What::RenameField { keys, from, to, existing } => {
            let mut all = vec![("keys", keys.text().to_owned()), ("from", from.clone()), ("to", to.clone())];
            if *existing != Existing::Fail {
                all.push(("existing", existing.word().to_owned()));
            }
            ("rename_hash_field", all)
        }
        What::Align { form, differing, is_drop } => {
            let mut all = form.settings();
            all.push(("differing", differing.word().to_owned()));
            if *is_drop {
                all.push(("drop", "yes".to_owned()));
            }
            ("align", all)
        }
        What::Archive { .. } | What::End { .. } | What::Restore { .. } => kept::settings(what),
    }
}

pub(super) fn canonical(name: &str, settings: &[(&'static str, String)]) -> String {
    let mut text = format!("keys 1 {name}");
    for (name, value) in settings {
        write!(text, " {name} {}:{value}", value.len()).expect("a String takes everything");
    }
    text
}
