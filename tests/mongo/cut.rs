//! Connections that are cut anywhere: the next `up` ends where an undisturbed one does.

use bson::{Document, doc};
use dunlin::{EventKind, StoreUrl};
use dunlin_testkit::proxy::{Direction, Loss, Proxy, Trigger};
use dunlin_testkit::{private, scratch};

use super::{database, documents, must_up, project, up};

/// Everything a migration does, each kind once, and none of it harmless when done twice.
const FILES: [(&str, &str); 2] = [
    (
        "1_all.js",
        "// Up
        db.createCollection('a');
        db.a.createIndex({ x: 1 });
        db.a.insertMany([{ n: 1 }, { n: 2 }, { n: 3 }]);
        db.a.updateMany({}, { $set: { y: 1 } });
        db.a.renameCollection('b');
        db.b.createIndex({ z: 1 });
        db.b.dropIndex('x_1');",
    ),
    ("2_more.js", "db.b.insertOne({ n: 100, at: new Date() });\ndb.createCollection('c');\ndb.c.drop();\n"),
];
/// What a server without transactions cannot do twice, and cannot be asked about.
const BUMP: (&str, &str) =
    ("3_bump.js", "db.b.updateMany({}, { $inc: { n: 10 } });\ndb.b.insertOne({ n: 0 });\n");

async fn check(url: &StoreUrl, is_bumped: bool) {
    let db = database(url).await;
    let mut names = db.list_collection_names().await.unwrap();
    names.retain(|name| !name.starts_with("dunlin_"));
    assert_eq!(names, ["b"]);
    let mut numbers: Vec<i32> =
        documents(&db, "b").await.iter().map(|document| document.get_i32("n").unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, if is_bumped { vec![0, 11, 12, 13, 110] } else { vec![1, 2, 3, 100] });
    let y = doc! { "y": 1 };
    assert_eq!(db.collection::<Document>("b").count_documents(y).await.unwrap(), 3);
    assert_eq!(db.collection::<Document>("b").list_index_names().await.unwrap(), ["_id_", "z_1"]);
    let journal = super::store(&project(url, &[])).await.journal(None, 1000).await.unwrap();
    let done = journal.iter().filter(|event| event.kind == EventKind::StepDone).count();
    assert!(journal.iter().map(|event| event.sequence).eq(1..=i64::try_from(journal.len()).unwrap()));
    assert_eq!(done, if is_bumped { 3 } else { 2 }, "each step is recorded once");
}

/// Cuts at many places of the conversation, in either direction.
async fn cut_everywhere(files: &[(&str, &str)], fresh: impl AsyncFn() -> (StoreUrl, Box<dyn Send>)) {
    const PLACES: u64 = 16;
    let is_bumped = files.len() == 3;
    let (url, _hold) = fresh().await;
    let proxy = Proxy::before(&url);
    must_up(&project(&proxy.url, files)).await;
    check(&url, is_bumped).await;
    for direction in [Direction::Request, Direction::Reply] {
        let bytes = proxy.bytes(direction);
        for place in 1..PLACES {
            let (url, _hold) = fresh().await;
            let proxy = Proxy::before(&url);
            proxy.cut_after_bytes(direction, bytes * place / PLACES);
            // It may come through by itself; what it leaves behind counts.
            let first = up(&project(&proxy.url, files)).await;
            assert_eq!(proxy.cuts(), 1, "{direction:?} {place}");
            drop(proxy);
            if first.is_err() {
                // The lease of the run that was cut off may not have run out.
                let store = super::store(&project(&url, &[])).await;
                if let Some(holder) = store.holder().await.unwrap() {
                    store.unlock(holder.token).await.unwrap();
                }
            }
            must_up(&project(&url, files)).await;
            check(&url, is_bumped).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_anywhere_loses_nothing_and_doubles_nothing() {
    let files = [FILES[0], FILES[1], BUMP];
    cut_everywhere(&files, async || {
        let scratch = scratch::mongo().await;
        (scratch.url.clone(), Box::new(scratch) as Box<dyn Send>)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_anywhere_is_recovered_without_transactions() {
    let server = private::mongod().await;
    let next = std::sync::atomic::AtomicU32::new(0);
    cut_everywhere(&FILES, async || {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let url = server.url.expose().replace("/test", &format!("/t{number}"));
        (StoreUrl::new(url), Box::new(()) as Box<dyn Send>)
    })
    .await;
}

/// A command whose reply is lost took effect; that is found out rather than done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_whose_reply_is_lost_is_found_in_effect() {
    for (command, file) in [
        ("create", "db.createCollection('b');"),
        ("renameCollection", "db.a.renameCollection('b');"),
        ("dropIndexes", "db.a.dropIndex('x_1');"),
    ] {
        let scratch = scratch::mongo().await;
        must_up(&project(&scratch.url, &[("1_a.js", "db.a.createIndex({ x: 1 })")])).await;
        let proxy = Proxy::before(&scratch.url);
        proxy.cut_at(Trigger::text(&format!("{command}\0")), Loss::Reply);
        let notes =
            must_up(&project(&proxy.url, &[("1_a.js", "db.a.createIndex({ x: 1 })"), ("2_b.js", file)]))
                .await;
        assert_eq!(proxy.cuts(), 1, "{command}");
        assert!(notes.iter().any(|note| note.contains("found in effect")), "{command}: {notes:?}");
    }
}

/// A commit whose answer is lost is asked for again, and not done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_counts_once() {
    for loss in [Loss::Request, Loss::Reply] {
        let scratch = scratch::mongo().await;
        let first = ("1_a.js", "db.a.insertOne({ n: 1 })");
        must_up(&project(&scratch.url, &[first])).await;
        let proxy = Proxy::before(&scratch.url);
        proxy.cut_at(Trigger::text("commitTransaction"), loss);
        must_up(&project(&proxy.url, &[first, ("2_b.js", "db.a.updateMany({}, { $inc: { n: 1 } })")])).await;
        assert_eq!(proxy.cuts(), 1);
        assert_eq!(documents(&scratch.mongo().await, "a").await, [doc! { "n": 2 }], "{loss:?}");
    }
}
