//! Runs the items of a plan: one after the other, but for those of several stores that move or compare data in the
//! same phase, which need not wait for one another.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::{Mutex, PoisonError};

use dunlin_core::{EventKind, History, Phase, Result, Session, StoreName};
use futures_util::future::join_all;

use crate::event::{Event, Report};
use crate::lane::{self, Rank};
use crate::lock::Sessions;
use crate::plan::{Direction, Item};
use crate::run::{Context, Histories, Outcome, Stop, Summary};
use crate::step::{self, End};
use crate::verify::{self, Proof, Standing};

/// Runs all of them, or as many as it can.
pub(crate) async fn drive(
    context: &Context,
    items: Vec<Item>,
    sessions: &mut Sessions,
    histories: &mut Histories,
    (summary, report): (&mut Summary, Report<'_>),
) -> Result<Outcome, Stop> {
    summary.completed.reserve_exact(items.len());
    let mut items = items.into_iter().peekable();
    while let Some(first) = items.peek() {
        if is_gate(first, summary)
            && !is_proven(context, first, sessions, histories, (summary, report)).await?
        {
            summary.stopped_in = items.next();
            summary.remaining.extend(items);
            return if summary.broken.is_some() { Err(Stop::Violated) } else { Ok(Outcome::Paused) };
        }
        let ended = side_by_side(context, next(&mut items), sessions, histories, report).await;
        match settle(ended, summary) {
            Ok(Outcome::Complete) => {}
            stopped => {
                summary.remaining.extend(items);
                return stopped;
            }
        }
    }
    Ok(Outcome::Complete)
}

/// Whether an item is the first to remove anything of its migration in this run.
fn is_gate(item: &Item, summary: &Summary) -> bool {
    let removes = |item: &Item| item.rank == Rank::REMOVAL && item.direction == Direction::Up;
    let is_next = |done: &Item| removes(done) && done.migration.id().version == item.migration.id().version;
    removes(item) && !summary.completed.iter().any(is_next)
}

/// Whether the new shape holds what the old one held, now, in every store, and nobody is seen to use the old one. What
/// this very run has just verified is not asked again, and neither is what an earlier run has begun to remove.
async fn is_proven(
    context: &Context,
    item: &Item,
    sessions: &mut Sessions,
    histories: &Histories,
    (summary, report): (&mut Summary, Report<'_>),
) -> Result<bool, Stop> {
    let version = &item.migration.id().version;
    let of_same = |done: &&Item| done.migration.id().version == *version;
    let is_fresh =
        summary.completed.iter().rev().find(of_same).is_some_and(|last| last.phase == Phase::Verify);
    if verify::standing(&*item.migration, histories) == Standing::Contracted {
        return Ok(true);
    }
    if !is_fresh {
        let Some(proofs) = verify::verify(context, &item.migration, sessions, report).await? else {
            return Ok(false);
        };
        summary.broken = proofs.into_iter().find(|proof| !proof.violations.is_empty());
    }
    if summary.broken.is_none() {
        unused(context, item, sessions, histories).await?;
    }
    Ok(summary.broken.is_none())
}

/// Refuses to remove what is visibly in use, unless somebody gave a reason, which the journal keeps.
async fn unused(
    context: &Context,
    item: &Item,
    sessions: &mut Sessions,
    histories: &Histories,
) -> Result<(), Stop> {
    let mut uses = Vec::new();
    for (name, store) in &context.stores {
        let steps = lane::steps(&*item.migration, name);
        for step in steps.into_iter().filter(|step| Rank::of(step) == Rank::REMOVAL) {
            let found = store.usage(&*step.op).await.map_err(|error| error.with("store", name))?;
            uses.extend(found.into_iter().map(|words| (name.clone(), words)));
        }
    }
    let Some(reason) = context.force.as_ref().filter(|_| !uses.is_empty()) else {
        return if uses.is_empty() { Ok(()) } else { Err(Stop::InUse(uses)) };
    };
    for (name, words) in uses {
        let record = histories.get(&name).and_then(|history| history.live(&item.migration.id().version));
        if let (Some(session), Some(record)) = (sessions.get_mut(&name), record) {
            let said = format!("removed although in use ({words}): {reason}");
            session
                .note(record, EventKind::Marked, &said)
                .await
                .map_err(|error| error.with("store", &name))?;
        }
    }
    Ok(())
}

/// What runs next, by store, in order.
fn next(items: &mut Peekable<impl Iterator<Item = Item>>) -> BTreeMap<StoreName, Vec<Item>> {
    let mut lanes = BTreeMap::<StoreName, Vec<Item>>::new();
    let group = |item: &Item| (item.migration.id().version.clone(), item.phase, item.direction);
    let Some(mut first) = items.next() else { return lanes };
    let (of_first, store) = (group(&first), first.store.clone());
    let is_wide = matches!(first.phase, Phase::Backfill | Phase::Verify) && first.direction == Direction::Up;
    // Others come before what removes something: proofs, and whoever is asked.
    let follows = |item: &Item| !is_wide && item.store == store && item.rank != Rank::REMOVAL;
    first.is_followed = items.peek().is_some_and(follows);
    lanes.entry(store).or_default().push(first);
    while let Some(item) = items.next_if(|item| is_wide && group(item) == of_first) {
        lanes.entry(item.store.clone()).or_default().push(item);
    }
    lanes
}

/// How the items of one store ended.
struct Ended {
    completed: Vec<Item>,
    /// The step it stopped in, and why.
    stopped: Option<(Item, Result<End>)>,
    remaining: Vec<Item>,
}

/// Runs lanes at the same time. When one stops, the others stop at their next safe point.
async fn side_by_side(
    context: &Context,
    mut lanes: BTreeMap<StoreName, Vec<Item>>,
    sessions: &mut Sessions,
    histories: &mut Histories,
    report: Report<'_>,
) -> Vec<Ended> {
    let context = Context { cancel: context.cancel.child_token(), ..context.clone() };
    for name in lanes.keys() {
        histories.entry(name.clone()).or_default();
    }
    let mut histories: BTreeMap<&StoreName, &mut History> = histories.iter_mut().collect();
    let report = Mutex::new(report);
    let lanes = sessions.iter_mut().filter_map(|(name, session)| {
        let (items, history) = (lanes.remove(name)?, histories.remove(name)?);
        Some(lane(&context, items, session, history, &report))
    });
    join_all(lanes).await
}

async fn lane(
    context: &Context,
    items: Vec<Item>,
    session: &mut Box<dyn Session>,
    history: &mut History,
    report: &Mutex<Report<'_>>,
) -> Ended {
    let mut report = |event: Event<'_>| report.lock().unwrap_or_else(PoisonError::into_inner)(event);
    let mut ended = Ended { completed: Vec::new(), stopped: None, remaining: Vec::new() };
    let mut items = items.into_iter();
    while let Some(item) = items.next() {
        match step::run(context, &item, session, history, &mut report).await {
            Ok(End::Complete) => ended.completed.push(item),
            stopped => {
                context.cancel.cancel();
                ended.stopped = Some((item, stopped));
                ended.remaining = items.collect();
                break;
            }
        }
    }
    ended
}

/// Puts what the lanes did into the summary. Of several that stopped, the one that says most is told of: a pause is
/// what the others did because of it.
fn settle(lanes: Vec<Ended>, summary: &mut Summary) -> Result<Outcome, Stop> {
    let mut first = Ok(Outcome::Complete);
    for Ended { completed, stopped, remaining } in lanes {
        summary.completed.extend(completed);
        summary.remaining.extend(remaining);
        let Some((item, end)) = stopped else { continue };
        summary.is_midway |= matches!(end, Ok(End::Paused { is_midway: true }));
        let says_less = match first {
            Ok(Outcome::Complete) => false,
            Ok(Outcome::Paused) => matches!(end, Ok(End::Paused { .. })),
            Err(_) => true,
        };
        if says_less {
            summary.remaining.push(item);
            continue;
        }
        first = match end {
            Ok(End::Violated { violations, unlisted }) => {
                summary.broken = Some(Proof::of(&item, violations, unlisted));
                Err(Stop::Violated)
            }
            Ok(_) => Ok(Outcome::Paused),
            Err(error) => Err(error.into()),
        };
        summary.remaining.extend(summary.stopped_in.replace(item));
    }
    first
}
