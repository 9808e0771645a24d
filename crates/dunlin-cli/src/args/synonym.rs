//! Words of other tools. Newcomers type them; they work, and dunlin's word is mentioned.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

const SYNONYMS: [(&str, &str); 7] = [
    ("migrate", "up"),
    ("rollback", "down"),
    ("revert", "down"),
    ("info", "status"),
    ("validate", "check"),
    ("stamp", "baseline"),
    ("prune", "purge"),
];

/// The pair of the other tool's word and dunlin's.
pub(super) type Synonym = (&'static str, &'static str);

/// What `parse` makes of the command line with dunlin's word in it, where the fault was another tool's word.
pub(super) fn translated<T>(
    error: &clap::Error,
    arguments: &[OsString],
    parse: impl Fn(&[OsString]) -> Result<T, clap::Error>,
) -> Option<(Result<T, clap::Error>, Synonym)> {
    let (word, ours) = *SYNONYMS.iter().find(|(word, _)| unknown_word(error) == Some(*word))?;
    // The word may also stand somewhere as a value, so each place is tried.
    arguments.iter().enumerate().skip(1).filter(|(_, argument)| *argument == word).find_map(|(at, _)| {
        let mut arguments = arguments.to_vec();
        arguments[at] = ours.into();
        let result = parse(&arguments);
        let is_elsewhere = result.as_ref().is_err_and(|error| unknown_word(error) == Some(word));
        (!is_elsewhere).then_some((result, (word, ours)))
    })
}

fn unknown_word(error: &clap::Error) -> Option<&str> {
    match (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) => Some(word),
        _ => None,
    }
}
