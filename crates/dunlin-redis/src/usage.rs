//! Whether somebody visibly uses keys that a contract would take away. Servers know how long a key was not touched, to the
//! second, and dunlin's own looks touch keys, too. So what counts is the time since the last look of ours came past some
//! keys: what was touched in that time was touched by others. Where that time is too short, it is waited for. What replicas
//! are asked is not seen, nor what is used more rarely.

use std::time::{Duration, Instant};

use dunlin_core::{Followed, Op, Result};
use tokio::sync::Mutex;

use crate::crew::Crew;
use crate::hands::Hands;
use crate::moves::task::{Job, Task};
use crate::moves::{Form, Move, What};
use crate::pairs::ask;
use crate::quote::quote;
use crate::store::Store;
use crate::survey::Survey;
use crate::wire::Answer;
use crate::{chunk, follow};

/// How long the time must be: a server counts in seconds, and looks at its clock ten times in each.
const MOMENT: Duration = Duration::from_millis(1200);
/// After how long it is looked again: longer than a server takes to look at its clock.
const AGAIN: Duration = Duration::from_millis(150);
/// From which count of references on a value is one that other keys have, too: servers keep small numbers once for all of
/// them, and what touches one touches all.
const SHARED: i64 = 2;
/// How many pages of keys are looked at on each server, and how many keys a page has.
const PAGES: (u32, u64) = (10, 200);

/// Keys that the last look of ours came past first, and when that was.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// Which look: the names it goes through.
    glob: Vec<u8>,
    keys: Vec<Vec<u8>>,
    at: Option<Instant>,
}

impl Met {
    /// A look begins, and will come past these.
    pub(crate) fn begin(task: &Task<'_>, keys: Vec<Vec<u8>>) -> Self {
        Self { glob: task.glob(), keys, at: None }
    }

    /// It came past them.
    pub(crate) fn past(&mut self) {
        self.at.get_or_insert_with(Instant::now);
    }
}

/// Who uses what an op takes away, in words.
pub(crate) async fn usage(store: &Store, op: &dyn Op) -> Result<Vec<String>> {
    let Some(Move { what, .. }) = op.kind::<Move>() else { return Ok(Vec::new()) };
    // Whoever uses a hash may use any field of it.
    let is_whole = match what {
        What::Align { form, is_drop, .. } => *is_drop && !matches!(form, Form::Field { .. }),
        What::Archive { .. } => true,
        _ => false,
    };
    if !is_whole {
        return Ok(Vec::new());
    }
    let survey = Survey::take(store).await?;
    let task = Task::new(Job::Move(what), None, &survey.map, &store.keys)?;
    let mut crew = Crew::readers(store.clone());
    let met = std::mem::take(&mut *store.met.lock().await);
    // A walk may come past a key twice, though nobody else touched it: if one seems to be in use, all is looked at once more.
    if let (Some(at), true) = (met.at, met.glob == task.glob())
        && used(&met.keys, at, &survey, &mut crew).await?.is_empty()
    {
        return Ok(Vec::new());
    }
    let keys = sample(&task, &survey, &mut crew).await?;
    let used = used(&keys, Instant::now(), &survey, &mut crew).await?;
    let Some(first) = used.first() else { return Ok(Vec::new()) };
    let words = if used.len() == 1 { "was" } else { "were" };
    let (many, all) = (used.len(), keys.len());
    // A follower reads the old key of whatever is written in the new shape, and no server tells its reads from others'.
    let follower = follow::told(store).await?.into_iter().find(Followed::is_alive);
    let follower = follower.map(|one| {
        format!("; the follower of {}@{} reads some, too: end it, and ask again", one.who, one.host)
    });
    Ok(vec![format!(
        "{many} of {all} keys looked at {words} read or written within a second, such as {first}{}",
        follower.unwrap_or_default()
    )])
}

/// The keys that a walk comes past first, on each server.
pub(crate) async fn sample(task: &Task<'_>, survey: &Survey, crew: &mut Crew) -> Result<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    for (place, _) in survey.servers.values() {
        let mut wire = crew.wire(place).await?;
        let mut cursor = "0".to_owned();
        for _ in 0..PAGES.0 {
            chunk::ask_page(&mut wire, &cursor, &task.glob(), PAGES.1, None);
            wire.flush().await?;
            let mut parts = wire.answer().await?.list().into_iter();
            cursor = parts.next().and_then(Answer::text).unwrap_or_else(|| "0".to_owned());
            let page = parts.next().map(Answer::all_bytes).unwrap_or_default();
            keys.extend(page.into_iter().filter_map(|key| task.entry(key)).map(|entry| entry.key));
            if cursor == "0" {
                break;
            }
        }
        crew.give(place, wire);
    }
    Ok(keys)
}

/// Which of these keys, quoted, were touched since then.
async fn used(keys: &[Vec<u8>], since: Instant, survey: &Survey, crew: &mut Crew) -> Result<Vec<String>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let url = crew.store().target.url.clone();
    let shared = Mutex::new(std::mem::replace(crew, Crew::readers(crew.store().clone())));
    let mut hands = Hands::new(&shared, &survey.map, &url);
    let names: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    tokio::time::sleep(MOMENT.saturating_sub(since.elapsed())).await;
    let is_short = since.elapsed() < MOMENT * 2;
    let mut found = touched(&names, since, &mut hands).await?;
    if found.is_empty() && is_short {
        // A second may have begun between the last touch and the look, and then it looks like a whole one.
        tokio::time::sleep(AGAIN).await;
        found = touched(&names, since, &mut hands).await?;
    }
    hands.rest().await;
    *crew = shared.into_inner();
    Ok(found)
}

/// Those of them that were idle for less time than that.
async fn touched(names: &[&[u8]], since: Instant, hands: &mut Hands<'_>) -> Result<Vec<String>> {
    let quiet = since.elapsed().saturating_sub(MOMENT).as_secs();
    // Under an LFU policy servers count otherwise, and say that they cannot tell.
    let asked: [&[&[u8]]; 2] = [&[b"OBJECT", b"IDLETIME"], &[b"OBJECT", b"REFCOUNT"]];
    let idle = ask(names, &asked, hands).await?;
    let is_used = |answers: &[Answer]| {
        let is_its_own = answers[1].int().is_some_and(|count| count < SHARED);
        let idle = answers[0].int().and_then(|idle| u64::try_from(idle).ok());
        is_its_own && idle.is_some_and(|idle| idle <= quiet)
    };
    Ok(names.iter().zip(idle).filter(|(_, answers)| is_used(answers)).map(|(key, _)| quote(key)).collect())
}
