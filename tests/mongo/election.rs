//! A replica set whose primary changes in the middle of a run.

use std::time::Duration;

use bson::{Document, doc};
use dunlin_testkit::private;

use super::{database, documents, must_up, project};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_election_in_the_middle_loses_nothing() {
    let mut set = private::replica_set(3).await;
    let mut files = vec![("0001_a.js".to_owned(), "db.a.insertOne({ _id: 0, n: 0 })".to_owned())];
    for number in 2..=150 {
        let text = format!(
            "// Up\ndb.createCollection('c{number}');\ndb.a.updateMany({{}}, {{ $inc: {{ n: 1 }} }});\ndb.c{number}.createIndex({{ x: 1 }});"
        );
        files.push((format!("{number:04}_b.js"), text));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
    let moving = project(&set.url, &files);
    let run = tokio::spawn(async move { must_up(&moving).await });
    let db = database(&set.url).await;
    while documents(&db, "a").await.first().is_none_or(|document| document.get_i32("n").unwrap() < 20) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    set.step_down().await;
    run.await.unwrap();
    assert_eq!(documents(&db, "a").await[0].get_i32("n").unwrap(), 149);
    let store = super::store(&project(&set.url, &[])).await;
    let history = store.history().await.unwrap();
    assert_eq!(history.records.values().filter(|record| record.state == dunlin::State::Done).count(), 150);
    assert_eq!(
        db.list_collection_names().await.unwrap().iter().filter(|name| name.starts_with('c')).count(),
        149
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_of_which_the_primary_knows_nothing_is_begun_anew() {
    let set = private::replica_set(1).await;
    let first = ("0001_a.js", "db.a.insertOne({ _id: 0, n: 0 })");
    must_up(&project(&set.url, &[first])).await;
    let labels = ["TransientTransactionError"];
    let gone = doc! { "failCommands": ["insert"], "errorCode": 251, "errorLabels": labels.as_slice() };
    private::fail_command(&set.members[0], 1, gone).await;
    let text = "db.a.updateMany({}, { $inc: { n: 1 } }); db.a.insertOne({ _id: 1 })";
    must_up(&project(&set.url, &[first, ("0002_b.js", text)])).await;
    let db = database(&set.url).await;
    assert_eq!(documents(&db, "a").await[0].get_i32("n").unwrap(), 1);
    let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    let met = db.client().database("admin").run_command(off).await.unwrap();
    assert_eq!(met.get_i32("count").ok(), Some(1), "the fault was not met: {met}");
}

/// Sets a failpoint of a member.
async fn fail_point(member: &private::Private, name: &str, mode: &str, data: Document) {
    let client = mongodb::Client::with_uri_str(member.url.expose()).await.unwrap();
    let command = doc! { "configureFailPoint": name, "mode": mode, "data": data };
    client.database("admin").run_command(command).await.unwrap();
}

/// The old primary did it, nobody else heard of it, and the new one takes the confirmation: as if it had never been sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_old_primary_did_is_done_again() {
    let mut set = private::replica_set(3).await;
    let first = ("0001_a.js", "db.createCollection('old')");
    must_up(&project(&set.url, &[first])).await;
    let old = set.primary().await.unwrap();
    let slow =
        doc! { "failCommands": ["create", "listCollections"], "blockConnection": true, "blockTimeMS": 1500 };
    fail_point(&set.members[old], "failCommand", "alwaysOn", slow).await;
    let moving = project(&set.url, &[first, ("0002_b.js", "db.createCollection('c'); db.old.drop();")]);
    let run = tokio::spawn(async move { must_up(&moving).await });

    // The intent is everywhere when the command runs.
    let store = super::store(&project(&set.url, &[])).await;
    let version = dunlin::Version::parse("0002").unwrap();
    while store.history().await.unwrap().record(&version).is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for member in (0..3).filter(|member| *member != old) {
        fail_point(&set.members[member], "stopReplProducer", "alwaysOn", doc! {}).await;
    }
    let direct = mongodb::Client::with_uri_str(set.members[old].url.expose()).await.unwrap();
    let made = async || direct.database("test").run_command(doc! { "listIndexes": "c" }).await.is_ok();
    while !made().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What comes next is looked for, before the confirmation: there the old primary dies.
    tokio::time::sleep(Duration::from_millis(500)).await;
    set.members[old].kill();
    for member in (0..3).filter(|member| *member != old) {
        fail_point(&set.members[member], "stopReplProducer", "off", doc! {}).await;
    }
    run.await.unwrap();
    let names = database(&set.url).await.list_collection_names().await.unwrap();
    let left: Vec<&String> = names.iter().filter(|name| !name.starts_with("dunlin_")).collect();
    assert_eq!(left, ["c"]);
}
