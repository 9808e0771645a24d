//! A replica set whose members fall behind, or that does not say so.

use std::time::Duration;

use bson::doc;
use dunlin::{Attempt, ErrorKind, Pace};
use dunlin_testkit::private;
use mongodb::Client;

use super::super::{database, must_up};
use super::{fill, step};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_behind_is_named_and_one_that_cannot_be_seen_is_an_error() {
    let set = private::replica_set(3).await;
    let db = database(&set.url).await;
    fill(&db, "a", (0..10).map(|id| doc! { "_id": id })).await;
    let project = step(&set.url, "backfill", "delete_many = { collection = 'a', filter = { _id = -1 } }");
    let store = super::super::store(&project).await;
    let me =
        dunlin_engine::lock::me("somebody", &project.context(dunlin::engine::Stores::default()).author.run);
    let Attempt::Taken(mut session) = store.try_lock(&me).await.unwrap() else { panic!("it is held") };
    let pace = Pace { max_lag: Some(Duration::from_secs(1)), ..Pace::default() };
    // A set that was just made may be behind for a moment.
    let in_step = async { while session.strain(&pace).await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_secs(30), in_step).await.expect("all are in step");

    let primary = set.primary().await.unwrap();
    let (_, behind) = set.members.iter().enumerate().find(|(place, _)| *place != primary).unwrap();
    let admin = Client::with_uri_str(behind.url.expose()).await.unwrap().database("admin");
    let stop = |mode: &str| doc! { "configureFailPoint": "rsSyncApplyStop", "mode": mode };
    admin.run_command(stop("alwaysOn")).await.unwrap();
    let mut said = Vec::new();
    let names_it = |said: &String| said.contains(&behind.port().to_string());
    for id in 100..200 {
        fill(&db, "a", [doc! { "_id": id }]).await;
        // After a while without writes, any other is as far behind until it has the first one.
        said.extend(session.strain(&pace).await.unwrap());
        if said.last().is_some_and(names_it) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(said.last().is_some_and(|said| names_it(said) && said.contains("limit is 1 s")), "{said:?}");
    assert_eq!(session.strain(&Pace { max_lag: None, ..pace.clone() }).await.unwrap(), None);
    admin.run_command(stop("off")).await.unwrap();

    let fault = doc! { "failCommands": ["replSetGetStatus"], "errorCode": 13 };
    private::fail_command(&set.members[primary], 1, fault).await;
    let error = session.strain(&pace).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Access, "{error:?}");
    assert!(!error.temporary && error.help.unwrap().contains("clusterMonitor"));
    session.release().await.unwrap();
    must_up(&project).await;
}
