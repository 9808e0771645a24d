//! The ordered steps still to run, forward or back. Planning is pure and deterministic: the same files and histories
//! give the same plan, and a plan that ran leaves an empty one.

mod back;
mod loss;
mod obstacle;
mod order;
mod overlap;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dunlin_core::{
    AnyOp, Checksum, Diagnostic, History, Migration, MigrationId, Phase, Record, Result, Span, State, Step,
    StoreName, Version,
};

use crate::lane::{self, Rank};

use back::undo_item;
pub use back::{down, reversible};
pub use loss::Loss;
pub use order::in_order;
pub(crate) use order::{Places, places};

/// Forward or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Applies steps.
    Up,
    /// Takes steps back.
    Down,
}

/// One step to run.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its migration.
    pub migration: Arc<dyn Migration>,
    /// Where.
    pub store: StoreName,
    /// Which way.
    pub direction: Direction,
    /// Its place in the lane.
    pub index: usize,
    /// Its phase.
    pub phase: Phase,
    /// What all stores reach together before any begins this.
    pub rank: Rank,
    /// Its sum.
    pub sum: Checksum,
    /// What is run; nothing where the way back needs nothing, or where all steps that the file still has are complete and
    /// the record is to say so.
    pub op: Option<AnyOp>,
    /// How long it waits for locks of the database, where it says so itself.
    pub lock_timeout: Option<Duration>,
    /// Where it was written.
    pub span: Option<Span>,
    /// The state of the lane once this is complete.
    pub leads_to: State,
    /// Whether an earlier run began it.
    pub is_begun: bool,
    /// Whether its store gets the next step of the run, at once.
    pub is_followed: bool,
}

/// What is still to do.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In order.
    pub items: Vec<Item>,
    /// The migrations that must wait.
    pub held_back: Vec<HeldBack>,
}

/// A migration that must wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Which.
    pub id: MigrationId,
    /// For what.
    pub by: Holdup,
}

/// What a migration waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holdup {
    /// A store that is left out, and that must come as far first.
    Store,
    /// The contract of another migration that touches the same thing.
    Contract {
        /// The other one.
        id: MigrationId,
        /// The thing.
        path: String,
    },
    /// Another migration that comes before it, and that is still to run.
    Turn {
        /// The other one.
        id: MigrationId,
    },
}

impl Plan {
    /// The stores it touches, in the order in which they are locked.
    pub fn stores(&self) -> BTreeSet<StoreName> {
        self.items.iter().map(|item| item.store.clone()).collect()
    }

    /// The versions it touches.
    pub fn versions(&self) -> BTreeSet<Version> {
        self.items.iter().map(|item| item.migration.id().version.clone()).collect()
    }

    /// What makes two plans the same: every step, where, and in which direction.
    pub fn fingerprint(&self) -> Checksum {
        Checksum::of(self.items.iter().map(|item| {
            format!("{} {} {} {:?} {}", item.migration.id(), item.store, item.index, item.direction, item.sum)
        }))
    }
}

/// What to plan for.
#[derive(Debug, Clone, Default)]
pub struct Goal {
    /// No migration after this one, in the order in which they run.
    pub to: Option<Version>,
    /// Whether contract steps are meant too.
    pub contract: bool,
    /// Only this migration.
    pub only: Option<Version>,
}

type Migrations = BTreeMap<Version, Arc<dyn Migration>>;
type Histories = BTreeMap<StoreName, History>;

/// The steps that lead to `goal`. Stores without an entry in `histories` are left out; no other store overtakes them.
pub fn up(migrations: &Migrations, histories: &Histories, goal: &Goal) -> Result<Plan, Vec<Diagnostic>> {
    if let Some(ahead) = ahead_of(migrations, histories, goal)? {
        return Ok(Plan { items: Vec::new(), held_back: ahead });
    }
    let order = in_order(migrations)?;
    let is_within = |to: &Version| order.iter().rposition(|migration| migration.id().version <= *to);
    let end = goal.to.as_ref().map_or(order.len(), |to| is_within(to).map_or(0, |last| last + 1));
    let mut plan = Plan::default();
    let (mut faults, mut is_held) = (Vec::new(), false);
    let (mut open, mut later) = (overlap::Open::default(), overlap::Open::default());
    for migration in order.iter().filter(|migration| has_begun(&****migration, histories)) {
        later.add(migration, histories, false);
    }
    for migration in &order[..end] {
        if goal.only.as_ref().is_some_and(|only| migration.id().version != *only) {
            continue;
        }
        if has_begun(&***migration, histories) {
            later.forget(migration.id());
        } else if is_held {
            // It may build on what waits.
            continue;
        } else if let Some((id, path)) =
            open.in_the_way(&***migration).or_else(|| later.in_the_way(&***migration))
        {
            let by = Holdup::Contract { id, path };
            plan.held_back.push(HeldBack { id: migration.id().clone(), by });
            is_held = true;
            continue;
        }
        match plan_lanes_up(migration, histories, goal.contract, &mut plan) {
            // What comes later may build on what waits here.
            Ok(Reach::HeldBack) => break,
            Ok(Reach::Goal) => open.add(migration, histories, goal.contract),
            Err(fault) => faults.push(fault),
        }
    }
    // It lives as long as the run, which is long where there is much in it.
    plan.items.shrink_to_fit();
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
}

