//! Keys too big to be copied in one go: slice by slice into a draft in the slot of the new name, which gets that name when
//! it is whole. A draft nobody finishes ends by itself.

use std::time::Instant;

use dunlin_core::{Error, ErrorKind, Pace, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::crew::Crew;
use crate::hands::Hands;
use crate::moves::task::{Job, Task};
use crate::moves::{Differing, Existing, Look, What};
use crate::pairs::{Unlike, Verdict};
use crate::quote;
use crate::sliced::{self, BYTES, SLICE, one};
use crate::survey::Survey;
use crate::tally::Tally;
use crate::wire::Answer;

/// How long a draft stays that nobody touches, in milliseconds.
const STAYS: &[u8] = b"86400000";

/// A copy under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    /// The key, quoted.
    key: String,
    kind: String,
    /// Where it goes on: a cursor, or how many elements or bytes there are. None once all of it is there.
    at: Option<String>,
    /// The shape of the servers under which this makes sense.
    shape: String,
}

/// Copies big keys on until the bout is over.
pub(crate) async fn bout(
    task: &Task<'_>,
    (survey, pace): (&Survey, &Pace),
    crew: &mut Crew,
    draft: &mut Option<Draft>,
    tally: &mut Tally,
) -> Result<()> {
    let until = Instant::now() + pace.bout;
    let url = crew.store().target.url.clone();
    let keys = crew.store().keys.clone();
    let shared = Mutex::new(std::mem::replace(crew, Crew::readers(crew.store().clone())));
    let mut hands = Hands::new(&shared, &survey.map, &url);
    let mut outcome = Ok(());
    while outcome.is_ok() && !tally.big.is_empty() {
        outcome = step(task, &survey.shape, (&keys, &mut hands), draft, tally).await;
        if Instant::now() >= until {
            break;
        }
    }
    if outcome.is_ok() {
        hands.rest().await;
    }
    *crew = shared.into_inner();
    outcome.inspect_err(|_| crew.lose())
}

