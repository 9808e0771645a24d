//! The ordered steps still to run, forward or back. Planning is pure and deterministic: the same files and histories
//! give the same plan, and a plan that ran leaves an empty one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use dunlin_core::{
    AnyOp, Checksum, Diagnostic, Error, ErrorKind, History, Migration, Origin, Phase, Result, Span, State,
    Step, StoreName, Undo, Version,
};

use crate::lane;

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
    /// Its sum.
    pub sum: Checksum,
    /// What is run; nothing where the way back needs nothing.
    pub op: Option<AnyOp>,
    /// Where it was written.
    pub span: Option<Span>,
    /// The state of the lane once this is complete.
    pub leads_to: State,
    /// Whether an earlier run began it.
    pub is_begun: bool,
}

/// What is still to do.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In order.
    pub items: Vec<Item>,
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
    /// No migration after this one.
    pub to: Option<Version>,
    /// Whether contract steps are meant too.
    pub contract: bool,
    /// Only this migration.
    pub only: Option<Version>,
}

type Migrations = BTreeMap<Version, Arc<dyn Migration>>;
type Histories = BTreeMap<StoreName, History>;

/// The steps that lead to `goal`. Stores without an entry in `histories` are left out.
pub fn up(migrations: &Migrations, histories: &Histories, goal: &Goal) -> Result<Plan, Vec<Diagnostic>> {
    let mut plan = Plan::default();
    for migration in in_order(migrations)? {
        let version = &migration.id().version;
        let is_past = goal.to.as_ref().is_some_and(|to| version > to);
        if is_past || goal.only.as_ref().is_some_and(|only| version != only) {
            continue;
        }
        plan_lanes_up(migration, histories, goal.contract, &mut plan);
    }
    Ok(plan)
}

fn plan_lanes_up(migration: &Arc<dyn Migration>, histories: &Histories, contract: bool, plan: &mut Plan) {
    let stores: Vec<StoreName> =
        lane::stores(&**migration).into_iter().filter(|store| histories.contains_key(store)).collect();
    let mut open = Vec::new();
    for store in &stores {
        let steps = lane::steps(&**migration, store);
        let record = histories[store].live(&migration.id().version);
        let (mut position, begun) =
            record.map_or((0, false), |record| (record.steps.len(), record.checkpoint.is_some()));
        let turns_round = begun && record.is_some_and(|record| record.state == State::Undoing);
        if turns_round && let Some(step) = position.checked_sub(1).and_then(|last| steps.get(last)) {
            position -= 1;
            if let Ok(item) = undo_item(migration, store, (position, step), true) {
                plan.items.push(item);
            }
        }
        let is_done = record.is_some_and(|record| record.state == State::Done);
        open.push((store, steps, if is_done { usize::MAX } else { position }, begun && !turns_round));
    }
    for phase in Phase::ALL.into_iter().filter(|phase| contract || *phase != Phase::Contract) {
        for (store, steps, position, begun) in &open {
            for (index, step) in
                steps.iter().enumerate().filter(|(index, step)| *index >= *position && step.phase == phase)
            {
                let leads_to = lane::state_at(steps, index + 1);
                let is_begun = *begun && index == *position;
                plan.items.push(Item { leads_to, is_begun, ..item(migration, store, index, step) });
            }
        }
    }
}

fn item(migration: &Arc<dyn Migration>, store: &StoreName, index: usize, step: &Step) -> Item {
    Item {
        migration: migration.clone(),
        store: store.clone(),
        direction: Direction::Up,
        index,
        phase: step.phase,
        sum: step.checksum(),
        op: Some(step.op.clone()),
        span: step.span,
        leads_to: State::Applying,
        is_begun: false,
    }
}

/// All migrations in the order in which they run: by version, but what one needs comes before it.
pub fn in_order(migrations: &Migrations) -> Result<Vec<&Arc<dyn Migration>>, Vec<Diagnostic>> {
    let mut order = Ordering {
        migrations,
        done: BTreeSet::new(),
        path: Vec::new(),
        list: Vec::new(),
        faults: Vec::new(),
    };
    for version in migrations.keys() {
        order.visit(version);
    }
    if order.faults.is_empty() { Ok(order.list) } else { Err(order.faults) }
}

