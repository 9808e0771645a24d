//! `convert`: nothing is lost, and what cannot be converted is counted and named.

use bson::{Bson, Document, doc};
use dunlin_testkit::fault::When;
use dunlin_testkit::scratch;

use super::super::{database, documents, must_up};
use super::{Again as _, count, down, error, fill, killed_at, paused_after, slowly, step};

fn to_int(more: &str) -> String {
    format!("convert = {{ collection = 'a', field = 'age', to = 'int'{more} }}")
}

/// 100 that can be converted, 4 that cannot, 2 that are to stay.
async fn begin(db: &mongodb::Database) {
    fill(db, "a", (0..100).map(|id| doc! { "_id": id, "age": id.to_string() })).await;
    for (id, age) in [
        (100, Bson::String("n/a".to_owned())),
        (101, Bson::Double(3.9)),
        (102, Bson::Array(vec![Bson::String("1".to_owned())])),
        (103, Bson::Int64(1 << 40)),
        (104, Bson::Null),
    ] {
        fill(db, "a", [doc! { "_id": id, "age": age }]).await;
    }
    fill(db, "a", [doc! { "_id": 105, "other": true }]).await;
}

async fn ages(db: &mongodb::Database, kind: &str) -> u64 {
    count(db, "a", doc! { "age": { "$type": kind } }).await
}

#[tokio::test]
async fn what_cannot_be_converted_is_listed_before_anything_is_written() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    begin(&db).await;
    let project = slowly(step(&scratch.url, "backfill", &to_int("")), 30);
    let (_, failure) = error(&project).await;
    assert_eq!(failure.message, "4 documents of a cannot be converted: age would be lost as int");
    assert_eq!(
        failure.fact("documents"),
        Some(
            "100: \"n/a\" is no int; 101: 3.9 would become 3; 102: [\"1\"] is no int; 103: NumberLong(\"1099511627776\") is no int"
        )
    );
    assert_eq!(ages(&db, "int").await, 0, "nothing was written");
    db.collection::<Document>("a")
        .delete_many(doc! { "_id": { "$in": [100, 101, 102, 103] } })
        .await
        .unwrap();
    must_up(&project).await;
    assert_eq!((ages(&db, "int").await, ages(&db, "null").await), (100, 1));
    assert_eq!(count(&db, "a", doc! { "age": { "$exists": false } }).await, 1);
}

