//! Histories written without running anything.

use std::sync::Arc;

use dunlin_core::{
    Checkpoint, Cursor, ErrorKind, EventKind, MigrationId, Origin, Phase, Record, State, Step, StoreName,
};
use dunlin_engine::mark::{self, Mark, Remark};
use dunlin_engine::reverse::Extent;
use dunlin_engine::run::{Migrations, Stop};
use dunlin_engine::{Policy, audit, lane};

use super::plain::Plain;
use super::world::{UP, World, author, block_on, version};

const FILES: [(&str, &str); 3] = [
    ("1_a.app.mem", "add x\n# Contract\nadd gone\n"),
    ("2_b.app.mem", "add y\n# Down\ndrop y\n"),
    ("3_c.app.mem", "add z\n# Down\ndrop z\n"),
];

/// What `mark` writes.
async fn marked(
    world: &World,
    migrations: &Migrations,
    (store, number): (&str, &str),
    mark: Mark,
) -> dunlin_core::Result<Record> {
    let (name, author) = (StoreName::from(store), author("mark"));
    let remark = Remark { store: &name, author: &author, reason: "I looked" };
    let known = world.record(store, number).await;
    let record = mark::marked(migrations.get(&version(number)), known.as_ref(), mark, remark)?;
    world.write(store, &record).await;
    Ok(record)
}

async fn baselined(world: &World, migrations: &Migrations, to: &str) {
    let (name, author) = (StoreName::from("app"), author("baseline"));
    let remark = Remark { store: &name, author: &author, reason: "it was there" };
    let taken: Vec<_> = migrations.range(..=version(to)).map(|(_, migration)| migration.clone()).collect();
    for record in mark::baseline(&taken, &world.history("app").await, remark) {
        world.write("app", &record).await;
    }
}

#[test]
fn a_baseline_takes_migrations_as_done_and_up_runs_the_later_ones() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let migrations = world.migrations(&FILES);
        baselined(&world, &migrations, "2").await;
        let record = world.record("app", "1").await.unwrap();
        assert_eq!((record.state, record.origin, record.steps.len()), (State::Done, Origin::Baseline, 2));
        assert_eq!((record.note.as_deref(), &*record.author.run.0), (Some("it was there"), "baseline"));
        let journal = world.stores[&"app".into()].journal(Some(&version("1")), 9).await.unwrap();
        assert_eq!(journal.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Marked]);
        world.brought_up(&migrations, &UP).await;
        assert_eq!(world.ran("app"), ["add z"]);
        baselined(&world, &migrations, "3").await;
        assert_eq!(world.record("app", "3").await.unwrap().origin, Origin::Run, "what is known stays");
    });
}

#[test]
fn the_way_back_over_a_baseline_is_refused_with_two_ways_out() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let migrations = world.migrations(&FILES);
        baselined(&world, &migrations, "2").await;
        world.brought_up(&migrations, &UP).await;
        let (_, outcome) = world.down(&migrations, &Extent::Count(3)).await;
        let Err(Stop::Failed(error)) = outcome else { panic!("{outcome:?}") };
        let expected = "there is no way back:\n  2_b in `app`: `baseline` took it as done; dunlin did not run it\n  \
                        1_a in `app`: `baseline` took it as done; dunlin did not run it";
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unsupported, expected));
        assert!(error.help.unwrap().starts_with("nothing was changed. Two ways out: "));
        assert_eq!(world.ran("app"), ["add z"]);
        world.down(&migrations, &Extent::Count(1)).await.1.unwrap();
        assert_eq!(world.ran("app"), ["add z", "drop z"]);
    });
}

