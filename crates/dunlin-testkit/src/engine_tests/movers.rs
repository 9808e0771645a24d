//! Steps that go through records: chunk by chunk, each exactly once, whatever happens in between.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use dunlin_core::{Error, ErrorKind, Pace, Seen, State};
use dunlin_engine::reverse::Extent;
use dunlin_engine::run::Stop;
use dunlin_engine::{Event, Outcome};

use super::world::{CONTRACT, UP, World, block_on};

const FILE: (&str, &str) = (
    "1_points.toml",
    "[[backfill]]\nstore = \"app\"\nsweep = \"points\"\n\n[[verify]]\nstore = \"app\"\nlevel = \"points 1\"\n",
);

async fn world(is_transactional: bool) -> World {
    let world = World::new(&[("app", is_transactional)]).await;
    world.data("app").records.insert("points".to_owned(), vec![0; 95]);
    world
}

fn points(world: &World) -> Vec<u64> {
    world.data("app").records["points"].clone()
}

#[test]
fn every_record_is_moved_once_wherever_the_run_is_killed() {
    block_on(async {
        for is_transactional in [true, false] {
            for after in [false, true] {
                for call in 0.. {
                    let world = world(is_transactional).await;
                    let migrations = world.migrations(&[FILE]);
                    world.data("app").burn(call, after);
                    let (_, first) = world.up(&migrations, &UP).await;
                    let was_whole = world.data("app").extinguish();
                    assert_eq!(was_whole, first.is_ok(), "call {call}, after: {after}");
                    let again = world.up(&migrations, &UP).await.1.unwrap();
                    assert_eq!(again, Outcome::Complete);
                    assert_eq!(points(&world), vec![1; 95], "call {call}, after: {after}");
                    assert_eq!(world.record("app", "1").await.unwrap().state, State::Done);
                    if was_whole {
                        assert!(call > 20, "chunks are calls of their own");
                        break;
                    }
                }
            }
        }
    });
}

#[test]
fn the_way_back_goes_over_what_was_moved_and_no_further() {
    block_on(async {
        for is_transactional in [true, false] {
            for call in 3..16 {
                let world = world(is_transactional).await;
                let migrations = world.migrations(&[FILE]);
                world.data("app").burn(call, true);
                world.up(&migrations, &UP).await.1.unwrap_err();
                world.data("app").extinguish();
                let (_, down) = world.down(&migrations, &Extent::Count(1)).await;
                assert_eq!(down.unwrap(), Outcome::Complete);
                assert_eq!(points(&world), vec![0; 95], "killed after call {call}");
            }
        }
    });
}

#[test]
fn a_pause_keeps_the_position_and_says_how_far_it_got() {
    block_on(async {
        let world = world(true).await;
        let migrations = world.migrations(&[FILE]);
        let cancel = world.cancel.clone();
        let mut chunks = 0;
        let mut report = |event: Event<'_>| {
            if let Event::Advanced { seen: Some(seen), .. } = event {
                chunks += 1;
                assert_eq!((seen.scanned, seen.total), (chunks * 10, Some(95)));
                if chunks == 6 {
                    cancel.cancel();
                }
            }
        };
        let (summary, outcome) = world.up_listening(&migrations, &UP, &mut report).await;
        assert_eq!(outcome.unwrap(), Outcome::Paused);
        assert!(summary.stopped_in.is_some());
        let record = world.record("app", "1").await.unwrap();
        assert_eq!(Seen::of(&record).unwrap().percent(), Some(63));
        assert_eq!(points(&world).iter().sum::<u64>(), 60);
    });
}

#[test]
fn what_a_verify_finds_is_listed_and_looked_for_anew() {
    block_on(async {
        let world = world(true).await;
        let migrations = world.migrations(&[FILE]);
        world.brought_up(&migrations, &UP).await;
        world.down(&migrations, &Extent::Count(1)).await.1.unwrap();
        world.data("app").records.get_mut("points").unwrap()[3] = 5;
        let (summary, outcome) = world.up(&migrations, &UP).await;
        assert!(matches!(outcome, Err(Stop::Violated)));
        let found: Vec<String> = summary.broken.unwrap().violations.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["3: 6"]);
        assert_eq!(world.record("app", "1").await.unwrap().checkpoint, None);
        world.data("app").records.get_mut("points").unwrap()[3] = 1;
        world.brought_up(&migrations, &UP).await;
    });
}

