//! The way back.

use std::fmt;
use std::sync::Arc;

use dunlin_core::{
    Error, ErrorKind, Migration, MigrationId, Origin, Record, Result, Seen, State, Step, StoreName, Undo,
    position,
};

use super::obstacle::Obstacle;
use super::{Direction, Histories, Item, Plan, item};
use crate::lane::{self, Rank};

/// The steps that take whole migrations back, given newest first. Refuses before anything runs if one has no way back.
pub fn down(migrations: &[Arc<dyn Migration>], histories: &Histories) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut blocked = Vec::new();
    for migration in migrations {
        let version = &migration.id().version;
        let mut lanes = Vec::new();
        for (store, history) in histories.iter().rev() {
            let Some(record) = history.live(version) else { continue };
            let steps = lane::steps(&**migration, store);
            match unknown_steps(record) {
                Some(reason) => blocked.push((migration.id().clone(), store.clone(), reason)),
                None => lanes.push((store, record, steps)),
            }
        }
        for rank in Rank::all().rev() {
            for (store, record, steps) in &lanes {
                for index in begun(record, steps).rev().filter(|index| Rank::of(steps[*index]) == rank) {
                    match item_down(migration, store, record, (index, steps)) {
                        Ok(item) => plan.items.push(item),
                        Err(reason) => blocked.push((migration.id().clone(), (*store).clone(), reason)),
                    }
                }
            }
        }
    }
    if blocked.is_empty() { Ok(plan) } else { Err(no_way_back(&blocked)) }
}

/// Why nobody knows which steps of a migration are in effect.
fn unknown_steps(record: &Record) -> Option<Obstacle> {
    if record.origin == Origin::Baseline {
        return Some(Obstacle::Baseline);
    }
    let is_bare = record.state == State::Done && record.steps.is_empty();
    is_bare.then_some(Obstacle::Marked)
}

/// The steps of a lane that are complete or half done.
fn begun(record: &Record, steps: &[&Step]) -> std::ops::Range<usize> {
    let half_done = record.state == State::Applying && record.checkpoint.is_some();
    0..(record.steps.len() + usize::from(half_done)).min(steps.len())
}

fn item_down(
    migration: &Arc<dyn Migration>,
    store: &StoreName,
    record: &Record,
    (index, steps): (usize, &[&Step]),
) -> Result<Item, Obstacle> {
    if index == record.steps.len() && is_untouched(record, steps[index]) {
        let leads_to = undone_to(steps, index);
        let nothing = item(migration, store, index, steps[index]);
        return Ok(Item { op: None, direction: Direction::Down, leads_to, ..nothing });
    }
    let goes_on = record.state == State::Undoing && record.checkpoint.is_some();
    undo_item(migration, store, (index, steps), goes_on && index + 1 == record.steps.len())
}

/// Whether the step that is under way is certain not to have had any effect: its first statement failed, or was not sent,
/// or the backend noted that it has written nothing. While a step of a change is under way, others may write for it.
fn is_untouched(record: &Record, step: &Step) -> bool {
    let checkpoint = record.checkpoint.as_ref();
    checkpoint.is_none_or(|checkpoint| {
        (Seen::at(checkpoint).is_none() || step.op.touches().is_empty()) && position::is_untouched(checkpoint)
    })
}

/// Where a lane stands when the step at `index`, and all after it, are undone.
fn undone_to(steps: &[&Step], index: usize) -> State {
    match lane::state_at(steps, index) {
        _ if index == 0 => State::Undone,
        // Without its contract steps a lane is what `up` leads to: nothing is left to settle if the way back ends here.
        State::Expanded => State::Expanded,
        _ => State::Undoing,
    }
}

pub(super) fn undo_item(
    migration: &Arc<dyn Migration>,
    store: &StoreName,
    (index, steps): (usize, &[&Step]),
    is_begun: bool,
) -> Result<Item, Obstacle> {
    let step = steps[index];
    let op = match &step.undo {
        Undo::Op(op) => Some(op.clone()),
        Undo::Nothing { .. } => None,
        Undo::Irreversible { reason } => return Err(Obstacle::Irreversible { reason: reason.clone() }),
        Undo::Unwritten => return Err(Obstacle::Unwritten { gone: step.op.removes() }),
    };
    let leads_to = undone_to(steps, index);
    Ok(Item { op, direction: Direction::Down, leads_to, is_begun, ..item(migration, store, index, step) })
}

/// Refuses a plan with a step that could not be taken back.
pub fn reversible(plan: &Plan) -> Result<()> {
    let blocked: Vec<_> = plan
        .items
        .iter()
        .filter_map(|item| {
            let steps = lane::steps(&*item.migration, &item.store);
            let reason = undo_item(&item.migration, &item.store, (item.index, &steps), false).err()?;
            Some((item.migration.id().clone(), item.store.clone(), reason))
        })
        .collect();
    if blocked.is_empty() { Ok(()) } else { Err(no_way_back(&blocked)) }
}

fn no_way_back(blocked: &[(MigrationId, StoreName, Obstacle)]) -> Error {
    let mut message = String::from("there is no way back:");
    for (id, store, obstacle) in blocked {
        let _ = fmt::Write::write_fmt(&mut message, format_args!("\n  {id} in `{store}`: {obstacle}"));
    }
    let mut help = String::from("nothing was changed");
    if let Some((id, ..)) = blocked.first() {
        let of_first = blocked.iter().filter(|(other, ..)| other == id).map(|(_, _, obstacle)| obstacle);
        // Where a text would help in one store and not in the other, it does not help.
        if let Some(obstacle) = of_first.min_by_key(|obstacle| obstacle.is_of_the_text()) {
            let _ = fmt::Write::write_fmt(&mut help, format_args!(". {}", obstacle.ways_out(&id.version)));
        }
    }
    Error::new(ErrorKind::Unsupported, message).help(help).with("code", "irreversible")
}
