//! What holds of every plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_core::{Migration, Phase, State, StoreName, Version};
use dunlin_engine::reverse::{self, Extent};
use dunlin_engine::run::{Histories, Migrations};
use dunlin_engine::{Goal, Policy, audit, lane, plan};
use proptest::prelude::*;

use super::plain::{collected, complete, empty, label, labels, plain, run_all, up};
use super::world::CONTRACT;

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
        let Ok(order) = plan::in_order(&migrations) else {
            prop_assert!(has_circle(&migrations));
            return Ok(());
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
                let steps = lane::steps(&*item.migration, store);
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