#[test]
fn a_step_that_is_edited_half_way_is_refused() {
    block_on(async {
        let world = world(true).await;
        world.data("app").records.insert("others".to_owned(), vec![0; 95]);
        world.data("app").burn(6, true);
        world.up(&world.migrations(&[FILE]), &UP).await.1.unwrap_err();
        world.data("app").extinguish();
        let edited = FILE.1.replace("sweep = \"points\"", "sweep = \"others\"");
        let (_, outcome) = world.up(&world.migrations(&[(FILE.0, &edited)]), &UP).await;
        let Err(Stop::Failed(error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.kind, ErrorKind::Integrity);
        assert_eq!(world.data("app").records["others"], vec![0; 95]);
    });
}

#[test]
fn a_store_under_strain_is_waited_for_and_one_that_cannot_be_read_is_not_moved_in() {
    block_on(async {
        let world = world(true).await;
        let migrations = world.migrations(&[FILE]);
        let unreadable = || Error::new(ErrorKind::Connect, "no answer");
        world
            .data("app")
            .strains
            .extend([Ok("a replica is 12 s behind".to_owned()), Err(unreadable().temporary())]);
        let mut told = Vec::new();
        let mut report = |event: Event<'_>| {
            if let Event::Throttled { reason, .. } = event {
                told.push(reason.to_owned());
            }
        };
        let (_, outcome) = world.up_listening(&migrations, &UP, &mut report).await;
        assert_eq!(outcome.unwrap(), Outcome::Complete);
        assert_eq!(told, ["a replica is 12 s behind", "its strain cannot be read: no answer"]);
        world.down(&migrations, &Extent::Count(1)).await.1.unwrap();
        world.data("app").strains.push_back(Err(Error::new(ErrorKind::Access, "no right to look")));
        let before = points(&world);
        let (_, outcome) = world.up(&migrations, &UP).await;
        assert!(matches!(outcome, Err(Stop::Failed(error)) if error.kind == ErrorKind::Access));
        assert_eq!(points(&world), before);
    });
}

#[test]
fn stores_move_side_by_side_and_stop_together() {
    block_on(async {
        let world = World::new(&[("app", true), ("books", false)]).await;
        for store in ["app", "books"] {
            world.data(store).records.insert("points".to_owned(), vec![0; 95]);
        }
        let text = "[[backfill]]\nstore = \"app\"\nsweep = \"points\"\n[[backfill]]\nstore = \"books\"\nsweep = \"points\"\n";
        let migrations = world.migrations(&[("1_points.toml", text)]);
        world.data("app").burn(8, true);
        let (summary, outcome) = world.up(&migrations, &UP).await;
        let Err(Stop::Failed(error)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(error.message, "killed");
        assert_eq!(summary.stopped_in.unwrap().store.as_str(), "app");
        assert_eq!(summary.remaining.len(), 1, "the other store paused");
        let moved = world.data("books").records["points"].iter().sum::<u64>();
        assert!((10..95).contains(&moved), "{moved}");
        world.data("app").extinguish();
        tokio::time::sleep(Duration::from_millis(1)).await;
        world.brought_up(&migrations, &UP).await;
        for store in ["app", "books"] {
            assert_eq!(world.data(store).records["points"], vec![1; 95]);
        }
    });
}

#[test]
fn contract_asks_again_in_every_store_before_it_removes_anything() {
    block_on(async {
        let world = World::new(&[("app", true), ("books", false)]).await;
        let text = "[[verify]]\nstore = \"books\"\nlevel = \"points 0\"\n[[contract]]\nstore = \"app\"\nadd = \"gone\"\nno_op = \"a test\"\n";
        let migrations = world.migrations(&[("1_points.toml", text)]);
        world.data("books").records.insert("points".to_owned(), vec![0; 95]);
        world.brought_up(&migrations, &UP).await;
        world.data("books").records.get_mut("points").unwrap()[94] = 7;
        let (summary, outcome) = world.up(&migrations, &CONTRACT).await;
        assert!(matches!(outcome, Err(Stop::Violated)));
        assert_eq!(summary.broken.unwrap().violations[0].to_string(), "94: 7");
        assert_eq!(summary.stopped_in.unwrap().store.as_str(), "app");
        assert!(world.ran("app").is_empty());
        world.data("books").records.get_mut("points").unwrap()[94] = 0;
        world.brought_up(&migrations, &CONTRACT).await;
        assert_eq!(world.ran("app"), ["add gone"]);
    });
}

#[test]
fn a_run_pauses_when_its_time_is_over_and_another_one_goes_on() {
    block_on(async {
        let mut world = world(true).await;
        let migrations = world.migrations(&[FILE]);
        world.until = Some(Instant::now());
        let (summary, outcome) = world.up(&migrations, &UP).await;
        assert_eq!((outcome.unwrap(), summary.completed.len()), (Outcome::Paused, 0));
        assert_eq!(points(&world), vec![0; 95]);
        world.until = Some(Instant::now() + Duration::from_mins(1));
        world.brought_up(&migrations, &UP).await;
        assert_eq!(points(&world), vec![1; 95]);
    });
}

#[test]
fn a_rate_makes_a_run_take_its_time() {
    block_on(async {
        let mut world = world(true).await;
        let pace = Pace { rate: NonZeroU32::new(1000), ..Pace::default() };
        world.paces.insert("app".into(), pace);
        let migrations = world.migrations(&[FILE]);
        let began = Instant::now();
        world.brought_up(&migrations, &UP).await;
        // 90 of the 95 records are followed by others, and each of them has a millisecond; so in the verify step.
        assert!(began.elapsed() >= Duration::from_millis(180), "{:?}", began.elapsed());
    });
}
