//! What a run does, and what it leaves behind when it cannot go on.

use std::time::Duration;

use dunlin_core::{ErrorKind, EventKind, Phase, State};
use dunlin_engine::reverse::Extent;
use dunlin_engine::run::Stop;
use dunlin_engine::{Event, Outcome};

use super::world::{CONTRACT, UP, World, block_on, version};

pub(super) const BOTH_KINDS: [(&str, bool); 2] = [("app", true), ("cache", false)];

pub(super) const FILES: [(&str, &str); 4] = [
    ("1_a.app.mem", "add x\nbump x\n# Down\ndrop x\n"),
    ("1_a.cache.mem", "add x\nbump x\n# Down\ndrop x\n"),
    ("2_b.app.mem", "add y\nbump y\n# Down\ndrop y\n"),
    ("3_c.cache.mem", "add z\n# Down\ndrop z\n"),
];

pub(super) fn failure(stop: Result<Outcome, Stop>) -> dunlin_core::Error {
    match stop {
        Err(Stop::Failed(error)) => error,
        other => panic!("expected a failure, found {other:?}"),
    }
}

async fn ten_at_once(threads: &str) {
    let world = std::sync::Arc::new(World::new(&BOTH_KINDS).await);
    let runs: Vec<_> = (0..10)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move {
                let migrations = world.migrations(&FILES);
                world.brought_up(&migrations, &UP).await.completed.len()
            })
        })
        .collect();
    let mut completed = 0;
    for run in runs {
        completed += run.await.unwrap();
    }
    assert_eq!(completed, 4, "{threads}");
    assert_eq!(world.ran("app"), ["add x", "bump x", "add y", "bump y"], "{threads}");
    assert_eq!(world.ran("cache"), ["add x", "bump x", "add z"], "{threads}");
    assert!(!world.is_locked().await);
}

const VERIFIED: &str = "
[[expand]]
store = 'app'
script = 'add x'
[[verify]]
store = 'app'
script = 'bad'
[[verify]]
store = 'cache'
script = 'worse'
[[contract]]
store = 'app'
script = 'add contracted'
undo = 'drop contracted'
";

#[test]
fn a_second_up_does_nothing_and_takes_no_lock() {
    block_on(async {
        let world = World::new(&BOTH_KINDS).await;
        let migrations = world.migrations(&FILES);
        assert_eq!(world.brought_up(&migrations, &UP).await.completed.len(), 4);
        let (ran, locks) = (world.ran("app"), world.locks("app"));
        assert_eq!(ran, ["add x", "bump x", "add y", "bump y"]);
        let summary = world.brought_up(&migrations, &UP).await;
        assert!(summary.completed.is_empty());
        assert_eq!((world.ran("app"), world.locks("app")), (ran, locks));
        assert!(!world.is_locked().await);
    });
}

