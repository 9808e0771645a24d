//! JSON objects that are strings, and hashes: the one made of the other.

use std::collections::BTreeMap;

use dunlin_core::Result;
use serde_json::value::RawValue;

use crate::chunk::{Entry, Page};
use crate::hands::Hands;
use crate::moves::task::Sent;
use crate::moves::{Shape, What};
use crate::pairs::{ask, is_torn};
use crate::quote;
use crate::tally::Tally;
use crate::wire::Answer;
use crate::{error, script};

/// Why what is too big is not converted: it would be read and written in one go, for which everybody else waits.
pub(crate) const TOO_BIG: &str = "takes more than 1 MiB, too much to be converted in one go";

/// What a key holds, and what is made of it.
struct Made {
    index: usize,
    held: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    /// How long the key still lives, in milliseconds, where only we can tell.
    left: i64,
}

impl Made {
    /// Whether the key, read again, holds what it held: a hash may list it in another order.
    fn is_held(&self, now: &Answer) -> bool {
        let pairs = |words: &[Vec<u8>]| -> BTreeMap<Vec<u8>, Vec<u8>> {
            words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
        };
        match now {
            Answer::Bulk(text) => self.held.as_slice() == std::slice::from_ref(text),
            now => pairs(&self.held) == pairs(&now.clone().all_bytes()),
        }
    }
}

/// Converts a page, or only says what of it cannot be.
pub(crate) async fn page(
    what: &What,
    is_judge: bool,
    (page, answers): (Page, Vec<Answer>),
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let What::Convert { into, is_lenient, is_back, .. } = what else { return Ok(()) };
    for entry in page.entries.iter().filter(|entry| entry.is_big) {
        if is_judge || !is_lenient && !is_back {
            tally.list(&entry.key, TOO_BIG.to_owned());
        } else {
            tally.kept += 1;
        }
    }
    let mut all = Vec::new();
    for (sent, answer) in page.sent.iter().zip(answers) {
        let Sent::One(index) = *sent else { continue };
        let key = &page.entries[index].key;
        let held = match answer {
            Answer::Bulk(text) => vec![text],
            Answer::List(items) => items.into_iter().filter_map(Answer::bytes).collect(),
            Answer::Error(said) if is_torn(&said) => {
                tally.is_torn = true;
                continue;
            }
            Answer::Error(said) if !said.starts_with("WRONGTYPE") => {
                return Err(error::said(&said, "cannot read a key", &hands.url()));
            }
            _ => Vec::new(),
        };
        if held.is_empty() {
            tally.gone += 1;
            continue;
        }
        match if *into == Shape::Hash { fields(&held[0]) } else { object(&held) } {
            Ok(made) => all.push(Made { index, held, words: made, left: -1 }),
            Err(_) if *is_lenient || *is_back => tally.kept += 1,
            Err(why) => tally.list(key, format!("{why}: {}", quote::quote(&held[0]))),
        }
    }
    if is_judge { Ok(()) } else { write((*into, *is_back), &page, all, hands, tally).await }
}

/// The fields of a JSON object.
pub(crate) fn fields(text: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let Ok(object) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(text) else {
        return Err("no JSON object");
    };
    if object.is_empty() {
        return Err("an object without fields cannot be a hash");
    }
    let mut words = Vec::with_capacity(object.len() * 2);
    for (name, value) in object {
        words.push(name.into_bytes());
        // A number stays as it is written: not every one fits into 64 bits.
        words.push(match value.get().as_bytes() {
            [b'"', ..] => {
                serde_json::from_str::<String>(value.get()).map_err(|_| "no JSON object")?.into_bytes()
            }
            [b'{' | b'[', ..] => return Err("holds more than plain values"),
            b"null" => return Err("holds a null"),
            plain => plain.to_vec(),
        });
    }
    Ok(words)
}

/// The JSON object of some fields and values, all of them texts, in order of name.
pub(crate) fn object(words: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut object = BTreeMap::new();
    for pair in words.chunks_exact(2) {
        let [name, value] = [&pair[0], &pair[1]].map(|word| std::str::from_utf8(word));
        object.insert(
            name.map_err(|_| "holds a name that is no text")?,
            value.map_err(|_| "holds a value that is no text")?,
        );
    }
    Ok(vec![serde_json::to_vec(&object).map_err(|_| "cannot be written as JSON")?])
}

