//! Commands that only look. A reply that is anything but nothing is a violation: nil, 0, `"0"`, an empty text, an empty
//! list, a list of nothings, and the `none` of `TYPE` are nothing.

use dunlin_core::{Check, Checked, Result, Violation};
use redis::Value;

use crate::apart::request;
use crate::moves::{self, Look};
use crate::op::{Command, Op};
use crate::place::{self, Place};
use crate::store::Store;
use crate::{error, quote};

/// How much of a value is shown.
const SHOWN: usize = 200;

/// How many findings are listed.
const LISTED: usize = 1000;

/// Asks all questions.
pub(crate) async fn run(store: &Store, check: &Check<'_>) -> Result<Checked> {
    if let Some(look) = check.op.kind::<Look>() {
        return moves::look::run(store, look, check).await;
    }
    let op: &Op = check.op.own()?;
    let mut violations = Vec::new();
    for command in &op.commands {
        let room = LISTED.saturating_sub(violations.len());
        for reply in ask(store, command).await? {
            let found = found(&reply).into_iter().take(room);
            violations.extend(found.map(|found| Violation::new(format!("{}: {found}", command.text()))));
        }
    }
    Ok(Checked::Wholly { violations, unlisted: 0, scanned: 0 })
}

async fn ask(store: &Store, command: &Command) -> Result<Vec<Value>> {
    let net = &store.net;
    let request = request(command);
    let fail = |failure| error::of_command(&failure, &command.text(), command.span, &store.target.url);
    let slot = match place::of(store, std::slice::from_ref(command)).await? {
        Place::Slot { slot, .. } | Place::Apart(slot) => slot,
        Place::Here => store.keys.slot(),
        Place::Everywhere => {
            let mut replies = Vec::new();
            for primary in net.primaries().await {
                replies.push(net.call_at(&primary, &request).await?.map_err(fail)?);
            }
            return Ok(replies);
        }
    };
    Ok(vec![net.ask(slot, &request).await?.map_err(fail)?])
}

/// What a reply holds that should not be there.
fn found(reply: &Value) -> Vec<String> {
    match reply {
        Value::Array(items) | Value::Set(items) => items.iter().flat_map(found).collect(),
        Value::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).flat_map(found).collect(),
        Value::Nil | Value::Int(0) | Value::Boolean(false) => Vec::new(),
        Value::Int(number) => vec![number.to_string()],
        Value::BulkString(bytes) if bytes.is_empty() || bytes == b"0" => Vec::new(),
        Value::BulkString(bytes) => vec![shorten(&quote::quote(bytes))],
        Value::SimpleString(text) if text == "none" => Vec::new(),
        Value::SimpleString(text) => vec![shorten(text)],
        Value::Okay => vec!["OK".to_owned()],
        other => vec![shorten(&format!("{other:?}"))],
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        text.to_owned()
    } else {
        text.chars().take(SHOWN).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nothing_is_nothing() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        for nothing in [
            Value::Nil,
            Value::Int(0),
            bulk(""),
            bulk("0"),
            Value::Array(vec![Value::Nil, Value::Array(Vec::new()), bulk("0")]),
            Value::SimpleString("none".to_owned()),
        ] {
            assert!(found(&nothing).is_empty(), "{nothing:?}");
        }
        assert_eq!(found(&Value::Array(vec![bulk("a b"), Value::Nil, Value::Int(2)])), ["\"a b\"", "2"]);
        assert_eq!(found(&Value::Okay), ["OK"]);
    }
}
