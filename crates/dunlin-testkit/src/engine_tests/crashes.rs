//! Killed at every call, before and after its effect: the next run ends where an undisturbed one ends.

use dunlin_core::{ErrorKind, StoreName};
use dunlin_engine::mark::{self, Mark, Remark};
use dunlin_engine::reverse::Extent;
use dunlin_engine::run::{Migrations, Stop};
use dunlin_engine::{Goal, Outcome, Summary};

use super::world::{CONTRACT, UP, World, author, block_on, version};

/// Several migrations over `app` and `cache`, in all phases. What is undone half way in a store without transactions must
/// be such that one can see whether it holds; where there are transactions, anything goes.
pub(super) fn migrations(world: &World, kinds: &[(&str, bool)]) -> Migrations {
    let [fill, unfill, refill, unrefill] = if kinds[0] == ("app", true) {
        ["bump new", "sink new", "bump new", "sink new"]
    } else {
        ["add fill", "drop fill", "add refill", "drop refill"]
    };
    let phases = format!(
        "
[[expand]]
store = 'app'
script = '''
add new
add newer'''
undo = '''
drop newer
drop new'''
[[expand]]
store = 'cache'
script = '''
add new
bump new'''
undo = 'drop new'
[[backfill]]
store = 'app'
script = '{fill}'
undo = '{unfill}'
[[backfill]]
store = 'cache'
script = 'add filled'
undo = 'drop filled'
[[verify]]
store = 'app'
script = 'bad'
[[contract]]
store = 'cache'
script = 'drop old'
undo = 'add old'
[[contract]]
store = 'app'
script = 'drop old'
undo = 'add old'
"
    );
    world.migrations(&[
        ("1_a.app.mem", "add old\n# Down\ndrop old"),
        ("1_a.cache.mem", "add old\nadd side\n# Down\ndrop side\ndrop old"),
        ("2_b.toml", &phases),
        ("3_c.cache.mem", "add last\nadd very_last\n# Down\ndrop very_last\ndrop last"),
        ("4_d.app.mem", &format!("{refill}\n# Down\n{unrefill}")),
    ])
}

pub(super) const KINDS: [[(&str, bool); 2]; 3] =
    [[("app", true), ("cache", false)], [("app", true), ("cache", true)], [("app", false), ("cache", false)]];

/// Settles what no store can tell, by looking at what a person would look at.
pub(super) async fn settle(world: &World, migrations: &Migrations, outcome: &Result<Outcome, Stop>) {
    let Err(Stop::Failed(error)) = outcome else { return };
    if error.kind != ErrorKind::Ambiguous {
        return;
    }
    let store = StoreName::from(error.fact("store").unwrap());
    let number = version(error.fact("migration").unwrap().split('_').next().unwrap());
    let statement = error.message.split('`').nth(1).unwrap();
    let (verb, name) = statement.split_once(' ').unwrap();
    let ran = world.ran(store.as_str());
    let last = ran.iter().rev().find(|ran| ran.split_once(' ').is_some_and(|(_, other)| other == name));
    assert!(matches!(verb, "bump" | "sink"), "every other outcome can be seen");
    let mark =
        if last.is_some_and(|last| last == statement) { Mark::StatementDone } else { Mark::StatementUndone };
    let author = author("person");
    let remark = Remark { store: &store, author: &author, reason: "counted" };
    let record = world.record(store.as_str(), number.as_str()).await;
    let record = mark::marked(migrations.get(&number), record.as_ref(), mark, remark).unwrap();
    world.write(store.as_str(), &record).await;
}

/// Runs until it succeeds, as a user would.
pub(super) async fn finish(world: &World, migrations: &Migrations, goal: &Goal) {
    for _ in 0..5 {
        let (_, outcome) = world.up(migrations, goal).await;
        if outcome.is_ok() {
            return;
        }
        settle(world, migrations, &outcome).await;
    }
    let (_, outcome) = world.up(migrations, goal).await;
    assert!(matches!(outcome, Ok(Outcome::Complete)), "{outcome:?}");
}

pub(super) async fn finish_down(world: &World, migrations: &Migrations, extent: &Extent) {
    for _ in 0..5 {
        let (_, outcome) = world.down(migrations, extent).await;
        if outcome.is_ok() {
            return;
        }
        settle(world, migrations, &outcome).await;
    }
    let (_, outcome) = world.down(migrations, extent).await;
    assert!(matches!(outcome, Ok(Outcome::Complete)), "{outcome:?}");
}

