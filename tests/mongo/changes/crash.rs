//! A process killed at any call to its store, on the way there and on the way back: the next one goes on to where an
//! undisturbed one leads, while the applications work on.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use bson::{Document, doc};
use dunlin::{Goal, Pace, Phase, Project, State, Summary};
use dunlin_engine::plan;
use dunlin_engine::run::{self, Histories, Stop};
use dunlin_testkit::fault::{Fuse, When};
use dunlin_testkit::proxy::{Direction, Proxy};
use dunlin_testkit::scratch;
use mongodb::Database;

use super::{USERS, changes, down, find, shape, try_down, up_to};
use crate::mongo::{database, store};

/// Runs there or back in a process that is dead from its k-th call to the store on. Whether it came to that.
async fn killed(project: &Project, is_back: bool, call: usize, when: When) -> bool {
    let fuse = Fuse::silencing(call, when);
    let stores = project.connect(&[]).await.unwrap();
    let behind = stores.iter().map(|(name, store)| (name.clone(), fuse.around(store.clone()))).collect();
    let (context, loaded) = (project.context(behind), project.load());
    let goal = Goal { contract: true, ..Goal::default() };
    let migrations: Vec<_> = loaded.migrations.values().cloned().collect();
    let back =
        |histories: &Histories, _: &mut Summary| plan::down(&migrations, histories).map_err(Stop::Failed);
    let there = run::forward(&loaded.migrations, project.policy, &goal);
    let planner: run::Planner<'_> = if is_back { &back } else { &there };
    let (_, result) = run::run(&context, planner, &mut |_| {}).await;
    assert_eq!(result.is_err(), fuse.is_burnt(), "{call} {when}: {result:?}");
    release(project).await;
    fuse.is_burnt()
}

/// Takes the lock away from whoever died with it.
async fn release(project: &Project) {
    let store = store(project).await;
    if let Some(holder) = store.holder().await.unwrap() {
        store.unlock(holder.token).await.unwrap();
    }
}

/// In chunks of so many documents, each a call of its own.
fn slowly(mut project: Project) -> Project {
    let rate = NonZeroU32::new(40_000);
    project.pace(|pace| *pace = Pace { bout: Duration::from_millis(1), rate, ..Pace::default() });
    project
}

/// Sixty documents and an index; their shape.
async fn begin(db: &Database) -> BTreeMap<String, String> {
    let users = db.collection::<Document>(USERS);
    users.insert_many((0..60).map(|id| doc! { "_id": id, "a": id })).await.unwrap();
    let index = doc! { "key": { "a": 1 }, "name": "a_1", "sparse": true };
    db.run_command(doc! { "createIndexes": USERS, "indexes": [index] }).await.unwrap();
    shape(db).await
}

/// Kills at every call of the way there and of the way back, each over a database of its own. `write` is what an old
/// application does after the kill, `check` what must hold at the end of either way.
async fn at_every_call(
    lines: &[&str],
    write: impl AsyncFn(&Database),
    check: impl AsyncFn(&Database, bool, &str),
) {
    // Before the next call the store is as it was after this one.
    let when = When::After;
    for call in 1.. {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        let before = begin(&db).await;
        let project = slowly(changes(&scratch.url, lines));
        let was_killed = killed(&project, false, call, when).await;
        write(&db).await;
        up_to(&project, None).await;
        check(&db, false, &format!("there, {call}")).await;
        let was_killed_back = killed(&project, true, call, when).await;
        down(&project).await;
        check(&db, true, &format!("back, {call}")).await;
        assert_eq!(shape(&db).await, before, "back, {call}");
        if !was_killed && !was_killed_back {
            assert!(call > 10, "steps and chunks are calls of their own");
            break;
        }
    }
}

/// Kills at every call, and has the next process turn round: from half way there back, from half way back there.
async fn turned_round_at_every_call(lines: &[&str], check: impl AsyncFn(&Database, bool, &str)) {
    for call in 1.. {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        let before = begin(&db).await;
        let project = slowly(changes(&scratch.url, lines));
        let was_killed = killed(&project, false, call, When::After).await;
        if was_killed || call > 1 {
            let histories = run::histories(&project.connect(&[]).await.unwrap()).await.unwrap();
            if histories.values().any(|history| !history.records.is_empty()) {
                down(&project).await;
            }
        }
        check(&db, true, &format!("there and back, {call}")).await;
        assert_eq!(shape(&db).await, before, "there and back, {call}");
        up_to(&project, None).await;
        let was_killed_back = killed(&project, true, call, When::After).await;
        up_to(&project, None).await;
        check(&db, false, &format!("back and there, {call}")).await;
        if !was_killed && !was_killed_back {
            assert!(call > 10, "steps and chunks are calls of their own");
            break;
        }
    }
}

