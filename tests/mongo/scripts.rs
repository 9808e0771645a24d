//! Scripts, run: what they record is what the server does.

use bson::{Bson, Document, doc};
use dunlin::Failure;
use dunlin_testkit::scratch;

use super::{database, documents, must_up, project, up};

#[tokio::test]
async fn placeholders_are_filled_alike_in_all_commands_of_a_step() {
    let scratch = scratch::mongo().await;
    let text = "const id = new ObjectId(); const at = new Date();
        db.a.insertOne({ _id: id, at });
        db.createCollection('c');
        db.b.insertMany([{ a: id, at }, { a: id, u: UUID() }]);";
    must_up(&project(&scratch.url, &[("1_a.js", text)])).await;
    let db = database(&scratch.url).await;
    let a = db.collection::<Document>("a").find_one(doc! {}).await.unwrap().unwrap();
    let b = documents(&db, "b").await;
    assert_eq!(b.len(), 2);
    let second = b.iter().find(|document| document.contains_key("u")).unwrap();
    let first = b.iter().find(|document| !document.contains_key("u")).unwrap();
    assert_eq!(first.get("a"), a.get("_id"));
    assert_eq!(second.get("a"), a.get("_id"));
    assert_eq!(first.get("at"), a.get("at"));
    assert!(matches!(second.get("u"), Some(Bson::Binary(_))));
    let age = bson::DateTime::now().timestamp_millis() - a.get_datetime("at").unwrap().timestamp_millis();
    assert!(age.abs() < 60_000, "{age}");
}

#[tokio::test]
async fn a_module_with_a_transaction_is_done_wholly_or_not_at_all() {
    let scratch = scratch::mongo().await;
    let module = |second: &str| {
        format!(
            "module.exports = {{ async up(db, client) {{
                const session = client.startSession();
                await session.withTransaction(async () => {{
                    await db.collection('a').insertOne({{ _id: 1 }}, {{ session }});
                    await db.collection('b').insertOne({{ _id: {second} }}, {{ session }});
                }});
            }}, async down(db) {{ await db.collection('a').deleteOne({{ _id: 1 }}); }} }};"
        )
    };
    let db = database(&scratch.url).await;
    db.collection("b").insert_one(doc! { "_id": 1 }).await.unwrap();
    let failure = up(&project(&scratch.url, &[("1_a.js", &module("1"))])).await.unwrap_err();
    assert!(failure.to_string().contains("duplicate key"), "{failure}");
    assert_eq!(documents(&db, "a").await.len(), 0);
    must_up(&project(&scratch.url, &[("1_a.js", &module("2"))])).await;
    assert_eq!((documents(&db, "a").await.len(), documents(&db, "b").await.len()), (1, 2));
}

#[tokio::test]
async fn options_and_types_arrive_at_the_server() {
    let scratch = scratch::mongo().await;
    let text = "
        db.createCollection('v', { validator: { $jsonSchema: { required: ['n'] } }, validationLevel: 'moderate' });
        db.createCollection('t', { timeseries: { timeField: 'at', metaField: 'm' } });
        db.t.insertOne({ at: ISODate('2026-11-21T09:00:00Z'), m: 1 });
        db.createView('w', 'v', [{ $match: { n: 1 } }]);
        db.v.insertMany([{ n: 1, list: [{ a: 1 }], l: NumberLong('9007199254740993'), d: NumberDecimal('1.10'), r: /^a/i, b: BinData(0, 'aGk=') }]);
        db.v.createIndex({ n: 1 }, { partialFilterExpression: { n: { $gt: 0 } }, unique: true, collation: { locale: 'de' } });
        db.v.updateOne({ n: 1 }, { $set: { 'list.$[x].ok': true } }, { arrayFilters: [{ 'x.a': 1 }] });
        db.getSiblingDB(OTHER).z.insertOne({ n: 1 });
        db.v.aggregate([{ $match: {} }, { $out: 'copy' }]);
        db.runCommand({ collMod: 'v', validationAction: 'warn' });";
    let db = database(&scratch.url).await;
    let other = format!("{}_x", db.name());
    must_up(&project(&scratch.url, &[("1_a.js", &text.replace("OTHER", &format!("'{other}'")))])).await;
    let found = documents(&db, "w").await;
    assert_eq!(found[0].get_i64("l").unwrap(), 9_007_199_254_740_993);
    assert_eq!(found[0].get("d").unwrap().to_string(), "1.10");
    assert_eq!(documents(&db, "copy").await, found);
    assert_eq!(documents(&db, "t").await.len(), 1);
    let sibling = db.client().database(&other);
    assert_eq!(documents(&sibling, "z").await.len(), 1);
    sibling.drop().await.unwrap();
}

#[tokio::test]
async fn a_fault_of_one_document_names_it_and_says_what_stayed() {
    let scratch = scratch::mongo().await;
    let text =
        "db.a.createIndex({ n: 1 }, { unique: true });\ndb.a.insertMany([{ n: 1 }, { n: 2 }, { n: 1 }]);";
    let Err(Failure::Run(run)) = up(&project(&scratch.url, &[("1_a.js", text)])).await else {
        panic!("it ran")
    };
    let dunlin::engine::run::Stop::Failed(error) = run.1 else { panic!("{:?}", run.1) };
    assert!(error.message.contains("document 2") && error.message.contains("E11000"), "{error}");
    assert!(error.span.is_some());
    let db = database(&scratch.url).await;
    assert_eq!(documents(&db, "a").await.len(), 0, "the transaction is undone");
    // The part that ran stays; what failed may be edited, and goes on from there.
    must_up(&project(&scratch.url, &[("1_a.js", &text.replace("{ n: 1 }]", "{ n: 3 }]"))])).await;
    assert_eq!(documents(&db, "a").await.len(), 3);
}

#[tokio::test]
async fn large_inserts_are_sent_in_parts_of_one_transaction() {
    let scratch = scratch::mongo().await;
    let text = "db.a.insertMany(Array.from({ length: 2500 }, (_, n) => ({ n, pad: 'x'.repeat(5000) })))";
    must_up(&project(&scratch.url, &[("1_a.js", text)])).await;
    assert_eq!(documents(&database(&scratch.url).await, "a").await.len(), 2500);
    let history = super::store(&project(&scratch.url, &[])).await.history().await.unwrap();
    assert_eq!(history.records.values().next().unwrap().rows, 2500);
}

#[tokio::test]
async fn a_view_and_a_missing_index_are_clear_errors() {
    let scratch = scratch::mongo().await;
    let first = ("1_a.js", "db.a.insertOne({ n: 1 }); db.createView('v', 'a', []);");
    for (text, said) in [
        ("db.v.updateMany({}, { $inc: { n: 1 } })", "view"),
        ("db.a.dropIndex('nope')", "index not found"),
        ("db.createCollection('a')", "already exists"),
    ] {
        let failure = up(&project(&scratch.url, &[first, ("2_b.js", text)])).await.unwrap_err();
        assert!(failure.to_string().to_lowercase().contains(said), "{text}: {failure}");
    }
    // Dropping what is not there is no failure, as in the shell.
    let notes = must_up(&project(&scratch.url, &[first, ("2_b.js", "db.nothing.drop()")])).await;
    assert!(notes.iter().any(|note| note.contains("was not there")), "{notes:?}");
}
