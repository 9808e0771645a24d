//! What a walk refuses, and what it says then.

use bson::doc;
use dunlin::ErrorKind;
use dunlin_testkit::scratch;

use super::super::{database, must_up, project};
use super::{count, error, fill, step};

const WRITES: [&str; 4] = [
    "update_many = { collection = 'it', filter = {}, update = { '$set' = { n = 1 } } }",
    "delete_many = { collection = 'it', filter = {} }",
    "convert = { collection = 'it', field = 'n', to = 'string' }",
    "merge_into = { from = 'it', into = 'other' }",
];

#[test]
fn an_element_of_a_list_is_refused_when_the_file_is_read() {
    let url = dunlin::StoreUrl::new("mongodb://nowhere/app");
    for text in [
        "[[backfill]]\nstore = 'app'\nconvert = { collection = 'a', field = 'a.0.v', to = 'int' }",
        "[[change]]\nstore = 'app'\nchange_type = { collection = 'a', field = 'a.0.v', to = 'int' }",
    ] {
        let loaded = project(&url, &[("1_step.toml", text)]).load();
        let said: Vec<String> = loaded.diagnostics.iter().map(|one| one.message.clone()).collect();
        assert!(said.iter().any(|said| said == "`a.0.v` asks for an element by its number"), "{said:?}");
    }
}

#[tokio::test]
async fn views_are_refused_with_the_collection_under_them() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    fill(&db, "a", [doc! { "_id": 1, "n": 1 }]).await;
    let view = doc! { "create": "it", "viewOn": "a", "pipeline": [{ "$match": { "n": 1 } }] };
    db.run_command(view).await.unwrap();
    for text in WRITES {
        let (_, failure) = error(&step(&scratch.url, "backfill", text)).await;
        assert_eq!(failure.kind, ErrorKind::Unsupported, "{failure:?}");
        assert!(failure.help.unwrap().contains("name a instead"), "{text}");
    }
    fill(&db, "from", [doc! { "_id": 1 }]).await;
    let (_, failure) =
        error(&step(&scratch.url, "backfill", "merge_into = { from = 'from', into = 'it' }")).await;
    assert!(failure.message.contains("it is a view"), "{failure:?}");
}

#[tokio::test]
async fn time_series_and_capped_collections_are_refused_what_they_cannot_do() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    db.run_command(doc! { "create": "it", "timeseries": { "timeField": "at" } }).await.unwrap();
    for text in WRITES {
        let (_, failure) = error(&step(&scratch.url, "backfill", text)).await;
        assert_eq!(failure.kind, ErrorKind::Unsupported, "{failure:?}");
        assert!(failure.message.contains("time series"), "{failure:?}");
    }
    db.run_command(doc! { "drop": "it" }).await.unwrap();
    db.run_command(doc! { "create": "it", "capped": true, "size": 1 << 20 }).await.unwrap();
    fill(&db, "it", (0..10).map(|id| doc! { "_id": id, "n": 0 })).await;
    let (_, failure) = error(&step(&scratch.url, "backfill", WRITES[1])).await;
    assert!(failure.message.contains("capped"), "{failure:?}");
    let once = "update_many = { collection = 'it', filter = {}, update = { '$inc' = { n = 1 } } }";
    let (_, failure) = error(&step(&scratch.url, "backfill", once)).await;
    assert!(failure.message.contains("capped collections have no transactions"), "{failure:?}");
    must_up(&step(&scratch.url, "backfill", WRITES[0])).await;
    assert_eq!(count(&db, "it", doc! { "n": 1 }).await, 10);
}

#[tokio::test]
async fn a_collection_that_is_not_there_is_noted() {
    let scratch = scratch::mongo().await;
    let notes = must_up(&step(&scratch.url, "backfill", WRITES[0])).await;
    assert_eq!(notes, ["there is no collection it"]);
}

/// Every fault of a step is said at once, at its place.
#[tokio::test]
async fn steps_that_cannot_be_are_refused_when_they_are_loaded() {
    let scratch = scratch::mongo().await;
    for (phase, text, codes) in [
        ("verify", "convert = { collection = 'a', field = 'n', to = 'int' }", vec!["verify-writes"]),
        ("backfill", "none = { collection = 'a', filter = {} }", vec!["read-outside-verify"]),
        (
            "backfill",
            "convert = { collection = 'a', field = '_id', to = 'integer', on = 1 }",
            vec!["wrong-value", "wrong-value", "unknown-key"],
        ),
        (
            "backfill",
            "convert = { collection = 'a', field = 'n', to = 'int', into = 'q' }",
            vec!["wrong-value"],
        ),
        ("backfill", "convert = { field = '$n' }", vec!["missing-key", "wrong-value", "missing-key"]),
        ("backfill", "merge_into = { from = 'a', into = 'a' }", vec!["wrong-value"]),
        (
            "backfill",
            "merge_into = { from = 'a', into = 'b', existing = 'keep', pipeline = [{ '$group' = {} }, { '$unset' = '_id' }] }",
            vec!["wrong-value", "wrong-value", "wrong-value"],
        ),
        ("backfill", "delete_many = { collection = 'dunlin_lock', filter = {} }", vec!["refused-command"]),
        ("verify", "same = { collection = 'a', field = 'n', sample = 0 }", vec!["wrong-type", "missing-key"]),
        ("backfill", "insert = { collection = 'a', documents = [1] }", vec!["wrong-type"]),
    ] {
        let loaded = step(&scratch.url, phase, text).load();
        let found: Vec<&str> = loaded.diagnostics.iter().map(|one| one.code).collect();
        let mut sorted = (found.clone(), codes.clone());
        sorted.0.sort_unstable();
        sorted.1.sort_unstable();
        assert_eq!(sorted.0, sorted.1, "{text}: {:?}", loaded.diagnostics);
        assert!(loaded.diagnostics.iter().all(|one| one.span().is_some()));
    }
}

/// What is shown is what is sent, with marks where the bounds of a chunk will be.
#[tokio::test]
async fn the_plan_shows_statements_with_their_bounds_open() {
    let scratch = scratch::mongo().await;
    let text = "update_many = { collection = 'a', filter = { x = 1 }, update = { '$inc' = { n = 1 } } }";
    let project = project(&scratch.url, &[("1_a.toml", &format!("[[backfill]]\nstore = 'app'\n{text}\n"))]);
    let loaded = project.load();
    let migration = loaded.migrations.values().next().unwrap();
    let op = &migration.steps()[0].op;
    let lines = op.preview();
    assert_eq!(
        lines[0].text,
        "db.a.updateMany({ $and: [{ _id: { $gt: <from>, $lte: <to> } }, { x: 1 }] }, { $inc: { n: 1 } })"
    );
    assert!(lines[0].note.as_ref().unwrap().contains("needs a replica set"));
}
