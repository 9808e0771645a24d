//! Several runners at once, as ten pods that start together.

use dunlin_testkit::Kind;
use dunlin_testkit::process::Running;

use super::{Bench, says};

over!([postgres, mysql, sqlite]
    ten_runners_on_a_fresh_database_apply_each_step_once,
    runners_on_a_warm_database_apply_each_step_once,
    runners_with_nothing_to_do_take_no_lock_and_write_nothing,
    ten_runners_by_lease_apply_each_step_once,
);
over!([postgres] runners_that_create_the_schema_at_once_all_succeed, a_waiting_concurrent_build_and_another_runner_do_not_deadlock);

const TEN: usize = 10;

fn write(bench: &Bench, first: usize) {
    if first == 1 {
        bench.write(
            "01_n.sql",
            "create table n (id integer primary key, n integer not null);\ninsert into n values (1, 0);",
        );
    }
    for at in first.max(2)..first + 8 {
        let kind = if at % 2 == 0 { "update n set n = n + 1;\n" } else { "" };
        bench.write(
            &format!("{at:02}_t.sql"),
            &format!("create table t{at} (id integer primary key);\n{kind}insert into n values ({at}, 0);"),
        );
    }
}

fn all_succeed(bench: &Bench, count: usize) {
    let runners: Vec<Running> = (0..count).map(|_| bench.start("up")).collect();
    let runs: Vec<_> = runners.into_iter().map(Running::wait).collect();
    for run in &runs {
        assert_eq!(run.code, Some(0), "{run}");
    }
}

async fn is_once(bench: &Bench, last: i64) {
    assert_eq!(bench.db.number("select count(*) from n").await, last);
    // Each update counts the rows that were there; the first row saw all of them.
    assert_eq!(bench.db.number("select n from n where id = 1").await, last / 2);
    assert_eq!(bench.db.number("select count(*) from dunlin_history where state = 'done'").await, last);
    assert_eq!(bench.db.number("select count(*) from dunlin_journal where kind = 'step-done'").await, last);
    assert_eq!(bench.db.number("select count(*) from dunlin_lock where who is not null").await, 0);
}

async fn fresh_and_warm(bench: &Bench, count: usize) {
    write(bench, 1);
    all_succeed(bench, count);
    is_once(bench, 8).await;
    write(bench, 9);
    all_succeed(bench, count);
    is_once(bench, 16).await;
}

async fn ten_runners_on_a_fresh_database_apply_each_step_once(kind: Kind) {
    fresh_and_warm(&Bench::new(kind).await, TEN).await;
}

async fn runners_on_a_warm_database_apply_each_step_once(kind: Kind) {
    let bench = Bench::new(kind).await;
    write(&bench, 1);
    bench.up();
    write(&bench, 9);
    all_succeed(&bench, 2);
    is_once(&bench, 16).await;
}

async fn ten_runners_by_lease_apply_each_step_once(kind: Kind) {
    fresh_and_warm(&Bench::with(kind, "lock = \"lease\"").await, TEN).await;
}

async fn runners_with_nothing_to_do_take_no_lock_and_write_nothing(kind: Kind) {
    let bench = Bench::new(kind).await;
    // Nothing at all: not even our tables are made.
    says(&bench.up(), &["nothing to do"]);
    for line in super::READS {
        bench.run(line).expect_code(0);
    }
    assert!(bench.db.connect().await.rows("select * from dunlin_lock").await.is_err());
    write(&bench, 1);
    bench.up();
    let token = bench.db.number("select token from dunlin_lock").await;
    // Held by somebody else, the lock is not asked for.
    bench.db.sql("update dunlin_lock set who = 'ann', host = 'h', pid = 1, process = '', run = 'r', expires = '2999-01-01 00:00:00'").await;
    all_succeed(&bench, 3);
    assert_eq!(bench.db.number("select token from dunlin_lock").await, token);
    write(&bench, 9);
    let run = bench.run("up --lock-wait 1s").expect_code(21);
    says(&run, &["held by ann on h, process 1", "lock status"]);
}

async fn runners_that_create_the_schema_at_once_all_succeed(kind: Kind) {
    for _ in 0..3 {
        let bench = Bench::with(kind, "schema = \"own\"").await;
        write(&bench, 1);
        all_succeed(&bench, TEN);
        assert_eq!(bench.db.number("select n from own.n where id = 1").await, 4);
    }
}

async fn a_waiting_concurrent_build_and_another_runner_do_not_deadlock(kind: Kind) {
    let bench = Bench::with(kind, "lock_timeout = \"300ms\"").await;
    bench.write("1_a.sql", "create table a (id int primary key, n int);\ninsert into a values (1, 1);");
    bench.up();
    let mut application = bench.db.connect().await;
    application.sql("begin; update a set n = 2").await.unwrap();
    bench.write("2_i.sql", "create index concurrently a_n on a (n);");
    let builder = bench.start("up");
    bench.until("a build that waits", "select count(*) from pg_stat_activity where datname = current_database() and query ilike 'create index concurrently%' and wait_event_type = 'Lock'").await;
    let others: Vec<Running> = (0..3).map(|_| bench.start("up")).collect();
    // Longer than the lock timeout: a build stands in nobody's way, so it waits on.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    application.sql("commit").await.unwrap();
    let run = builder.wait().expect_code(0);
    assert!(!run.stderr.contains("tries again"), "{run}");
    for other in others {
        other.wait().expect_code(0);
    }
    assert_eq!(
        bench
            .db
            .number("select count(*) from pg_index where indexrelid = 'a_n'::regclass and indisvalid")
            .await,
        1
    );
}
