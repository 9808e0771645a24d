//! `update_many` and `delete_many`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::oid::ObjectId;
use bson::{Binary, Bson, DateTime, Decimal128, Document, Timestamp, Uuid, doc};
use dunlin_testkit::fault::When;
use dunlin_testkit::scratch;

use super::super::{database, must_up, project};
use super::{Again as _, count, error, fill, killed_at, paused_after, slowly, step};

const MARK: &str = "update_many = { collection = 'a', filter = {}, update = { '$inc' = { n = 1 } } }";

/// One document for each kind of `_id` there can be, and a few more of some.
fn ids() -> Vec<Bson> {
    let mut ids: Vec<Bson> = (-150..150).map(Bson::Int32).collect();
    ids.extend((1000_i64..1200).map(Bson::Int64));
    ids.extend((0..100).map(|number| Bson::Double(f64::from(number) + 0.5)));
    ids.push("12345678901234567890.5".parse::<Decimal128>().unwrap().into());
    ids.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Bson::Double));
    ids.extend((0..250).map(|number| Bson::String(format!("k{number}"))));
    ids.extend(["", "é", "$x"].map(|text| Bson::String(text.to_owned())));
    ids.push(Bson::Symbol("symbol".to_owned()));
    ids.extend((0..250).map(|_| Bson::ObjectId(ObjectId::new())));
    ids.extend((0..120).map(|_| Bson::from(Uuid::new())));
    ids.push(Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2] }.into());
    ids.extend((0..120).map(|number| doc! { "a": number, "b": "x" }.into()));
    ids.push(doc! {}.into());
    ids.extend((0..110).map(|number| DateTime::from_millis(number).into()));
    ids.extend((1..5).map(|time| Timestamp { time, increment: 1 }.into()));
    ids.extend([Bson::Boolean(true), Bson::Boolean(false), Bson::Null, Bson::MinKey, Bson::MaxKey]);
    ids.push(Bson::JavaScriptCode("1".to_owned()));
    ids
}

#[tokio::test]
async fn ids_of_every_type_are_come_past_once() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let ids = ids();
    fill(&db, "a", ids.iter().map(|id| doc! { "_id": id.clone(), "n": 0 })).await;
    for (round, size) in [3, 100].into_iter().enumerate() {
        let text = format!("[[backfill]]\nstore = \"app\"\n{MARK}\n");
        let project = project(&scratch.url, &[(&format!("{round}_step.toml"), &text)]);
        must_up(&slowly(project, size)).await;
        let marked = doc! { "n": i32::try_from(round).unwrap() + 1 };
        assert_eq!(count(&db, "a", marked).await, ids.len() as u64, "chunks of {size}");
        scratch.collection("dunlin_history").await.delete_many(doc! {}).await.unwrap();
    }
}

#[tokio::test]
async fn a_collation_of_its_own_misses_no_text() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let ids = ["a", "A", "b", "B", "ä", "Z"].map(|id| Bson::String(id.to_owned())).into_iter();
    fill(&db, "a", ids.chain((0..20).map(Bson::Int32)).map(|id| doc! { "_id": id, "name": "X", "n": 0 }))
        .await;
    let text = "update_many = { collection = 'a', filter = { name = 'x' }, update = { '$inc' = { n = 1 } }, \
                collation = { locale = 'en', strength = 2 } }";
    must_up(&slowly(step(&scratch.url, "backfill", text), 3)).await;
    assert_eq!(count(&db, "a", doc! { "n": 1 }).await, 26);
}

#[tokio::test]
async fn values_of_the_run_are_the_same_in_every_chunk() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..50).map(|id| doc! { "_id": id })).await;
    let text = "update_many = { collection = 'a', filter = {}, update = \"{ $set: { at: new Date() } }\" }";
    let project = slowly(step(&scratch.url, "backfill", text), 10);
    assert!(killed_at(&project, 8, When::After).await);
    must_up(&project).await;
    let times = db.collection::<Document>("a").distinct("at", doc! {}).await.unwrap();
    assert!(matches!(times.as_slice(), [Bson::DateTime(_)]), "{times:?}");
}