/// What holds back a migration that is wanted alone and has not begun: the same that holds it back when all are wanted,
/// or one before it that is still to run.
fn ahead_of(
    migrations: &Migrations,
    histories: &Histories,
    goal: &Goal,
) -> Result<Option<Vec<HeldBack>>, Vec<Diagnostic>> {
    let Some(migration) = goal.only.as_ref().and_then(|only| migrations.get(only)) else { return Ok(None) };
    if has_begun(&**migration, histories) {
        return Ok(None);
    }
    let version = &migration.id().version;
    let ahead = up(migrations, histories, &Goal { to: Some(version.clone()), ..Goal::default() })?;
    if !ahead.held_back.is_empty() {
        return Ok(Some(ahead.held_back));
    }
    let first = ahead.items.iter().map(|item| item.migration.id()).find(|id| id.version != *version);
    let turn =
        |id: &MigrationId| HeldBack { id: migration.id().clone(), by: Holdup::Turn { id: id.clone() } };
    Ok(first.map(|id| vec![turn(id)]))
}

/// Whether a store remembers anything of a migration that was not taken back.
fn has_begun(migration: &dyn Migration, histories: &Histories) -> bool {
    histories.values().any(|history| history.live(&migration.id().version).is_some())
}

/// How far the plan of one migration leads.
enum Reach {
    Goal,
    /// Steps before contract wait for a store that is left out.
    HeldBack,
}

/// One migration in one store, on its way up.
struct Lane<'a> {
    store: &'a StoreName,
    steps: Vec<&'a Step>,
    /// The first step to run.
    position: usize,
    is_begun: bool,
    /// Whether its record says that there is more to come.
    is_open: bool,
}

fn plan_lanes_up(
    migration: &Arc<dyn Migration>,
    histories: &Histories,
    contract: bool,
    plan: &mut Plan,
) -> Result<Reach, Diagnostic> {
    let mut lanes = Vec::new();
    for store in lane::stores(&**migration) {
        let Some(history) = histories.get(store) else { continue };
        let record = history.live(&migration.id().version);
        // A lane that was marked as done is done, whatever its steps are.
        if record.is_none_or(|record| record.state != State::Done) {
            lanes.push(lane_up(migration, store, record, plan)?);
        }
    }
    let waited_for = migration.steps().iter().filter(|step| !histories.contains_key(&step.store));
    let barrier = waited_for.map(Rank::of).min();
    let mut reach = Reach::Goal;
    for rank in Rank::all().filter(|rank| contract || rank.phase() != Phase::Contract) {
        let items = lanes.iter().flat_map(|lane| items_up(migration, lane, rank));
        if barrier.is_none_or(|barrier| rank <= barrier) {
            plan.items.extend(items);
        } else if items.count() > 0 {
            plan.held_back.push(HeldBack { id: migration.id().clone(), by: Holdup::Store });
            reach = if rank.phase() == Phase::Contract { reach } else { Reach::HeldBack };
            break;
        }
    }
    Ok(reach)
}

/// Where a lane goes on. A step that was being undone is first undone to its end.
fn lane_up<'a>(
    migration: &'a Arc<dyn Migration>,
    store: &'a StoreName,
    record: Option<&Record>,
    plan: &mut Plan,
) -> Result<Lane<'a>, Diagnostic> {
    let steps = lane::steps(&**migration, store);
    let Some(record) = record else {
        return Ok(Lane { store, steps, position: 0, is_begun: false, is_open: false });
    };
    let position = record.steps.len();
    let is_begun = record.checkpoint.is_some();
    if is_begun && record.state == State::Undoing && (1..=steps.len()).contains(&position) {
        let position = position - 1;
        let item = undo_item(migration, store, (position, &steps), true).map_err(|reason| {
            let message = format!(
                "{} is half undone in `{store}`, and cannot be undone to its end: {reason}",
                migration.id()
            );
            Diagnostic::error("irreversible", message).help("put the way back into the file again")
        })?;
        plan.items.push(item);
        return Ok(Lane { store, steps, position, is_begun: false, is_open: false });
    }
    let is_open = !is_begun && !record.state.is_settled();
    Ok(Lane { store, steps, position, is_begun, is_open })
}

fn items_up<'a>(
    migration: &'a Arc<dyn Migration>,
    lane: &'a Lane<'a>,
    rank: Rank,
) -> impl Iterator<Item = Item> + 'a {
    let Lane { store, steps, position, is_begun, is_open } = lane;
    // What was still to come when it stopped is no longer in the file.
    let leads_to = lane::state_at(steps, *position);
    let last = position.checked_sub(1).filter(|_| *is_open && leads_to.is_settled());
    let last = last.and_then(|index| Some((index, *steps.get(index)?)));
    let settled = last.filter(|(_, step)| Rank::of(step) == rank).map(move |(index, step)| Item {
        op: None,
        leads_to,
        ..item(migration, store, index, step)
    });
    let open = steps.iter().enumerate().skip(*position).filter(move |(_, step)| Rank::of(step) == rank);
    settled.into_iter().chain(open.map(move |(index, step)| {
        let leads_to = lane::state_at(steps, index + 1);
        let is_begun = *is_begun && index == *position;
        Item { leads_to, is_begun, ..item(migration, store, index, step) }
    }))
}

fn item(migration: &Arc<dyn Migration>, store: &StoreName, index: usize, step: &Step) -> Item {
    Item {
        migration: migration.clone(),
        store: store.clone(),
        direction: Direction::Up,
        index,
        phase: step.phase,
        rank: Rank::of(step),
        sum: step.checksum(),
        op: Some(step.op.clone()),
        lock_timeout: step.lock_timeout,
        span: step.span,
        leads_to: State::Applying,
        is_begun: false,
        is_followed: false,
    }
}
