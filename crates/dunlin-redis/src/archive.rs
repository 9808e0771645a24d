//! What contracts and changes set aside, in the slot it came from and with a TTL: keys that were deleted, under
//! `{dunlin-<slot>}:archive:<tag>:<end>:<key>` (an end of 0 is the key's own, which it has there, too), and ends that keys had, under `{dunlin-<slot>}:archive:<tag>:<key>`.

use std::collections::BTreeMap;

use dunlin_core::{Archive, Error, ErrorKind, EventKind, Result, Session as _, Timestamp, Version};
use tokio::sync::Mutex;

use crate::chunk::{self, Entry, Page};
use crate::crew::Crew;
use crate::hands::Hands;
use crate::keys::Keys;
use crate::moves::call::Said;
use crate::moves::task::{Job, Task};
use crate::moves::{Kept, What};
use crate::pairs::ask;
use crate::pattern::Pattern;
use crate::session::Session;
use crate::store::Store;
use crate::survey::Survey;
use crate::tally::Tally;
use crate::walk::Walk;
use crate::wire::Answer;
use crate::{error, quote};

/// How many keys of an archive are asked when they end.
const ASKED: usize = 100;

/// What a script of the archive is given beside the keys.
pub(crate) fn args(what: &What, (slot, entries): (u16, &[Entry]), keys: &Keys) -> Vec<Vec<u8>> {
    let text = |number: u64| number.to_string().into_bytes();
    match what {
        What::Archive { tag, keep, .. } => vec![keys.archive(slot, tag).into_bytes(), text(*keep)],
        What::End { ttl, is_only_missing, tag, keep, .. } => {
            let ttl = ttl.map_or_else(|| b"-1".to_vec(), text);
            let only = if *is_only_missing { "yes" } else { "no" };
            vec![ttl, only.into(), keys.archive(slot, tag).into_bytes(), text(*keep)]
        }
        What::Restore { kept: Kept::Keys, .. } => {
            entries.iter().map(|entry| end_in(&entry.key, &entry.name)).collect()
        }
        _ => Vec::new(),
    }
}

/// Counts what such a script says of the keys of a page: 1 done, 4 done and kept in the archive, 0 gone, 2 left, 3 the
/// same.
pub(crate) fn count(page: &Page, said: &[Said], tally: &mut Tally) {
    for (entry, said) in page.entries.iter().zip(said) {
        match said {
            Said::Code(1) => tally.done += 1,
            Said::Code(4) => {
                tally.done += 1;
                tally.aside += 1;
            }
            Said::Code(2) => {
                tally.kept += 1;
                // What comes out of the archive has a name there, and its own.
                if !entry.name.is_empty() {
                    tally.list(&entry.name, "was written since, and stays as it is".to_owned());
                }
            }
            Said::Code(3) => tally.same += 1,
            Said::Torn => tally.is_torn = true,
            _ => tally.gone += 1,
        }
    }
}

/// When the key was to end of which this is the archived name.
fn end_in(archived: &[u8], key: &[u8]) -> Vec<u8> {
    let before = archived.strip_suffix(key).and_then(|rest| rest.strip_suffix(b":")).unwrap_or_default();
    before.rsplit(|byte| *byte == b':').next().unwrap_or_default().to_vec()
}

/// All archives, in order of version.
pub(crate) async fn list(store: &Store) -> Result<Vec<Archive>> {
    let survey = Survey::take(store).await?;
    let pattern = store.keys.archives(None);
    let mut found: BTreeMap<String, (u64, Vec<Vec<u8>>)> = BTreeMap::new();
    let mut crew = Crew::readers(store.clone());
    let keep = |key: Vec<u8>| {
        let Some(parts) = pattern.matches(&key) else { return };
        let (count, asked) = found.entry(String::from_utf8_lossy(parts[1]).into_owned()).or_default();
        *count += 1;
        if asked.len() < ASKED {
            asked.push(key);
        }
    };
    each(&pattern, &survey, &mut crew, keep).await?;
    let url = store.target.url.clone();
    let shared = Mutex::new(crew);
    let mut hands = Hands::new(&shared, &survey.map, &url);
    let mut archives = Vec::new();
    for (tag, (count, asked)) in found {
        let Some(version) = version(&tag) else { continue };
        let keys: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
        let ends = ask(&keys, &[&[b"PEXPIRETIME"]], &mut hands).await?;
        let last = ends.iter().filter_map(|answers| answers[0].int()).filter(|ends| *ends > 0).max();
        let words = if count == 1 { "key" } else { "keys" };
        let first = asked.first().map(|key| quote::quote(key)).unwrap_or_default();
        let what = format!("archive of {count} {words}, such as {first}");
        let name = family(&store.keys, &tag);
        archives.push(Archive { version, name, what, expires: last.map(Timestamp) });
    }
    hands.rest().await;
    archives.sort();
    Ok(archives)
}

