//! `none` and `same`: what is not as it must be is listed exactly, and a second pass mends it.

use bson::{Bson, Document, doc};
use dunlin::{Failure, Goal, Project, Summary};
use dunlin_engine::run::Stop;
use dunlin_testkit::scratch;

use super::super::{database, must_up, project};
use super::{fill, slowly, step};

/// What a run that is stopped by its verify step found.
async fn violations(project: &Project) -> (Vec<String>, u64) {
    let Err(Failure::Run(run)) = dunlin::up(project, &Goal::default(), &mut |_| {}).await else {
        panic!("nothing was found")
    };
    let (Summary { broken: Some(proof), .. }, Stop::Violated) = *run else { panic!("{run:?}") };
    (proof.violations.iter().map(ToString::to_string).collect(), proof.unlisted)
}

#[tokio::test]
async fn what_a_backfill_missed_is_listed_and_a_second_pass_mends_it() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..300).map(|id| doc! { "_id": id, "old": id })).await;
    let file = |number: u32| {
        let name = format!("{number}_copy.toml");
        let text = "[[backfill]]\nstore = 'app'\nupdate_many = { collection = 'a', filter = {}, pipeline = [{ '$set' = { new = '$old' } }] }\n\
                    [[verify]]\nstore = 'app'\nsame = { collection = 'a', field = 'new', as = '$old' }\n\
                    [[verify]]\nstore = 'app'\nnone = { collection = 'a', filter = { new = { '$exists' = false } } }\n";
        (name, text)
    };
    let (name, text) = file(1);
    let pass = slowly(project(&scratch.url, &[(&name, text)]), 40);
    must_up(&pass).await;
    fill(&db, "a", [doc! { "_id": 1000, "old": "late" }]).await;
    let a = db.collection::<Document>("a");
    a.update_one(doc! { "_id": 77 }, doc! { "$set": { "new": Bson::Int64(77) } }).await.unwrap();
    a.update_one(doc! { "_id": 123 }, doc! { "$set": { "new": -1 } }).await.unwrap();
    let look = "[[verify]]\nstore = 'app'\nsame = { collection = 'a', field = 'new', as = '$old' }\n";
    let looking = slowly(project(&scratch.url, &[(&name, text), ("2_look.toml", look)]), 40);
    let (found, unlisted) = violations(&looking).await;
    assert_eq!(
        found,
        ["77: NumberLong(\"77\") is not 77", "123: -1 is not 123", "1000: nothing is not \"late\""]
    );
    assert_eq!(unlisted, 0);
    let (second, text) = file(2);
    must_up(&slowly(project(&scratch.url, &[(&name, text), (&second, text)]), 40)).await;
    let all = [(&*name, text), (&*second, text), ("3_look.toml", look)];
    must_up(&slowly(project(&scratch.url, &all), 40)).await;
}

#[tokio::test]
async fn none_lists_the_first_and_counts_the_rest() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..200).map(|id| doc! { "_id": id, "bad": id >= 150, "text": "x".repeat(500) })).await;
    let text = "none = { collection = 'a', filter = { bad = true } }";
    for size in [7, 1000] {
        let (found, unlisted) = violations(&slowly(step(&scratch.url, "verify", text), size)).await;
        assert_eq!((found.len(), unlisted), (20, 30));
        assert!(found[0].starts_with("150: { _id: 150") && found[0].chars().count() < 220, "{}", found[0]);
    }
}

#[tokio::test]
async fn a_sample_looks_at_some() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..500).map(|id| doc! { "_id": id, "x": 1, "y": 2, "z": 1 })).await;
    let text = "same = { collection = 'a', field = 'x', as = '$y', sample = 50, filter = { z = 1 } }";
    let (found, unlisted) = violations(&step(&scratch.url, "verify", text)).await;
    assert_eq!(found.len() as u64 + unlisted, 50);
    must_up(&step(
        &scratch.url,
        "verify",
        "same = { collection = 'a', field = 'x', as = '$z', sample = 50 }",
    ))
    .await;
}

#[tokio::test]
async fn two_collections_are_compared_both_ways() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let ids = || (0..300).map(Bson::Int32).chain((0..50).map(|number| Bson::String(format!("k{number:02}"))));
    fill(&db, "a", ids().map(|id| doc! { "_id": id, "v": 1.5 })).await;
    fill(&db, "b", ids().map(|id| doc! { "of": id, "w": 1.5 })).await;
    let indexed =
        "same = { collection = 'a', field = 'v', with = { collection = 'b', field = 'w', key = 'of' } }";
    let (_, failure) = super::error(&step(&scratch.url, "verify", indexed)).await;
    assert!(failure.message.contains("no index on of"), "{failure:?}");
    db.run_command(doc! { "createIndexes": "b", "indexes": [{ "key": { "of": 1 }, "name": "of_1" }] })
        .await
        .unwrap();
    must_up(&slowly(step(&scratch.url, "verify", indexed), 40)).await;

    let b = db.collection::<Document>("b");
    b.delete_one(doc! { "of": 7 }).await.unwrap();
    b.update_one(doc! { "of": 100 }, doc! { "$set": { "w": 1.75 } }).await.unwrap();
    b.update_one(doc! { "of": 101 }, doc! { "$set": { "w": bson::Decimal128::from_bytes([0; 16]) } })
        .await
        .unwrap();
    b.insert_one(doc! { "of": 102, "w": 1.5 }).await.unwrap();
    for of in
        [Bson::Int32(9999), Bson::String("k005".to_owned()), Bson::DateTime(bson::DateTime::from_millis(0))]
    {
        b.insert_one(doc! { "of": of, "w": 1.5 }).await.unwrap();
    }
    let again = project(&scratch.url, &[("2_look.toml", &format!("[[verify]]\nstore = 'app'\n{indexed}\n"))]);
    scratch.collection("dunlin_history").await.delete_many(doc! {}).await.unwrap();
    let (mut found, _) = violations(&slowly(again, 40)).await;
    found.sort();
    assert_eq!(
        found,
        [
            "100: 1.5 is not 1.75",
            "101: 1.5 is not NumberDecimal(\"0E-6176\")",
            "102: several in b",
            "7: 1.5, and not in b",
            "9999: 1.5, and only in b",
            "ISODate(\"1970-01-01T00:00:00Z\"): 1.5, and only in b",
            "k005: 1.5, and only in b",
        ]
    );
}

/// A login that may only read may ask.
#[tokio::test]
async fn a_look_writes_nothing() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", (0..200).map(|id| doc! { "_id": id, "bad": id == 5 })).await;
    let project =
        slowly(step(&scratch.url, "verify", "none = { collection = 'a', filter = { bad = true } }"), 30);
    let store = super::super::store(&project).await;
    let loaded = project.load();
    let op = loaded.migrations.values().next().unwrap().steps()[0].op.clone();
    let pace = &super::chunks_of(30);
    let mut from = None;
    let mut bouts = 0;
    let found = loop {
        bouts += 1;
        match store.verify(&dunlin::Check { op: &*op, from: from.as_ref(), pace }).await.unwrap() {
            dunlin::Checked::Partly(checkpoint) => from = Some(checkpoint),
            dunlin::Checked::Wholly { violations, scanned, .. } => break (violations.len(), scanned),
        }
    };
    assert_eq!(found, (1, 200));
    assert!(bouts > 5, "it goes on from bout to bout");
    let names = db.list_collection_names().await.unwrap();
    assert_eq!(names, ["a"]);
}
