//! Ops that go through keys, as the commands that they send.

use super::kept;
use crate::moves::{Existing, Shape, What};
use crate::quote::quote;

/// The commands for one key, whose other name may live in another slot.
pub(super) fn commands(what: &What, is_crossing: bool) -> Vec<String> {
    let quoted = |text: &str| quote(text.as_bytes());
    match what {
        What::Rename { pair, existing } | What::Copy { pair, existing, .. } if is_crossing => {
            let [from, to] = [&pair.from, &pair.to].map(|key| quoted(key.text()));
            let mut all = carrying(&from, &to, *existing == Existing::Replace);
            if matches!(what, What::Rename { .. }) {
                all.push(format!("UNLINK {from} -- if it still is what was read"));
            }
            all
        }
        What::Rename { pair, existing } => {
            let verb = if *existing == Existing::Replace { "RENAME" } else { "RENAMENX" };
            vec![format!("{verb} {} {}", quoted(pair.from.text()), quoted(pair.to.text()))]
        }
        What::Copy { pair, existing, .. } => {
            let replace = if *existing == Existing::Replace { " REPLACE" } else { "" };
            vec![format!("COPY {} {}{replace}", quoted(pair.from.text()), quoted(pair.to.text()))]
        }
        What::Delete { keys, if_same_as: None, .. } => vec![format!("UNLINK {}", quoted(keys.text()))],
        What::Delete { keys, if_same_as: Some(other), is_copy } => {
            let holds = if *is_copy { "is there" } else { "holds the same" };
            vec![format!("UNLINK {} -- if {} {holds}", quoted(keys.text()), quoted(other.text()))]
        }
        What::Expire { keys, ttl: Some(ttl), is_only_missing } => {
            let only = if *is_only_missing { " NX" } else { "" };
            vec![format!("PEXPIRE {} {ttl}{only}", quoted(keys.text()))]
        }
        What::Expire { keys, ttl: None, .. } => vec![format!("PERSIST {}", quoted(keys.text()))],
        What::Convert { pair, is_back: true, .. } => {
            vec![format!(
                "UNLINK {} -- if it is what was made of {}",
                quoted(pair.to.text()),
                quoted(pair.from.text())
            )]
        }
        What::Convert { pair, into: Shape::Hash, .. } => vec![
            format!("GET {}", quoted(pair.from.text())),
            format!("HSET {} <field> <value> …", quoted(pair.to.text())),
        ],
        What::Convert { pair, into: Shape::Text, .. } => vec![
            format!("HGETALL {}", quoted(pair.from.text())),
            format!("SET {} <json>", quoted(pair.to.text())),
        ],
        What::RenameField { keys, from, to, .. } => vec![
            format!("HSET {} {} <value of {}>", quoted(keys.text()), quoted(to), quoted(from)),
            format!("HDEL {} {}", quoted(keys.text()), quoted(from)),
        ],
        What::Align { form, differing, is_drop } => {
            let mut all = form.looking();
            all.extend(form.mending(*differing, is_crossing));
            if *is_drop {
                all.push(form.removing());
            }
            all
        }
        What::Archive { .. } | What::End { .. } | What::Restore { .. } => kept::commands(what),
    }
}

/// The commands that copy a key to another slot.
pub(super) fn carrying(from: &str, to: &str, is_replace: bool) -> Vec<String> {
    let replace = if is_replace { " REPLACE" } else { "" };
    vec![
        format!("DUMP {from}"),
        format!("PEXPIRETIME {from}"),
        format!("RESTORE {to} <end> <value> ABSTTL{replace}"),
    ]
}
