//! Values for people: as much of two of them as tells how they differ.

use dunlin_core::Result;

use crate::hands::Hands;
use crate::pairs::Keys;
use crate::quote::quote;
use crate::sliced;
use crate::tally::shorten;
use crate::wire::Answer;

/// Both values, and in what they differ.
pub(crate) async fn both((one, other): Keys<'_>, what: &str, hands: &mut Hands<'_>) -> Result<String> {
    let (left, right) = match what {
        "TTL" => (ttl(one, hands).await?, ttl(other, hands).await?),
        _ => (value(one, hands).await?, value(other, hands).await?),
    };
    Ok(format!("another {what} than {}: {} and {}", quote(other), half(&left), half(&right)))
}

/// Two of them fit where one value is shown.
fn half(text: &str) -> String {
    if text.chars().count() <= 70 { text.to_owned() } else { text.chars().take(69).chain(['…']).collect() }
}

async fn ttl(key: &[u8], hands: &mut Hands<'_>) -> Result<String> {
    let left = sliced::one(hands, key, &[b"PTTL", key]).await?.int().unwrap_or(-2);
    Ok(if left < 0 { "none".to_owned() } else { format!("{left} ms") })
}

/// The beginning of a value, with its type where it is not a string.
async fn value(key: &[u8], hands: &mut Hands<'_>) -> Result<String> {
    let kind = sliced::one(hands, key, &[b"TYPE", key]).await?.text().unwrap_or_default();
    let words: &[&[u8]] = match kind.as_str() {
        "string" => &[b"GETRANGE", key, b"0", b"200"],
        "list" => &[b"LRANGE", key, b"0", b"9"],
        "zset" => &[b"ZRANGE", key, b"0", b"9", b"WITHSCORES"],
        "hash" => &[b"HSCAN", key, b"0", b"COUNT", b"10"],
        "set" => &[b"SSCAN", key, b"0", b"COUNT", b"10"],
        _ => return Ok(kind),
    };
    // It may have become another type in between.
    let Ok(answer) = sliced::one(hands, key, words).await else { return Ok(kind) };
    let items = match answer {
        Answer::Bulk(bytes) => return Ok(shorten(&quote(&bytes))),
        answer if matches!(kind.as_str(), "hash" | "set") => sliced::scanned(answer).1,
        answer => answer.all_bytes(),
    };
    let shown: Vec<String> = items.iter().take(20).map(|item| quote(item)).collect();
    Ok(shorten(&format!("{kind} {}", shown.join(" "))))
}
