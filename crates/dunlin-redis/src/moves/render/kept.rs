//! What has to do with the archive, in words and commands.

use crate::moves::{Kept, What};
use crate::quote::quote;

impl Kept {
    fn word(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Ends => "ends",
        }
    }
}

/// The names of an archive, as they are shown: the slot is that of the key.
pub(super) fn archived(tag: &str, rest: &str) -> String {
    quote(format!("{{dunlin-<slot>}}:archive:{tag}:{rest}").as_bytes())
}

/// The name of an op and its settings, in the order in which they are hashed.
pub(super) fn settings(what: &What) -> (&'static str, Vec<(&'static str, String)>) {
    match what {
        What::Archive { keys, tag, keep } => (
            "archive_keys",
            vec![("keys", keys.text().to_owned()), ("tag", tag.clone()), ("keep", keep.to_string())],
        ),
        What::End { keys, ttl, is_only_missing, tag, keep } => {
            let ttl = ttl.map_or_else(|| "none".to_owned(), |ttl| ttl.to_string());
            let only = if *is_only_missing { "missing" } else { "all" };
            let all = vec![
                ("keys", keys.text().to_owned()),
                ("ttl", ttl),
                ("only", only.to_owned()),
                ("tag", tag.clone()),
                ("keep", keep.to_string()),
            ];
            ("end_keys", all)
        }
        What::Restore { keys, tag, kept } => (
            "restore",
            vec![("keys", keys.text().to_owned()), ("tag", tag.clone()), ("kept", kept.word().to_owned())],
        ),
        _ => ("", Vec::new()),
    }
}

/// The commands for one key.
pub(super) fn commands(what: &What) -> Vec<String> {
    let quoted = |text: &str| quote(text.as_bytes());
    match what {
        What::Archive { keys, tag, keep } => {
            let name = archived(tag, &format!("<end>:{}", keys.text()));
            vec![format!("RENAMENX {} {name}", quoted(keys.text())), format!("PEXPIRE {name} {keep}")]
        }
        What::End { keys, ttl, tag, keep, .. } => vec![
            ttl.map_or_else(
                || format!("PERSIST {}", quoted(keys.text())),
                |ttl| format!("PEXPIRE {} {ttl}", quoted(keys.text())),
            ),
            format!("SET {} \"<end before> <end>\" PX {keep}", archived(tag, keys.text())),
        ],
        What::Restore { keys, tag, kept: Kept::Keys } => {
            let name = archived(tag, &format!("<end>:{}", keys.text()));
            vec![
                format!("RENAMENX {name} {}", quoted(keys.text())),
                format!("PEXPIREAT {} <end>", quoted(keys.text())),
                format!("PERSIST {} -- if it was not to end", quoted(keys.text())),
            ]
        }
        What::Restore { keys, tag, kept: Kept::Ends } => vec![
            format!("PEXPIREAT {} <end before> -- if it still ends as it was told to", quoted(keys.text())),
            format!("PERSIST {} -- if it was not to end", quoted(keys.text())),
            format!("UNLINK {}", archived(tag, keys.text())),
        ],
        _ => Vec::new(),
    }
}

/// In a few words.
pub(super) fn summary(what: &What) -> String {
    match what {
        What::Archive { keys, .. } => format!("delete {}, and keep them in the archive", keys.text()),
        What::End { keys, ttl: Some(_), .. } => format!("expire {}", keys.text()),
        What::End { keys, ttl: None, .. } => format!("keep {} for good", keys.text()),
        What::Restore { keys, kept: Kept::Keys, .. } => {
            format!("bring {} back from the archive", keys.text())
        }
        What::Restore { keys, kept: Kept::Ends, .. } => {
            format!("give {} the ends back that they had", keys.text())
        }
        _ => String::new(),
    }
}
