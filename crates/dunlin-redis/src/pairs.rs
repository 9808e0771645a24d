//! Comparing pairs of keys: in the server where both are in one slot and the login may run scripts, else here. What is
//! encoded otherwise or listed in another order is the same all the same.

use std::collections::BTreeMap;

use dunlin_core::Result;

use crate::hands::{Hands, Map};
use crate::moves::call::Said;
use crate::wire::Answer;
use crate::{error, script, sliced};

/// How big a value may be that is copied or compared in one go, in bytes.
pub(crate) const BIG: i64 = 1 << 20;
/// How far two TTLs may be apart, in milliseconds: a copy may be made by hand.
pub(crate) const SLACK: i64 = 2000;

/// What came of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// The one is not there.
    NoOne,
    /// They were the same, and the one was deleted.
    Dropped,
    /// Slots are on the move: nothing can be said.
    Torn,
    /// They are not the same.
    Unlike(Unlike),
}

/// Why two keys are not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlike {
    /// The other is not there.
    Missing,
    /// They differ in this.
    In(&'static str),
}

/// Two keys.
pub(crate) type Keys<'k> = (&'k [u8], &'k [u8]);

/// Whether an error says that the keys are elsewhere, or not all in one place.
pub(crate) fn is_torn(said: &str) -> bool {
    ["MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN"].iter().any(|word| said.starts_with(word))
        || said.contains("non local key")
}

/// How many keys, or pairs of keys, one script or command is about: what everybody else waits for.
pub(crate) const MANY: usize = 50;

/// What `same.lua` is given beside the keys.
pub(crate) fn args(is_drop: bool, map: &Map) -> Vec<Vec<u8>> {
    let fields: &[u8] = if map.has_field_ttls { b"yes" } else { b"no" };
    let verb: &[u8] = if is_drop { b"drop" } else { b"look" };
    vec![BIG.to_string().into_bytes(), SLACK.to_string().into_bytes(), verb.to_vec(), fields.to_vec()]
}

