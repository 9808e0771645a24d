//! Comparing two values slice by slice, however big they are: no command takes longer than one over a slice.

use dunlin_core::{Error, ErrorKind, Result};

use crate::error;
use crate::hands::Hands;
use crate::pairs::{Keys, Unlike, Verdict, ends, is_torn};
use crate::wire::Answer;

/// How many elements a slice has.
pub(crate) const SLICE: usize = 500;
/// How many bytes of a string.
pub(crate) const BYTES: usize = 256 << 10;

const DOING: &str = "cannot compare keys";

/// Asks one thing of a key, of whoever owns it.
pub(crate) async fn one(hands: &mut Hands<'_>, key: &[u8], words: &[&[u8]]) -> Result<Answer> {
    let wire = hands.of(key).await?;
    match wire.call(words).await? {
        Answer::Error(said) if is_torn(&said) => Err(Error::new(
            ErrorKind::Connect,
            "slots moved from one server to another while a big key was gone through",
        )
        .temporary()),
        Answer::Error(said) => Err(error::said(&said, DOING, wire.url())),
        answer => Ok(answer),
    }
}

/// Compares type, value and TTL.
pub(crate) async fn compare(pair: Keys<'_>, hands: &mut Hands<'_>) -> Result<Verdict> {
    let (left, right) = pair;
    let kind = one(hands, left, &[b"TYPE", left]).await?.text().unwrap_or_default();
    let other = one(hands, right, &[b"TYPE", right]).await?.text().unwrap_or_default();
    match (kind.as_str(), other.as_str()) {
        ("none", _) => return Ok(Verdict::NoOne),
        (_, "none") => return Ok(Verdict::Unlike(Unlike::Missing)),
        _ if kind != other => return Ok(Verdict::Unlike(Unlike::In("type"))),
        _ => {}
    }
    let is_same = match kind.as_str() {
        "string" => is_same_run(pair, (b"STRLEN", b"GETRANGE"), BYTES, hands).await?,
        "list" => is_same_run(pair, (b"LLEN", b"LRANGE"), SLICE, hands).await?,
        "zset" => is_same_bag(pair, (b"ZCARD", b"ZSCAN", b"ZMSCORE"), hands).await?,
        "hash" => is_same_bag(pair, (b"HLEN", b"HSCAN", b"HMGET"), hands).await?,
        "set" => is_same_bag(pair, (b"SCARD", b"SSCAN", b"SMISMEMBER"), hands).await?,
        "stream" => is_same_stream(pair, hands).await?,
        _ => {
            let dump = one(hands, left, &[b"DUMP", left]).await?;
            dump == one(hands, right, &[b"DUMP", right]).await?
        }
    };
    if !is_same {
        return Ok(Verdict::Unlike(Unlike::In("value")));
    }
    let left_ends = one(hands, left, &[b"PTTL", left]).await?.int();
    let right_ends = one(hands, right, &[b"PTTL", right]).await?.int();
    Ok(ends(left_ends.unwrap_or(-2), right_ends.unwrap_or(-2)))
}

/// What has an order and can be read from anywhere.
async fn is_same_run(
    (left, right): Keys<'_>,
    (length, range): (&[u8], &[u8]),
    slice: usize,
    hands: &mut Hands<'_>,
) -> Result<bool> {
    let count = one(hands, left, &[length, left]).await?.int().unwrap_or_default();
    if Some(count) != one(hands, right, &[length, right]).await?.int() {
        return Ok(false);
    }
    let (count, mut at) = (usize::try_from(count).unwrap_or_default(), 0);
    while at < count {
        let (from, to) = (at.to_string(), (at + slice - 1).to_string());
        let mine = one(hands, left, &[range, left, from.as_bytes(), to.as_bytes()]).await?;
        if mine != one(hands, right, &[range, right, from.as_bytes(), to.as_bytes()]).await? {
            return Ok(false);
        }
        at += slice;
    }
    Ok(true)
}

