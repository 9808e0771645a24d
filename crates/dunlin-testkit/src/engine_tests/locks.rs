//! Whose turn it is.

use std::time::{Duration, Instant};

use dunlin_core::{Attempt, ErrorKind, EventKind, Record, RunId, State};
use dunlin_engine::reverse::Extent;
use dunlin_engine::{Event, lock};

use super::runs::{BOTH_KINDS, FILES, failure};
use super::world::{UP, World, block_on};

#[test]
fn a_store_without_anything_to_do_is_not_locked() {
    block_on(async {
        let world = World::new(&BOTH_KINDS).await;
        world.brought_up(&world.migrations(&FILES[2..3]), &UP).await;
        assert_eq!((world.locks("app"), world.locks("cache")), (1, 0));
    });
}

#[test]
fn two_ways_back_at_once_take_one_migration_back() {
    block_on(async {
        let world = World::new(&BOTH_KINDS).await;
        let migrations = world.migrations(&FILES);
        world.brought_up(&migrations, &UP).await;
        let back = || world.down(&migrations, &Extent::Count(1));
        let (one, other) = tokio::join!(back(), back());
        assert!(one.1.is_ok() && other.1.is_ok());
        assert_eq!(one.0.completed.len() + other.0.completed.len(), 1);
        assert_eq!(world.ran("cache").last().unwrap(), "drop z");
        assert!(world.record("cache", "1").await.is_some_and(|record| record.state == State::Done));
    });
}

#[test]
fn a_held_lock_is_waited_for_until_the_deadline_and_its_holder_named() {
    block_on(async {
        let mut world = World::new(&BOTH_KINDS).await;
        world.lock_wait = Duration::from_millis(400);
        let me = lock::me("bob", &RunId("other".into()));
        world.data("cache").hold(Some(me.clone()));
        let migrations = world.migrations(&FILES);
        let mut waits = 0;
        let began = Instant::now();
        let mut count = |event: Event<'_>| waits += u32::from(matches!(event, Event::Waiting { .. }));
        let (_, outcome) = world.up_listening(&migrations, &UP, &mut count).await;
        let error = failure(outcome);
        assert!(began.elapsed() >= world.lock_wait && began.elapsed() < Duration::from_secs(3));
        assert_eq!((error.kind, waits, error.fact("store")), (ErrorKind::Locked, 1, Some("cache")));
        let holder = format!("held by bob on {}, process {}", me.host, me.pid);
        assert!(error.message.contains(&holder), "{error}");
        assert!(
            world.stores[&"app".into()].holder().await.unwrap().is_none(),
            "the other lock was given back"
        );
        assert!(world.ran("app").is_empty());
    });
}

#[test]
fn a_lock_that_is_given_back_in_time_is_taken() {
    block_on(async {
        let world = World::new(&BOTH_KINDS).await;
        let me = lock::me("bob", &RunId("other".into()));
        let Attempt::Taken(held) = world.stores[&"cache".into()].try_lock(&me).await.unwrap() else {
            panic!()
        };
        let migrations = world.migrations(&FILES);
        let free = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            held.release().await.unwrap();
        };
        let (summary, ()) = tokio::join!(world.brought_up(&migrations, &UP), free);
        assert_eq!(summary.completed.len(), 4);
    });
}

#[test]
fn a_dead_holder_is_taken_over_and_can_write_no_more() {
    block_on(async {
        let world = World::new(&BOTH_KINDS).await;
        let mut dead = lock::me("bob", &RunId("other".into()));
        let place = dead.process.rsplit_once(' ').unwrap().0.to_owned();
        dead.process = format!("{place} 1").into();
        let store = &world.stores[&"app".into()];
        let Attempt::Taken(mut late) = store.try_lock(&dead).await.unwrap() else { panic!("it is free") };
        let migrations = world.migrations(&FILES);
        let mut taken_over = 0;
        let mut count = |event: Event<'_>| taken_over += u32::from(matches!(event, Event::TakenOver { .. }));
        world.up_listening(&migrations, &UP, &mut count).await.1.unwrap();
        assert_eq!(taken_over, 1);
        assert_eq!(late.history().await.unwrap_err().kind, ErrorKind::LeaseLost);
    });
}

