//! Private servers start, obey their settings, and die.

use std::time::Duration;

use bson::doc;
use dunlin_core::StoreUrl;
use dunlin_testkit::private;
use dunlin_testkit::scratch::{Connection, redis_connection};
use dunlin_testkit::{Kind, process};
use redis::RedisResult;

async fn redis_reply(url: &StoreUrl, words: &[&str]) -> RedisResult<String> {
    redis::Cmd::new().arg(words).query_async(&mut redis_connection(url).await?).await
}

fn is_running(pid: u32) -> bool {
    process::run(std::process::Command::new("sh").args(["-c", &format!("kill -s 0 {pid}")])).code == Some(0)
}

#[tokio::test]
async fn a_redis_can_ask_for_a_password() {
    let server = private::redis(&["--requirepass", "se/cret"]).await;
    assert!(redis_reply(&server.url, &["set", "a", "b"]).await.is_err());
    let login = server.url_as("", "se%2Fcret");
    assert_eq!(redis_reply(&login, &["set", "a", "b"]).await.unwrap(), "OK");
    redis_reply(&login, &["acl", "setuser", "reader", "on", ">pw", "~*", "+@read"]).await.unwrap();
    let reader = server.url_as("reader", "pw");
    assert_eq!(redis_reply(&reader, &["get", "a"]).await.unwrap(), "b");
    assert_eq!(redis_reply(&reader, &["set", "a", "c"]).await.unwrap_err().code(), Some("NOPERM"));
}

#[tokio::test]
async fn a_redis_replica_follows_and_refuses_writes() {
    let primary = private::redis(&[]).await;
    let replica = private::redis_replica_of(&primary).await;
    let mut connection = redis_connection(&primary.url).await.unwrap();
    redis::cmd("SET").arg("a").arg("b").exec_async(&mut connection).await.unwrap();
    let caught_up: i64 = redis::cmd("WAIT").arg(1).arg(10_000).query_async(&mut connection).await.unwrap();
    assert_eq!(caught_up, 1);
    assert_eq!(redis_reply(&replica.url, &["get", "a"]).await.unwrap(), "b");
    assert!(redis_reply(&replica.url, &["set", "a", "c"]).await.is_err());
}

#[tokio::test]
async fn a_postgres_has_its_settings_and_survives_a_kill() {
    let mut server = private::postgres(&[("max_connections", "7")]).await;
    let mut connection = Connection::open(Kind::Postgres, &server.url).await.unwrap();
    let shown = connection.rows("show max_connections").await.unwrap();
    assert_eq!(shown, [[Some("7".to_owned())]]);
    connection.sql("create table t (n integer)").await.unwrap();
    server.kill();
    assert!(connection.sql("select 1").await.is_err());
    server.restart().await;
    let mut connection = Connection::open(Kind::Postgres, &server.url).await.unwrap();
    connection.sql("select n from t").await.unwrap();
    let wrong = server.url_as("postgres", "wrong");
    assert!(Connection::open(Kind::Postgres, &wrong).await.is_err());
}

#[tokio::test]
async fn a_stopped_postgres_answers_nobody_until_it_wakes() {
    let server = private::postgres(&[]).await;
    let mut connection = Connection::open(Kind::Postgres, &server.url).await.unwrap();
    server.stop();
    let mut waiting = Box::pin(connection.sql("select 1"));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    server.wake();
    waiting.await.unwrap();
}

#[tokio::test]
async fn a_server_is_gone_when_dropped() {
    let server = private::redis(&[]).await;
    let pid = server.pid();
    assert!(is_running(pid));
    drop(server);
    assert!(!is_running(pid));
}

#[tokio::test]
async fn a_lone_mongod_has_no_transactions_and_fails_on_demand() {
    let server = private::mongod().await;
    let client = mongodb::Client::with_uri_str(server.url.expose()).await.unwrap();
    let collection = client.default_database().unwrap().collection("t");
    private::fail_command(&server, 1, doc! { "failCommands": ["insert"], "errorCode": 2 }).await;
    assert!(collection.insert_one(doc! {}).await.is_err());
    collection.insert_one(doc! {}).await.unwrap();
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    assert!(collection.insert_one(doc! {}).session(&mut session).await.is_err());
}

#[tokio::test]
async fn a_replica_set_elects_another_primary() {
    let mut set = private::replica_set(3).await;
    let collection = mongodb::Client::with_uri_str(set.url.expose())
        .await
        .unwrap()
        .default_database()
        .unwrap()
        .collection("t");
    collection.insert_one(doc! { "n": 1 }).await.unwrap();
    let before = set.primary().await.unwrap();
    set.step_down().await;
    let after = set.primary().await.unwrap();
    assert_ne!(before, after);
    collection.insert_one(doc! { "n": 2 }).await.unwrap();
    assert_eq!(collection.count_documents(doc! {}).await.unwrap(), 2);
    set.members[after].kill();
    collection.insert_one(doc! { "n": 3 }).await.unwrap();
}
