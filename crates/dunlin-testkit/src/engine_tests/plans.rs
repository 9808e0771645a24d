//! What a plan holds, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use dunlin_core::{
    History, Migration, MigrationId, Origin, Phase, Record, State, Step, StoreName, Undo, Version,
};
use dunlin_engine::reverse::{self, Extent};
use dunlin_engine::run::{Histories, Migrations};
use dunlin_engine::{Direction, Goal, Item, Plan, Policy, audit, lane, plan};
use proptest::prelude::*;

use super::world::{CONTRACT, UP, author, version};
use crate::memory::Script;

/// A migration written in Rust.
#[derive(Debug)]
struct Plain {
    id: MigrationId,
    needs: Vec<Version>,
    steps: Vec<Step>,
}

impl Migration for Plain {
    fn id(&self) -> &MigrationId {
        &self.id
    }

    fn needs(&self) -> &[Version] {
        &self.needs
    }

    fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn script(text: String) -> Arc<Script> {
    Arc::new(Script(vec![text]))
}

fn plain(number: usize, needs: &[usize], steps: &[(&str, Phase)]) -> Plain {
    let step = |(index, (store, phase)): (usize, &(&str, Phase))| {
        Step::new(*phase, *store, script(format!("add {number}-{index}")))
            .undo(script(format!("drop {number}-{index}")))
    };
    Plain {
        id: MigrationId { version: version(&number.to_string()), slug: "m".into() },
        needs: needs.iter().map(|number| version(&number.to_string())).collect(),
        steps: steps.iter().enumerate().map(step).collect(),
    }
}

fn collected(all: impl IntoIterator<Item = Plain>) -> Migrations {
    all.into_iter().map(|one| (one.id.version.clone(), Arc::new(one) as Arc<dyn Migration>)).collect()
}

fn empty(stores: &[&str]) -> Histories {
    stores.iter().map(|store| (StoreName::from(*store), History::default())).collect()
}

fn label(item: &Item) -> (String, String, usize) {
    (item.migration.id().version.to_string(), item.store.to_string(), item.index)
}

fn labels(plan: &Plan) -> Vec<(String, String, usize)> {
    plan.items.iter().map(label).collect()
}

fn versions(plan: &Plan) -> Vec<String> {
    let mut versions: Vec<String> =
        plan.items.iter().map(|item| item.migration.id().version.to_string()).collect();
    versions.dedup();
    versions
}

fn up(migrations: &Migrations, histories: &Histories, goal: &Goal) -> Plan {
    plan::up(migrations, histories, goal).unwrap()
}

/// What the histories say once an item is complete.
fn complete(histories: &mut Histories, item: &Item) {
    let records = &mut histories.get_mut(&item.store).unwrap().records;
    let id = item.migration.id();
    let record = records.entry(id.version.clone()).or_insert_with(|| Record {
        id: id.clone(),
        state: State::Applying,
        phase: item.phase,
        origin: Origin::Run,
        steps: Vec::new(),
        checkpoint: None,
        text: lane::text_sum(&*item.migration, &item.store),
        author: author("plan"),
        started: None,
        finished: None,
        rows: 0,
        note: None,
    });
    assert_eq!(record.steps.len(), item.index + usize::from(item.direction == Direction::Down));
    match item.direction {
        Direction::Up => record.steps.push(item.sum.clone()),
        Direction::Down => drop(record.steps.pop()),
    }
    record.state = item.leads_to;
}

fn run_all(migrations: &Migrations, histories: &mut Histories, goal: &Goal) {
    for item in &up(migrations, histories, goal).items {
        complete(histories, item);
    }
}

#[test]
fn steps_are_grouped_by_phase_and_then_by_store() {
    use Phase::{Backfill, Contract, Expand, Verify};
    let steps =
        [("b", Verify), ("b", Contract), ("b", Expand), ("a", Backfill), ("a", Expand), ("a", Contract)];
    let migrations = collected([plain(1, &[], &steps)]);
    let planned = up(&migrations, &empty(&["a", "b"]), &CONTRACT);
    let order: Vec<_> = planned.items.iter().map(|item| (item.phase, &*item.store.0)).collect();
    let expected =
        [(Expand, "a"), (Expand, "b"), (Backfill, "a"), (Verify, "b"), (Contract, "a"), (Contract, "b")];
    assert_eq!(order, expected);
    let states: Vec<_> = planned.items.iter().map(|item| item.leads_to).collect();
    use State::{Applying, Done, Expanded};
    assert_eq!(states, [Applying, Applying, Expanded, Expanded, Done, Done]);
}

#[test]
fn contract_steps_come_only_when_asked_for() {
    let steps = [("a", Phase::Expand), ("a", Phase::Contract)];
    let migrations = collected([plain(1, &[], &steps), plain(2, &[], &steps)]);
    let mut histories = empty(&["a"]);
    assert_eq!(up(&migrations, &histories, &UP).items.len(), 2);
    run_all(&migrations, &mut histories, &UP);
    assert!(up(&migrations, &histories, &UP).items.is_empty());
    let one = Goal { only: Some(version("2")), contract: true, to: None };
    assert_eq!(labels(&up(&migrations, &histories, &one)), [("2".into(), "a".into(), 1)]);
    assert_eq!(up(&migrations, &histories, &CONTRACT).items.len(), 2);
}

#[test]
fn what_is_needed_comes_first_and_with_it() {
    let steps = [("a", Phase::Expand)];
    let migrations = collected([
        plain(1, &[], &steps),
        plain(2, &[4], &steps),
        plain(3, &[], &steps),
        plain(4, &[], &steps),
    ]);
    let histories = empty(&["a"]);
    assert_eq!(versions(&up(&migrations, &histories, &UP)), ["1", "4", "2", "3"]);
    let to = |number: &str| Goal { to: Some(version(number)), ..Goal::default() };
    assert_eq!(versions(&up(&migrations, &histories, &to("1"))), ["1"]);
    assert_eq!(versions(&up(&migrations, &histories, &to("2"))), ["1", "4", "2"]);
    assert!(up(&migrations, &histories, &to("0")).items.is_empty());
    let mut done = histories.clone();
    run_all(&migrations, &mut done, &UP);
    let back = |extent| reverse::versions(&migrations, &done, &extent);
    assert_eq!(back(Extent::Count(3)), [version("3"), version("2"), version("4")]);
    assert_eq!(back(Extent::To(version("1"))), [version("3"), version("2"), version("4")]);
    assert_eq!(back(Extent::To(version("4"))), [version("3"), version("2")]);
}

#[test]
fn circles_and_missing_needs_are_reported_together() {
    let steps = [("a", Phase::Expand)];
    let migrations = collected([
        plain(1, &[2], &steps),
        plain(2, &[3], &steps),
        plain(3, &[2], &steps),
        plain(4, &[4, 9], &steps),
    ]);
    let faults = plan::up(&migrations, &empty(&["a"]), &UP).unwrap_err();
    let faults: Vec<_> = faults.iter().map(|fault| (fault.code, fault.message.as_str())).collect();
    let expected = [
        ("needs-circle", "migrations need each other: 2 needs 3 needs 2"),
        ("needs-circle", "migrations need each other: 4 needs 4"),
        ("needs-missing", "4_m needs 9, which does not exist"),
    ];
    assert_eq!(faults, expected);
}

#[test]
fn no_store_overtakes_one_that_is_left_out() {
    use Phase::{Backfill, Contract, Expand, Verify};
    let both = [("a", Expand), ("b", Expand), ("a", Backfill), ("a", Contract)];
    let migrations = collected([plain(1, &[], &both), plain(2, &[], &[("a", Expand)])]);
    let planned = up(&migrations, &empty(&["a"]), &CONTRACT);
    assert_eq!(labels(&planned), [("1".into(), "a".into(), 0)], "a must not fill what b has not expanded");
    assert_eq!(planned.held_back.len(), 1);

    let verified = [("a", Expand), ("b", Verify), ("a", Contract)];
    let migrations = collected([plain(1, &[], &verified), plain(2, &[], &[("a", Expand)])]);
    let planned = up(&migrations, &empty(&["a"]), &CONTRACT);
    assert_eq!(labels(&planned), [("1".into(), "a".into(), 0), ("2".into(), "a".into(), 0)]);
    assert_eq!(planned.held_back.len(), 1, "contract waits for the verify step of b");
    assert!(up(&migrations, &empty(&["a"]), &UP).held_back.is_empty());
}

#[test]
fn a_store_with_nothing_but_contract_steps_is_neither_late_nor_pending() {
    let steps = [("a", Phase::Expand), ("b", Phase::Contract)];
    let migrations =
        collected([plain(1, &[], &steps), plain(2, &[], &[("a", Phase::Expand), ("b", Phase::Expand)])]);
    let mut histories = empty(&["a", "b"]);
    run_all(&migrations, &mut histories, &UP);
    assert_eq!(audit::audit(&migrations, &histories, Policy::default()), []);
    let rows = dunlin_engine::status::rows(&migrations, &histories);
    assert!(dunlin_engine::status::pending(&rows).is_empty());
    assert_eq!(rows[0].stores[&StoreName::from("b")].word(), "expanded");
}

#[test]
fn a_thousand_migrations_plan_in_a_blink() {
    let steps = [("a", Phase::Expand)];
    let migrations = collected((1..=1000).map(|number| plain(number, &[], &steps)));
    let mut histories = empty(&["a"]);
    let timed = |histories: &Histories| {
        let began = Instant::now();
        let findings = audit::audit(&migrations, histories, Policy::default());
        let audited = began.elapsed();
        let items = up(&migrations, histories, &UP).items.len();
        (findings.len(), items, audited, began.elapsed())
    };
    let fresh = timed(&histories);
    run_all(&migrations, &mut histories, &UP);
    let applied = timed(&histories);
    println!("fresh {fresh:?}, applied {applied:?}");
    assert_eq!((fresh.1, applied.0, applied.1), (1000, 0, 0));
    let bound = if cfg!(debug_assertions) { 1_000 } else { 10 };
    assert!(fresh.3.max(applied.3).as_millis() < bound);
}

fn any_phase() -> impl Strategy<Value = Phase> {
    prop::sample::select(Phase::ALL.to_vec())
}

fn any_steps() -> impl Strategy<Value = Vec<(&'static str, Phase)>> {
    prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]), any_phase()), 0..6)
}