async fn values(db: &Database, field: &str) -> Vec<Option<i32>> {
    find(db, USERS).await.iter().map(|found| found.get_i32(field).ok()).collect()
}

/// What 60 documents have, and one that came later.
fn expected() -> Vec<Option<i32>> {
    (0..60).map(Some).chain([Some(-5)]).collect()
}

async fn insert_old(db: &Database) {
    let users = db.collection::<Document>(USERS);
    let late = doc! { "_id": 1000, "a": -5 };
    // Where everything was done already nobody writes in the old shape any more.
    let is_contracted = users.count_documents(doc! { "a": { "$exists": true } }).await.unwrap() == 0;
    let late = if is_contracted {
        doc! { "_id": 1000, "b": -5 }
    } else {
        late
    };
    users.insert_one(late).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_field_comes_to_the_end_from_any_kill() {
    let change = "rename_field = { collection = 'users', from = 'a', to = 'b', schema_version = 2 }";
    at_every_call(&[change], insert_old, async |db, is_back, place| {
        let (here, there) = if is_back { ("a", "b") } else { ("b", "a") };
        assert_eq!(values(db, here).await, expected(), "{place}");
        assert_eq!(values(db, there).await, vec![None; 61], "{place}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_field_comes_to_the_end_from_any_kill() {
    let change = "transform = { collection = 'users', up = { b = { '$abs' = '$a' } }, from = ['a'] }";
    let insert = async |db: &Database| {
        let users = db.collection::<Document>(USERS);
        users.update_many(doc! { "a": 7 }, doc! { "$set": { "a": -7 } }).await.unwrap();
    };
    at_every_call(&[change], insert, async |db, is_back, place| {
        let found = values(db, if is_back { "a" } else { "b" }).await;
        let found: Vec<i32> = found.into_iter().map(|value| value.expect("it is there").abs()).collect();
        assert_eq!(found, (0..60).collect::<Vec<i32>>(), "{place}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_field_turns_round_from_any_kill() {
    let change = "rename_field = { collection = 'users', from = 'a', to = 'b' }";
    turned_round_at_every_call(&[change], async |db, is_back, place| {
        let (here, there) = if is_back { ("a", "b") } else { ("b", "a") };
        assert_eq!(values(db, here).await, (0..60).map(Some).collect::<Vec<_>>(), "{place}");
        assert_eq!(values(db, there).await, vec![None; 60], "{place}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_field_turns_round_from_any_kill() {
    let change = "drop_field = { collection = 'users', field = 'a' }";
    turned_round_at_every_call(&[change], async |db, is_back, place| {
        let expected: Vec<_> = (0..60).map(|value| is_back.then_some(value)).collect();
        assert_eq!(values(db, "a").await, expected, "{place}");
    })
    .await;
}

const SHAPES: [&str; 4] = [
    "set_validator = { collection = 'users', validator = { a = { '$exists' = true } } }",
    "drop_index = { collection = 'users', name = 'a_1' }",
    "add_index = { collection = 'users', keys = { a = -1 }, unique = true }",
    "rename_collection = { from = 'users', to = 'people' }",
];

async fn shapes_are_there(db: &Database, is_back: bool, place: &str) {
    let name = if is_back { USERS } else { "people" };
    assert_eq!(find(db, name).await.len(), 60, "{place}");
    let shape = &shape(db).await[name];
    assert_eq!(shape.contains("a_-1"), !is_back, "{place}: {shape}");
    assert_eq!(shape.contains("\"a_1\""), is_back, "{place}: {shape}");
    assert_eq!(shape.contains("$exists"), !is_back, "{place}: {shape}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shapes_come_to_the_end_from_any_kill() {
    at_every_call(&SHAPES, async |_| {}, shapes_are_there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shapes_turn_round_from_any_kill() {
    turned_round_at_every_call(&SHAPES, shapes_are_there).await;
}

/// A connection that is cut within what one step sends, there and back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_anywhere_leads_to_the_same_end() {
    const PLACES: u64 = 9;
    let mut lines =
        vec!["transform = { collection = 'users', up = { b = { '$abs' = '$a' } }, from = ['a'] }"];
    lines.extend(&SHAPES[..3]);
    lines[1] = "set_validator = { collection = 'users', validator = { _id = { '$exists' = true } } }";
    lines[3] = "add_index = { collection = 'users', keys = { b = 1 }, unique = true }";
    let scratch = scratch::mongo().await;
    begin(&database(&scratch.url).await).await;
    let proxy = Proxy::before(&scratch.url);
    up_to(&changes(&proxy.url, &lines), None).await;
    let there = [Direction::Request, Direction::Reply].map(|direction| proxy.bytes(direction));
    down(&changes(&proxy.url, &lines)).await;
    let both = [Direction::Request, Direction::Reply].map(|direction| proxy.bytes(direction));
    for (side, direction) in [Direction::Request, Direction::Reply].into_iter().enumerate() {
        for place in 1..PLACES {
            let scratch = scratch::mongo().await;
            let db = database(&scratch.url).await;
            let before = begin(&db).await;
            let project = changes(&scratch.url, &lines);
            let cutting = Proxy::before(&scratch.url);
            cutting.cut_after_bytes(direction, there[side] * place / PLACES);
            // It may get over the cut by itself.
            let _ = super::up_before(&changes(&cutting.url, &lines), None).await;
            assert_eq!(cutting.cuts(), 1, "{direction:?} {place}");
            release(&project).await;
            up_to(&project, None).await;
            let found: Vec<_> = (0..60).map(Some).collect();
            assert_eq!(values(&db, "b").await, found, "there, {direction:?} {place}");
            let cutting = Proxy::before(&scratch.url);
            cutting.cut_after_bytes(direction, (both[side] - there[side]) * place / PLACES);
            let _ = try_down(&changes(&cutting.url, &lines)).await;
            release(&project).await;
            let histories = run::histories(&project.connect(&[]).await.unwrap()).await.unwrap();
            if histories.values().any(|history| history.records.values().any(|r| r.state != State::Undone)) {
                down(&project).await;
            }
            assert_eq!(values(&db, "a").await, found, "back, {direction:?} {place}");
            assert_eq!(shape(&db).await, before, "back, {direction:?} {place}");
        }
    }
}

/// A process whose lock was taken over while it slept brings nothing in step any more.
#[tokio::test]
async fn a_look_without_the_lock_mends_nothing() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    begin(&db).await;
    let project = changes(&scratch.url, &["rename_field = { collection = 'users', from = 'a', to = 'b' }"]);
    up_to(&project, Some(Phase::Contract)).await;
    let users = db.collection::<Document>(USERS);
    users.update_one(doc! { "_id": 3 }, doc! { "$set": { "a": -3 } }).await.unwrap();
    let (loaded, store) = (project.load(), store(&project).await);
    let migration = loaded.migrations.values().next().unwrap();
    let step = migration.steps().iter().find(|step| step.phase == Phase::Verify).unwrap();
    let check = dunlin::Check { op: &*step.op, from: None, pace: &Pace::default() };
    let me = dunlin_engine::lock::me("test", &project.context(BTreeMap::new()).author.run);
    let dunlin::Attempt::Taken(mut session) = store.try_lock(&me).await.unwrap() else {
        panic!("it is free")
    };
    let token = store.holder().await.unwrap().unwrap().token;
    store.unlock(token).await.unwrap();
    let failure = session.verify(&check).await.unwrap_err();
    assert_eq!(failure.kind, dunlin::ErrorKind::LeaseLost, "{failure:?}");
    assert_eq!(users.count_documents(doc! { "b": -3 }).await.unwrap(), 0);

    let dunlin::Attempt::Taken(mut session) = store.try_lock(&me).await.unwrap() else {
        panic!("it is free")
    };
    let dunlin::Checked::Wholly { violations, .. } = session.verify(&check).await.unwrap() else {
        panic!("so few are one bout")
    };
    assert!(violations.is_empty(), "{violations:?}");
    assert_eq!(users.count_documents(doc! { "b": -3 }).await.unwrap(), 1);
    session.release().await.unwrap();
}