#[test]
fn a_run_can_be_stopped_while_it_waits_for_a_lock() {
    block_on(async {
        let world = World::new(&BOTH_KINDS).await;
        world.data("cache").hold(Some(lock::me("bob", &RunId("other".into()))));
        let migrations = world.migrations(&FILES);
        let began = Instant::now();
        let stop = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            world.cancel.cancel();
        };
        let ((_, outcome), ()) = tokio::join!(world.up(&migrations, &UP), stop);
        assert!(began.elapsed() < Duration::from_secs(2));
        assert!(failure(outcome).message.starts_with("stopped while waiting for the lock of `cache`"));
        assert!(world.stores[&"app".into()].holder().await.unwrap().is_none());
    });
}

#[test]
fn a_run_whose_lock_was_taken_over_writes_nothing_more() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let migrations = world.migrations(&[("1_a.mem", "add x"), ("2_b.mem", "add y")]);
        let mut started = 0;
        let mut take_over = |event: Event<'_>| {
            started += u32::from(matches!(event, Event::Started(_)));
            if matches!(event, Event::Finished { .. }) {
                world.data("app").hold(Some(lock::me("bob", &RunId("other".into()))));
            }
        };
        let (_, outcome) = world.up_listening(&migrations, &UP, &mut take_over).await;
        assert_eq!((failure(outcome).kind, started), (ErrorKind::LeaseLost, 2));
        assert_eq!(world.ran("app"), ["add x"]);
        assert!(world.is_locked().await, "the other one's lock is not released");
        let journal = world.stores[&"app".into()].journal(None, 9).await.unwrap();
        assert_eq!(journal.len(), 1);
    });
}

#[test]
fn a_lock_that_cannot_be_given_back_does_not_hide_the_one_that_was_not_had() {
    block_on(async {
        let mut world = World::new(&BOTH_KINDS).await;
        world.lock_wait = Duration::ZERO;
        world.data("cache").hold(Some(lock::me("bob", &RunId("other".into()))));
        let migrations = world.migrations(&FILES);
        world.data("app").stutter(1, false);
        let error = failure(world.up(&migrations, &UP).await.1);
        assert_eq!((error.kind, error.fact("store")), (ErrorKind::Locked, Some("cache")));
        assert_eq!(error.fact("and then"), Some("the answer got lost"));
    });
}

const TWO_PHASES: &str = "
[[expand]]
store = 'app'
add = 'x'
[[expand]]
store = 'cache'
add = 'x'
[[backfill]]
store = 'app'
script = 'bump x'
";

#[test]
fn a_way_back_in_a_store_that_is_not_locked_is_seen_under_the_locks_of_the_others() {
    block_on(async {
        let world = World::new(&[("app", true), ("cache", true)]).await;
        let migrations = world.migrations(&[("1_a.toml", TWO_PHASES), ("2_b.app.mem", "add y")]);
        world.brought_up(&world.migrations(&[("1_a.toml", TWO_PHASES)]), &UP).await;
        let me = lock::me("bob", &RunId("other".into()));
        let Attempt::Taken(mut held) = world.stores[&"app".into()].try_lock(&me).await.unwrap() else {
            panic!()
        };
        let go_back = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            for store in ["app", "cache"] {
                let record = world.record(store, "1").await.unwrap();
                let undone = Record { state: State::Undone, steps: Vec::new(), ..record };
                match store {
                    "app" => held.write(&undone, &[], EventKind::Marked).await.unwrap(),
                    other => world.write(other, &undone).await,
                }
            }
            held.release().await.unwrap();
        };
        let ((_, outcome), ()) = tokio::join!(world.up(&migrations, &UP), go_back);
        let error = failure(outcome);
        assert!(error.message.contains("it now needs `cache` too"), "{error}");
        assert_eq!(world.ran("app"), ["add x", "bump x"]);
    });
}
