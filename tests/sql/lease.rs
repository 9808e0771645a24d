//! A runner that is stopped for longer than its lease, and woken when another one has taken over.

use std::time::Duration;

use dunlin_testkit::Kind;

use super::{Bench, says};

over!([postgres, mysql, sqlite] a_runner_that_slept_past_its_lease_writes_nothing, a_long_statement_keeps_its_lease);
over!([postgres, mysql] who_loses_the_lock_hears_so);
over!([postgres] a_stopped_runner_does_not_keep_its_locks_for_ever);

/// A statement that takes about so many seconds, and leaves a row.
fn slow(kind: Kind, seconds: u32) -> String {
    match kind {
        Kind::Postgres => format!("insert into n select 2, 0 from pg_sleep({seconds});"),
        Kind::Mysql => format!("insert into n select 2, sleep({seconds});"),
        // Counting takes a debug build about a second for each of these.
        _ => format!(
            "insert into n with recursive c(x) as (select 1 union all select x + 1 from c where x < {}) select 2, count(*) * 0 from c;",
            seconds * 4_000_000
        ),
    }
}

async fn a_runner_that_slept_past_its_lease_writes_nothing(kind: Kind) {
    let bench = Bench::with(kind, "lock = \"lease\"\nlease = \"2s\"").await;
    bench.write(
        "1_a.sql",
        "create table n (id integer primary key, n integer not null);\ninsert into n values (1, 0);",
    );
    bench.up();
    bench.write("2_b.sql", "update n set n = n + 1 where id = 1;");
    // Stopped between two migrations, where it holds nothing in the database but the lease.
    let mut files = 0;
    for at in 3..200 {
        bench.write(&format!("{at:03}_c.sql"), &format!("insert into n values ({at}, 0);"));
        files = at;
    }
    let mut sleeper = bench.start("up");
    sleeper.wait_for("003_c");
    sleeper.stop();
    // Whoever is stopped while it has the file locked keeps everybody out: elsewhere, then.
    while kind == Kind::Sqlite && is_locked(&bench).await {
        sleeper.wake();
        tokio::time::sleep(Duration::from_millis(3)).await;
        sleeper.stop();
    }
    let before = bench.db.number("select count(*) from dunlin_history where state = 'done'").await;
    assert!(before < files, "it was too quick to be stopped");
    let other = bench.run("up --lock-wait 60s").expect_code(0);
    says(&other, &["waits for the migration lock"]);
    sleeper.wake();
    let run = sleeper.wait();
    says(&run.expect_code(21), &["taken over"]);
    assert_eq!(bench.db.number("select n from n where id = 1").await, 1);
    assert_eq!(bench.db.number("select count(*) from n").await, files - 1);
    assert_eq!(bench.db.number("select count(*) from dunlin_journal where kind = 'step-done'").await, files);
}

async fn who_loses_the_lock_hears_so(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table n (id integer primary key, n integer not null);");
    bench.up();
    bench.write("2_b.sql", &slow(kind, 20));
    let runner = bench.start("up");
    while bench.run("lock status").stdout.contains("nobody") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.run("lock release --yes").expect_code(0);
    says(&runner.wait().expect_code(21), &["taken over"]);
}

async fn is_locked(bench: &Bench) -> bool {
    // A signal is sent before it arrives.
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Who only reads keeps others from committing, too.
    bench.db.connect().await.sql("pragma busy_timeout = 0; begin exclusive; rollback").await.is_err()
}

async fn a_long_statement_keeps_its_lease(kind: Kind) {
    let bench = Bench::with(kind, "lock = \"lease\"\nlease = \"2s\"").await;
    bench.write(
        "1_a.sql",
        "create table n (id integer primary key, n integer not null);\ninsert into n values (1, 0);",
    );
    bench.up();
    bench.write("2_b.sql", &slow(kind, 5));
    let runner = bench.start("up");
    // However long a machine with much to do takes to begin, the other one comes second.
    bench.until("a holder", "select count(*) from dunlin_lock where who is not null").await;
    let other = bench.run("up --lock-wait 60s").expect_code(0);
    runner.wait().expect_code(0);
    says(&other, &["nothing to do"]);
    assert_eq!(bench.db.number("select count(*) from n").await, 2);
}

async fn a_stopped_runner_does_not_keep_its_locks_for_ever(kind: Kind) {
    let bench = Bench::with(kind, "lease = \"2s\"").await;
    bench.write("1_a.sql", "create table a (id int);\ncreate table b (id int);");
    bench.up();
    bench.write("2_b.sql", "alter table a add column n int;\ninsert into b select 1 from pg_sleep(1);");
    let runner = bench.start("up");
    bench.until("a lock on the table", "select count(*) from pg_locks where relation = 'a'::regclass and mode = 'AccessExclusiveLock' and granted").await;
    runner.stop();
    // A reader of the application waits for the server to give up on the runner, and no longer.
    let began = std::time::Instant::now();
    bench.db.sql("select * from a").await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    runner.wake();
    runner.wait().expect_code(20);
    assert_eq!(bench.db.number("select count(*) from b").await, 0);
    bench.up();
    assert_eq!(bench.db.number("select count(*) from b").await, 1);
}
