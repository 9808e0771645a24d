//! An application's transaction stands in the way: dunlin gives way, tries again, and names it.

use std::time::{Duration, Instant};

use dunlin_testkit::Kind;

use super::{Bench, says};

over!([postgres, mysql]
    an_alter_gives_way_and_succeeds_when_the_blocker_ends,
    a_blocker_that_stays_is_named,
    rows_locked_by_an_application_are_waited_for,
);

async fn seeded(kind: Kind) -> Bench {
    let bench = Bench::with(kind, "lock_timeout = \"1s\"").await;
    bench.write("1_a.sql", "create table a (id int primary key, n int);\ninsert into a values (1, 1);");
    bench.up();
    bench
}

async fn an_alter_gives_way_and_succeeds_when_the_blocker_ends(kind: Kind) {
    let bench = seeded(kind).await;
    let mut application = bench.db.connect().await;
    application.sql("begin").await.unwrap();
    application.rows("select * from a").await.unwrap();
    bench.write("2_b.sql", "alter table a add column m int;");
    let mut runner = bench.start("up");
    runner.wait_for("tries again");
    // Readers who come meanwhile wait for no longer than the lock timeout.
    let mut longest = Duration::ZERO;
    let mut reader = bench.db.connect().await;
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        let began = Instant::now();
        reader.rows("select * from a").await.unwrap();
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(longest < Duration::from_millis(1900), "{longest:?}");
    application.sql("commit").await.unwrap();
    let run = runner.wait().expect_code(0);
    says(&run, &["blocked by", "in a transaction for"]);
    assert_eq!(bench.db.number("select count(m) from a").await, 0);
}

async fn a_blocker_that_stays_is_named(kind: Kind) {
    let bench = seeded(kind).await;
    let mut application = bench.db.connect().await;
    let id = if kind == Kind::Postgres { "pg_backend_pid()" } else { "connection_id()" };
    let id = application.rows(&format!("select {id}")).await;
    application.sql("begin").await.unwrap();
    application.sql("update a set n = 2").await.unwrap();
    bench.write("2_b.sql", "drop table a;");
    let mut runner = bench.start("up");
    runner.wait_for("blocked by");
    runner.interrupt();
    let run = runner.wait();
    let word = if kind == Kind::Postgres { "process " } else { "connection " };
    says(&run, &[word]);
    drop((id, application));
    assert_ne!(run.code, Some(0), "{run}");
    bench.up();
}

async fn rows_locked_by_an_application_are_waited_for(kind: Kind) {
    let bench = seeded(kind).await;
    let mut application = bench.db.connect().await;
    application.sql("begin").await.unwrap();
    application.sql("update a set n = 5 where id = 1").await.unwrap();
    bench.write("2_b.sql", "create table b (id int);\nupdate a set n = n + 1;");
    let mut runner = bench.start("up");
    runner.wait_for("blocked by");
    application.sql("commit").await.unwrap();
    runner.wait().expect_code(0);
    assert_eq!(bench.db.number("select n from a").await, 6);
}
