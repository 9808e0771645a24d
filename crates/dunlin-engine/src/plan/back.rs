//! The way back.

use std::fmt;
use std::sync::Arc;

use dunlin_core::{
    Error, ErrorKind, Migration, MigrationId, Origin, Record, Result, Seen, State, Step, StoreName, Undo,
    position,
};

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
fn unknown_steps(record: &Record) -> Option<String> {
    if record.origin == Origin::Baseline {
        return Some("`baseline` took it as done; dunlin did not run it".to_owned());
    }
    let is_bare = record.state == State::Done && record.steps.is_empty();
    is_bare.then(|| "it was marked as done, and its steps are not known".to_owned())
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
) -> Result<Item, String> {
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
) -> Result<Item, String> {
    let step = steps[index];
    let op = match &step.undo {
        Undo::Op(op) => Some(op.clone()),
        Undo::Nothing { .. } => None,
        Undo::Irreversible { reason } => return Err(format!("it is irreversible: {reason}")),
        Undo::Unwritten => return Err("nothing to undo is written here".to_owned()),
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

fn no_way_back(blocked: &[(MigrationId, StoreName, String)]) -> Error {
    let mut message = String::from("there is no way back:");
    for (id, store, reason) in blocked {
        let _ = fmt::Write::write_fmt(&mut message, format_args!("\n  {id} in `{store}`: {reason}"));
    }
    let version = blocked.first().map_or("VERSION", |(id, _, _)| id.version.as_str());
    let help = format!(
        "nothing was changed. Three ways out: write the way back into the file, as its Down section or the step's `undo` (the file of an applied migration may gain one), \
         go forward with a new migration that reverses it, or undo it by hand and record that: `dunlin mark {version} undone --reason …`"
    );
    Error::new(ErrorKind::Unsupported, message).help(help).with("code", "irreversible")
}