async fn write(
    (into, is_back): (Shape, bool),
    page: &Page,
    all: Vec<Made>,
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let kind: &[u8] = if into == Shape::Hash { b"hash" } else { b"text" };
    let verb: &[u8] = if is_back { b"drop" } else { b"write" };
    let sent = look_again(into, page, all, hands, tally).await?;
    for made in &sent {
        hands.of(&page.entries[made.index].name).await?.load(&script::CONVERT).await?;
    }
    for Made { index, held, words: made, left } in &sent {
        let Entry { key, name, is_crossing, .. } = &page.entries[*index];
        let (counts, left) = ([held.len().to_string(), made.len().to_string()], left.to_string());
        let mut args = vec![kind, verb, counts[0].as_bytes()];
        args.extend(held.iter().map(Vec::as_slice));
        args.push(counts[1].as_bytes());
        args.extend(made.iter().map(Vec::as_slice));
        args.push(left.as_bytes());
        let wire = hands.of(name).await?;
        let keys: [&[u8]; 2] = [key, name];
        wire.push_script(&script::CONVERT, &keys[usize::from(*is_crossing)..], &args);
        wire.ease().await?;
    }
    hands.flush().await?;
    for Made { index, .. } in &sent {
        let entry = &page.entries[*index];
        match hands.of(&entry.name).await?.answer().await? {
            Answer::Int(0 | 4) => tally.done += 1,
            Answer::Int(1 | 5) => tally.same += 1,
            Answer::Int(2) => tally.list(&entry.key, "changed while it was converted".to_owned()),
            Answer::Int(3) if is_back => tally.kept += 1,
            Answer::Int(3) => {
                tally.list(&entry.key, format!("{} holds something else", quote::quote(&entry.name)));
            }
            Answer::Error(said) if is_torn(&said) => tally.is_torn = true,
            Answer::Error(said) => {
                return Err(error::refused(&said, &quote::quote(&entry.key), None, &hands.url()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Looks once more at keys whose other name lives in another slot, where the script cannot see them: what they hold now, and
/// when it ends. What is written there later is like any write after a conversion.
async fn look_again(
    into: Shape,
    page: &Page,
    all: Vec<Made>,
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<Vec<Made>> {
    let (crossing, mut sent): (Vec<Made>, Vec<Made>) =
        all.into_iter().partition(|made| page.entries[made.index].is_crossing);
    let keys: Vec<&[u8]> = crossing.iter().map(|made| page.entries[made.index].key.as_slice()).collect();
    let read: &[u8] = if into == Shape::Hash { b"GET" } else { b"HGETALL" };
    for (made, answers) in crossing.into_iter().zip(ask(&keys, &[&[read], &[b"PTTL"]], hands).await?) {
        let key = &page.entries[made.index].key;
        let [now, left] = <[Answer; 2]>::try_from(answers).expect("two were asked for");
        match (now, left) {
            (Answer::Error(said), _) | (_, Answer::Error(said)) if is_torn(&said) => tally.is_torn = true,
            (_, Answer::Int(-2)) => tally.gone += 1,
            (now, Answer::Int(left)) if made.is_held(&now) => sent.push(Made { left, ..made }),
            _ => tally.list(key, "changed while it was converted".to_owned()),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: Result<Vec<Vec<u8>>, &'static str>) -> Result<Vec<String>, &'static str> {
        words.map(|words| words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect())
    }

    #[test]
    fn plain_objects_become_fields_and_nothing_else_does() {
        let made = texts(fields(br#"{"b":"x y","a":1.50,"c":true}"#));
        assert_eq!(made.unwrap(), ["a", "1.50", "b", "x y", "c", "true"]);
        for text in ["[1]", "x", "{}", r#"{"a":null}"#, r#"{"a":{}}"#] {
            assert!(fields(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn fields_become_an_object_of_texts() {
        let words = ["b", "1", "a", "x\"y"].map(|word| word.as_bytes().to_vec());
        assert_eq!(texts(object(&words)).unwrap(), [r#"{"a":"x\"y","b":"1"}"#]);
        assert!(object(&[b"a".to_vec(), vec![0xff]]).is_err());
    }
}
