//! `update_many` and `delete_many`.

use bson::oid::ObjectId;
use bson::{Binary, Bson, DateTime, Decimal128, Document, Timestamp, Uuid, doc};
use dunlin_testkit::scratch;

use super::super::{database, must_up};
use super::{count, fill, step};

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
    for pace in [3, 100] {
        db.collection::<Document>("a").update_many(doc! {}, doc! { "$set": { "n": 0 } }).await.unwrap();
        db.collection::<Document>("dunlin_history").drop().await.unwrap();
        db.collection::<Document>("dunlin_lock").drop().await.unwrap();
        db.collection::<Document>("dunlin_journal").drop().await.unwrap();
        let project = super::slowly(step(&scratch.url, "backfill", MARK), pace);
        must_up(&project).await;
        let missed: Vec<_> = super::super::documents(&db, "a").await;
        assert_eq!(missed.len(), ids.len());
        assert_eq!(count(&db, "a", doc! { "n": 1 }).await, ids.len() as u64, "chunks of {pace}");
    }
    must_up(&step(&scratch.url, "backfill", MARK)).await;
}