/// Comes past the keys of archives, on every server; past some of them perhaps twice, as every scan does.
pub(crate) async fn each(
    pattern: &Pattern,
    survey: &Survey,
    crew: &mut Crew,
    mut keep: impl FnMut(Vec<u8>),
) -> Result<()> {
    for (place, _) in survey.servers.values() {
        let mut wire = crew.wire(place).await?;
        let mut cursor = "0".to_owned();
        loop {
            chunk::ask_page(&mut wire, &cursor, &pattern.glob(), 1000, None);
            wire.flush().await?;
            let answer = wire.answer().await?;
            if let Answer::Error(said) = &answer {
                return Err(error::said(said, "cannot look at the archives", wire.url()));
            }
            let mut parts = answer.list().into_iter();
            cursor = parts.next().and_then(Answer::text).unwrap_or_else(|| "0".to_owned());
            parts.next().map(Answer::all_bytes).unwrap_or_default().into_iter().for_each(&mut keep);
            if cursor == "0" {
                break;
            }
        }
        crew.give(place, wire);
    }
    Ok(())
}

/// The name of all keys of an archive together.
pub(crate) fn family(keys: &Keys, tag: &str) -> String {
    keys.archives(Some(tag)).starred()
}

/// The version in a tag: `20261121_2`.
pub(crate) fn version(tag: &str) -> Option<Version> {
    let (version, number) = tag.rsplit_once('_')?;
    number.parse::<u32>().ok()?;
    Version::parse(version)
}

/// Removes one for good.
pub(crate) async fn purge(session: &mut Session, archive: &Archive) -> Result<()> {
    let tag =
        archive.name.split(":archive:").nth(1).and_then(|rest| rest.split(':').next()).unwrap_or_default();
    if version(tag).is_none() || archive.name != family(&session.store.keys, tag) {
        let message = format!("{} is no archive of dunlin's", archive.name);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let what =
        What::Delete { keys: session.store.keys.archives(Some(tag)), if_same_as: None, is_copy: false };
    let survey = Survey::take(&session.store).await?;
    let keys = session.store.keys.clone();
    let mut task = Task::new(Job::Move(&what), None, &survey.map, &keys)?;
    task.is_own = true;
    let (mut walk, mut tally) = (Walk::new(&survey), Tally::default());
    let pace = session.store.target.pace.clone();
    session.crew.tidy().await?;
    // Before anything goes, so that whoever misses it learns who removed it.
    let history = session.store.read_history().await?;
    let record = history.live(&archive.version).cloned();
    if let Some(record) = &record {
        session.note(record, EventKind::Marked, &archive.purging()).await?;
    }
    loop {
        if session.heartbeat.is_lost() {
            return Err(error::lost());
        }
        let with = (&mut session.crew, &mut BTreeMap::new());
        if walk.bout(&task, (&survey, &pace), with, &mut tally).await? {
            break;
        }
    }
    match &record {
        Some(record) => session.note(record, EventKind::Marked, &archive.purged()).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archived_name_says_when_the_key_was_to_end() {
        assert_eq!(end_in(b"{dunlin-000001}:archive:1_1:-1:a:b", b"a:b"), b"-1");
        assert_eq!(end_in(b"{dunlin-000001}:archive:1_1:1795706359742:a", b"a"), b"1795706359742");
        assert_eq!(version("20261121_2").map(|version| version.to_string()).as_deref(), Some("20261121"));
        assert!(version("20261121").is_none() && version("x_1").is_none());
    }
}
