//! From the way up to the way back, and round again, in the middle of a step.

use dunlin_core::State;
use dunlin_engine::reverse::Extent;
use dunlin_engine::run::Stop;
use dunlin_engine::{Event, Outcome, status};
use tokio_util::sync::CancellationToken;

use super::runs::{BOTH_KINDS, FILES, failure};
use super::world::{CONTRACT, UP, World, block_on};

#[test]
fn a_half_applied_migration_can_be_taken_back() {
    block_on(async {
        let world = World::new(&[("cache", false)]).await;
        let migrations = world.migrations(&[
            ("1_a.mem", "add w\n# Down\ndrop w"),
            ("2_b.mem", "add x\nbump nothing\nadd y\n# Down\ndrop y\ndrop x"),
        ]);
        failure(world.up(&migrations, &UP).await.1);
        assert_eq!(world.record("cache", "2").await.unwrap().state, State::Applying);
        let (summary, outcome) = world.down(&migrations, &Extent::Count(1)).await;
        assert!(matches!(outcome, Ok(Outcome::Complete)));
        assert_eq!(summary.completed.len(), 1);
        assert_eq!(world.ran("cache"), ["add w", "add x", "drop x"]);
        assert_eq!(world.record("cache", "2").await.unwrap().state, State::Undone);
    });
}

#[test]
fn a_half_undone_migration_is_undone_to_its_end_before_it_is_applied_again() {
    block_on(async {
        let mut world = World::new(&[("cache", false)]).await;
        let migrations = world.migrations(&[("1_a.mem", "add x\nadd y\n# Down\ndrop y\ndrop x")]);
        world.brought_up(&migrations, &UP).await;
        let mut advances = 0;
        let cancel = world.cancel.clone();
        let mut stop = |event: Event<'_>| {
            advances += u32::from(matches!(event, Event::Advanced { .. }));
            if advances == 2 {
                cancel.cancel();
            }
        };
        let (_, outcome) = world.down_listening(&migrations, &Extent::Count(1), &mut stop).await;
        assert!(matches!(outcome, Ok(Outcome::Paused)));
        assert_eq!(world.record("cache", "1").await.unwrap().state, State::Undoing);
        world.cancel = CancellationToken::new();
        let summary = world.brought_up(&migrations, &UP).await;
        assert_eq!(summary.completed.len(), 2);
        assert_eq!(world.ran("cache"), ["add x", "add y", "drop y", "drop x", "add x", "add y"]);
        assert_eq!(world.record("cache", "1").await.unwrap().state, State::Done);
    });
}

#[test]
fn a_half_undone_migration_whose_way_back_is_gone_says_so() {
    block_on(async {
        let world = World::new(&[("cache", false)]).await;
        let migrations = world.migrations(&[("1_a.mem", "add x\nadd y\n# Down\ndrop y\ndrop x")]);
        world.brought_up(&migrations, &UP).await;
        world.data("cache").burn(3, true);
        failure(world.down(&migrations, &Extent::Count(1)).await.1);
        let (_, outcome) = world.up(&world.migrations(&[("1_a.mem", "add x\nadd y")]), &UP).await;
        let Err(Stop::Unordered(faults)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(
            faults[0].message,
            "1_a is half undone in `cache`, and cannot be undone to its end: nothing to undo is written here"
        );
        world.brought_up(&migrations, &UP).await;
    });
}

#[test]
fn the_kept_text_takes_back_what_has_no_file_any_more_or_an_edited_one() {
    block_on(async {
        for files in [&[][..], &[("1_a.app.mem", "add other\n# Down\ndrop other")]] {
            let world = World::new(&BOTH_KINDS).await;
            world.brought_up(&world.migrations(&FILES[..2]), &UP).await;
            let (summary, outcome) = world.down(&world.migrations(files), &Extent::Count(1)).await;
            assert!(matches!(outcome, Ok(Outcome::Complete)));
            assert_eq!(summary.completed.len(), 2);
            assert!(world.data("app").counters.is_empty() && world.data("cache").counters.is_empty());
        }
    });
}

#[test]
fn a_step_that_had_no_effect_is_not_undone_and_needs_no_way_back() {
    block_on(async {
        let world = World::new(&[("cache", false)]).await;
        let migrations =
            world.migrations(&[("1_a.mem", "add x\n# Down\ndrop x"), ("2_b.mem", "bump nothing")]);
        failure(world.up(&migrations, &UP).await.1);
        assert!(world.record("cache", "2").await.unwrap().checkpoint.is_some());
        world.down(&migrations, &Extent::Count(1)).await.1.unwrap();
        assert_eq!(world.record("cache", "2").await.unwrap().state, State::Undone);
        assert_eq!(world.ran("cache"), ["add x"]);
    });
}

const CONTRACTING: &str = "
[[expand]]
store = 'cache'
add = 'new'
undo = { script = 'drop new' }
[[contract]]
store = 'cache'
script = '''
drop old
drop older'''
undo = { script = '''
add older
add old''' }
";

#[test]
fn a_way_back_that_ends_before_expand_leaves_nothing_unsettled() {
    for events in 0..10 {
        block_on(async {
            let mut world = World::new(&[("cache", false)]).await;
            let migrations =
                world.migrations(&[("1_a.mem", "add old\nadd older"), ("2_b.toml", CONTRACTING)]);
            world.brought_up(&migrations, &CONTRACT).await;
            let (cancel, mut left) = (world.cancel.clone(), events);
            let mut stop = |_: Event<'_>| match left {
                0 => cancel.cancel(),
                _ => left -= 1,
            };
            world.down_listening(&migrations, &Extent::Count(1), &mut stop).await.1.unwrap();
            world.cancel = CancellationToken::new();
            let was = world.record("cache", "2").await.unwrap().state;
            world.brought_up(&migrations, &UP).await;
            let state = world.record("cache", "2").await.unwrap().state;
            let expected = if was == State::Done { State::Done } else { State::Expanded };
            assert_eq!(state, expected, "stopped after {events} events, {was}");
            let histories = world.histories().await;
            let kept = dunlin_engine::run::Migrations::new();
            let rows = status::rows(&migrations, &kept, &histories);
            assert!(status::pending(&rows).is_empty());
            let names: Vec<String> = world.data("cache").counters.keys().cloned().collect();
            let whole = if was == State::Done { &["new"][..] } else { &["new", "old", "older"] };
            assert_eq!(names, whole);
        });
    }
}
