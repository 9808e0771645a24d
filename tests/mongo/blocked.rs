//! An application has the lock of a collection: dunlin gives way, tries again, and names it.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use dunlin::{Error, Failure, Goal, Project, RunEvent, StoreUrl, Target};
use dunlin_engine::run::Stop;
use dunlin_testkit::{private, scratch};
use mongodb::options::ClientOptions;
use mongodb::{Client, ClientSession};
use tokio::task::JoinHandle;

use super::{STORE, database, file};

/// A project whose commands wait for so long, and whose steps are tried so often.
fn project(url: &StoreUrl, name: &str, text: &str, (patience, tries): (u64, u32)) -> Project {
    let target = Target { lock_timeout: Duration::from_millis(patience), ..Target::new(STORE, url.clone()) };
    let mut project = Project::default().target(target).unwrap().files(&[file(name, text)]);
    project.tries = tries;
    project
}

/// Runs to the end; what was noted, and what was tried again.
async fn up(project: &Project) -> (Vec<String>, Result<(), Error>) {
    let mut told = Vec::new();
    let goal = Goal { contract: true, ..Goal::default() };
    let mut report = |event: RunEvent<'_>| match event {
        RunEvent::Noted { note, .. } => told.push(note.to_owned()),
        RunEvent::Retrying { error, .. } => told.push(error.to_string()),
        _ => {}
    };
    let ran = dunlin::up(project, &goal, &mut report).await;
    let ran = ran.map(drop).map_err(|failure| match failure {
        Failure::Run(run) => match run.1 {
            Stop::Failed(error) => error,
            other => panic!("{other:?}"),
        },
        other => panic!("{other}"),
    });
    (told, ran)
}

async fn application(url: &StoreUrl) -> Client {
    let mut options = ClientOptions::parse(url.expose()).await.unwrap();
    options.app_name = Some("shop".to_owned());
    Client::with_options(options).unwrap()
}

/// A transaction that has written a collection, and stays open.
async fn holding(url: &StoreUrl, name: &str) -> ClientSession {
    let client = application(url).await;
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    let db = client.default_database().unwrap();
    db.collection::<Document>(name).insert_one(doc! { "held": true }).session(&mut session).await.unwrap();
    session
}

