//! Exactly once, whatever is killed, cut, stopped or elected.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use bson::{Document, doc};
use dunlin::StoreUrl;
use dunlin_testkit::fault::When;
use dunlin_testkit::process;
use dunlin_testkit::proxy::{Direction, Proxy};
use dunlin_testkit::{private, scratch};
use mongodb::Database;
use tempfile::TempDir;

use super::super::{database, must_up, up};
use super::{Again as _, count, down, fill, killed_at, paused_after, release, slowly, step};

const COUNT: i32 = 400;
const ONCE: &str = "update_many = { collection = 'a', filter = {}, update = { '$inc' = { n = 1 } } }
undo = { update_many = { collection = 'a', filter = {}, update = { '$inc' = { n = -1 } } } }";

async fn begin(url: &StoreUrl, count: i32) -> Database {
    let db = database(url).await;
    fill(&db, "a", (0..count).map(|id| doc! { "_id": id, "n": 0 })).await;
    db
}

async fn each_once(db: &Database, count: i32, what: &str) {
    let right = self::count(db, "a", doc! { "n": 1 }).await;
    assert_eq!(right, u64::try_from(count).unwrap(), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_killed_at_any_call_changes_each_document_once() {
    for when in When::ALL {
        for call in 1.. {
            let scratch = scratch::mongo().await;
            let db = begin(&scratch.url, COUNT).await;
            let project = slowly(step(&scratch.url, "backfill", ONCE), 100);
            let was_killed = killed_at(&project, call, when).await;
            must_up(&project).await;
            each_once(&db, COUNT, &format!("{when} {call}")).await;
            if !was_killed {
                assert!(call > 8, "chunks are calls of their own");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_from_half_way_goes_over_what_was_changed() {
    for when in When::ALL {
        for call in 4..9 {
            let scratch = scratch::mongo().await;
            let db = begin(&scratch.url, COUNT).await;
            let project = slowly(step(&scratch.url, "backfill", ONCE), 100);
            assert!(killed_at(&project, call, when).await);
            down(&project).await;
            assert_eq!(count(&db, "a", doc! { "n": 0 }).await, 400, "{when} {call}");
            must_up(&project).await;
            each_once(&db, COUNT, "up again").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_anywhere_changes_each_document_once() {
    const PLACES: u64 = 12;
    let scratch = scratch::mongo().await;
    begin(&scratch.url, COUNT).await;
    let proxy = Proxy::before(&scratch.url);
    must_up(&slowly(step(&proxy.url, "backfill", ONCE), 50)).await;
    for direction in [Direction::Request, Direction::Reply] {
        let bytes = proxy.bytes(direction);
        for place in 1..PLACES {
            let scratch = scratch::mongo().await;
            let db = begin(&scratch.url, COUNT).await;
            let cutting = Proxy::before(&scratch.url);
            cutting.cut_after_bytes(direction, bytes * place / PLACES);
            let first = up(&slowly(step(&cutting.url, "backfill", ONCE), 50)).await;
            assert_eq!(cutting.cuts(), 1, "{direction:?} {place}");
            let project = step(&scratch.url, "backfill", ONCE);
            if first.is_err() {
                release(&project).await;
            }
            must_up(&project).await;
            each_once(&db, COUNT, &format!("{direction:?} {place}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_election_in_the_middle_changes_each_document_once() {
    let mut set = private::replica_set(3).await;
    let db = begin(&set.url, 20_000).await;
    let moving = slowly(step(&set.url, "backfill", ONCE), 100);
    let run = tokio::spawn(async move { must_up(&moving).await });
    while count(&db, "a", doc! { "n": 1 }).await < 2000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    set.step_down().await;
    let before = count(&db, "a", doc! { "n": 1 }).await;
    assert!(before < 20_000, "it struck in the middle");
    run.await.unwrap();
    each_once(&db, 20_000, "after the election").await;
}

/// What a process that was killed left open on the server is ended by whoever comes next, before it waits for any of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transaction_of_a_killed_run_ends_with_the_next_one() {
    for is_released in [false, true] {
        let scratch = scratch::mongo().await;
        let db = begin(&scratch.url, 40).await;
        let (folder, mut command) = process_over(&scratch.url, "");
        let slow = ONCE.replacen("filter = {}", "filter = { '$where' = 'sleep(50) || true' }", 1);
        let text = format!("[[backfill]]\nstore = \"app\"\n{slow}\n");
        fs::write(folder.path().join("migrations/1_step.toml"), text).unwrap();
        let killed = process::spawn(&mut command);
        let is_open = doc! { "aggregate": 1, "cursor": {}, "pipeline": [
            { "$currentOp": {} },
            { "$match": { "ns": format!("{}.a", db.name()), "transaction": { "$exists": true } } },
        ] };
        let admin = db.client().database("admin");
        let begun = async {
            while admin.run_command(is_open.clone()).await.unwrap().to_string().matches("opid").count() == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let is_seen = tokio::time::timeout(Duration::from_secs(30), begun).await.is_ok();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let run = killed.kill();
        assert!(is_seen, "{run}");
        let since = Instant::now();
        if is_released {
            release(&step(&scratch.url, "backfill", ONCE)).await;
            let a = db.collection::<Document>("a");
            let all = a.update_many(doc! {}, doc! { "$set": { "app": 1 } }).await.unwrap();
            assert_eq!(all.matched_count, 40, "the application goes on");
        }
        let run = process::spawn(&mut up_in(&folder)).wait();
        let run = run.expect_code(0);
        assert!(since.elapsed() < Duration::from_secs(10), "{:?} {run}", since.elapsed());
        assert!(!run.stderr.contains("onflict") && !run.stderr.contains("trying"), "{run}");
        each_once(&db, 40, &run.to_string()).await;
    }
}

/// A process that is stopped while its lease runs out, and woken after another one did the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_woken_after_its_lease_writes_nothing() {
    let scratch = scratch::mongo().await;
    let db = begin(&scratch.url, 30_000).await;
    let (folder, mut command) = process_over(&scratch.url, "lease = \"2s\"\npace = { rate = 4000 }\n");
    let text = format!("[[backfill]]\nstore = \"app\"\n{ONCE}\n");
    fs::write(folder.path().join("migrations/1_step.toml"), text).unwrap();
    let stopped = process::spawn(&mut command);
    let begun = async {
        while count(&db, "a", doc! { "n": 1 }).await < 3000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), begun).await.expect("it moves");
    stopped.stop();
    let half = count(&db, "a", doc! { "n": 1 }).await;
    assert!(half < 30_000, "it was stopped in the middle");
    // What it had sent is done by the server all the same, and its lease runs out.
    must_up(&step(&scratch.url, "backfill", ONCE)).await;
    each_once(&db, 30_000, "the other one").await;
    stopped.wake();
    let run = stopped.wait();
    assert_ne!(run.code, Some(0), "{run}");
    each_once(&db, 30_000, "woken").await;
}

/// A folder with a configuration, and `up` over it as a process.
fn process_over(url: &StoreUrl, more: &str) -> (TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("migrations")).unwrap();
    let text = format!("[stores.app]\nurl = \"{}\"\n{more}", url.expose());
    fs::write(folder.path().join("dunlin.toml"), text).unwrap();
    let command = up_in(&folder);
    (folder, command)
}

fn up_in(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin-under-test"));
    command.arg("-c").arg(folder.path().join("dunlin.toml"));
    command.arg("--migrations").arg(folder.path().join("migrations")).arg("up");
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_transactions_only_what_may_be_done_twice_is_walked() {
    const REPEATABLE: &str =
        "update_many = { collection = 'a', filter = {}, pipeline = [{ '$set' = { new = '$n' } }] }";
    let server = private::mongod().await;
    for (number, call) in (1..14).enumerate() {
        let url = StoreUrl::new(server.url.expose().replace("/test", &format!("/t{number}")));
        let db = begin(&url, COUNT).await;
        let project = slowly(step(&url, "backfill", REPEATABLE), 100);
        killed_at(&project, call, When::After).await;
        must_up(&project).await;
        assert_eq!(count(&db, "a", doc! { "new": 0 }).await, 400);
    }
    let url = StoreUrl::new(server.url.expose().replace("/test", "/twice"));
    let db = begin(&url, COUNT).await;
    let (_, failure) = super::error(&step(&url, "backfill", ONCE)).await;
    assert_eq!(failure.kind, dunlin::ErrorKind::Unsupported, "{failure:?}");
    assert!(failure.help.unwrap().contains("replica set"));
    assert_eq!(count(&db, "a", doc! { "n": 0 }).await, 400);
}

/// The journal does not grow with the chunks, and the position is kept all the same.
#[tokio::test]
async fn a_walk_has_two_lines_in_the_journal() {
    let scratch = scratch::mongo().await;
    begin(&scratch.url, COUNT).await;
    let project = slowly(step(&scratch.url, "backfill", ONCE), 20);
    paused_after(&project.again(), 200).await;
    let store = super::super::store(&project).await;
    let record = store.history().await.unwrap().records.into_values().next().unwrap();
    assert_eq!((dunlin::Seen::of(&record).unwrap().scanned, record.rows), (200, 200));
    must_up(&project).await;
    let journal = store.journal(None, 1000).await.unwrap();
    let kinds: Vec<&str> = journal.iter().map(|event| event.kind.word()).collect();
    assert_eq!(kinds, ["begun", "step-done"]);
    let kept: Vec<Document> = super::super::documents(&database(&scratch.url).await, "dunlin_history").await;
    assert_eq!(kept[0].get_i64("rows").unwrap(), 400);
}