/// Kills `run` at every call of every store, and lets `check` look at what is left.
pub(super) async fn at_every_call(
    (kinds, migrations): (&[(&str, bool)], impl Fn(&World, &[(&str, bool)]) -> Migrations),
    prepare: impl AsyncFn(&World, &Migrations),
    run: impl AsyncFn(&World, &Migrations) -> (Summary, Result<Outcome, Stop>),
    check: impl AsyncFn(&World, &Migrations, &str),
) {
    for store in ["app", "cache"] {
        for after in [false, true] {
            for call in 0.. {
                let world = World::new(kinds).await;
                let migrations = migrations(&world, kinds);
                prepare(&world, &migrations).await;
                world.data(store).burn(call, after);
                let (_, outcome) = run(&world, &migrations).await;
                if world.data(store).extinguish() {
                    assert!(matches!(outcome, Ok(Outcome::Complete)), "{outcome:?}");
                    assert!(call > 3, "the fuse was hit");
                    break;
                }
                assert!(outcome.is_err());
                assert!(!world.is_locked().await, "killed at call {call} of {store}");
                settle(&world, &migrations, &outcome).await;
                check(&world, &migrations, &format!("{kinds:?}, {store}, call {call}, after: {after}")).await;
            }
        }
    }
}

#[test]
fn up_continues_from_a_kill_at_any_call() {
    block_on(async {
        for (kinds, goal) in KINDS.iter().flat_map(|kinds| [(kinds, UP), (kinds, CONTRACT)]) {
            let straight = World::new(kinds).await;
            straight.brought_up(&migrations(&straight, kinds), &goal).await;
            let expected = (straight.positions().await, straight.ran("app"), straight.ran("cache"));
            let goal = &goal;
            at_every_call(
                (kinds, migrations),
                async |_, _| {},
                async |world, migrations| world.up(migrations, goal).await,
                async |world, migrations, place| {
                    finish(world, migrations, goal).await;
                    let found = (world.positions().await, world.ran("app"), world.ran("cache"));
                    assert_eq!(found, expected, "{place}");
                    assert!(world.brought_up(migrations, goal).await.completed.is_empty(), "{place}");
                },
            )
            .await;
        }
    });
}

#[test]
fn down_continues_from_a_kill_at_any_call() {
    block_on(async {
        for (kinds, goal) in KINDS.iter().flat_map(|kinds| [(kinds, UP), (kinds, CONTRACT)]) {
            let extent = Extent::To(version("1"));
            let straight = World::new(kinds).await;
            let loaded = migrations(&straight, kinds);
            straight.brought_up(&loaded, &goal).await;
            straight.down(&loaded, &extent).await.1.unwrap();
            let expected = (straight.positions().await, straight.ran("app"), straight.ran("cache"));
            let (goal, extent) = (&goal, &extent);
            at_every_call(
                (kinds, migrations),
                async |world, migrations| drop(world.brought_up(migrations, goal).await),
                async |world, migrations| world.down(migrations, extent).await,
                async |world, migrations, place| {
                    finish_down(world, migrations, extent).await;
                    let found = (world.positions().await, world.ran("app"), world.ran("cache"));
                    assert_eq!(found, expected, "{place}");
                },
            )
            .await;
        }
    });
}

#[test]
fn up_after_a_way_back_killed_at_any_call_leads_to_where_it_was() {
    block_on(async {
        for kinds in &KINDS {
            let straight = World::new(kinds).await;
            straight.brought_up(&migrations(&straight, kinds), &CONTRACT).await;
            let expected = straight.positions().await;
            at_every_call(
                (kinds, migrations),
                async |world, migrations| drop(world.brought_up(migrations, &CONTRACT).await),
                async |world, migrations| world.down(migrations, &Extent::Count(3)).await,
                async |world, migrations, place| {
                    finish(world, migrations, &CONTRACT).await;
                    assert_eq!(world.positions().await, expected, "{place}");
                },
            )
            .await;
        }
    });
}

#[test]
fn down_after_an_up_killed_at_any_call_leads_to_nothing() {
    block_on(async {
        for kinds in &KINDS {
            at_every_call(
                (kinds, migrations),
                async |_, _| {},
                async |world, migrations| world.up(migrations, &CONTRACT).await,
                async |world, migrations, place| {
                    finish_down(world, migrations, &Extent::Count(usize::MAX)).await;
                    for (counters, records) in world.positions().await.into_values() {
                        assert!(
                            counters.is_empty() && records.is_empty(),
                            "{place}: {counters:?} {records:?}"
                        );
                    }
                },
            )
            .await;
        }
    });
}
