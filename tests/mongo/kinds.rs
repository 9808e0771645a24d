//! Collections of other kinds than the usual one: capped ones and time series, which take no part in transactions.

use bson::doc;
use dunlin::{Error, Failure};
use dunlin_engine::run::Stop;
use dunlin_testkit::scratch;

use super::{database, documents, must_up, project, store, up};

const WRITES: &str = "
    db.c.insertOne({ _id: 10, n: 1 });
    db.c.updateOne({ _id: 1 }, { $inc: { n: 1 } });
    db.c.updateMany({}, { $inc: { n: 10 } });
    db.c.findOneAndUpdate({ _id: 1 }, { $inc: { n: 100 } });
    db.c.replaceOne({ _id: 2 }, { n: 7 });
    db.c.deleteOne({ _id: 3 });
    db.t.insertOne({ at: ISODate('2026-11-21T09:00:00Z'), m: 1 });
    db.plain.insertOne({ n: 1 });
";

async fn failed(text: &str, scratch: &scratch::Scratch) -> Error {
    let Err(Failure::Run(run)) = up(&project(&scratch.url, &[("1_a.js", text)])).await else {
        panic!("{text}: it ran")
    };
    let Stop::Failed(error) = run.1 else { panic!("{:?}", run.1) };
    error
}

#[tokio::test]
async fn commands_on_capped_collections_and_time_series_run_outside_of_transactions() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    db.run_command(doc! { "create": "c", "capped": true, "size": 1 << 20 }).await.unwrap();
    db.run_command(doc! { "create": "t", "timeseries": { "timeField": "at" } }).await.unwrap();
    let given = (1..=3).map(|id| doc! { "_id": id, "n": 0 });
    db.collection("c").insert_many(given).await.unwrap();
    let project = project(&scratch.url, &[("1_a.js", WRITES)]);
    must_up(&project).await;
    assert!(must_up(&project).await.is_empty());
    let numbers = documents(&db, "c").await.iter().map(|one| one.get_i32("n").unwrap()).collect::<Vec<_>>();
    assert_eq!(numbers, [111, 7, 11]);
    assert_eq!((documents(&db, "t").await.len(), documents(&db, "plain").await.len()), (1, 1));
}

#[tokio::test]
async fn a_plan_says_what_runs_outside_of_a_transaction() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    db.run_command(doc! { "create": "c", "capped": true, "size": 1 << 20 }).await.unwrap();
    let text = format!(
        "db.createCollection('t', {{ timeseries: {{ timeField: 'at' }} }}); {WRITES}
         db.c.renameCollection('d'); db.c.insertOne({{}}); db.d.insertOne({{}}); db.d.drop(); db.d.insertOne({{}});"
    );
    let project = project(&scratch.url, &[("1_a.js", &text)]);
    let loaded = project.load();
    let migration = loaded.migrations.values().next().unwrap();
    let lines = store(&project).await.preview(&*migration.steps()[0].op).await.unwrap();
    let noted = |line: &dunlin::Line| Some(line.note.as_deref()?.split(' ').nth(1)?.to_owned());
    let told: Vec<String> = lines.iter().map(|line| noted(line).unwrap_or_default()).collect();
    let capped = "capped";
    assert_eq!(
        told,
        ["", capped, capped, capped, capped, capped, capped, "time", "", "", "", capped, "", ""],
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_transaction_that_a_script_asks_for_is_refused_there_with_a_way_out() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    db.run_command(doc! { "create": "c", "capped": true, "size": 1 << 20 }).await.unwrap();
    let text = "module.exports = { async up(db, client) {
            const session = client.startSession();
            await session.withTransaction(async () => {
                await db.collection('a').insertOne({ _id: 1 }, { session });
                await db.collection('c').insertOne({ _id: 1 }, { session });
            });
        }, async down() {} };";
    let error = failed(text, &scratch).await;
    assert!(error.message.contains("capped collection"), "{error:?}");
    assert!(error.help.as_deref().unwrap().starts_with("leave the session out"), "{error:?}");
    assert!(documents(&db, "a").await.is_empty());
    let without = text.replace(", { session }", "");
    must_up(&project(&scratch.url, &[("1_a.js", &without)])).await;
    assert_eq!((documents(&db, "a").await.len(), documents(&db, "c").await.len()), (1, 1));
}

#[tokio::test]
async fn a_key_that_is_there_twice_is_shown_how_to_find_and_where_it_goes_on() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    db.collection("u").insert_many([doc! { "_id": 1, "e": "x" }, doc! { "_id": 2, "e": "x" }]).await.unwrap();
    for (text, shown) in [
        (
            "db.u.createIndex({ e: 1 }, { unique: true })",
            "`db.u.aggregate([{ $group: { _id: \"$e\", ids: { $push: \"$_id\" }, n: { $sum: 1 } } }, { $match: { n: { $gt: 1 } } }])`",
        ),
        ("db.u.insertOne({ _id: 2 })", "`db.u.find({ _id: 2 })`"),
        (
            "db.u.findOneAndUpdate({ _id: 2, e: 'y' }, { $set: { n: 1 } }, { upsert: true })",
            "`db.u.find({ _id: 2 })`",
        ),
    ] {
        let error = failed(text, &scratch).await;
        let help = error.help.as_deref().unwrap();
        assert!(help.contains(shown) && help.contains("`dunlin up` goes on there"), "{help}");
    }
    must_up(&project(&scratch.url, &[("1_a.js", "db.u.insertOne({ _id: 3 })")])).await;
}

#[tokio::test]
async fn what_is_lost_names_the_database_it_is_in() {
    let text = "db.getSiblingDB('x').c.drop(); db.c.drop(); db.getSiblingDB('x').c.updateMany({}, { $unset: { f: 1 } });";
    let scratch = scratch::mongo().await;
    let loaded = project(&scratch.url, &[("1_a.js", text)]).load();
    let migration = loaded.migrations.values().next().unwrap();
    assert_eq!(
        migration.steps()[0].op.removes(),
        ["collection c of the database x", "collection c", "field f of c of the database x"]
    );
}