#[test]
fn irreversible_and_unwritten_ways_back_are_refused_together_before_anything_runs() {
    block_on(async {
        let world = World::new(&[("app", true), ("cache", false)]).await;
        let toml = "[[expand]]\nstore = 'app'\nadd = 'w'\nirreversible = 'mails were sent'\n";
        let migrations = world.migrations(&[
            ("1_a.app.mem", "add x"),
            ("1_a.cache.mem", "add x"),
            ("2_b.toml", toml),
            ("3_c.app.mem", "add z\n# Down\ndrop z\n"),
        ]);
        world.brought_up(&migrations, &UP).await;
        let (locks, ran) = (world.locks("app"), world.ran("app"));
        let (_, outcome) = world.down(&migrations, &Extent::Count(3)).await;
        let Err(Stop::Failed(error)) = outcome else { panic!("{outcome:?}") };
        let lines: Vec<_> = error.message.lines().skip(1).map(str::trim).collect();
        let expected = [
            "2_b in `app`: it is irreversible: mails were sent",
            "1_a in `cache`: nothing to undo is written here",
            "1_a in `app`: nothing to undo is written here",
        ];
        assert_eq!(lines, expected);
        assert_eq!((world.locks("app"), world.ran("app")), (locks, ran));
    });
}

#[test]
fn a_way_back_written_later_is_used() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        world.brought_up(&world.migrations(&[("1_a.mem", "add x")]), &UP).await;
        let migrations = world.migrations(&[("1_a.mem", "add x\n# Down\ndrop x")]);
        world.down(&migrations, &Extent::Count(1)).await.1.unwrap();
        assert_eq!(world.ran("app"), ["add x", "drop x"]);
    });
}

#[test]
fn a_mark_of_done_is_not_run_and_one_of_undone_runs_again() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let migrations = world.migrations(&FILES[1..]);
        let record = marked(&world, &migrations, ("app", "2"), Mark::Done).await.unwrap();
        assert_eq!((record.state, record.origin), (State::Done, Origin::Mark));
        assert_eq!(record.note.as_deref(), Some("I looked"));
        world.brought_up(&migrations, &UP).await;
        assert_eq!(world.ran("app"), ["add z"]);
        let started = world.record("app", "3").await.unwrap().started;
        marked(&world, &migrations, ("app", "3"), Mark::Undone).await.unwrap();
        assert!(world.record("app", "3").await.unwrap().steps.is_empty());
        world.data("app").counters.remove("z");
        world.brought_up(&migrations, &UP).await;
        assert_eq!(world.ran("app"), ["add z", "add z"]);
        let record = world.record("app", "3").await.unwrap();
        assert_eq!((record.state, record.origin), (State::Done, Origin::Run));
        assert!(record.started > started, "a new life");
    });
}

#[test]
fn a_mark_of_done_accepts_an_edited_file() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        world.brought_up(&world.migrations(&FILES), &UP).await;
        let mut files = FILES;
        files[1].1 = "add other\n# Down\ndrop y\n";
        let migrations = world.migrations(&files);
        assert_eq!(audit::audit(&migrations, &world.histories().await, Policy::default()).len(), 1);
        marked(&world, &migrations, ("app", "2"), Mark::Done).await.unwrap();
        assert_eq!(audit::audit(&migrations, &world.histories().await, Policy::default()), []);
    });
}

#[test]
fn a_mark_of_nothing_is_refused() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let migrations = world.migrations(&FILES);
        let error = marked(&world, &Migrations::new(), ("app", "7"), Mark::Done).await.unwrap_err();
        assert_eq!(error.message, "`app` has neither a record nor a file of that version");
        world.brought_up(&migrations, &UP).await;
        for mark in [Mark::StatementDone, Mark::StatementUndone] {
            let error = marked(&world, &migrations, ("app", "1"), mark).await.unwrap_err();
            assert_eq!(error.message, "1_a has no statement whose outcome is unknown");
        }
    });
}

#[test]
fn a_statement_whose_outcome_nobody_knows_is_settled_by_a_person() {
    let mut settled = [0, 0];
    for (text, call, after) in ["add x\nbump x\nadd y", "add x\nbump x", "add x\nadd y\nbump x"]
        .into_iter()
        .flat_map(|text| (0..20).flat_map(move |call| [(text, call, false), (text, call, true)]))
    {
        let marked = block_on(settled_after_a_kill(text, call, after));
        settled[0] += usize::from(marked == Some(Mark::StatementDone));
        settled[1] += usize::from(marked == Some(Mark::StatementUndone));
    }
    assert!(settled[0] >= 3 && settled[1] >= 3, "{settled:?}");
}