/// Migrations that may need any other one, circles included.
fn any_migrations() -> impl Strategy<Value = Migrations> {
    let one = (any_steps(), prop::collection::vec(0..8_usize, 0..2));
    prop::collection::vec(one, 1..8).prop_map(|all| {
        let count = all.len();
        let build = |(index, (steps, needs)): (usize, (Vec<_>, Vec<usize>))| {
            let needs: Vec<usize> =
                needs.into_iter().map(|need| need % count).filter(|need| *need != index).collect();
            plain(index, &needs, &steps)
        };
        collected(all.into_iter().enumerate().map(build))
    })
}

/// Everything a migration needs, directly or not.
fn closure(migrations: &Migrations, of: &Version) -> BTreeSet<Version> {
    let mut found = BTreeSet::new();
    let mut open = vec![of.clone()];
    while let Some(version) = open.pop() {
        for needed in migrations[&version].needs() {
            if found.insert(needed.clone()) {
                open.push(needed.clone());
            }
        }
    }
    found
}

fn has_circle(migrations: &Migrations) -> bool {
    migrations.keys().any(|version| closure(migrations, version).contains(version))
}

proptest! {
    #[test]
    fn order_is_by_version_except_for_needs(migrations in any_migrations()) {
        let order = match plan::in_order(&migrations) {
            Ok(order) => order,
            Err(_) => {
                prop_assert!(has_circle(&migrations));
                return Ok(());
            }
        };
        prop_assert!(!has_circle(&migrations));
        let order: Vec<&Version> = order.into_iter().map(|migration| &migration.id().version).collect();
        prop_assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), migrations.len());
        for (index, version) in order.iter().enumerate() {
            for needed in closure(&migrations, version) {
                prop_assert!(order[..index].contains(&&needed));
            }
            for earlier in order[..index].iter().filter(|earlier| *earlier > version) {
                let is_needed = order.iter().any(|by| by <= version && closure(&migrations, by).contains(*earlier));
                prop_assert!(is_needed, "{} before {} for no reason", earlier, version);
            }
        }
    }

    #[test]
    fn a_run_stopped_anywhere_continues_with_the_rest_of_its_plan(
        migrations in any_migrations(), stop in 0..40_usize, contract: bool,
    ) {
        prop_assume!(!has_circle(&migrations));
        let goal = Goal { contract, ..Goal::default() };
        let mut histories = empty(&["a", "b", "c"]);
        let whole = up(&migrations, &histories, &goal);
        prop_assert_eq!(labels(&whole), labels(&up(&migrations, &histories, &goal)), "the same twice");
        let stop = stop.min(whole.items.len());
        for item in &whole.items[..stop] {
            complete(&mut histories, item);
        }
        prop_assert_eq!(audit::audit(&migrations, &histories, Policy::default()), []);
        let rest = up(&migrations, &histories, &goal);
        prop_assert_eq!(&labels(&rest)[..], &labels(&whole)[stop..]);
        run_all(&migrations, &mut histories, &goal);
        prop_assert!(up(&migrations, &histories, &goal).items.is_empty());
        let records = histories.values().flat_map(|history| history.records.values());
        for record in records {
            prop_assert!(record.state.is_settled());
        }
    }

    #[test]
    fn no_phase_starts_before_every_store_finished_the_one_before(
        migrations in any_migrations(), left_out: Option<bool>,
    ) {
        prop_assume!(!has_circle(&migrations));
        let mut histories = empty(&["a", "b", "c"]);
        if left_out == Some(true) {
            histories.remove(&StoreName::from("b"));
        }
        let planned = up(&migrations, &histories, &CONTRACT);
        let mut seen: BTreeMap<String, BTreeSet<(String, usize)>> = BTreeMap::new();
        for item in &planned.items {
            let id = item.migration.id().to_string();
            for store in lane::stores(&*item.migration) {
                let steps = lane::steps(&*item.migration, &store);
                for (index, _) in steps.iter().enumerate().filter(|(_, step)| step.phase < item.phase) {
                    let before = seen.entry(id.clone()).or_default();
                    prop_assert!(before.contains(&(store.to_string(), index)));
                }
            }
            seen.entry(id).or_default().insert((item.store.to_string(), item.index));
        }
    }

    #[test]
    fn the_way_back_is_the_way_up_in_reverse(
        migrations in any_migrations(), stop in 0..40_usize, contract: bool, settled in 0..40_usize,
    ) {
        prop_assume!(!has_circle(&migrations));
        let goal = Goal { contract, ..Goal::default() };
        let mut histories = empty(&["a", "b", "c"]);
        let whole = up(&migrations, &histories, &goal);
        for item in whole.items.iter().take(stop) {
            complete(&mut histories, item);
        }
        let straight = histories.clone();
        let back: Vec<Arc<dyn Migration>> = reverse::versions(&migrations, &histories, &Extent::Count(usize::MAX))
            .iter().map(|version| migrations[version].clone()).collect();
        let planned = plan::down(&back, &histories).unwrap();
        let mut expected: Vec<_> = whole.items.iter().take(stop).map(|item| (item.phase, label(item))).collect();
        expected.reverse();
        let found: Vec<_> = planned.items.iter().map(|item| (item.phase, label(item))).collect();
        prop_assert_eq!(found, expected);
        // Stopped on the way back, `up` leads to where it was, and nothing stays unsettled.
        for item in planned.items.iter().take(settled) {
            complete(&mut histories, item);
        }
        for records in histories.values_mut().map(|history| &mut history.records) {
            records.retain(|_, record| record.state != State::Undone);
        }
        run_all(&migrations, &mut histories, &goal);
        if stop >= whole.items.len() && settled <= planned.items.len() {
            let steps = |histories: &Histories| -> Vec<(StoreName, Version, State, usize)> {
                histories.iter().flat_map(|(store, history)| history.records.values().map(|record|
                    (store.clone(), record.id.version.clone(), record.state, record.steps.len()))).collect()
            };
            prop_assert_eq!(steps(&histories), steps(&straight));
        }
    }
}

#[test]
fn a_step_without_a_way_back_stops_the_way_back_before_it_begins() {
    let mut first = plain(1, &[], &[("a", Phase::Expand), ("b", Phase::Expand)]);
    first.steps[0].undo = Undo::Irreversible { reason: "the mails are sent".to_owned() };
    let mut second = plain(2, &[], &[("a", Phase::Expand)]);
    second.steps[0].undo = Undo::Unwritten;
    let migrations = collected([first, second, plain(3, &[], &[("a", Phase::Expand)])]);
    let mut histories = empty(&["a", "b"]);
    run_all(&migrations, &mut histories, &UP);
    let all: Vec<_> = migrations.values().rev().cloned().collect();
    let error = plan::down(&all, &histories).unwrap_err();
    let expected = "there is no way back:\n  2_m in `a`: nothing to undo is written here\n  1_m in `a`: it is irreversible: the mails are sent";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.fact("code"), Some("irreversible"));
    assert!(error.help.unwrap().contains("`dunlin mark 2 undone --reason …`"));
    assert_eq!(plan::down(&all[..1], &histories).unwrap().items.len(), 1);
}
