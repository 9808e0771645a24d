//! Steps written in TOML.

use bson::doc;
use dunlin::engine::run::Stop;
use dunlin::{Failure, Goal};
use dunlin_testkit::scratch;

use super::{database, documents, must_up, project};

#[tokio::test]
async fn steps_take_tables_and_literals() {
    let scratch = scratch::mongo().await;
    let text = r#"
[[expand]]
store = "app"
mongo = [
  { create = "users" },
  "{ insert: 'users', documents: [{ _id: 1, name: 'A', since: ISODate('2026-11-21') }, { _id: 2, name: 'B', }] } // two",
  { createIndexes = "users", indexes = [{ key = { name = 1 }, name = "name_1" }] },
]
undo = { mongo = { drop = "users" } }

[[backfill]]
store = "app"
update_many = { collection = "users", filter = {}, pipeline = "[{ $set: { lower: { $toLower: '$name' } } }]" }
undo = { update_many = { collection = "users", filter = {}, update = { "$unset" = { lower = "" } } } }

[[verify]]
store = "app"
mongo = "{ find: 'users', filter: { lower: { $exists: false } } }"
"#;
    must_up(&project(&scratch.url, &[("1_users.toml", text)])).await;
    let db = database(&scratch.url).await;
    let found = documents(&db, "users").await;
    assert_eq!(found[1], doc! { "name": "B", "lower": "b" });
    assert!(found[0].get_datetime("since").is_ok());
}

#[tokio::test]
async fn what_a_verify_step_finds_stops_the_run() {
    let scratch = scratch::mongo().await;
    for (number, read) in [
        "db.a.find({ bad: true })",
        "db.a.countDocuments({ bad: true })",
        "db.a.aggregate([{ $match: { bad: true } }])",
        "db.a.distinct('n', { bad: true })",
    ]
    .into_iter()
    .enumerate()
    {
        let db = database(&scratch.url).await;
        db.drop().await.unwrap();
        let text = format!(
            "// Up\ndb.a.insertMany([{{ _id: 7, n: 1, bad: true }}, {{ _id: 8 }}]);\n// Verify\n{read};\n"
        );
        let project = project(&scratch.url, &[("1_a.js", &text)]);
        let Err(Failure::Run(run)) = dunlin::up(&project, &Goal::default(), &mut |_| {}).await else {
            panic!("{read} found nothing")
        };
        assert!(matches!(run.1, Stop::Violated), "{number}");
        assert_eq!(
            run.0.broken.as_ref().map(|proof| proof.violations.len()),
            Some(1),
            "{read}: {:?}",
            run.0.broken
        );
        db.collection::<bson::Document>("a")
            .update_many(doc! {}, doc! { "$unset": { "bad": "" } })
            .await
            .unwrap();
        must_up(&project).await;
    }
}