/// What stands in the way of each is named, nothing is done, and it is done once that ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_takes_the_lock_of_a_collection_gives_way_and_names_who_has_it() {
    for (text, is_done) in [
        ("[[change]]\nstore = 'app'\ndrop_collection = { collection = 'a' }\n", "dunlin_archive_1_1_a"),
        ("[[change]]\nstore = 'app'\nrename_collection = { from = 'a', to = 'b' }\n", "b"),
        ("[[change]]\nstore = 'app'\nset_validator = { collection = 'a', validator = {} }\n", "a"),
        ("[[change]]\nstore = 'app'\ndrop_index = { collection = 'a', name = 'x_1' }\n", "a"),
        ("[[change]]\nstore = 'app'\nadd_index = { collection = 'a', keys = { y = 1 } }\n", "a"),
        ("[[contract]]\nstore = 'app'\nmongo = '{ drop: \"a\" }'\nno_op = 'a test'\n", "other"),
        (
            "[[expand]]\nstore = 'app'\nmongo = '{ dropIndexes: \"a\", index: [\"x_1\"] }'\nno_op = 'a test'\n",
            "a",
        ),
    ] {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        for name in ["a", "other"] {
            db.collection::<Document>(name).insert_one(doc! { "x": 1 }).await.unwrap();
            let index = doc! { "createIndexes": name, "indexes": [{ "key": { "x": 1 }, "name": "x_1" }] };
            db.run_command(index).await.unwrap();
        }
        let bystander = holding(&scratch.url, "other").await;
        let mut blocker = holding(&scratch.url, "a").await;
        let began = Instant::now();
        let (told, ran) = up(&project(&scratch.url, "1_a.toml", text, (300, 2))).await;
        let error = ran.expect_err(text);
        assert!(began.elapsed() < Duration::from_secs(10), "{text}: {:?}", began.elapsed());
        let said = error.to_string();
        for words in ["within 300ms", "blocked by session ", "(shop, 127.0.0.1", "idle in a transaction for"]
        {
            assert!(said.contains(words), "{text}: {words}: {said}");
        }
        assert_eq!(said.matches("session ").count(), 1, "one has nothing to do with it: {said}");
        assert!(told.iter().any(|told| told.contains("blocked by")), "it was tried twice: {told:?}");
        blocker.commit_transaction().await.unwrap();
        let (told, ran) = up(&project(&scratch.url, "1_a.toml", text, (300, 2))).await;
        assert!(ran.is_ok(), "{text}: {ran:?} {told:?}");
        let names = db.list_collection_names().await.unwrap();
        assert!(names.contains(&is_done.to_owned()), "{text}: {names:?}");
        drop(bystander);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_waits_as_long_as_it_says_and_those_who_come_after_it_no_longer() {
    let scratch = scratch::mongo().await;
    let a = database(&scratch.url).await.collection::<Document>("a");
    a.insert_one(doc! { "x": 1 }).await.unwrap();
    let mut blocker = holding(&scratch.url, "a").await;
    let text = "[[expand]]\nstore = 'app'\nlock_timeout = '400ms'\nmongo = '{ createIndexes: \"a\", indexes: [{ key: { y: 1 }, name: \"y\" }] }'\nno_op = 'a test'\n";
    let project = project(&scratch.url, "1_a.toml", text, (60_000, 20));
    let run: JoinHandle<_> = tokio::spawn(async move { up(&project).await });
    let until = Instant::now() + Duration::from_secs(3);
    let mut longest = Duration::ZERO;
    while Instant::now() < until {
        let began = Instant::now();
        a.insert_one(doc! { "x": 2 }).await.unwrap();
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    blocker.commit_transaction().await.unwrap();
    let (told, ran) = run.await.unwrap();
    ran.unwrap();
    assert!(told.iter().any(|told| told.contains("within 400ms; blocked by")), "{told:?}");
    assert!(longest > Duration::from_millis(200), "somebody did wait behind it: {longest:?}");
    assert!(longest < Duration::from_millis(1500), "{longest:?}");
}

/// The server says that it was too late, and did it all the same: that is seen, and it is not done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_and_done_all_the_same_is_recognised() {
    let set = private::replica_set(1).await;
    let db = database(&set.url).await;
    for name in ["a", "b"] {
        db.collection::<Document>(name).insert_one(doc! { "x": 1 }).await.unwrap();
    }
    let text = "[[expand]]\nstore = 'app'\nmongo = '{ renameCollection: \"a\", to: \"c\" }'\nno_op = 'a test'\n\
                [[expand]]\nstore = 'app'\nmongo = '{ drop: \"b\" }'\nno_op = 'a test'\n";
    let late = doc! { "code": 50, "codeName": "MaxTimeMSExpired", "errmsg": "operation exceeded time limit" };
    let late = doc! { "failCommands": ["renameCollection", "drop"], "writeConcernError": late };
    private::fail_command(&set.members[0], 2, late).await;
    let (told, ran) = up(&project(&set.url, "1_a.toml", text, (300, 5))).await;
    assert!(ran.is_ok(), "{ran:?} {told:?}");
    let found = told.iter().filter(|told| told.contains("found in effect")).count();
    assert_eq!(found, 2, "{told:?}");
    let names = db.list_collection_names().await.unwrap();
    assert!(names.contains(&"c".to_owned()) && !names.contains(&"b".to_owned()), "{names:?}");
}

/// What runs just now is shown with its statement, to a login that may see it. Another one is told why it may not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_may_not_see_others_is_told_so() {
    let server = private::mongod_with(&["--auth"]).await;
    let root = doc! { "createUser": "root", "pwd": "r", "roles": [{ "role": "root", "db": "admin" }] };
    database(&server.url).await.client().database("admin").run_command(root).await.unwrap();
    let as_root = StoreUrl::new(format!("{}&authSource=admin", server.url_as("root", "r").expose()));
    let db = database(&as_root).await;
    for (name, more) in [("plain", None), ("seeing", Some(doc! { "role": "clusterMonitor", "db": "admin" }))]
    {
        let mut roles = vec![doc! { "role": "readWrite", "db": "test" }];
        roles.extend(more);
        db.run_command(doc! { "createUser": name, "pwd": "p", "roles": roles }).await.unwrap();
    }
    db.collection::<Document>("a").insert_one(doc! { "x": 1 }).await.unwrap();
    let client = application(&as_root).await;
    let writer = tokio::spawn(async move {
        let slow = doc! { "$where": "sleep(6000) || true" };
        let slow = doc! { "findAndModify": "a", "query": slow, "update": { "$set": { "x": 2 } } };
        client.default_database().unwrap().run_command(slow).await
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let text = "[[contract]]\nstore = 'app'\nmongo = '{ drop: \"a\" }'\nno_op = 'a test'\n";
    for (name, words) in [
        ("plain", vec!["may not be seen by this login", "inprog"]),
        ("seeing", vec!["blocked by operation ", " by root (shop, ", ": { findAndModify: ", "$where"]),
    ] {
        let (_, ran) = up(&project(&server.url_as(name, "p"), "1_a.toml", text, (300, 1))).await;
        let said = ran.unwrap_err().to_string();
        assert!(words.iter().all(|words| said.contains(words)), "{name}: {said}");
    }
    writer.await.unwrap().unwrap();
    let (_, ran) = up(&project(&server.url_as("plain", "p"), "1_a.toml", text, (300, 5))).await;
    ran.unwrap();
}