#[tokio::test]
async fn what_arrives_while_it_runs_is_not_chased() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..300).map(|id| doc! { "_id": id, "n": 0 })).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let (busy, ended) = (db.collection::<Document>("a"), Arc::clone(&is_over));
    let writer = tokio::spawn(async move {
        let mut next = 300;
        while !ended.load(Ordering::SeqCst) {
            let more: Vec<Document> = (next..next + 200).map(|id| doc! { "_id": id, "n": 0 }).collect();
            busy.insert_many(more).await.unwrap();
            next += 200;
        }
        next
    });
    must_up(&slowly(step(&scratch.url, "backfill", MARK), 20)).await;
    is_over.store(true, Ordering::SeqCst);
    assert!(writer.await.unwrap() > 600, "the writer was faster");
    assert_eq!(count(&db, "a", doc! { "_id": { "$lt": 300 }, "n": 1 }).await, 300);
    assert!(count(&db, "a", doc! { "n": 0 }).await > 0);
}

#[tokio::test]
async fn documents_deleted_under_the_walk_do_not_stop_it() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..600).map(|id| doc! { "_id": id, "n": 0 })).await;
    let project = slowly(step(&scratch.url, "backfill", MARK), 50);
    for come_past in [100, 300] {
        paused_after(&project.again(), come_past).await;
        // The last one it came past, those around it, and the end it had in mind.
        let gone = doc! { "_id": { "$gte": i32::try_from(come_past).unwrap() - 60, "$lt": i32::try_from(come_past).unwrap() + 60 } };
        db.collection::<Document>("a").delete_many(gone).await.unwrap();
        db.collection::<Document>("a").delete_many(doc! { "_id": { "$gte": 550 } }).await.unwrap();
    }
    must_up(&project).await;
    assert_eq!(count(&db, "a", doc! { "n": { "$ne": 1 } }).await, 0);
    assert_eq!(count(&db, "a", doc! {}).await, 310);
}

#[tokio::test]
async fn a_filter_keeps_what_the_application_wrote_meanwhile() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..200).map(|id| doc! { "_id": id, "old": id })).await;
    let text = "update_many = { collection = 'a', filter = { new = { '$exists' = false } }, pipeline = [{ '$set' = { new = '$old' } }] }";
    let project = slowly(step(&scratch.url, "backfill", text), 20);
    paused_after(&project.again(), 60).await;
    let own = doc! { "$set": { "new": "theirs" } };
    db.collection::<Document>("a").update_one(doc! { "_id": 150 }, own).await.unwrap();
    must_up(&project).await;
    assert_eq!(count(&db, "a", doc! { "$expr": { "$eq": ["$new", "$old"] } }).await, 199);
    assert_eq!(count(&db, "a", doc! { "_id": 150, "new": "theirs" }).await, 1);
}

#[tokio::test]
async fn documents_near_the_limit_and_lists_are_walked_in_small_chunks() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let large = "x".repeat((16 << 20) - 4096);
    for id in 0..4 {
        fill(&db, "a", [doc! { "_id": id, "n": 0, "list": [{ "n": 1 }, { "n": 2 }], "large": &large }]).await;
    }
    fill(&db, "a", (4..300).map(|id| doc! { "_id": id, "n": 0, "list": [{ "n": 1 }, { "n": 2 }] })).await;
    let text =
        "update_many = { collection = 'a', filter = {}, update = { '$inc' = { n = 1, 'list.$[].n' = 1 } } }";
    must_up(&step(&scratch.url, "backfill", text)).await;
    let right = doc! { "n": 1, "list": [{ "n": 2 }, { "n": 3 }] };
    assert_eq!(count(&db, "a", right).await, 300);
}

