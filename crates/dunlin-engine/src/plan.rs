//! The ordered steps still to run, forward or back. Planning is pure and deterministic: the same files and histories
//! give the same plan, and a plan that ran leaves an empty one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use dunlin_core::{
    AnyOp, Checksum, Cursor, Diagnostic, Error, ErrorKind, History, Migration, MigrationId, Origin, Phase,
    Record, Result, Span, State, Step, StoreName, Undo, Version,
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
    /// The migrations that cannot go on before a store that is left out does.
    pub held_back: Vec<MigrationId>,
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
    let order = in_order(migrations)?;
    let is_within = |to: &Version| order.iter().rposition(|migration| migration.id().version <= *to);
    let end = goal.to.as_ref().map_or(order.len(), |to| is_within(to).map_or(0, |last| last + 1));
    let mut plan = Plan::default();
    let mut faults = Vec::new();
    for migration in &order[..end] {
        if goal.only.as_ref().is_some_and(|only| migration.id().version != *only) {
            continue;
        }
        match plan_lanes_up(migration, histories, goal.contract, &mut plan) {
            // What comes later may build on what waits here.
            Ok(Reach::HeldBack) => break,
            Ok(Reach::Goal) => {}
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(plan) } else { Err(faults) }
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
}

fn plan_lanes_up(
    migration: &Arc<dyn Migration>,
    histories: &Histories,
    contract: bool,
    plan: &mut Plan,
) -> Result<Reach, Diagnostic> {
    let stores = lane::stores(&**migration);
    let (known, left_out): (Vec<_>, Vec<_>) = stores.iter().partition(|store| histories.contains_key(*store));
    let mut lanes = Vec::with_capacity(known.len());
    for store in known {
        let record = histories[store].live(&migration.id().version);
        lanes.push(lane_up(migration, store, record, plan)?);
    }
    let waited_for = migration.steps().iter().filter(|step| left_out.contains(&&step.store));
    let barrier = waited_for.map(|step| step.phase).min();
    let mut reach = Reach::Goal;
    for phase in Phase::ALL.into_iter().filter(|phase| contract || *phase != Phase::Contract) {
        let items = lanes.iter().flat_map(|lane| items_up(migration, lane, phase));
        if barrier.is_none_or(|barrier| phase <= barrier) {
            plan.items.extend(items);
        } else if items.count() > 0 {
            plan.held_back.push(migration.id().clone());
            reach = if phase == Phase::Contract { reach } else { Reach::HeldBack };
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
    let Some(record) = record else { return Ok(Lane { store, steps, position: 0, is_begun: false }) };
    if record.state == State::Done {
        return Ok(Lane { store, steps, position: usize::MAX, is_begun: false });
    }
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
        let leads_to = if position == 0 { State::Undone } else { lane::state_at(&steps, position) };
        plan.items.push(Item { leads_to, ..item });
        return Ok(Lane { store, steps, position, is_begun: false });
    }
    Ok(Lane { store, steps, position, is_begun })
}

fn items_up<'a>(
    migration: &'a Arc<dyn Migration>,
    lane: &'a Lane<'a>,
    phase: Phase,
) -> impl Iterator<Item = Item> + 'a {
    let Lane { store, steps, position, is_begun } = lane;
    let open = steps.iter().enumerate().skip(*position).filter(move |(_, step)| step.phase == phase);
    open.map(move |(index, step)| {
        let leads_to = lane::state_at(steps, index + 1);
        let is_begun = *is_begun && index == *position;
        Item { leads_to, is_begun, ..item(migration, store, index, step) }
    })
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
            let circle = self.path.iter().skip_while(|known| **known != version).chain([&version]);
            let circle: Vec<String> = circle.map(ToString::to_string).collect();
            let message = format!("migrations need each other: {}", circle.join(" needs "));
            let help = "take one of these out of the `needs` of another";
            self.faults.push(Diagnostic::error("needs-circle", message).help(help));
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

/// The place of every version in the order in which migrations run.
#[derive(Debug)]
pub(crate) struct Places<'a>(
    /// Its own place, and the last one of all versions up to it.
    BTreeMap<&'a Version, (usize, usize)>,
);

impl Places<'_> {
    /// The place of a version. One without a file comes right after all lower ones.
    pub(crate) fn of<'v>(&self, version: &'v Version) -> (usize, Option<&'v Version>) {
        match self.0.get(version) {
            Some((place, _)) => (*place, None),
            None => (
                self.0.range::<Version, _>(..version).next_back().map_or(0, |(_, (_, last))| *last),
                Some(version),
            ),
        }
    }
}

/// The places of all migrations; by version alone where they cannot be ordered.
pub(crate) fn places(migrations: &Migrations) -> Places<'_> {
    let versions: Vec<&Version> = match in_order(migrations) {
        Ok(order) => order.into_iter().map(|migration| &migration.id().version).collect(),
        Err(_) => migrations.keys().collect(),
    };
    let mut places: BTreeMap<&Version, (usize, usize)> =
        versions.into_iter().enumerate().map(|(index, version)| (version, (index + 1, 0))).collect();
    let mut so_far = 0;
    for (place, last) in places.values_mut() {
        so_far = so_far.max(*place);
        *last = so_far;
    }
    Places(places)
}

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
        for phase in Phase::ALL.into_iter().rev() {
            for (store, record, steps) in &lanes {
                for index in begun(record, steps).rev().filter(|index| steps[*index].phase == phase) {
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
    if index == record.steps.len() && is_untouched(record) {
        let leads_to = undone_to(steps, index);
        let nothing = item(migration, store, index, steps[index]);
        return Ok(Item { op: None, direction: Direction::Down, leads_to, ..nothing });
    }
    let goes_on = record.state == State::Undoing && record.checkpoint.is_some();
    undo_item(migration, store, (index, steps), goes_on && index + 1 == record.steps.len())
}

/// Whether the step that is under way is certain not to have had any effect: its first statement failed, or was not sent.
fn is_untouched(record: &Record) -> bool {
    Cursor::of(record).is_ok_and(|cursor| cursor.at == 0 && !cursor.open)
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

fn undo_item(
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

fn no_way_back(blocked: &[(MigrationId, StoreName, String)]) -> Error {
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
