//! What stands before a contract: what prepares runs first, then the proof, then removal; who still uses the old shape
//! stops it, and whoever would touch the same waits.

use dunlin_core::{SourceMap, State, StoreName};
use dunlin_engine::plan::{self, HeldBack, Holdup};
use dunlin_engine::reverse::{self, Extent};
use dunlin_engine::run::{Migrations, Stop};
use dunlin_engine::{Event, Outcome, verify};

use super::crashes::{KINDS, at_every_call, finish, finish_down};
use super::world::{CONTRACT, UP, World, block_on, version};

const OLD: (&str, &str) = ("1_old.app.mem", "add users.email\n# Down\ndrop users.email");
const SIDE: (&str, &str) = ("1_old.cache.mem", "add user\n# Down\ndrop user");
const CHANGE: (&str, &str) = (
    "2_change.toml",
    "[[change]]\nstore = 'app'\nreshape = 'users.email'\n[[change]]\nstore = 'cache'\nreshape = 'user'\n",
);

fn migrations(world: &World, _kinds: &[(&str, bool)]) -> Migrations {
    world.migrations(&[OLD, SIDE, CHANGE])
}

async fn expanded() -> (World, Migrations) {
    let world = World::new(&KINDS[0]).await;
    let migrations = migrations(&world, &[]);
    world.brought_up(&migrations, &UP).await;
    (world, migrations)
}

fn has_run(world: &World, store: &str, statement: &str) -> usize {
    world.ran(store).iter().filter(|ran| *ran == statement).count()
}

#[test]
fn every_store_prepares_before_the_proof_and_removes_after_it() {
    block_on(async {
        let (world, migrations) = expanded().await;
        let mut order = Vec::new();
        let mut report = |event: Event<'_>| {
            if let Event::Finished { step, .. } = event {
                order.push(format!("{} {}", step.store, step.summary));
            }
        };
        world.up_listening(&migrations, &CONTRACT, &mut report).await.1.unwrap();
        let expected = [
            "app add kept_2_1",
            "cache add kept_2_2",
            "app bad_2_1",
            "cache bad_2_2",
            "app drop users.email",
            "cache drop user",
        ];
        assert_eq!(order, expected);
    });
}

#[test]
fn a_proof_that_fails_after_what_prepares_keeps_everything_from_being_removed() {
    block_on(async {
        let (world, migrations) = expanded().await;
        world.data("cache").counters.insert("bad_2_2".to_owned(), 0);
        let (summary, outcome) = world.up(&migrations, &CONTRACT).await;
        assert!(matches!(outcome, Err(Stop::Violated)), "{outcome:?}");
        assert_eq!(summary.broken.unwrap().store.as_str(), "cache");
        for (store, old, kept) in [("app", "users.email", "kept_2_1"), ("cache", "user", "kept_2_2")] {
            let record = world.record(store, "2").await.unwrap();
            assert_eq!(record.state, State::Expanded);
            assert!(world.data(store).counters.contains_key(old), "{store} removed nothing");
            assert!(world.data(store).counters.contains_key(kept), "{store} prepared");
        }
        world.data("cache").counters.remove("bad_2_2");
        world.brought_up(&migrations, &CONTRACT).await;
        assert_eq!(has_run(&world, "app", "add kept_2_1"), 1, "what was prepared is not prepared again");
        assert_eq!(has_run(&world, "app", "drop users.email"), 1);
        assert_eq!(world.record("cache", "2").await.unwrap().state, State::Done);
    });
}

