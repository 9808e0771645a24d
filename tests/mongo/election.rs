//! A replica set whose primary changes in the middle of a run.

use std::time::Duration;

use bson::doc;
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
