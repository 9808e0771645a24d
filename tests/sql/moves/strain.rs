//! A server under strain: moving data waits for it, says why, and does not begin where it may not look.

use std::time::Duration;

use dunlin_core::StoreUrl;
use dunlin_testkit::Kind;
use dunlin_testkit::private::{self, Private};
use dunlin_testkit::process::{self, Running};
use dunlin_testkit::scratch::Connection;

use super::super::says;
use crate::cli::Case;

const ROWS: i64 = 5000;

/// A migration of `t`, to be run against a server of one's own at a pace.
fn case(url: &StoreUrl, pace: &str) -> Case {
    let config = format!("[stores.app]\nurl = \"${{URL}}\"\n[stores.app.pace]\n{pace}\n");
    let case = Case::new().file("dunlin.toml", &config).variable("URL", url.expose());
    case.file("migrations/1_count.toml", super::COUNT)
}

fn start(case: &Case) -> Running {
    process::spawn(&mut case.command("up"))
}

async fn connect(kind: Kind, server: &Private) -> Connection {
    Connection::open(kind, &server.url).await.expect("the server answers")
}

async fn fill(conn: &mut Connection, series: &str) {
    let table = "create table t (id bigint primary key, n integer not null default 0)";
    conn.sql(&format!("{table}; insert into t (id) select i from {series}")).await.unwrap();
}

/// The number that a query yields, if it does.
async fn number(conn: &mut Connection, sql: &str) -> Option<i64> {
    let rows = conn.rows(sql).await.ok()?;
    rows.first()?.first()?.as_deref()?.parse().ok()
}

async fn moved(conn: &mut Connection) -> i64 {
    number(conn, "select sum(n) from t").await.expect("a sum")
}

