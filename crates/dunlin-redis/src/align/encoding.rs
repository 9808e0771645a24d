//! A JSON object that is a string, and a hash of another name, brought in step. They are when the fields that the string
//! says are those of the hash.

use std::collections::BTreeMap;

use dunlin_core::Result;

use super::{ROUNDS, Rule, Way};
use crate::chunk::{Entry, Page};
use crate::convert::{TOO_BIG, fields, object};
use crate::hands::Hands;
use crate::keys::Keys;
use crate::moves::{Encoding, Shape};
use crate::pairs::{Unlike, Verdict, ask, ends, is_torn};
use crate::tally::Tally;
use crate::wire::Answer;
use crate::{error, quote, script};

type Words = Vec<Vec<u8>>;

/// What is there of a key.
enum Held {
    Missing,
    /// A value of another type than it should have.
    Other,
    Torn,
    /// What it holds, and how long it still lives in milliseconds.
    Value(Words, i64),
}

/// What a script is to do about an entry.
struct Order<'e> {
    entry: &'e Entry,
    verb: &'static [u8],
    /// From the second to the first.
    is_back: bool,
    held: Words,
    made: Words,
    left: i64,
    is_lossy: bool,
}

/// Brings a page in step.
pub(super) async fn encodings(
    form: &Encoding,
    rule: Rule,
    (page, keys): (&Page, &Keys),
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let mut open = Vec::new();
    for entry in &page.entries {
        if entry.is_big && form.is_lenient {
            tally.kept += 1;
        } else if entry.is_big {
            tally.list(&entry.key, TOO_BIG.to_owned());
        } else {
            open.push(entry);
        }
    }
    for round in 0..=ROUNDS {
        let orders = judge(form, rule, (open, round), hands, tally).await?;
        let orders = remembered(form, orders, keys, hands).await?;
        if orders.is_empty() {
            return Ok(());
        }
        if round == ROUNDS {
            for order in orders {
                tally.list(&order.entry.key, "is written faster than it can be brought in step".to_owned());
            }
            return Ok(());
        }
        open = carry_out(form, orders, keys, hands, tally).await?;
    }
    Ok(())
}

/// What is to be done about entries; what needs nothing is counted.
async fn judge<'e>(
    form: &Encoding,
    rule: Rule,
    (entries, round): (Vec<&'e Entry>, u32),
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<Vec<Order<'e>>> {
    let firsts = read(form.into != Shape::Hash, entries.iter().map(|entry| &*entry.key), hands).await?;
    let seconds = read(form.into == Shape::Hash, entries.iter().map(|entry| &*entry.name), hands).await?;
    let mut orders = Vec::new();
    for ((entry, first), second) in entries.into_iter().zip(firsts).zip(seconds) {
        match first {
            Held::Value(held, left) => {
                orders.extend(order(form, rule, (entry, round), ((held, left), second), tally));
            }
            Held::Torn => tally.is_torn = true,
            Held::Missing | Held::Other => tally.gone += 1,
        }
    }
    Ok(orders)
}

/// What is to be done about one, where the first is there.
fn order<'e>(
    form: &Encoding,
    rule: Rule,
    (entry, round): (&'e Entry, u32),
    ((held, left), second): ((Words, i64), Held),
    tally: &mut Tally,
) -> Option<Order<'e>> {
    let made = match up(form.into, &held) {
        Ok(made) => made,
        Err(_) if form.is_lenient => {
            tally.kept += 1;
            return None;
        }
        Err(why) => {
            tally.list(&entry.key, format!("{why}: {}", quote::quote(&held[0])));
            return None;
        }
    };
    let verdict = verdict(form.into, (&held, left), &second);
    let plain = Order { entry, verb: b"write", is_back: false, held, made, left, is_lossy: false };
    if verdict == Verdict::Same && rule.is_drop {
        let Held::Value(other, _) = second else { return None };
        let is_lossy = form.into == Shape::Hash && object(&plain.made).ok().as_ref() != Some(&plain.held);
        return Some(Order { verb: b"take", made: other, is_lossy, ..plain });
    }
    if round > 0 && verdict == Verdict::Same {
        tally.done += 1;
        return None;
    }
    match (rule.way(tally.count(verdict)?), second) {
        (Way::Stay, _) => tally.kept += 1,
        (Way::Fill, _) => return Some(plain),
        (Way::Over, _) => return Some(Order { verb: b"replace", ..plain }),
        (Way::Back, Held::Value(other, left)) if up(form.back(), &other).is_ok() => {
            let made = up(form.back(), &other).unwrap_or_default();
            return Some(Order { verb: b"replace", is_back: true, held: other, made, left, ..plain });
        }
        (Way::List | Way::Back, second) => tally.list(&entry.key, shown(entry, &plain.held, &second)),
    }
    None
}

