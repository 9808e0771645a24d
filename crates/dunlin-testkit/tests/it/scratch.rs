//! Scratch databases are empty, one's own, and gone afterwards.

use bson::doc;
use dunlin_testkit::{Kind, Scratch, scratch};

#[tokio::test]
async fn sql_databases_are_separate_and_disappear() {
    for kind in [Kind::Postgres, Kind::Mysql, Kind::Sqlite] {
        let (one, two) = (Scratch::of(kind).await, Scratch::of(kind).await);
        one.sql("create table t (n integer, s varchar(10)); insert into t values (1, 'x'), (2, null)").await;
        two.sql("create table t (n integer)").await;
        assert_eq!(one.number("select count(*) from t").await, 2, "{kind}");
        assert_eq!(two.number("select count(*) from t").await, 0, "{kind}");
        let rows = one.rows("select n, s from t order by n").await;
        assert_eq!(
            rows,
            [[Some("1".to_owned()), Some("x".to_owned())], [Some("2".to_owned()), None]],
            "{kind}"
        );

        let url = one.url.clone();
        drop(one);
        let left = scratch::Connection::open(kind, &url).await;
        assert!(left.is_err(), "{kind}: {url} is still there");
        assert_eq!(two.number("select count(*) from t").await, 0, "{kind}");
    }
}

#[tokio::test]
async fn a_sql_database_disappears_under_an_open_transaction() {
    for kind in [Kind::Postgres, Kind::Mysql] {
        let scratch = Scratch::of(kind).await;
        let mut connection = scratch.connect().await;
        connection.sql("create table t (n integer)").await.unwrap();
        connection.sql("begin").await.unwrap();
        drop(scratch);
    }
}

#[tokio::test]
async fn mongo_databases_are_separate_and_disappear() {
    let (one, two) = (scratch::mongo().await, scratch::mongo().await);
    one.collection("t").await.insert_one(doc! { "n": 1 }).await.unwrap();
    assert_eq!(one.collection("t").await.count_documents(doc! {}).await.unwrap(), 1);
    assert_eq!(two.collection("t").await.count_documents(doc! {}).await.unwrap(), 0);

    let client = two.mongo().await.client().clone();
    let name = one.mongo().await.name().to_owned();
    assert!(client.list_database_names().await.unwrap().contains(&name));
    drop(one);
    assert!(!client.list_database_names().await.unwrap().contains(&name));
}

#[tokio::test]
async fn redis_databases_are_separate_and_emptied() {
    let (one, two) = (scratch::redis().await, scratch::redis().await);
    assert_ne!(one.url, two.url);
    one.redis_command::<()>("set greeting hello").await;
    assert_eq!(one.redis_command::<Option<String>>("get greeting").await.as_deref(), Some("hello"));
    assert_eq!(two.redis_command::<Option<String>>("get greeting").await, None);
    assert_eq!(two.redis_words::<String>(&["echo", "two words"]).await, "two words");

    let mut left = one.redis().await;
    drop(one);
    let keys: i64 = redis::cmd("DBSIZE").query_async(&mut left).await.unwrap();
    assert_eq!(keys, 0);
}

#[tokio::test]
async fn the_redis_cluster_is_held_by_one_test_at_a_time() {
    let first = scratch::redis_cluster().await;
    first.redis_command::<()>("set {a}1 x").await;
    first.redis_command::<()>("set b1 x").await;
    let second = tokio::spawn(scratch::redis_cluster());
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!second.is_finished());
    drop(first);
    let second = second.await.unwrap();
    assert_eq!(second.redis_command::<Option<String>>("get {a}1").await, None);
    assert_eq!(second.redis_command::<Option<String>>("get b1").await, None);
}

#[tokio::test]
async fn another_login_replaces_the_one_in_the_url() {
    let scratch = scratch::postgres().await;
    let wrong = scratch.url_as("postgres", "not-it");
    assert!(wrong.expose().starts_with("postgres://postgres:not-it@127.0.0.1:"), "{wrong}");
    assert!(scratch::Connection::open(Kind::Postgres, &wrong).await.is_err());
}