#[test]
fn ten_runs_at_once_apply_each_step_once_and_all_succeed() {
    block_on(ten_at_once("one thread"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(ten_at_once("four threads"));
}

#[test]
fn a_violation_stops_the_run_before_anything_else() {
    block_on(async {
        let world = World::new(&BOTH_KINDS).await;
        world.data("app").counters.insert("bad".to_owned(), 1);
        world.data("cache").counters.insert("worse".to_owned(), 1);
        let migrations = world.migrations(&[("1_a.toml", VERIFIED), ("2_b.app.mem", "add y")]);
        let goal = CONTRACT;
        for _ in 0..2 {
            let (summary, outcome) = world.up(&migrations, &goal).await;
            assert!(matches!(outcome, Err(Stop::Violated)));
            assert_eq!(summary.broken.unwrap().violations[0].record, "bad");
            assert_eq!(summary.stopped_in.unwrap().phase, Phase::Verify);
            assert_eq!(summary.remaining.len(), 3);
            assert_eq!(world.ran("app"), ["add x"]);
            assert_eq!(world.record("app", "1").await.unwrap().state, State::Applying);
            assert!(!world.is_locked().await);
        }
        world.data("app").counters.remove("bad");
        assert!(matches!(world.up(&migrations, &goal).await.1, Err(Stop::Violated)), "in the other store");
        assert_eq!(world.ran("app"), ["add x"], "no contract before every store is verified");
        world.data("cache").counters.remove("worse");
        world.brought_up(&migrations, &goal).await;
        assert_eq!(world.ran("app"), ["add x", "add contracted", "add y"]);
    });
}

#[test]
fn passing_failures_are_tried_again_and_the_others_are_not() {
    block_on(async {
        for is_transactional in [true, false] {
            let world = World::new(&[("app", is_transactional)]).await;
            let migrations = world.migrations(&[("1_a.mem", "add x\nflaky 2\nadd y")]);
            let mut retries = 0;
            let mut count = |event: Event<'_>| retries += u32::from(matches!(event, Event::Retrying { .. }));
            let (_, outcome) = world.up_listening(&migrations, &UP, &mut count).await;
            assert!(matches!(outcome, Ok(Outcome::Complete)));
            assert_eq!(retries, 2);
            assert_eq!(world.ran("app"), ["add x", "flaky 2", "add y"]);

            let migrations = world.migrations(&[("1_a.mem", "add x\nflaky 2\nadd y"), ("2_b.mem", "add x")]);
            let mut count = |event: Event<'_>| retries += u32::from(matches!(event, Event::Retrying { .. }));
            let (_, outcome) = world.up_listening(&migrations, &UP, &mut count).await;
            assert_eq!((failure(outcome).message.as_str(), retries), ("x exists", 2));
        }
    });
}

#[test]
fn tries_come_to_an_end() {
    block_on(async {
        for is_transactional in [true, false] {
            let world = World::new(&[("app", is_transactional)]).await;
            let migrations = world.migrations(&[("1_a.mem", "flaky 5")]);
            let run = world.up(&migrations, &UP);
            let (_, outcome) = tokio::time::timeout(Duration::from_secs(20), run).await.unwrap();
            assert_eq!(failure(outcome).message, "failed 3 times");
            world.brought_up(&migrations, &UP).await;
        }
    });
}

#[test]
fn a_lost_answer_at_any_call_runs_nothing_twice() {
    block_on(async {
        for (name, after) in [("app", false), ("app", true), ("cache", false), ("cache", true)] {
            for call in 0.. {
                let world = World::new(&BOTH_KINDS).await;
                let migrations = world.migrations(&[
                    ("1_a.app.mem", "add x\nbump x"),
                    ("1_a.cache.mem", "add x\nadd y"),
                    ("2_b.app.mem", "bump x"),
                ]);
                world.data(name).stutter(call, after);
                let (_, outcome) = world.up(&migrations, &UP).await;
                let is_through = world.data(name).extinguish();
                if outcome.is_err() {
                    // A lock, a history or a release is not asked for again; the next run is.
                    world.data(name).hold(None);
                    world.brought_up(&migrations, &UP).await;
                }
                assert_eq!(world.ran("app"), ["add x", "bump x", "bump x"], "{name} {call} {after}");
                assert_eq!(world.ran("cache"), ["add x", "add y"], "{name} {call} {after}");
                if is_through {
                    break;
                }
            }
        }
    });
}

#[test]
fn a_failure_names_its_place_and_leaves_no_lock() {
    block_on(async {
        let world = World::new(&BOTH_KINDS).await;
        let mut files = FILES.to_vec();
        files[2].1 = "add y\nbump nothing";
        let migrations = world.migrations(&files);
        let (summary, outcome) = world.up(&migrations, &UP).await;
        let error = failure(outcome);
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Statement, "nothing does not exist"));
        assert_eq!((error.fact("store"), error.fact("migration")), (Some("app"), Some("2_b")));
        assert_eq!(error.span, migrations[&version("2")].steps()[0].span);
        assert_eq!(summary.completed.len(), 2);
        assert_eq!((summary.stopped_in.is_some(), summary.remaining.len()), (true, 1));
        assert!(!world.is_locked().await);
        assert!(!world.data("app").counters.contains_key("y"), "rolled back");
        let journal = world.stores[&"app".into()].journal(None, 1).await.unwrap();
        assert_eq!(
            (journal[0].kind, journal[0].detail.as_deref()),
            (EventKind::Failed, Some("nothing does not exist"))
        );
    });
}