/// What has no order: as many on either side, and each of the one in the other.
async fn is_same_bag(
    (left, right): Keys<'_>,
    (length, scan, look): (&[u8], &[u8], &[u8]),
    hands: &mut Hands<'_>,
) -> Result<bool> {
    let count = one(hands, left, &[length, left]).await?;
    if count != one(hands, right, &[length, right]).await? {
        return Ok(false);
    }
    let has_values = scan != b"SSCAN";
    let mut cursor = b"0".to_vec();
    loop {
        let page = one(hands, left, &[scan, left, &cursor, b"COUNT", SLICE.to_string().as_bytes()]).await?;
        let (next, items) = scanned(page);
        let names: Vec<&[u8]> =
            items.iter().step_by(if has_values { 2 } else { 1 }).map(Vec::as_slice).collect();
        if !names.is_empty() {
            let found = one(hands, right, &[&[look, right], &names[..]].concat()).await?.list();
            let is_same = if has_values {
                let values = items.iter().skip(1).step_by(2);
                found.into_iter().map(Answer::bytes).eq(values.map(|value| Some(value.clone())))
            } else {
                found.iter().all(|found| *found == Answer::Int(1))
            };
            let has_ends = scan == b"HSCAN" && hands.map.has_field_ttls;
            if !is_same
                || (has_ends
                    && field_ends(left, &names, hands).await? != field_ends(right, &names, hands).await?)
            {
                return Ok(false);
            }
        }
        if next == b"0" {
            return Ok(true);
        }
        cursor = next;
    }
}

/// When fields of a hash end.
pub(crate) async fn field_ends(key: &[u8], fields: &[&[u8]], hands: &mut Hands<'_>) -> Result<Vec<Answer>> {
    let count = fields.len().to_string();
    let words = [&[b"HPEXPIRETIME".as_slice(), key, b"FIELDS", count.as_bytes()], fields].concat();
    Ok(one(hands, key, &words).await?.list())
}

/// A page of `HSCAN` and its siblings: where it goes on, and what it holds.
pub(crate) fn scanned(page: Answer) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut parts = page.list().into_iter();
    let next = parts.next().and_then(Answer::bytes).unwrap_or_else(|| b"0".to_vec());
    (next, parts.next().map(Answer::all_bytes).unwrap_or_default())
}

async fn is_same_stream((left, right): Keys<'_>, hands: &mut Hands<'_>) -> Result<bool> {
    let mut from = b"-".to_vec();
    loop {
        let count = SLICE.to_string();
        let page = one(hands, left, &[b"XRANGE", left, &from, b"+", b"COUNT", count.as_bytes()]).await?;
        if page != one(hands, right, &[b"XRANGE", right, &from, b"+", b"COUNT", count.as_bytes()]).await? {
            return Ok(false);
        }
        let last =
            page.list().pop().and_then(|entry| entry.list().into_iter().next()).and_then(Answer::bytes);
        let Some(last) = last else { break };
        from = [b"(".as_slice(), &last].concat();
    }
    // Groups and their pending entries are few; what they hold counts, and not when somebody was last seen.
    let groups = one(hands, left, &[b"XINFO", b"GROUPS", left]).await?;
    Ok(groups == one(hands, right, &[b"XINFO", b"GROUPS", right]).await?)
}

/// Deletes the one of two that are the same, if neither changes while they are compared.
pub(crate) async fn drop_same(pair: Keys<'_>, hands: &mut Hands<'_>) -> Result<Verdict> {
    one(hands, pair.0, &[b"WATCH", pair.0]).await?;
    let verdict = compare(pair, hands).await;
    if !matches!(verdict, Ok(Verdict::Same)) {
        one(hands, pair.0, &[b"UNWATCH"]).await?;
        return verdict;
    }
    one(hands, pair.0, &[b"MULTI"]).await?;
    one(hands, pair.0, &[b"UNLINK", pair.0]).await?;
    let done = one(hands, pair.0, &[b"EXEC"]).await?;
    Ok(if done == Answer::Nil { Verdict::Unlike(Unlike::In("value")) } else { Verdict::Dropped })
}