fn verdict(into: Shape, (held, left): (&[Vec<u8>], i64), second: &Held) -> Verdict {
    match second {
        Held::Torn => Verdict::Torn,
        Held::Missing => Verdict::Unlike(Unlike::Missing),
        Held::Other => Verdict::Unlike(Unlike::In("type")),
        Held::Value(other, _) if !is_in_step(into, held, other) => Verdict::Unlike(Unlike::In("value")),
        Held::Value(_, others_left) => ends(left, *others_left),
    }
}

/// What is made of a value.
fn up(into: Shape, held: &[Vec<u8>]) -> Result<Words, &'static str> {
    if into == Shape::Hash { fields(&held[0]) } else { object(held) }
}

fn is_in_step(into: Shape, held: &[Vec<u8>], other: &[Vec<u8>]) -> bool {
    let (string, hash) = if into == Shape::Hash { (held, other) } else { (other, held) };
    fields(&string[0]).is_ok_and(|made| pairs(&made) == pairs(hash))
}

fn pairs(words: &[Vec<u8>]) -> BTreeMap<&[u8], &[u8]> {
    words.chunks_exact(2).map(|pair| (pair[0].as_slice(), pair[1].as_slice())).collect()
}

fn shown(entry: &Entry, held: &[Vec<u8>], second: &Held) -> String {
    let joined = |words: &[Vec<u8>]| {
        let words: Vec<String> = words.iter().map(|word| quote::quote(word)).collect();
        words.join(" ")
    };
    let name = quote::quote(&entry.name);
    match second {
        Held::Value(other, _) => format!("{} -- {name}: {}", joined(held), joined(other)),
        Held::Missing => format!("{name} is missing"),
        Held::Other | Held::Torn => format!("{name} is of another type"),
    }
}

/// Reads values, and how long they live.
async fn read<'k>(
    is_hash: bool,
    keys: impl Iterator<Item = &'k [u8]>,
    hands: &mut Hands<'_>,
) -> Result<Vec<Held>> {
    let keys: Vec<&[u8]> = keys.collect();
    let read: &[u8] = if is_hash { b"HGETALL" } else { b"GET" };
    let mut all = Vec::with_capacity(keys.len());
    for answers in ask(&keys, &[&[read], &[b"PTTL"]], hands).await? {
        let [value, left] = <[Answer; 2]>::try_from(answers).expect("two were asked for");
        all.push(match (value, left) {
            (Answer::Error(said), _) | (_, Answer::Error(said)) if is_torn(&said) => Held::Torn,
            (Answer::Error(said), _) if said.starts_with("WRONGTYPE") => Held::Other,
            (Answer::Error(said), _) | (_, Answer::Error(said)) => {
                return Err(error::said(&said, "cannot read a key", &hands.url()));
            }
            (_, Answer::Int(-2)) => Held::Missing,
            (Answer::Bulk(text), Answer::Int(left)) => Held::Value(vec![text], left),
            (Answer::List(items), Answer::Int(left)) if !items.is_empty() => {
                Held::Value(items.into_iter().filter_map(Answer::bytes).collect(), left)
            }
            _ => Held::Missing,
        });
    }
    Ok(all)
}

