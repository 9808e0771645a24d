//! Any order of runs, kills, pauses and ways back ends, after one complete run, where the straight run ends.

use dunlin_engine::reverse::Extent;
use dunlin_engine::run::Migrations;
use dunlin_engine::{Event, Goal};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::crashes::{finish, migrations, settle};
use super::world::{CONTRACT, UP, World, block_on};

#[derive(Debug, Clone)]
enum Way {
    Up { contract: bool },
    Down { count: usize },
}

#[derive(Debug, Clone)]
enum Disturbance {
    None,
    Kill { store: &'static str, call: u32, after: bool },
    LostAnswer { store: &'static str, call: u32, after: bool },
    Cancel { events: usize },
}

fn any_way() -> impl Strategy<Value = Way> {
    prop_oneof![
        any::<bool>().prop_map(|contract| Way::Up { contract }),
        (1..4_usize).prop_map(|count| Way::Down { count }),
    ]
}

fn any_disturbance() -> impl Strategy<Value = Disturbance> {
    let call = || (prop::sample::select(vec!["app", "cache"]), 0..30_u32, any::<bool>());
    prop_oneof![
        1 => Just(Disturbance::None),
        4 => call().prop_map(|(store, call, after)| Disturbance::Kill { store, call, after }),
        1 => (prop::sample::select(vec!["app", "cache"]), 0..12_u32, any::<bool>())
            .prop_map(|(store, call, after)| Disturbance::LostAnswer { store, call, after }),
        2 => (0..25_usize).prop_map(|events| Disturbance::Cancel { events }),
    ]
}

async fn act(world: &mut World, migrations: &Migrations, way: &Way, disturbance: &Disturbance) {
    world.cancel = CancellationToken::new();
    let mut events_left = usize::MAX;
    match disturbance {
        Disturbance::None => {}
        Disturbance::Kill { store, call, after } => world.data(store).burn(*call, *after),
        Disturbance::LostAnswer { store, call, after } => world.data(store).stutter(*call, *after),
        Disturbance::Cancel { events } => events_left = *events,
    }
    let cancel = world.cancel.clone();
    let mut report = |_: Event<'_>| match events_left.checked_sub(1) {
        Some(left) => events_left = left,
        None => cancel.cancel(),
    };
    let (_, outcome) = match way {
        Way::Up { contract } => {
            let goal = Goal { contract: *contract, ..UP };
            world.up_listening(migrations, &goal, &mut report).await
        }
        Way::Down { count } => world.down_listening(migrations, &Extent::Count(*count), &mut report).await,
    };
    for store in ["app", "cache"] {
        world.data(store).extinguish();
        // An answer lost while the lock was taken or given back leaves it with a process that is gone.
        world.data(store).hold(None);
    }
    settle(world, migrations, &outcome).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_schedule_ends_where_the_straight_run_ends(
        schedule in prop::collection::vec((any_way(), any_disturbance()), 1..8),
        app: bool,
        contract: bool,
    ) {
        block_on(async {
            let kinds = [("app", app), ("cache", false)];
            let mut world = World::new(&kinds).await;
            let migrations = migrations(&world, &kinds);
            for (way, disturbance) in &schedule {
                act(&mut world, &migrations, way, disturbance).await;
            }
            world.cancel = CancellationToken::new();
            // Contract steps that were asked for once stay; without any, plain `up` is enough.
            let contracts = contract || schedule.iter().any(|(way, _)| matches!(way, Way::Up { contract: true }));
            let goal = if contracts { CONTRACT } else { UP };
            finish(&world, &migrations, &goal).await;
            let straight = World::new(&kinds).await;
            straight.brought_up(&migrations, &goal).await;
            assert_eq!(world.positions().await, straight.positions().await);
        });
    }
}
