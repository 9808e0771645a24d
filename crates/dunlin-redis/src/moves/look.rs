//! One bout of an op that looks at keys.

use std::collections::BTreeMap;

use dunlin_core::{Check, Checked, Position, Result};
use serde::{Deserialize, Serialize};

use super::Look;
use super::task::{Job, Task};
use crate::before::Before;
use crate::big::{self, Draft};
use crate::crew::Crew;
use crate::room;
use crate::store::Store;
use crate::survey::Survey;
use crate::tally::Tally;
use crate::usage::{self, Met};
use crate::walk::Walk;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    walk: Walk,
    tally: Tally,
    /// A big key that is half copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    draft: Option<Draft>,
}

impl Look {
    /// Whether whoever holds the lock brings in step what it finds.
    pub(crate) fn mends(&self) -> bool {
        matches!(self, Self::InStep { loss: None, .. })
    }
}

/// Looks on for one bout, as anybody may.
pub(crate) async fn run(store: &Store, look: &Look, check: &Check<'_>) -> Result<Checked> {
    let (checked, _) = go_on(look, check, &mut Crew::readers(store.clone()), false).await?;
    Ok(checked)
}

/// Looks on for one bout as the holder of the lock, and brings in step what was written since: an application that writes
/// all the time would else always be a little ahead.
pub(crate) async fn mend(crew: &mut Crew, look: &Look, check: &Check<'_>) -> Result<Checked> {
    crew.tidy().await?;
    let (checked, _) = go_on(look, check, crew, true).await?;
    Ok(checked)
}

/// The same for a follower, who also wants to know how many keys were brought in step from the beginning on.
pub(crate) async fn follow(crew: &mut Crew, look: &Look, check: &Check<'_>) -> Result<(Checked, u64)> {
    go_on(look, check, crew, true).await
}

async fn go_on(look: &Look, check: &Check<'_>, crew: &mut Crew, mends: bool) -> Result<(Checked, u64)> {
    let store = &crew.store().clone();
    let survey = Survey::take(store).await?;
    let mut task = Task::new(Job::Look(look), None, &survey.map, &store.keys)?;
    task.before = Before::of_look(store, look).await?;
    (task.has_scripts, task.mends) = (mends || may_script(store).await, mends);
    let mut position = match check.from.and_then(|checkpoint| Position::looked(checkpoint, look)) {
        Some(position) => position,
        None => {
            let (estimate, _) = room::survey(&task, false, &survey, crew).await?;
            if mends {
                let keys = usage::sample(&task, &survey, crew).await?;
                *store.met.lock().await = Met::begin(&task, keys);
            }
            let place = Place { walk: Walk::new(&survey), tally: Tally::default(), draft: None };
            Position { total: (estimate.keys > 0).then_some(estimate.keys), ..Position::new(look, place) }
        }
    };
    if let Look::Same { sample: Some(sample), .. } = look {
        task.take_one_in(position.total.unwrap_or_default() / sample);
    }
    let Place { walk, tally, draft } = &mut position.place;
    let is_over = if tally.big.is_empty() {
        let is_over = walk.bout(&task, (&survey, check.pace), (crew, &mut BTreeMap::new()), tally).await?;
        is_over && tally.big.is_empty()
    } else {
        big::bout(&task, (&survey, check.pace), crew, draft, tally).await?;
        false
    };
    position.scanned = tally.seen;
    store.met.lock().await.past();
    if !is_over {
        return Ok((Checked::Partly(position.checkpoint()), position.place.tally.done));
    }
    let Tally { listed, unlisted, seen, done, .. } = position.place.tally;
    Ok((Checked::Wholly { violations: listed, unlisted, scanned: seen }, done))
}

/// Whether this login may run scripts; one that may only read compares here.
async fn may_script(store: &Store) -> bool {
    let mut request = redis::cmd("EVAL");
    request.arg("return 1").arg(0);
    matches!(store.net.ask(store.keys.slot(), &request).await, Ok(Ok(_)))
        && matches!(
            store.net.ask(store.keys.slot(), redis::cmd("SCRIPT").arg("EXISTS").arg("x")).await,
            Ok(Ok(_))
        )
}