#[tokio::test]
async fn what_cannot_be_converted_is_kept_or_made_null_where_that_is_said() {
    for (policy, kept, nulls) in [("keep", 4, 1), ("null", 0, 5)] {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        begin(&db).await;
        // It may be said once the documents are known: nothing was written until then.
        error(&slowly(step(&scratch.url, "backfill", &to_int("")), 30)).await;
        let text = to_int(&format!(", on_error = '{policy}'"));
        let notes = must_up(&slowly(step(&scratch.url, "backfill", &text), 30)).await;
        let strange =
            count(&db, "a", doc! { "age": { "$exists": true, "$not": { "$type": ["int", "null"] } } }).await;
        assert_eq!(
            (strange, ages(&db, "null").await, ages(&db, "int").await),
            (kept, nulls, 100),
            "{policy}"
        );
        assert!(notes[0].starts_with("4 documents of a could not be converted"), "{notes:?}");
        assert!(notes[0].contains("101: 3.9 would become 3"), "{notes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_in_quarantine_is_in_one_place_wherever_the_run_is_killed() {
    for when in When::ALL {
        for call in 3.. {
            let scratch = scratch::mongo().await;
            let db = database(&scratch.url).await;
            begin(&db).await;
            let project = slowly(step(&scratch.url, "backfill", &to_int(", on_error = 'quarantine'")), 30);
            let was_killed = killed_at(&project, call, when).await;
            let there = count(&db, "a", doc! {}).await + count(&db, "a_quarantine", doc! {}).await;
            assert_eq!(there, 106, "{when} {call}");
            must_up(&project).await;
            let moved = documents(&db, "a_quarantine").await;
            assert_eq!(
                moved.iter().filter_map(|one| one.get("age").cloned()).collect::<Vec<_>>(),
                [
                    Bson::String("n/a".to_owned()),
                    Bson::Double(3.9),
                    Bson::Array(vec![Bson::String("1".to_owned())]),
                    Bson::Int64(1 << 40),
                ]
            );
            assert_eq!((count(&db, "a", doc! {}).await, ages(&db, "int").await), (102, 100));
            if !was_killed {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_quarantine_overwrites_nothing() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    begin(&db).await;
    fill(&db, "q", [doc! { "_id": 101, "of": "somebody else" }]).await;
    let text = to_int(", on_error = 'quarantine', into = 'q'");
    let (_, failure) = error(&step(&scratch.url, "backfill", &text)).await;
    assert_eq!(failure.fact("code"), Some("11000"), "{failure:?}");
    assert_eq!((count(&db, "a", doc! {}).await, count(&db, "q", doc! {}).await), (106, 1));
}

/// A type, what becomes it without loss, and what does not.
fn conversions() -> Vec<(&'static str, Vec<Bson>, Vec<Bson>)> {
    let text = |text: &str| Bson::String(text.to_owned());
    vec![
        (
            "int",
            vec![text("007"), text("-7"), 5.0.into(), true.into()],
            vec![text(" 1"), text("1.5"), text(""), f64::NAN.into()],
        ),
        ("long", vec![text("2147483648"), 7.into()], vec![1e300.into()]),
        (
            "double",
            vec![text("0.1"), text("1e3"), text("0.30000000000000004"), Bson::Int64(1 << 53)],
            vec![text("12345678901234567890"), Bson::Int64((1 << 53) + 1)],
        ),
        ("decimal", vec![0.1.into(), text("12345678901234567890.5"), 3.into()], vec![text("x")]),
        ("bool", vec![0.into(), 1.0.into()], vec![text("false"), text("true"), 5.into()]),
        (
            "string",
            vec![5.into(), 3.25.into(), true.into(), bson::oid::ObjectId::new().into()],
            vec![doc! { "a": 1 }.into()],
        ),
        (
            "date",
            vec![text("2026-11-21"), Bson::Int64(5)],
            vec![text("yesterday"), bson::oid::ObjectId::new().into()],
        ),
        ("objectId", vec![text("64b1f0f0f0f0f0f0f0f0f0f0")], vec![text("64b1"), 5.into()]),
    ]
}

#[tokio::test]
async fn only_what_is_the_same_afterwards_is_converted() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    for (number, (to, good, bad)) in conversions().into_iter().enumerate() {
        let name = format!("c{number}");
        let is_good = std::iter::repeat_n(true, good.len()).chain(std::iter::repeat_n(false, bad.len()));
        let values = good.iter().chain(&bad).cloned().zip(is_good);
        fill(
            &db,
            &name,
            values.map(|(value, good)| doc! { "good": good, "in": { "v": value.clone() }, "was": value }),
        )
        .await;
        let op =
            format!("convert = {{ collection = '{name}', field = 'in.v', to = '{to}', on_error = 'keep' }}");
        let file = format!("{number}_a.toml");
        must_up(&super::super::project(
            &scratch.url,
            &[(&file, &format!("[[backfill]]\nstore = 'app'\n{op}\n"))],
        ))
        .await;
        scratch.collection("dunlin_history").await.delete_many(doc! {}).await.unwrap();
        let converted = doc! { "good": true, "in.v": { "$type": to } };
        assert_eq!(
            count(&db, &name, converted).await,
            good.len() as u64,
            "{to}: {:?}",
            documents(&db, &name).await
        );
        let kept = doc! { "good": false, "$expr": { "$and": [
            { "$eq": ["$in.v", "$was"] }, { "$eq": [{ "$type": "$in.v" }, { "$type": "$was" }] },
        ] } };
        assert_eq!(
            count(&db, &name, kept).await,
            bad.len() as u64,
            "{to}: {:?}",
            documents(&db, &name).await
        );
    }
}

#[tokio::test]
async fn a_value_that_spoils_after_everything_was_looked_at_stops_the_step() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..200).map(|id| doc! { "_id": id, "age": id.to_string() })).await;
    let text = format!(
        "{}\nundo = {{ convert = {{ collection = 'a', field = 'age', to = 'string' }} }}",
        to_int("")
    );
    let project = slowly(step(&scratch.url, "backfill", &text), 20);
    paused_after(&project.again(), 260).await;
    let spoilt = doc! { "$set": { "age": "old" } };
    db.collection::<Document>("a").update_one(doc! { "_id": 150 }, spoilt).await.unwrap();
    let (_, failure) = error(&project.again()).await;
    assert_eq!(failure.fact("documents"), Some("150: \"old\" is no int"), "{failure:?}");
    assert!(failure.fact("left behind").unwrap().contains("are done"), "{failure:?}");
    assert_eq!(count(&db, "a", doc! { "_id": 150, "age": "old" }).await, 1);
    down(&project).await;
    assert_eq!(ages(&db, "string").await, 200);
}
