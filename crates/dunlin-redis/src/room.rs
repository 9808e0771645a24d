//! How many keys an op is about, and whether there is room for their copies: from a sample, so that asking costs nothing.

use dunlin_core::words::counted;
use dunlin_core::{Error, ErrorKind, Result};

use crate::chunk;
use crate::crew::Crew;
use crate::moves::task::Task;
use crate::survey::Survey;
use crate::wire::{Answer, Wire};

/// How many pages are looked at on each server.
const PAGES: u32 = 5;
/// How many keys a page has.
const COUNT: u64 = 200;

/// What a sample says.
#[derive(Debug, Default)]
pub(crate) struct Estimate {
    /// How many keys there are.
    pub(crate) keys: u64,
    /// What their values take, in bytes.
    bytes: u64,
}

/// Looks at a few pages on every server, and refuses what would not fit. Says what a reader should know.
pub(crate) async fn survey(
    task: &Task<'_>,
    is_copy: bool,
    survey: &Survey,
    crew: &mut Crew,
) -> Result<(Estimate, Vec<String>)> {
    let mut all = Estimate::default();
    let mut notes = Vec::new();
    for (name, (place, _)) in &survey.servers {
        let mut wire = crew.wire(place).await?;
        let part = sample(task, &mut wire).await?;
        if is_copy {
            notes.extend(check(name, &part, &mut wire).await?);
        }
        crew.give(place, wire);
        all.keys += part.keys;
        all.bytes += part.bytes;
    }
    Ok((all, notes))
}

async fn sample(task: &Task<'_>, wire: &mut Wire) -> Result<Estimate> {
    let all = wire.must(&[b"DBSIZE"], "cannot count the keys").await?.int().unwrap_or_default();
    let (mut cursor, mut asked, mut keys) = ("0".to_owned(), 0, Vec::new());
    for _ in 0..PAGES {
        chunk::ask_page(wire, &cursor, &task.glob(), COUNT, task.kind());
        wire.flush().await?;
        let mut parts = wire.answer().await?.list().into_iter();
        cursor = parts.next().and_then(Answer::text).unwrap_or_else(|| "0".to_owned());
        let page = parts.next().map(Answer::all_bytes).unwrap_or_default();
        keys.extend(page.into_iter().filter_map(|key| task.entry(key)));
        asked += COUNT;
        if cursor == "0" {
            break;
        }
    }
    let found = u64::try_from(keys.len()).unwrap_or_default();
    let all = u64::try_from(all).unwrap_or_default();
    let total = if cursor == "0" { found } else { found.saturating_mul(all.max(asked)) / asked };
    for entry in &keys {
        wire.push(&[b"MEMORY", b"USAGE", &entry.key]);
    }
    wire.flush().await?;
    let mut bytes: u64 = 0;
    for _ in &keys {
        bytes += wire.answer().await?.int().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    }
    Ok(Estimate { keys: total, bytes: bytes.saturating_mul(total) / found.max(1) })
}

async fn check(name: &str, need: &Estimate, wire: &mut Wire) -> Result<Option<String>> {
    let info = wire.must(&[b"INFO", b"memory"], "cannot ask how much memory there is").await?;
    let info = info.text().unwrap_or_default();
    let fact = |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name));
    let number = |name: &str| fact(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let (most, used) = (number("maxmemory:"), number("used_memory:"));
    if most == 0 {
        return Ok(None);
    }
    if used.saturating_add(need.bytes) > most {
        let message = format!(
            "the copies of about {} need about {}, and {name} has room for {}: {} of {} are used",
            counted(need.keys, "key"),
            size(need.bytes),
            size(most.saturating_sub(used)),
            size(used),
            size(most),
        );
        return Err(Error::new(ErrorKind::Statement, message)
            .help("nothing was written; raise `maxmemory`, or use `rename_keys`, which needs no room"));
    }
    let policy = fact("maxmemory_policy:").unwrap_or_default();
    let is_risky = policy.starts_with("allkeys-") || policy.starts_with("volatile-");
    Ok(is_risky
        .then(|| format!("{name} may evict keys when it gets full ({policy}), copies and sources alike")))
}

/// Bytes, for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}