/// Compares all pairs, and deletes the one of each where `is_drop` says so and both are the same.
pub(crate) async fn compare(
    pairs: &[Keys<'_>],
    is_drop: bool,
    has_scripts: bool,
    hands: &mut Hands<'_>,
) -> Result<Vec<Verdict>> {
    let mut verdicts = vec![None; pairs.len()];
    let mut groups: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (index, (one, other)) in pairs.iter().enumerate() {
        let slot = hands.map.slot(one);
        if has_scripts && slot == hands.map.slot(other) {
            groups.entry(slot).or_default().push(index);
        }
    }
    for slot in groups.keys() {
        hands.at(*slot).await?.load(&script::SAME).await?;
    }
    let args = args(is_drop, hands.map);
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let mut calls: Vec<(u16, Vec<usize>)> = Vec::new();
    for (slot, group) in groups {
        calls.extend(group.chunks(MANY).map(|part| (slot, part.to_vec())));
    }
    for (slot, group) in &calls {
        let keys: Vec<&[u8]> = group.iter().flat_map(|index| [pairs[*index].0, pairs[*index].1]).collect();
        let wire = hands.at(*slot).await?;
        wire.push_script(&script::SAME, &keys, &args);
        wire.ease().await?;
    }
    hands.flush().await?;
    for (slot, group) in &calls {
        let wire = hands.at(*slot).await?;
        match wire.answer().await? {
            Answer::Error(said) if is_torn(&said) => {
                for index in group {
                    verdicts[*index] = Some(Verdict::Torn);
                }
            }
            Answer::Error(said) => return Err(error::said(&said, "cannot compare keys", wire.url())),
            answer => {
                for (index, answer) in group.iter().zip(answer.list()) {
                    verdicts[*index] = answer.int().and_then(verdict);
                }
            }
        }
    }
    apart(pairs, is_drop, &mut verdicts, hands).await?;
    Ok(verdicts.into_iter().map(|verdict| verdict.expect("every pair got one")).collect())
}

/// The verdicts that a script came to, where it was sent and could tell.
pub(crate) fn verdicts(said: &[Said]) -> Vec<Option<Verdict>> {
    let of = |said: &Said| match *said {
        Said::Code(code) => verdict(code),
        Said::Torn => Some(Verdict::Torn),
        Said::Nothing => None,
    };
    said.iter().map(of).collect()
}

/// All verdicts, where some are known.
pub(crate) async fn settle(
    pairs: &[Keys<'_>],
    mut known: Vec<Option<Verdict>>,
    (is_drop, has_scripts): (bool, bool),
    hands: &mut Hands<'_>,
) -> Result<Vec<Verdict>> {
    let open: Vec<usize> = (0..pairs.len()).filter(|index| known[*index].is_none()).collect();
    if !open.is_empty() {
        let asked: Vec<Keys<'_>> = open.iter().map(|index| pairs[*index]).collect();
        let verdicts = compare(&asked, is_drop, has_scripts, hands).await?;
        open.iter().zip(verdicts).for_each(|(index, verdict)| known[*index] = Some(verdict));
    }
    Ok(known.into_iter().map(|verdict| verdict.expect("every pair got one")).collect())
}

/// The codes of `same.lua`; nothing where the values are too big for it.
fn verdict(code: i64) -> Option<Verdict> {
    Some(match code {
        0 => Verdict::Same,
        1 => Verdict::NoOne,
        2 => Verdict::Unlike(Unlike::Missing),
        3 => Verdict::Unlike(Unlike::In("type")),
        4 => Verdict::Unlike(Unlike::In("value")),
        5 => Verdict::Unlike(Unlike::In("TTL")),
        7 => Verdict::Dropped,
        _ => return None,
    })
}

/// What is read of a key to compare it.
#[derive(Debug, Default, Clone)]
struct Read {
    size: i64,
    dump: Option<Vec<u8>>,
    ends: i64,
}

/// Compares the pairs that have no verdict yet, here.
async fn apart(
    pairs: &[Keys<'_>],
    is_drop: bool,
    verdicts: &mut [Option<Verdict>],
    hands: &mut Hands<'_>,
) -> Result<()> {
    let open: Vec<usize> = (0..pairs.len()).filter(|index| verdicts[*index].is_none()).collect();
    if open.is_empty() {
        return Ok(());
    }
    let keys: Vec<&[u8]> = open.iter().flat_map(|index| [pairs[*index].0, pairs[*index].1]).collect();
    let sizes = ask(&keys, &[&[b"MEMORY", b"USAGE"]], hands).await?;
    let is_small = |key: usize| sizes[key][0].int().is_some_and(|size| size <= BIG);
    let small: Vec<usize> = (0..keys.len()).filter(|key| is_small(*key) && is_small(*key ^ 1)).collect();
    let small_keys: Vec<&[u8]> = small.iter().map(|key| keys[*key]).collect();
    let read = ask(&small_keys, &[&[b"DUMP"], &[b"PEXPIRETIME"]], hands).await?;
    let mut reads: Vec<Read> =
        sizes.iter().map(|size| Read { size: size[0].int().unwrap_or(-1), ..Read::default() }).collect();
    for (key, answers) in small.iter().zip(read) {
        let [dump, ends] = <[Answer; 2]>::try_from(answers).unwrap_or([Answer::Nil, Answer::Nil]);
        (reads[*key].dump, reads[*key].ends) = (dump.bytes(), ends.int().unwrap_or(-2));
    }
    for (at, index) in open.iter().enumerate() {
        let is_torn = sizes[2 * at..2 * at + 2]
            .iter()
            .any(|size| matches!(&size[0], Answer::Error(said) if is_torn(said)));
        let (one, other) = (&reads[2 * at], &reads[2 * at + 1]);
        let verdict = if is_torn {
            Verdict::Torn
        } else if one.size < 0 {
            Verdict::NoOne
        } else if other.size < 0 {
            Verdict::Unlike(Unlike::Missing)
        } else if one.dump.is_some() && one.dump == other.dump {
            ends(one.ends, other.ends)
        } else {
            sliced::compare(pairs[*index], hands).await?
        };
        verdicts[*index] = Some(match verdict {
            Verdict::Same if is_drop => drop_one(pairs[*index], one, hands).await?,
            verdict => verdict,
        });
    }
    Ok(())
}

/// Deletes a key that has its equal elsewhere, if it did not change since.
async fn drop_one(pair: Keys<'_>, read: &Read, hands: &mut Hands<'_>) -> Result<Verdict> {
    let Some(dump) = &read.dump else { return sliced::drop_same(pair, hands).await };
    let wire = hands.of(pair.0).await?;
    wire.load(&script::DROP).await?;
    wire.push_script(&script::DROP, &[pair.0], &[dump, read.ends.to_string().as_bytes()]);
    wire.flush().await?;
    match wire.answer().await? {
        Answer::Error(said) if is_torn(&said) => Ok(Verdict::Torn),
        Answer::Error(said) => Err(error::said(&said, "cannot delete a key that was copied", wire.url())),
        answer => {
            Ok(if answer.int() == Some(1) { Verdict::Dropped } else { Verdict::Unlike(Unlike::In("value")) })
        }
    }
}

/// Whether two ends are about the same; both in milliseconds, below zero for keys that stay.
pub(crate) fn ends(one: i64, other: i64) -> Verdict {
    let is_same = (one < 0) == (other < 0) && one.abs_diff(other) <= SLACK.unsigned_abs();
    if is_same { Verdict::Same } else { Verdict::Unlike(Unlike::In("TTL")) }
}

/// Sends these commands for each key, to whoever owns it, and gathers the answers.
pub(crate) async fn ask(
    keys: &[&[u8]],
    commands: &[&[&[u8]]],
    hands: &mut Hands<'_>,
) -> Result<Vec<Vec<Answer>>> {
    for key in keys {
        let wire = hands.of(key).await?;
        for command in commands {
            wire.head(command.len() + 1);
            command.iter().for_each(|word| wire.word(word));
            wire.word(key);
        }
        wire.ease().await?;
    }
    hands.flush().await?;
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        let wire = hands.of(key).await?;
        let mut answers = Vec::with_capacity(commands.len());
        for _ in commands {
            answers.push(wire.answer().await?);
        }
        all.push(answers);
    }
    Ok(all)
}