#[test]
fn a_run_asked_to_stop_pauses_between_two_advances_and_the_next_goes_on() {
    block_on(async {
        let mut world = World::new(&[("cache", false)]).await;
        let migrations = world.migrations(&[("1_a.mem", "add x\nadd y\nadd z"), ("2_b.mem", "add w")]);
        let cancel = world.cancel.clone();
        let mut stop = move |event: Event<'_>| {
            if matches!(event, Event::Advanced { .. }) {
                cancel.cancel();
            }
        };
        let (summary, outcome) = world.up_listening(&migrations, &UP, &mut stop).await;
        assert!(matches!(outcome, Ok(Outcome::Paused)));
        assert_eq!((summary.completed.len(), summary.remaining.len()), (0, 1));
        assert!(world.ran("cache").is_empty() && !world.is_locked().await);
        world.cancel = tokio_util::sync::CancellationToken::new();
        let mut resumed = Vec::new();
        let mut note = |event: Event<'_>| {
            if let Event::Started(step) = event {
                resumed.push(step.is_resumed);
            }
        };
        // The announced statement was never sent; the store can see that.
        world.up_listening(&migrations, &UP, &mut note).await.1.unwrap();
        assert_eq!(resumed, [true, false]);
        assert_eq!(world.ran("cache"), ["add x", "add y", "add z", "add w"]);
    });
}

#[test]
fn an_empty_migration_counts_as_applied() {
    block_on(async {
        for is_transactional in [true, false] {
            let world = World::new(&[("app", is_transactional)]).await;
            let migrations = world.migrations(&[("1_a.mem", "# nothing yet\n# Down\n")]);
            world.brought_up(&migrations, &UP).await;
            assert_eq!(world.record("app", "1").await.unwrap().state, State::Done);
            world.down(&migrations, &Extent::Count(1)).await.1.unwrap();
            assert_eq!(world.record("app", "1").await.unwrap().state, State::Undone);
        }
    });
}

#[test]
fn a_pause_leaves_no_question_about_a_statement_that_was_not_sent() {
    block_on(async {
        for events in 0..12 {
            let mut world = World::new(&[("cache", false)]).await;
            let migrations =
                world.migrations(&[("1_a.mem", "add x\nbump x\nbump x\nadd y\n# Down\ndrop y\ndrop x")]);
            let (cancel, mut left) = (world.cancel.clone(), events);
            let mut stop = move |_: Event<'_>| match left {
                0 => cancel.cancel(),
                _ => left -= 1,
            };
            world.up_listening(&migrations, &UP, &mut stop).await.1.unwrap();
            world.cancel = tokio_util::sync::CancellationToken::new();
            world.brought_up(&migrations, &UP).await;
            assert_eq!(world.ran("cache"), ["add x", "bump x", "bump x", "add y"], "{events}");
        }
    });
}

#[test]
fn a_pause_during_a_retry_keeps_the_question_whether_the_statement_was_sent() {
    block_on(async {
        let mut asked = 0;
        for call in 0..12 {
            let mut world = World::new(&[("cache", false)]).await;
            let migrations = world.migrations(&[("1_a.mem", "add x\nbump x")]);
            world.data("cache").stutter(call, true);
            let cancel = world.cancel.clone();
            let mut stop = move |event: Event<'_>| {
                if matches!(event, Event::Retrying { .. }) {
                    cancel.cancel();
                }
            };
            let (_, outcome) = world.up_listening(&migrations, &UP, &mut stop).await;
            if !matches!(outcome, Ok(Outcome::Paused)) {
                continue;
            }
            world.cancel = tokio_util::sync::CancellationToken::new();
            let (_, outcome) = world.up(&migrations, &UP).await;
            asked +=
                u32::from(matches!(outcome, Err(Stop::Failed(error)) if error.kind == ErrorKind::Ambiguous));
            assert!(world.data("cache").counters.get("x").is_none_or(|count| *count <= 1), "never twice");
        }
        assert!(asked > 0);
    });
}