struct Ordering<'a> {
    migrations: &'a Migrations,
    done: BTreeSet<&'a Version>,
    path: Vec<&'a Version>,
    list: Vec<&'a Arc<dyn Migration>>,
    faults: Vec<Diagnostic>,
}

impl<'a> Ordering<'a> {
    fn visit(&mut self, version: &'a Version) {
        if self.done.contains(version) {
            return;
        }
        if self.path.contains(&version) {
            let circle: Vec<String> = self.path.iter().chain([&version]).map(ToString::to_string).collect();
            self.faults.push(Diagnostic::error(
                "needs-circle",
                format!("migrations need each other: {}", circle.join(" needs ")),
            ));
            return;
        }
        let Some(migration) = self.migrations.get(version) else { return };
        self.path.push(version);
        for needed in migration.needs() {
            if self.migrations.contains_key(needed) {
                self.visit(needed);
            } else {
                let message = format!("{} needs {needed}, which does not exist", migration.id());
                self.faults.push(
                    Diagnostic::error("needs-missing", message)
                        .help("bring that migration in, or correct `needs`"),
                );
            }
        }
        self.path.pop();
        self.done.insert(version);
        self.list.push(migration);
    }
}

/// The steps that take whole migrations back, given newest first. Refuses before anything runs if one has no way back.
pub fn down(migrations: &[Arc<dyn Migration>], histories: &Histories) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut blocked = Vec::new();
    for migration in migrations {
        for phase in Phase::ALL.into_iter().rev() {
            for (store, history) in histories.iter().rev() {
                let Some(record) = history.live(&migration.id().version) else { continue };
                if record.origin == Origin::Baseline {
                    let reason = "`baseline` took it as done; dunlin did not run it".to_owned();
                    let entry = (migration.id().clone(), store.clone(), reason);
                    if !blocked.contains(&entry) {
                        blocked.push(entry);
                    }
                    continue;
                }
                let steps = lane::steps(&**migration, store);
                let half_done = record.state == State::Applying && record.checkpoint.is_some();
                let end = (record.steps.len() + usize::from(half_done)).min(steps.len());
                for (index, step) in
                    steps.iter().enumerate().take(end).rev().filter(|(_, step)| step.phase == phase)
                {
                    let begun = record.state == State::Undoing
                        && record.checkpoint.is_some()
                        && index + 1 == record.steps.len();
                    match undo_item(migration, store, (index, step), begun) {
                        Ok(item) => plan.items.push(item),
                        Err(reason) => blocked.push((migration.id().clone(), store.clone(), reason)),
                    }
                }
            }
        }
    }
    if blocked.is_empty() { Ok(plan) } else { Err(no_way_back(&blocked)) }
}

fn undo_item(
    migration: &Arc<dyn Migration>,
    store: &StoreName,
    (index, step): (usize, &Step),
    is_begun: bool,
) -> Result<Item, String> {
    let op = match &step.undo {
        Undo::Op(op) => Some(op.clone()),
        Undo::Nothing { .. } => None,
        Undo::Irreversible { reason } => return Err(format!("it is irreversible: {reason}")),
        Undo::Unwritten => return Err("nothing to undo is written here".to_owned()),
    };
    let leads_to = if index == 0 { State::Undone } else { State::Undoing };
    Ok(Item { op, direction: Direction::Down, leads_to, is_begun, ..item(migration, store, index, step) })
}

fn no_way_back(blocked: &[(dunlin_core::MigrationId, StoreName, String)]) -> Error {
    let mut message = String::from("there is no way back:");
    for (id, store, reason) in blocked {
        let _ = fmt::Write::write_fmt(&mut message, format_args!("\n  {id} in `{store}`: {reason}"));
    }
    let version = blocked.first().map_or("VERSION", |(id, _, _)| id.version.as_str());
    let help = format!(
        "nothing was changed. Three ways out: write the way back into the file's Down section (the file of an applied migration may gain one), \
         go forward with a new migration that reverses it, or undo it by hand and record that: `dunlin mark {version} undone --reason …`"
    );
    Error::new(ErrorKind::Unsupported, message).help(help).with("code", "irreversible")
}