#[tokio::test]
async fn a_document_that_cannot_be_changed_is_named_and_those_before_it_are_done() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let number = |id: i32| if id == 777 { Bson::String("no number".to_owned()) } else { id.into() };
    fill(&db, "a", (0..2000).map(|id| doc! { "_id": id, "n": number(id) })).await;
    let project = step(&scratch.url, "backfill", MARK);
    let (_, failure) = error(&project).await;
    assert_eq!(failure.fact("document"), Some("777"), "{failure:?}");
    assert!(failure.fact("left behind").unwrap().contains("up to _id 776 are done"), "{failure:?}");
    assert_eq!(count(&db, "a", doc! { "$expr": { "$ne": ["$n", "$_id"] } }).await, 778);
    db.collection::<Document>("a")
        .update_one(doc! { "_id": 777 }, doc! { "$set": { "n": 777 } })
        .await
        .unwrap();
    must_up(&project).await;
    assert_eq!(count(&db, "a", doc! { "$expr": { "$eq": ["$n", { "$add": ["$_id", 1] }] } }).await, 2000);
}

#[tokio::test]
async fn what_the_server_does_not_understand_is_said_before_anything_is_changed() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..20).map(|id| doc! { "_id": id, "n": 0 })).await;
    let text = "update_many = { collection = 'a', filter = {}, update = { '$incr' = { n = 1 } } }";
    let (_, failure) = error(&step(&scratch.url, "backfill", text)).await;
    assert!(failure.message.contains("$incr"), "{failure:?}");
    assert_eq!(failure.fact("document"), None);
}

#[tokio::test]
async fn an_application_that_writes_all_the_time_is_neither_lost_nor_in_the_way() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..3000).map(|id| doc! { "_id": id, "n": 0, "hits": 0 })).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|of| {
            let (busy, ended) = (db.collection::<Document>("a"), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut hits = 0;
                while !ended.load(Ordering::SeqCst) {
                    // One that everybody writes, and others all over.
                    let id = if hits % 2 == 0 { 1500 } else { (hits * 37 + of) % 3000 };
                    busy.update_one(doc! { "_id": id }, doc! { "$inc": { "hits": 1 } }).await.unwrap();
                    hits += 1;
                }
                hits
            })
        })
        .collect();
    must_up(&step(&scratch.url, "backfill", MARK)).await;
    is_over.store(true, Ordering::SeqCst);
    let mut hits = 0;
    for writer in writers {
        hits += writer.await.unwrap();
    }
    assert_eq!(count(&db, "a", doc! { "n": 1 }).await, 3000);
    let found = super::super::documents(&db, "a").await;
    assert_eq!(found.iter().map(|one| one.get_i32("hits").unwrap()).sum::<i32>(), hits);
}

#[tokio::test]
async fn delete_many_deletes_what_the_filter_finds() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..500).map(|id| doc! { "_id": id, "old": id % 3 == 0 })).await;
    let text = "delete_many = { collection = 'a', filter = { old = true } }";
    let project = slowly(step(&scratch.url, "backfill", text), 60);
    assert!(killed_at(&project, 9, When::After).await);
    must_up(&project).await;
    assert_eq!(count(&db, "a", doc! { "old": true }).await, 0);
    assert_eq!(count(&db, "a", doc! {}).await, 333);
}

#[tokio::test]
async fn a_document_that_cannot_be_changed_may_be_left_out_half_way() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..300).map(|id| doc! { "_id": id, "n": if id == 200 { 9 } else { 0 } })).await;
    db.run_command(doc! { "collMod": "a", "validator": { "n": { "$lt": 10 } } }).await.unwrap();
    let (_, failure) = error(&slowly(step(&scratch.url, "backfill", MARK), 30)).await;
    assert_eq!(failure.fact("document"), Some("200"));
    let moved = count(&db, "a", doc! { "n": 1 }).await;
    assert!((30..=200).contains(&moved), "{moved}");
    let other = MARK.replace("'a'", "'b'");
    assert!(error(&step(&scratch.url, "backfill", &other)).await.1.message.contains("another course"));
    let narrower = MARK.replace("filter = {}", "filter = { n = { '$lt' = 9 } }");
    let notes = must_up(&slowly(step(&scratch.url, "backfill", &narrower), 30)).await;
    assert!(notes[0].contains("edited half-way"), "{notes:?}");
    assert_eq!(count(&db, "a", doc! { "n": 1 }).await, 299);
}