/// One slice of the first of them, or its end.
async fn step(
    task: &Task<'_>,
    shape: &str,
    (keys, hands): (&crate::keys::Keys, &mut Hands<'_>),
    draft: &mut Option<Draft>,
    tally: &mut Tally,
) -> Result<()> {
    let quoted = tally.big[0].clone();
    let words = quote::split(&quoted).map_err(|fault| Error::unexpected(fault.message))?;
    let key = words.into_iter().next().map(|word| word.bytes).unwrap_or_default();
    let Some(entry) = task.entry(key.clone()) else {
        tally.big.remove(0);
        return Ok(());
    };
    let name = keys.draft(hands.map.slot(&entry.name), &key).into_bytes();
    let is_known = draft.as_ref().is_some_and(|draft| draft.key == quoted && draft.shape == shape);
    if !is_known {
        one(hands, &name, &[b"UNLINK", &name]).await?;
        let kind = one(hands, &key, &[b"TYPE", &key]).await?.text().unwrap_or_default();
        *draft = Some(Draft { key: quoted, kind, at: Some("0".to_owned()), shape: shape.to_owned() });
    }
    let state = draft.as_mut().expect("it was just made");
    if let Some(at) = state.at.clone() {
        let is_begun = at != "0";
        let is_there = one(hands, &name, &[b"PEXPIRE", &name, STAYS]).await?.int() == Some(1);
        if is_begun && !is_there {
            // It was away for so long that it ended.
            *draft = None;
            return Ok(());
        }
        match slice(&state.kind, &key, &name, &at, hands).await? {
            Slice::On(next) => state.at = next,
            Slice::Refused(why) => {
                tally.list(&key, why.to_owned());
                tally.big.remove(0);
                *draft = None;
            }
        }
        return Ok(());
    }
    let Some(verdict) = publish(task, (&key, &entry.name, &name), hands).await? else {
        *draft = None;
        return Ok(());
    };
    match tally.count(verdict) {
        None => {}
        Some(Unlike::Missing) => tally.list(&key, "changed while it was copied".to_owned()),
        Some(Unlike::In(_)) if existing(task).1 == Existing::Skip => tally.kept += 1,
        Some(Unlike::In(what)) => {
            tally.list(&key, format!("another {what} than {}", quote::quote(&entry.name)));
        }
    }
    tally.big.remove(0);
    *draft = None;
    Ok(())
}

fn existing(task: &Task<'_>) -> (bool, Existing) {
    match task.job {
        Job::Move(What::Rename { existing, .. }) => (true, *existing),
        Job::Move(What::Copy { existing, .. }) => (false, *existing),
        Job::Move(What::Align { differing, is_drop, .. }) => {
            (*is_drop, if *differing == Differing::First { Existing::Replace } else { Existing::Skip })
        }
        Job::Look(Look::InStep { differing: Differing::First, .. }) => (false, Existing::Replace),
        Job::Look(Look::InStep { .. }) => (false, Existing::Skip),
        _ => (false, Existing::Fail),
    }
}

enum Slice {
    On(Option<String>),
    Refused(&'static str),
}

/// Copies one slice.
async fn slice(kind: &str, key: &[u8], name: &[u8], at: &str, hands: &mut Hands<'_>) -> Result<Slice> {
    let place: usize = at.parse().unwrap_or_default();
    let count = SLICE.to_string();
    let (scan, put): (&[u8], &[u8]) = match kind {
        "hash" => (b"HSCAN", b"HSET"),
        "set" => (b"SSCAN", b"SADD"),
        "zset" => (b"ZSCAN", b"ZADD"),
        "string" => {
            let end = (place + BYTES - 1).to_string();
            let bytes = one(hands, key, &[b"GETRANGE", key, at.as_bytes(), end.as_bytes()]).await?;
            let bytes = bytes.bytes().unwrap_or_default();
            if !bytes.is_empty() {
                one(hands, name, &[b"SETRANGE", name, at.as_bytes(), &bytes]).await?;
            }
            let is_last = bytes.len() < BYTES;
            return Ok(Slice::On((!is_last).then(|| (place + BYTES).to_string())));
        }
        "list" => {
            // What an interrupted run pushed is counted, so that nothing is pushed twice.
            let there = one(hands, name, &[b"LLEN", name]).await?.int().unwrap_or_default();
            let place = usize::try_from(there).unwrap_or_default();
            let (from, to) = (place.to_string(), (place + SLICE - 1).to_string());
            let items = one(hands, key, &[b"LRANGE", key, from.as_bytes(), to.as_bytes()]).await?.all_bytes();
            push(name, &[b"RPUSH"], &items, hands).await?;
            let is_last = items.len() < SLICE;
            return Ok(Slice::On((!is_last).then(|| (place + SLICE).to_string())));
        }
        "stream" => return stream(key, name, at, hands).await,
        "none" => return Ok(Slice::On(None)),
        _ => return Ok(Slice::Refused("of a type that is copied in one go only: say `big = \"at_once\"`")),
    };
    let page = one(hands, key, &[scan, key, at.as_bytes(), b"COUNT", count.as_bytes()]).await?;
    let (next, mut items) = sliced::scanned(page);
    if kind == "zset" {
        // Read as member and score, written as score and member.
        items.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    }
    push(name, &[put], &items, hands).await?;
    if kind == "hash" && hands.map.has_field_ttls {
        field_ends(key, name, &items, hands).await?;
    }
    let next = String::from_utf8_lossy(&next).into_owned();
    Ok(Slice::On((next != "0").then_some(next)))
}

async fn push(name: &[u8], verb: &[&[u8]], items: &[Vec<u8>], hands: &mut Hands<'_>) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let words: Vec<&[u8]> =
        verb.iter().copied().chain([name]).chain(items.iter().map(Vec::as_slice)).collect();
    one(hands, name, &words).await.map(drop)
}

/// Gives fields the ends they had.
async fn field_ends(key: &[u8], name: &[u8], items: &[Vec<u8>], hands: &mut Hands<'_>) -> Result<()> {
    let fields: Vec<&[u8]> = items.iter().step_by(2).map(Vec::as_slice).collect();
    if fields.is_empty() {
        return Ok(());
    }
    let ends = sliced::field_ends(key, &fields, hands).await?;
    for (field, ends) in fields.iter().zip(ends) {
        if let Some(ends) = ends.int().filter(|ends| *ends > 0) {
            let ends = ends.to_string();
            one(hands, name, &[b"HPEXPIREAT", name, ends.as_bytes(), b"FIELDS", b"1", field]).await?;
        }
    }
    Ok(())
}

async fn stream(key: &[u8], name: &[u8], at: &str, hands: &mut Hands<'_>) -> Result<Slice> {
    if !one(hands, key, &[b"XINFO", b"GROUPS", key]).await?.list().is_empty() {
        return Ok(Slice::Refused(
            "a stream with consumer groups is copied in one go only: say `big = \"at_once\"`",
        ));
    }
    let from = if at == "0" { "-".to_owned() } else { format!("({at}") };
    let count = SLICE.to_string();
    let page = one(hands, key, &[b"XRANGE", key, from.as_bytes(), b"+", b"COUNT", count.as_bytes()]).await?;
    let entries = page.list();
    let (is_last, mut last) = (entries.len() < SLICE, at.to_owned());
    for entry in entries {
        let mut parts = entry.list().into_iter();
        let id = parts.next().and_then(Answer::bytes).unwrap_or_default();
        let fields = parts.next().map(Answer::all_bytes).unwrap_or_default();
        last = String::from_utf8_lossy(&id).into_owned();
        let words: Vec<&[u8]> =
            [b"XADD", name, id.as_slice()].into_iter().chain(fields.iter().map(Vec::as_slice)).collect();
        let wire = hands.of(name).await?;
        match wire.call(&words).await? {
            // An interrupted run added it.
            Answer::Error(said) if said.contains("equal or smaller") => {}
            Answer::Error(said) => return Err(Error::new(ErrorKind::Statement, said)),
            _ => {}
        }
    }
    Ok(Slice::On((!is_last).then_some(last)))
}

/// Gives the draft its name, if the key did not change meanwhile; for a rename deletes the key. Nothing where the draft
/// ended before it had a name.
async fn publish(
    task: &Task<'_>,
    (key, name, draft): (&[u8], &[u8], &[u8]),
    hands: &mut Hands<'_>,
) -> Result<Option<Verdict>> {
    let (is_rename, existing) = existing(task);
    let ends = one(hands, key, &[b"PTTL", key]).await?.int().unwrap_or(-2);
    match ends {
        -2 => {
            one(hands, draft, &[b"UNLINK", draft]).await?;
            return Ok(Some(Verdict::NoOne));
        }
        -1 => drop(one(hands, draft, &[b"PERSIST", draft]).await?),
        left => drop(one(hands, draft, &[b"PEXPIRE", draft, left.to_string().as_bytes()]).await?),
    }
    // A run that was cut off here may have named it.
    let is_there = one(hands, draft, &[b"EXISTS", draft]).await? == Answer::Int(1);
    let verb: &[u8] = if existing == Existing::Replace { b"RENAME" } else { b"RENAMENX" };
    let is_taken = is_there && one(hands, draft, &[verb, draft, name]).await? == Answer::Int(0);
    if is_taken {
        one(hands, draft, &[b"UNLINK", draft]).await?;
    }
    Ok(match sliced::compare((key, name), hands).await? {
        Verdict::Same if is_rename => Some(sliced::drop_same((key, name), hands).await?),
        Verdict::Same if is_taken => Some(Verdict::Same),
        Verdict::Same => Some(Verdict::Dropped),
        Verdict::Unlike(_) if !is_there => None,
        verdict => Some(verdict),
    })
}