#[test]
fn what_is_in_use_in_any_store_is_removed_in_none_but_for_a_reason() {
    block_on(async {
        let (mut world, migrations) = expanded().await;
        world.data("cache").readers.insert("user".to_owned(), vec!["the report".to_owned()]);
        let (_, outcome) = world.up(&migrations, &CONTRACT).await;
        let Err(Stop::InUse(uses)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(uses, [(StoreName::from("cache"), "the report reads user".to_owned())]);
        assert_eq!(has_run(&world, "app", "drop users.email") + has_run(&world, "cache", "drop user"), 0);

        world.force = Some("it is switched off on Monday".into());
        world.brought_up(&migrations, &CONTRACT).await;
        assert_eq!(has_run(&world, "cache", "drop user"), 1);
        let store = &world.stores[&StoreName::from("cache")];
        let lines = store.journal(Some(&version("2")), 100).await.unwrap();
        let reasons: Vec<&str> = lines
            .iter()
            .filter_map(|line| line.detail.as_deref())
            .filter(|line| line.contains("Monday"))
            .collect();
        assert_eq!(
            reasons,
            ["removed although in use (the report reads user): it is switched off on Monday"]
        );
    });
}

#[test]
fn a_migration_that_touches_the_same_waits_for_the_contract_and_its_neighbour_does_not() {
    block_on(async {
        for (path, is_held) in [
            ("users.email", true),
            ("users", true),
            ("users.email.domain", true),
            ("users.email_2", false),
            ("users.name", false),
            ("use", false),
        ] {
            let world = World::new(&KINDS[0]).await;
            let second = format!("[[change]]\nstore = 'app'\nreshape = '{path}'\n");
            let migrations = world.migrations(&[OLD, SIDE, CHANGE, ("3_second.toml", &second)]);
            let summary = world.brought_up(&migrations, &UP).await;
            let third = migrations[&version("3")].id().clone();
            let other = migrations[&version("2")].id().clone();
            let narrower = if path.len() > "users.email".len() { path } else { "users.email" };
            let held = HeldBack { id: third, by: Holdup::Contract { id: other, path: narrower.to_owned() } };
            assert_eq!(summary.held_back, if is_held { vec![held] } else { Vec::new() }, "{path}");
            assert_eq!(has_run(&world, "app", "add new_3_1"), usize::from(!is_held), "{path}");

            let only = dunlin_engine::Goal { only: Some(version("2")), ..CONTRACT };
            world.brought_up(&migrations, &only).await;
            let summary = world.brought_up(&migrations, &UP).await;
            assert!(summary.held_back.is_empty(), "{path}");
            assert_eq!(has_run(&world, "app", "add new_3_1"), 1, "{path}");
        }
    });
}

#[test]
fn what_the_way_back_would_lose_is_found_before_it() {
    block_on(async {
        let (world, migrations) = expanded().await;
        let histories = world.histories().await;
        let versions = reverse::versions(&migrations, &histories, &Extent::Count(1));
        let (stores, mut sources) = ((&world.stores, &world.backends), SourceMap::default());
        let back = reverse::resolve(&versions, &migrations, &histories, stores, &mut sources).await.unwrap();
        let plan = plan::down(&back.migrations, &histories).unwrap();
        let context = world.context();
        assert!(verify::losses(&context, &plan, &mut |_| {}).await.unwrap().unwrap().is_empty());
        world.data("cache").counters.insert("dear_2_2".to_owned(), 1);
        let lost = verify::losses(&context, &plan, &mut |_| {}).await.unwrap().unwrap();
        let lost: Vec<String> =
            lost.iter().map(|proof| format!("{}: {}", proof.store, proof.violations[0])).collect();
        assert_eq!(lost, ["cache: dear_2_2"]);
    });
}

#[test]
fn a_contract_killed_at_any_call_ends_as_an_undisturbed_one_and_removes_nothing_too_early() {
    block_on(async {
        for kinds in &KINDS {
            let straight = World::new(kinds).await;
            straight.brought_up(&migrations(&straight, kinds), &CONTRACT).await;
            let expected = (straight.positions().await, straight.ran("app"), straight.ran("cache"));
            at_every_call(
                (kinds, migrations),
                async |_, _| {},
                async |world, migrations| world.up(migrations, &CONTRACT).await,
                async |world, migrations, place| {
                    let removed =
                        has_run(world, "app", "drop users.email") + has_run(world, "cache", "drop user");
                    let kept =
                        has_run(world, "app", "add kept_2_1") + has_run(world, "cache", "add kept_2_2");
                    assert!(removed == 0 || kept == 2, "{place}");
                    finish(world, migrations, &CONTRACT).await;
                    let found = (world.positions().await, world.ran("app"), world.ran("cache"));
                    assert_eq!(found, expected, "{place}");
                },
            )
            .await;
        }
    });
}

#[test]
fn a_way_back_over_a_contract_killed_at_any_call_leads_to_where_it_began() {
    block_on(async {
        for kinds in &KINDS {
            let extent = &Extent::Count(1);
            let straight = World::new(kinds).await;
            let loaded = migrations(&straight, kinds);
            straight.brought_up(&loaded, &CONTRACT).await;
            let (_, outcome) = straight.down(&loaded, extent).await;
            assert!(matches!(outcome, Ok(Outcome::Complete)));
            let expected = straight.positions().await;
            at_every_call(
                (kinds, migrations),
                async |world, migrations| drop(world.brought_up(migrations, &CONTRACT).await),
                async |world, migrations| world.down(migrations, extent).await,
                async |world, migrations, place| {
                    finish_down(world, migrations, &Extent::To(version("1"))).await;
                    assert_eq!(world.positions().await, expected, "{place}");
                },
            )
            .await;
        }
    });
}
