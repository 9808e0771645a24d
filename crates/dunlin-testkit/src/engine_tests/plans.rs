//! What a plan holds, and in which order.

use std::time::{Duration, Instant};

use dunlin_core::{Phase, State, StoreName, Undo};
use dunlin_engine::reverse::{self, Extent};
use dunlin_engine::run::Histories;
use dunlin_engine::{Goal, Policy, audit, plan};

use super::plain::{collected, empty, labels, plain, run_all, up, versions};
use super::world::{CONTRACT, UP, version};

#[test]
fn steps_are_grouped_by_phase_and_then_by_store() {
    use Phase::{Backfill, Contract, Expand, Verify};
    use State::{Applying, Done, Expanded};
    let steps =
        [("b", Verify), ("b", Contract), ("b", Expand), ("a", Backfill), ("a", Expand), ("a", Contract)];
    let migrations = collected([plain(1, &[], &steps)]);
    let planned = up(&migrations, &empty(&["a", "b"]), &CONTRACT);
    let order: Vec<_> = planned.items.iter().map(|item| (item.phase, &*item.store.0)).collect();
    let expected =
        [(Expand, "a"), (Expand, "b"), (Backfill, "a"), (Verify, "b"), (Contract, "a"), (Contract, "b")];
    assert_eq!(order, expected);
    let states: Vec<_> = planned.items.iter().map(|item| item.leads_to).collect();
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
    let kept = dunlin_engine::run::Migrations::new();
    let rows = dunlin_engine::status::rows(&migrations, &kept, &histories);
    assert!(dunlin_engine::status::pending(&rows).is_empty());
    assert_eq!(rows[0].in_store(&StoreName::from("b")).unwrap().word(), "expanded");
}

#[test]
fn a_thousand_migrations_plan_in_a_blink() {
    let steps = [("a", Phase::Expand)];
    let migrations = collected((1..=1000).map(|number| plain(number, &[], &steps)));
    let mut histories = empty(&["a"]);
    let audited = |histories: &Histories| audit::audit(&migrations, histories, Policy::default()).len();
    let planned = |histories: &Histories| up(&migrations, histories, &UP).items.len();
    assert_eq!((audited(&histories), planned(&histories)), (0, 1000));
    let fresh = (fastest(|| audited(&histories)), fastest(|| planned(&histories)));
    run_all(&migrations, &mut histories, &UP);
    assert_eq!((audited(&histories), planned(&histories)), (0, 0));
    let applied = (fastest(|| audited(&histories)), fastest(|| planned(&histories)));
    let bound = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 10 });
    assert!(fresh.0 + fresh.1 < bound && applied.0 + applied.1 < bound, "{fresh:?}, {applied:?}");
}

fn fastest<T>(run: impl Fn() -> T) -> Duration {
    let times = (0..5).map(|_| {
        let began = Instant::now();
        std::hint::black_box(run());
        began.elapsed()
    });
    times.min().unwrap()
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