/// Kills a run at a call, and settles by hand what the next one cannot tell.
async fn settled_after_a_kill(text: &str, call: u32, after: bool) -> Option<Mark> {
    let world = World::new(&[("cache", false)]).await;
    let migrations = world.migrations(&[("1_a.mem", text), ("2_b.mem", "add w")]);
    world.data("cache").burn(call, after);
    let (_, outcome) = world.up(&migrations, &UP).await;
    world.data("cache").extinguish();
    if outcome.is_ok() || world.up(&migrations, &UP).await.1.is_ok() {
        return None;
    }
    let (_, outcome) = world.up(&migrations, &UP).await;
    let Err(Stop::Failed(error)) = outcome else {
        panic!("asked again, the answer is the same: {outcome:?}")
    };
    assert_eq!(error.kind, ErrorKind::Ambiguous);
    assert_eq!(error.message, "cannot tell whether `bump x` took effect");
    let was_sent = world.data("cache").counters["x"] == 1;
    let mark = if was_sent { Mark::StatementDone } else { Mark::StatementUndone };
    marked(&world, &migrations, ("cache", "1"), mark).await.unwrap();
    world.brought_up(&migrations, &UP).await;
    assert_eq!(world.data("cache").counters["x"], 1);
    let record = world.record("cache", "1").await.unwrap();
    assert_eq!((record.state, record.note), (State::Done, None));
    Some(mark)
}

#[test]
fn a_migration_written_in_rust_runs_beside_files_and_goes_back() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let script = |text: &str| Arc::new(crate::memory::Script::of(text));
        let step = Step::new(Phase::Expand, "app", script("bump x")).undo(script("sink x"));
        let id = MigrationId { version: version("2"), slug: "written".into() };
        let mut loaded = world.load(&[("1_a.mem", "add x"), ("3_c.mem", "add z\n# Down\ndrop z")]);
        loaded.add(Arc::new(Plain { id, needs: vec![version("1")], steps: vec![step] }));
        world.brought_up(&loaded.migrations, &UP).await;
        world.down(&loaded.migrations, &Extent::Count(2)).await.1.unwrap();
        assert_eq!(world.ran("app"), ["add x", "bump x", "add z", "drop z", "sink x"]);
        let text = lane::text_sum(&*loaded.migrations[&version("2")], &"app".into());
        assert_eq!(world.record("app", "2").await.unwrap().text, text);
    });
}

#[test]
fn a_migration_marked_done_without_a_file_has_no_way_back() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let migrations = world.migrations(&FILES[1..2]);
        world.brought_up(&migrations, &UP).await;
        marked(&world, &migrations, ("app", "2"), Mark::Undone).await.unwrap();
        marked(&world, &Migrations::new(), ("app", "2"), Mark::Done).await.unwrap();
        assert!(world.brought_up(&migrations, &UP).await.completed.is_empty());
        let (_, outcome) = world.down(&migrations, &Extent::Count(1)).await;
        let Err(Stop::Failed(error)) = outcome else { panic!("{outcome:?}") };
        assert!(error.message.contains("its steps are not known"), "{error}");
    });
}

#[test]
fn what_a_backend_noted_for_a_step_outlives_a_settled_statement() {
    block_on(async {
        let world = World::new(&[("app", true)]).await;
        let migrations = world.migrations(&FILES[1..2]);
        world.brought_up(&migrations, &UP).await;
        let record = world.record("app", "2").await.unwrap();
        let noted = serde_json::json!({ "seed": 7 });
        for (at, mark, kept) in [
            (0, Mark::StatementUndone, None),
            (0, Mark::StatementDone, Some(&noted)),
            (3, Mark::StatementUndone, Some(&noted)),
        ] {
            let cursor = Cursor { at, open: true, before: Some(noted.clone()), sum: "sum".to_owned() };
            let steps = Vec::new();
            let half = Record {
                state: State::Applying,
                steps,
                checkpoint: Some(Checkpoint::of(&cursor)),
                ..record.clone()
            };
            world.write("app", &half).await;
            let settled =
                Cursor::of(&marked(&world, &migrations, ("app", "2"), mark).await.unwrap()).unwrap();
            assert_eq!((settled.open, settled.before.as_ref()), (false, kept));
            assert_eq!(settled.at, at + usize::from(mark == Mark::StatementDone));
        }
    });
}
