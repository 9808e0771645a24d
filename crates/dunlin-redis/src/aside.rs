//! What a way back needs that an archive must still have. How much was set aside, and for how long, is in the journal, with
//! the step that did it; how much is there is counted.

use dunlin_core::{Archive, EventKind, Op, Result, Store as _};
use redis::cmd;

use crate::archive::{each, family, version};
use crate::crew::Crew;
use crate::error;
use crate::keys::Keys;
use crate::moves::{Encoding, Form, Kept, Move, Shape, What};
use crate::store::{Store, server_time};
use crate::survey::Survey;

/// What a journal line begins with that says how much was set aside.
const ASIDE: &str = "set aside ";
/// What it has where the archive forgets with the keys.
const LIVES: &str = ", as long as they live";

/// What the journal says of an op that set something aside: how much, for how long, and where. A process that was killed may
/// have set aside some more.
pub(crate) fn words(what: &What, count: u64, keys: &Keys) -> Option<String> {
    let (things, tag, keep, lives) = match what {
        What::End { ttl, tag, keep, .. } => {
            ("the ends of ", tag, *keep, if ttl.is_some_and(|ttl| *keep >= ttl) { LIVES } else { "" })
        }
        What::Archive { tag, keep, .. }
        | What::Align {
            form: Form::Encoding(Encoding { tag, keep, into: Shape::Hash, .. }),
            is_drop: true,
            ..
        } => ("", tag, *keep, ""),
        _ => return None,
    };
    let seconds = keep.div_ceil(1000);
    let s = plural(count);
    Some(format!("{ASIDE}{things}{count} key{s} for {seconds} s{lives} ({})", family(keys, tag)))
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// What such a line says: how much, and for how many seconds.
fn read(line: &str) -> Option<(u64, i64)> {
    let said = line.strip_prefix(ASIDE)?.trim_start_matches("the ends of ");
    let (count, rest) = said.split_once(" key")?;
    let (_, rest) = rest.split_once(" for ")?;
    let (seconds, _) = rest.split_once(" s")?;
    Some((count.parse().ok()?, seconds.parse().ok()?))
}

/// What an op brings back from the archive of which something is missing, in words.
pub(crate) async fn gone(store: &Store, op: &dyn Op) -> Result<Vec<String>> {
    let Some(Move { what, .. }) = op.kind::<Move>() else { return Ok(Vec::new()) };
    let (What::Restore { tag, .. }
    | What::Align {
        form: Form::Encoding(Encoding { tag, into: Shape::Text, .. }), is_drop: false, ..
    }) = what
    else {
        return Ok(Vec::new());
    };
    let Some(version) = version(tag) else { return Ok(Vec::new()) };
    let name = family(&store.keys, tag);
    let events = store.journal(Some(&version), u32::MAX).await?;
    let end = format!(" ({name})");
    let set = events.iter().rev().filter(|event| event.kind == EventKind::StepDone).find_map(|event| {
        let said = event.detail.as_deref()?.strip_suffix(&end)?;
        said.starts_with(ASIDE).then_some((event, said))
    });
    let Some((event, said)) = set else { return Ok(Vec::new()) };
    let Some((count, seconds)) = read(said) else { return Ok(Vec::new()) };
    let is_keys = matches!(what, What::Restore { kept: Kept::Keys, .. });
    let there = count_of(store, tag, is_keys).await?;
    if there >= count {
        return Ok(Vec::new());
    }
    if said.ends_with(LIVES) {
        let time = store.net.ask(store.keys.slot(), &cmd("TIME")).await?;
        let time =
            time.map_err(|failure| error::own_state(&failure, "cannot ask for the time", &store.net))?;
        // The keys ended with what was known of them.
        if server_time(&time).is_some_and(|now| now >= event.at.0 + seconds * 1000) {
            return Ok(Vec::new());
        }
    }
    let mut later = events.iter().rev().take_while(|later| later.sequence > event.sequence);
    let purged = later.find_map(|later| Archive::purged_as(later, &name));
    let missing = format!("archive of {count} key{}, of which {there} are there ({name})", plural(count));
    Ok(vec![purged.map_or(missing, str::to_owned)])
}

/// How many keys an archive has; of those that were deleted, only those which would still be there by themselves.
async fn count_of(store: &Store, tag: &str, is_keys: bool) -> Result<u64> {
    let survey = Survey::take(store).await?;
    let pattern = store.keys.archives(Some(tag));
    let (mut crew, mut count) = (Crew::readers(store.clone()), 0);
    let keep = |key: Vec<u8>| {
        let counts =
            |parts: Vec<&[u8]>| !is_keys || !parts.last().is_some_and(|rest| rest.starts_with(b"0:"));
        count += u64::from(pattern.matches(&key).is_some_and(counts));
    };
    each(&pattern, &survey, &mut crew, keep).await?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_journal_says_how_much_was_set_aside_and_for_how_long() {
        let keys = Keys::new(None);
        let archive = What::Archive {
            keys: crate::pattern::Pattern::parse("a{x}").unwrap(),
            tag: "1_1".to_owned(),
            keep: 60_000,
        };
        let line = words(&archive, 7, &keys).unwrap();
        assert_eq!(line, "set aside 7 keys for 60 s ({dunlin-*}:archive:1_1:*)");
        assert_eq!(read(&line), Some((7, 60)));
        assert_eq!(read("set aside the ends of 9 keys for 5 s, as long as they live"), Some((9, 5)));
        assert_eq!(read("set aside"), None);
    }
}