/// Waits until a query yields a number above nothing.
async fn until(conn: &mut Connection, sql: &str) {
    for _ in 0..600 {
        if number(conn, sql).await.is_some_and(|number| number > 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {sql}");
}

async fn postgres_with_replica() -> (Private, Private, Connection) {
    let primary = private::postgres(&[]).await;
    let mut conn = connect(Kind::Postgres, &primary).await;
    fill(&mut conn, &super::series(Kind::Postgres, 5000)).await;
    let replica = private::postgres_replica_of(&primary).await;
    until(&mut conn, "select count(*) from pg_stat_replication where state = 'streaming'").await;
    (primary, replica, conn)
}

#[tokio::test]
async fn a_postgres_replica_that_falls_behind_is_waited_for() {
    let (primary, replica, mut conn) = postgres_with_replica().await;
    let mut behind = connect(Kind::Postgres, &replica).await;
    behind.sql("select pg_wal_replay_pause()").await.unwrap();
    conn.sql("create table later (id integer)").await.unwrap();
    until(&mut conn, "select count(*) from pg_stat_replication where replay_lag > interval '1.5 s'").await;
    let case = case(&primary.url, "max_lag = \"1s\"");
    let mut runner = start(&case);
    runner.wait_for("waits: replica replica is");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(moved(&mut conn).await, 0, "nothing is moved while it waits");
    behind.sql("select pg_wal_replay_resume()").await.unwrap();
    runner.wait().expect_code(0);
    assert_eq!(moved(&mut conn).await, ROWS);
}

#[tokio::test]
async fn a_login_that_may_not_see_the_lag_moves_nothing() {
    let (primary, _replica, mut conn) = postgres_with_replica().await;
    conn.sql("create role mover login password 'm'; grant all on schema public to mover; alter table t owner to mover")
        .await
        .unwrap();
    let case = case(&primary.url_as("mover", "m"), "max_lag = \"5s\"");
    let refused = start(&case).wait();
    says(&refused, &["this login may not see how far they are behind", "pg_monitor", "max_lag = \"off\""]);
    assert_eq!((refused.code == Some(0), moved(&mut conn).await), (false, 0), "{refused}");
    let off = self::case(&primary.url_as("mover", "m"), "max_lag = \"off\"");
    start(&off).wait().expect_code(0);
    assert_eq!(moved(&mut conn).await, ROWS);
    conn.sql("delete from dunlin_history; update t set n = 0; grant pg_monitor to mover").await.unwrap();
    start(&case).wait().expect_code(0);
    assert_eq!(moved(&mut conn).await, ROWS, "who may look moves");
}

#[tokio::test]
async fn sessions_that_queue_for_locks_are_waited_for() {
    let server = private::postgres(&[]).await;
    let mut conn = connect(Kind::Postgres, &server).await;
    fill(&mut conn, &super::series(Kind::Postgres, 5000)).await;
    let mut holder = connect(Kind::Postgres, &server).await;
    holder.sql("create table busy (id integer)").await.unwrap();
    holder.sql("begin; lock table busy").await.unwrap();
    for _ in 0..3 {
        let mut waiting = connect(Kind::Postgres, &server).await;
        tokio::spawn(async move { waiting.sql("select * from busy").await });
    }
    until(&mut conn, "select count(*) - 2 from pg_locks where not granted").await;
    let case = case(&server.url, "max_waiting = 2");
    let mut runner = start(&case);
    runner.wait_for("waits: 3 sessions wait for locks, more than 2");
    assert_eq!(moved(&mut conn).await, 0);
    holder.sql("rollback").await.unwrap();
    runner.wait().expect_code(0);
    assert_eq!(moved(&mut conn).await, ROWS);
}

#[tokio::test]
async fn threads_that_run_are_waited_for() {
    let server = private::mariadb().await;
    let mut conn = connect(Kind::Mysql, &server).await;
    fill(&mut conn, &super::series(Kind::Mysql, 5000)).await;
    for _ in 0..3 {
        let mut busy = connect(Kind::Mysql, &server).await;
        tokio::spawn(async move { busy.sql("select sleep(120)").await });
    }
    let sleeping = "select count(*) - 2 from information_schema.processlist where info = 'select sleep(120)'";
    until(&mut conn, sleeping).await;
    let case = case(&server.url, "max_running = 2");
    let mut runner = start(&case);
    runner.wait_for("threads run, more than 2");
    assert_eq!(moved(&mut conn).await, 0);
    let ids = "select id from information_schema.processlist where info = 'select sleep(120)'";
    for row in conn.rows(ids).await.unwrap() {
        conn.sql(&format!("kill {}", row[0].as_deref().unwrap())).await.unwrap();
    }
    runner.wait().expect_code(0);
    assert_eq!(moved(&mut conn).await, ROWS);
}

/// What MariaDB calls `Seconds_Behind_Master`.
async fn seconds_behind(replica: &mut Connection) -> Option<i64> {
    let rows = replica.rows("show slave status").await.unwrap();
    rows.first()?.get(32)?.as_deref()?.parse().ok()
}

#[tokio::test]
async fn a_mysql_replica_that_falls_behind_is_waited_for() {
    let primary = private::mariadb().await;
    let mut conn = connect(Kind::Mysql, &primary).await;
    fill(&mut conn, &super::series(Kind::Mysql, 5000)).await;
    let mut replica = private::mariadb_replica_of(&primary, 5).await;
    let mut behind = connect(Kind::Mysql, &replica).await;
    until(&mut behind, "select count(*) from dunlin.t").await;
    let pace = |url: &StoreUrl| format!("max_lag = \"1s\"\nreplicas = [\"{}\"]", url.expose());

    // Nobody knows how far one is that does not replicate.
    behind.sql("stop slave sql_thread").await.unwrap();
    let case = case(&primary.url, &pace(&replica.url));
    let mut runner = start(&case);
    runner.wait_for("does not replicate");
    assert_eq!(moved(&mut conn).await, 0);
    behind.sql("start slave sql_thread").await.unwrap();
    runner.wait().expect_code(0);
    assert_eq!(moved(&mut conn).await, ROWS);

    // What happens on the primary comes five seconds later.
    conn.sql("delete from dunlin_history; update t set n = 0").await.unwrap();
    while seconds_behind(&mut behind).await.is_none_or(|seconds| seconds < 2) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut runner = start(&case);
    runner.wait_for("s behind, more than 1");
    assert_eq!(moved(&mut conn).await, 0);
    runner.wait().expect_code(0);
    assert_eq!(moved(&mut conn).await, ROWS);

    // Nor one that may not be asked, or that does not answer.
    conn.sql("delete from dunlin_history; update t set n = 0").await.unwrap();
    behind
        .sql("create user nobody@'%' identified by 'n'; grant select on dunlin.* to nobody@'%'")
        .await
        .unwrap();
    let refused = start(&self::case(&primary.url, &pace(&replica.url_as("nobody", "n")))).wait();
    says(&refused, &["SLAVE MONITOR"]);
    assert_eq!((refused.code == Some(0), moved(&mut conn).await), (false, 0), "{refused}");
    replica.kill();
    let mut runner = start(&case);
    runner.wait_for("its strain cannot be read");
    assert_eq!(moved(&mut conn).await, 0);
    runner.kill();
}
