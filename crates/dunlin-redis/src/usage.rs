//! Whether somebody visibly uses keys that a contract would take away. Servers know how long a key was not touched, to the
//! second, and dunlin's own looks touch keys, too. So nothing of dunlin's touches any for a moment, and what was touched
//! in that moment was touched by others. What replicas are asked is not seen, nor what is used more rarely.

use std::time::Duration;

use dunlin_core::{Op, Result};
use tokio::sync::Mutex;

use crate::chunk;
use crate::crew::Crew;
use crate::hands::Hands;
use crate::moves::task::{Job, Task};
use crate::moves::{Form, Move, What};
use crate::pairs::ask;
use crate::quote::quote;
use crate::store::Store;
use crate::survey::Survey;
use crate::wire::Answer;

/// How long is waited: a server counts in seconds, and looks at its clock ten times in each.
const MOMENT: Duration = Duration::from_millis(1200);
/// How many pages of keys are looked at on each server, and how many keys a page has.
const PAGES: (u32, u64) = (10, 200);

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
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    tokio::time::sleep(MOMENT).await;
    let url = store.target.url.clone();
    let shared = Mutex::new(crew);
    let mut hands = Hands::new(&shared, &survey.map, &url);
    let names: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    // Under an LFU policy servers count otherwise, and say that they cannot tell.
    let idle = ask(&names, &[&[b"OBJECT", b"IDLETIME"]], &mut hands).await?;
    hands.rest().await;
    let used = |(key, answers): (&&[u8], Vec<Answer>)| (answers[0].int() == Some(0)).then(|| quote(key));
    let used: Vec<String> = names.iter().zip(idle).filter_map(used).collect();
    let Some(first) = used.first() else { return Ok(Vec::new()) };
    let words = if used.len() == 1 { "was" } else { "were" };
    let (many, all) = (used.len(), names.len());
    Ok(vec![format!(
        "{many} of {all} keys looked at {words} read or written within a second, such as {first}"
    )])
}
