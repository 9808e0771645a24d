//! Histories that somebody edited, or that a newer dunlin wrote.

use bson::{Document, doc};
use dunlin::ErrorKind;
use dunlin_testkit::scratch;

use super::{must_up, project, store};

#[tokio::test]
async fn a_history_edited_by_hand_is_an_error_and_no_panic() {
    for change in [
        doc! { "$set": { "state": "dirty" } },
        doc! { "$unset": { "phase": "" } },
        doc! { "$set": { "rows": "many" } },
        doc! { "$set": { "format": 2 } },
        doc! { "$set": { "version": "x" } },
    ] {
        let scratch = scratch::mongo().await;
        let files = [("1_a.js", "db.a.insertOne({ n: 1 })")];
        must_up(&project(&scratch.url, &files)).await;
        scratch.collection("dunlin_history").await.update_many(doc! {}, change.clone()).await.unwrap();
        let error = store(&project(&scratch.url, &files)).await.history().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Integrity, "{change}: {error}");
        assert!(error.help.is_some());
    }
}

#[tokio::test]
async fn a_lock_of_a_newer_format_is_left_alone() {
    let scratch = scratch::mongo().await;
    let files = [("1_a.js", "db.a.insertOne({ n: 1 })")];
    for name in ["lock", "fence"] {
        must_up(&project(&scratch.url, &files)).await;
        let locks = scratch.collection("dunlin_lock").await;
        locks.update_one(doc! { "_id": name }, doc! { "$set": { "format": 2 } }).await.unwrap();
        let more = [files[0], ("2_b.js", "db.a.insertOne({ n: 2 })")];
        let failure = super::up(&project(&scratch.url, &more)).await.unwrap_err();
        assert!(failure.to_string().contains("format 2"), "{name}: {failure}");
        locks.update_one(doc! { "_id": name }, doc! { "$set": { "format": 1 } }).await.unwrap();
    }
    let count = scratch.collection("a").await.count_documents(Document::new()).await.unwrap();
    assert_eq!(count, 1);
}

/// Somebody who removes the lock by hand makes tokens start again; the fence knows better.
#[tokio::test]
async fn a_removed_lock_does_not_let_old_tokens_in() {
    let scratch = scratch::mongo().await;
    let first = ("1_a.js", "db.a.insertOne({ n: 1 })");
    for _ in 0..3 {
        must_up(&project(&scratch.url, &[first, ("2_b.js", "db.a.insertOne({ n: 2 })")])).await;
        scratch.collection("dunlin_lock").await.delete_one(doc! { "_id": "lock" }).await.unwrap();
    }
    let more = [first, ("2_b.js", "db.a.insertOne({ n: 2 })"), ("3_c.js", "db.a.insertOne({ n: 3 })")];
    must_up(&project(&scratch.url, &more)).await;
    let fence =
        scratch.collection("dunlin_lock").await.find_one(doc! { "_id": "fence" }).await.unwrap().unwrap();
    let lock =
        scratch.collection("dunlin_lock").await.find_one(doc! { "_id": "lock" }).await.unwrap().unwrap();
    assert_eq!(fence.get_i64("token").unwrap(), lock.get_i64("token").unwrap());
}