/// A string that a contract took away is written again as it was, as long as it says what the hash holds.
async fn remembered<'e>(
    form: &Encoding,
    mut orders: Vec<Order<'e>>,
    keys: &Keys,
    hands: &mut Hands<'_>,
) -> Result<Vec<Order<'e>>> {
    let is_text = |order: &Order<'_>| form.into == Shape::Text && order.verb == b"write";
    let names: Vec<Vec<u8>> = orders
        .iter()
        .filter(|order| is_text(order))
        .map(|order| name(form, keys, &order.entry.name, hands))
        .collect();
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    let mut known = ask(&names, &[&[b"GET"]], hands).await?.into_iter();
    for order in orders.iter_mut().filter(|order| is_text(order)) {
        let text = known.next().and_then(|answers| answers.into_iter().next()).and_then(Answer::bytes);
        if let Some(text) = text.filter(|text| is_in_step(form.into, &order.held, std::slice::from_ref(text)))
        {
            order.made = vec![text];
        }
    }
    Ok(orders)
}

/// The name of a key in the archive.
fn name(form: &Encoding, keys: &Keys, key: &[u8], hands: &Hands<'_>) -> Vec<u8> {
    [keys.archive(hands.map.slot(key), &form.tag).as_bytes(), key].concat()
}

/// Does it, each in one instant; gives back what is to be looked at again.
async fn carry_out<'e>(
    form: &Encoding,
    orders: Vec<Order<'e>>,
    keys: &Keys,
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<Vec<&'e Entry>> {
    let owner = |order: &Order<'e>| -> &'e [u8] {
        let is_first = order.is_back || order.verb == b"take";
        if is_first { &order.entry.key } else { &order.entry.name }
    };
    for order in &orders {
        hands.of(owner(order)).await?.load(&script::CONVERT).await?;
    }
    for order in &orders {
        let Order { entry, verb, is_back, held, made, left, is_lossy } = order;
        let into_hash = (form.into == Shape::Hash) != *is_back;
        let (counts, left) = ([held.len().to_string(), made.len().to_string()], left.to_string());
        let kind: &[u8] = if into_hash { b"hash" } else { b"text" };
        let mut args: Vec<&[u8]> = vec![kind, verb, counts[0].as_bytes()];
        args.extend(held.iter().map(Vec::as_slice));
        args.push(counts[1].as_bytes());
        args.extend(made.iter().map(Vec::as_slice));
        let (from, to): (&[u8], &[u8]) =
            if *is_back { (&entry.name, &entry.key) } else { (&entry.key, &entry.name) };
        let archived = name(form, keys, &entry.key, hands);
        let keep = form.keep.to_string();
        let mut names = vec![from, to];
        if *verb == b"take" {
            args.push(if entry.is_crossing { b"far" } else { b"near" });
            args.push(keep.as_bytes());
            names.truncate(if entry.is_crossing { 1 } else { 2 });
            if *is_lossy {
                names.push(&archived);
            }
        } else {
            args.push(left.as_bytes());
            names.drain(..usize::from(entry.is_crossing));
        }
        let wire = hands.of(owner(order)).await?;
        wire.push_script(&script::CONVERT, &names, &args);
        wire.ease().await?;
    }
    hands.flush().await?;
    let mut again = Vec::new();
    for order in &orders {
        match hands.of(owner(order)).await?.answer().await? {
            Answer::Int(4) => {
                tally.done += 1;
                tally.aside += u64::from(order.is_lossy);
            }
            Answer::Error(said) if is_torn(&said) => tally.is_torn = true,
            Answer::Error(said) => {
                return Err(error::refused(&said, &quote::quote(&order.entry.key), None, &hands.url()));
            }
            _ => again.push(order.entry),
        }
    }
    Ok(again)
}
