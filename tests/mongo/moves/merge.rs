//! `merge_into`.

use bson::{Document, doc};
use dunlin_testkit::fault::When;
use dunlin_testkit::{private, scratch};

use super::super::{database, documents, must_up};
use super::{count, error, fill, killed_at, slowly, step};

fn merge(more: &str) -> String {
    format!(
        "merge_into = {{ from = 'a', into = 'b', pipeline = [{{ '$set' = {{ kind = 'a' }} }}], filter = {{ old = false }}{more} }}"
    )
}

async fn begin(db: &mongodb::Database) {
    fill(db, "a", (0..200).map(|id| doc! { "_id": id, "n": id, "old": id % 2 == 0 })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_killed_anywhere_ends_with_each_document_there_once() {
    let server = private::mongod().await;
    for when in When::ALL {
        for call in 1.. {
            let scratch = scratch::mongo().await;
            // With and without transactions it is the same.
            let alone = server.url.expose().replace("/test", &format!("/t{call}{when}"));
            let url = if call % 2 == 0 { dunlin::StoreUrl::new(alone) } else { scratch.url.clone() };
            let db = database(&url).await;
            begin(&db).await;
            let project = slowly(step(&url, "backfill", &merge("")), 40);
            let was_killed = killed_at(&project, call, when).await;
            must_up(&project).await;
            assert_eq!(count(&db, "b", doc! { "kind": "a", "$expr": { "$eq": ["$n", "$_id"] } }).await, 100);
            assert_eq!(count(&db, "b", doc! {}).await, 100, "{when} {call}");
            if !was_killed {
                assert!(call > 8);
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_different_document_in_the_way_is_said_before_anything_is_merged() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    begin(&db).await;
    fill(&db, "b", [doc! { "_id": 151, "n": 1 }, doc! { "_id": 152, "n": 1 }]).await;
    // The very same is none in the way.
    fill(&db, "b", [doc! { "_id": 3, "n": 3, "old": false, "kind": "a" }]).await;
    let project = slowly(step(&scratch.url, "backfill", &merge("")), 40);
    let (_, failure) = error(&project).await;
    assert!(failure.message.starts_with("1 document of b is in the way"), "{failure:?}");
    assert!(failure.fact("documents").unwrap().starts_with("151: "), "{failure:?}");
    assert_eq!(count(&db, "b", doc! {}).await, 3);
    db.collection::<Document>("b").delete_one(doc! { "_id": 151 }).await.unwrap();
    must_up(&project).await;
    assert_eq!(count(&db, "b", doc! { "kind": "a" }).await, 100);
}

/// Several results of one `_id`: none of them is worth more than the others.
#[tokio::test]
async fn results_that_share_an_id_are_refused_before_anything_is_merged() {
    let text = |more: &str| {
        format!("merge_into = {{ from = 'a', into = 'b', pipeline = [{{ '$unwind' = '$list' }}{more} }}")
    };
    for existing in ["fail", "replace", "skip", "merge"] {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        fill(&db, "a", (0..50).map(|id| doc! { "_id": id, "list": [id, id + 1, id + 2] })).await;
        let project = step(&scratch.url, "backfill", &text(&format!("], existing = '{existing}'")));
        if existing == "merge" {
            must_up(&project).await;
            assert_eq!(count(&db, "b", doc! {}).await, 50, "they are put together");
            continue;
        }
        let (_, failure) = error(&project).await;
        assert!(
            failure.message.starts_with("150 results of a would be merged into b under 50 _ids"),
            "{failure:?}"
        );
        let documents = failure.fact("documents").unwrap();
        assert!(documents.contains("3 documents, such as { _id: 0, list: 0 }"), "{documents}");
        assert_eq!(count(&db, "b", doc! {}).await, 0);
        let own = ", { '$set' = { _id = { doc = '$_id', at = '$list' } } }]";
        must_up(&step(&scratch.url, "backfill", &text(own))).await;
        assert_eq!(count(&db, "b", doc! {}).await, 150);
    }
}

#[tokio::test]
async fn what_exists_is_treated_as_is_said() {
    for (existing, is_kind, is_own) in
        [("skip", false, true), ("replace", true, false), ("merge", true, true)]
    {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        begin(&db).await;
        fill(&db, "b", [doc! { "_id": 1, "own": 1 }]).await;
        must_up(&step(&scratch.url, "backfill", &merge(&format!(", existing = '{existing}'")))).await;
        let found = documents(&db, "b").await;
        assert_eq!(
            (found[0].contains_key("kind"), found[0].contains_key("own")),
            (is_kind, is_own),
            "{existing}"
        );
        assert_eq!(found.len(), 100);
    }
}

#[tokio::test]
async fn documents_written_out_are_inserted_once() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let text = "insert = { collection = 'b', documents = [{ _id = 1, n = 1 }, { n = 2 }] }";
    for (call, when) in [(3, When::Before), (3, When::After), (4, When::After)] {
        db.collection::<Document>("b").drop().await.unwrap();
        let project = step(&scratch.url, "backfill", text);
        killed_at(&project, call, when).await;
        must_up(&project).await;
        assert_eq!(count(&db, "b", doc! {}).await, 2, "{call} {when}");
        scratch.collection("dunlin_history").await.delete_many(doc! {}).await.unwrap();
    }
}
