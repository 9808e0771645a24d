//! A proxy cuts where it is told, and the server behind it has or has not done what was asked, accordingly.

use std::time::Duration;

use bson::doc;
use dunlin_testkit::proxy::{Direction, Loss, Proxy, Trigger};
use dunlin_testkit::scratch::{Connection, Scratch};
use dunlin_testkit::{Kind, scratch};

const SQL: [Kind; 2] = [Kind::Postgres, Kind::Mysql];

#[tokio::test]
async fn a_lost_request_is_not_executed_and_a_lost_reply_is() {
    for kind in SQL {
        for (loss, rows) in
            [(Loss::Request, 0), (Loss::HalfRequest, 0), (Loss::Reply, 1), (Loss::HalfReply, 1)]
        {
            let scratch = Scratch::of(kind).await;
            scratch.sql("create table t (n integer)").await;
            let proxy = Proxy::before(&scratch.url);
            let mut connection = Connection::open(kind, &proxy.url).await.unwrap();
            proxy.cut_at(Trigger::text("insert into t"), loss);
            connection.sql("select 1").await.unwrap();
            assert!(connection.sql("insert into t values (1)").await.is_err(), "{kind} {loss:?}");
            assert_eq!(proxy.cuts(), 1, "{kind} {loss:?}");
            assert_eq!(scratch.number("select count(*) from t").await, rows, "{kind} {loss:?}");
            // The rule is spent.
            let mut again = Connection::open(kind, &proxy.url).await.unwrap();
            again.sql("insert into t values (2)").await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_long_reply_is_cut_after_so_many_bytes() {
    for kind in SQL {
        let scratch = Scratch::of(kind).await;
        let proxy = Proxy::before(&scratch.url);
        let mut connection = Connection::open(kind, &proxy.url).await.unwrap();
        connection.sql("select repeat('x', 100000)").await.unwrap();
        let before = proxy.bytes(Direction::Reply);
        proxy.cut_after_bytes(Direction::Reply, 5000);
        assert!(connection.sql("select repeat('x', 100000)").await.is_err(), "{kind}");
        assert_eq!((proxy.bytes(Direction::Reply) - before, proxy.cuts()), (5000, 1), "{kind}");
    }
}

#[tokio::test]
async fn all_connections_are_cut_at_once_and_new_ones_refused() {
    for kind in SQL {
        let scratch = Scratch::of(kind).await;
        let proxy = Proxy::before(&scratch.url);
        let mut one = Connection::open(kind, &proxy.url).await.unwrap();
        let mut two = Connection::open(kind, &proxy.url).await.unwrap();
        assert_eq!(proxy.connections(), 2);
        proxy.cut();
        assert!(one.sql("select 1").await.is_err());
        assert!(two.sql("select 1").await.is_err());
        proxy.refuse(true);
        assert!(Connection::open(kind, &proxy.url).await.is_err());
        proxy.refuse(false);
        Connection::open(kind, &proxy.url).await.unwrap().sql("select 1").await.unwrap();
    }
}

#[tokio::test]
async fn a_paused_proxy_holds_everything_back() {
    let scratch = scratch::postgres().await;
    let proxy = Proxy::before(&scratch.url);
    let mut connection = Connection::open(Kind::Postgres, &proxy.url).await.unwrap();
    proxy.pause();
    let mut waiting = Box::pin(connection.sql("select 1"));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    proxy.resume();
    waiting.await.unwrap();
}

#[tokio::test]
async fn mongo_and_redis_are_cut_too() {
    let scratch = scratch::mongo().await;
    let proxy = Proxy::before(&scratch.url);
    let database =
        mongodb::Client::with_uri_str(proxy.url.expose()).await.unwrap().default_database().unwrap();
    let collection = database.collection::<bson::Document>("t");
    collection.insert_one(doc! { "n": 1 }).await.unwrap();
    proxy.cut_at(Trigger::text("findAndModify"), Loss::Reply);
    let modified = collection.find_one_and_update(doc! {}, doc! { "$inc": { "n": 1 } });
    // A retryable write: the driver asks again, and the server knows that it was done.
    assert_eq!(modified.await.unwrap().unwrap().get_i32("n").unwrap(), 1);
    assert_eq!(proxy.cuts(), 1);
    let found = scratch.collection("t").await.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(found.get_i32("n").unwrap(), 2);

    let scratch = scratch::redis().await;
    let proxy = Proxy::before(&scratch.url);
    let mut connection = scratch::redis_connection(&proxy.url).await.unwrap();
    proxy.cut_at(Trigger::text("INCR"), Loss::Reply);
    assert!(redis::cmd("INCR").arg("n").exec_async(&mut connection).await.is_err());
    assert_eq!(scratch.redis_command::<i64>("get n").await, 1);
}
