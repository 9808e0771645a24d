//! Keys whose other name lives in another slot: read with `DUMP`, written with `RESTORE` where that slot lives, and for a
//! rename deleted only if they still are what was read.

use dunlin_core::Result;

use crate::chunk::{Entry, Page};
use crate::hands::Hands;
use crate::moves::Existing;
use crate::pairs::{ask, is_torn};
use crate::tally::Tally;
use crate::wire::Answer;
use crate::{error, quote, script};

/// How often a key is read again that changes while it is moved.
const ROUNDS: u32 = 8;

/// A value on its way.
struct Cargo {
    index: usize,
    dump: Vec<u8>,
    /// When it ends, in milliseconds; below zero for never.
    ends: i64,
}

/// Carries what was read of some entries over; gives back those whose name was taken, to be looked at again.
pub(crate) async fn carry(
    page: &Page,
    read: Vec<(usize, Answer, Answer)>,
    (is_rename, existing): (bool, Existing),
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<Vec<usize>> {
    let mut unsure = Vec::new();
    let mut cargo = load(read, hands, tally)?;
    for round in 0.. {
        if cargo.is_empty() {
            break;
        }
        let landed = restore(page, cargo, (existing == Existing::Replace, &mut unsure), hands, tally).await?;
        if !is_rename {
            tally.done += u64::try_from(landed.len()).unwrap_or(u64::MAX);
            break;
        }
        // What changed since it was read is taken back where it landed, and read again.
        let changed = drop_all(page, landed, |entry| &entry.key, hands, tally).await?;
        let again: Vec<usize> = changed.iter().map(|cargo| cargo.index).collect();
        drop_all(page, changed, |entry| &entry.name, hands, &mut Tally::default()).await?;
        if round + 1 == ROUNDS {
            for index in again {
                tally.list(&page.entries[index].key, "changes faster than it can be moved".to_owned());
            }
            break;
        }
        let keys: Vec<&[u8]> = again.iter().map(|index| page.entries[*index].key.as_slice()).collect();
        let answers = ask(&keys, &[&[b"DUMP"], &[b"PEXPIRETIME"]], hands).await?;
        let read = again.into_iter().zip(answers).filter_map(|(index, answers)| {
            let [dump, ends] = <[Answer; 2]>::try_from(answers).ok()?;
            Some((index, dump, ends))
        });
        cargo = load(read.collect(), hands, tally)?;
    }
    Ok(unsure)
}

fn load(read: Vec<(usize, Answer, Answer)>, hands: &Hands<'_>, tally: &mut Tally) -> Result<Vec<Cargo>> {
    let mut cargo = Vec::new();
    for (index, dump, ends) in read {
        match (dump, ends) {
            (Answer::Error(said), _) | (_, Answer::Error(said)) if is_torn(&said) => tally.is_torn = true,
            (Answer::Error(said), _) | (_, Answer::Error(said)) => {
                return Err(error::said(&said, "cannot read a key", &hands.url()));
            }
            (Answer::Bulk(dump), Answer::Int(ends)) if ends != -2 => cargo.push(Cargo { index, dump, ends }),
            _ => tally.gone += 1,
        }
    }
    Ok(cargo)
}

/// Writes all of it; gives back what was written.
async fn restore(
    page: &Page,
    cargo: Vec<Cargo>,
    (is_replace, unsure): (bool, &mut Vec<usize>),
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<Vec<Cargo>> {
    for Cargo { index, dump, ends } in &cargo {
        let name = &page.entries[*index].name;
        let ends = (*ends).max(0).to_string();
        let words: [&[u8]; 6] = [b"RESTORE", name, ends.as_bytes(), dump, b"ABSTTL", b"REPLACE"];
        let wire = hands.of(name).await?;
        wire.push(&words[..if is_replace { 6 } else { 5 }]);
        wire.ease().await?;
    }
    hands.flush().await?;
    let mut landed = Vec::with_capacity(cargo.len());
    let mut failure = None;
    for item in cargo {
        let name = &page.entries[item.index].name;
        match hands.of(name).await?.answer().await? {
            Answer::Status(_) => landed.push(item),
            Answer::Error(said) if said.starts_with("BUSYKEY") => unsure.push(item.index),
            Answer::Error(said) if is_torn(&said) => tally.is_torn = true,
            Answer::Error(said) => failure = failure.or(Some((said, name))),
            _ => {}
        }
    }
    match failure {
        None => Ok(landed),
        Some((said, name)) => {
            let text = format!("RESTORE {}", quote::quote(name));
            Err(error::refused(&said, &text, None, &hands.url()))
        }
    }
}

/// Deletes keys that still are what was read of them; gives back those that are not.
async fn drop_all(
    page: &Page,
    cargo: Vec<Cargo>,
    key: fn(&Entry) -> &Vec<u8>,
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<Vec<Cargo>> {
    for Cargo { index, .. } in &cargo {
        hands.of(key(&page.entries[*index])).await?.load(&script::DROP).await?;
    }
    for Cargo { index, dump, ends } in &cargo {
        let key = key(&page.entries[*index]);
        let wire = hands.of(key).await?;
        wire.push_script(&script::DROP, &[key], &[dump, ends.to_string().as_bytes()]);
        wire.ease().await?;
    }
    hands.flush().await?;
    let mut changed = Vec::new();
    for item in cargo {
        match hands.of(key(&page.entries[item.index])).await?.answer().await? {
            Answer::Int(1) => tally.done += 1,
            Answer::Error(said) if is_torn(&said) => tally.is_torn = true,
            Answer::Error(said) => {
                return Err(error::said(&said, "cannot delete a key that was moved", &hands.url()));
            }
            _ => changed.push(item),
        }
    }
    Ok(changed)
}
