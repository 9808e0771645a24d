//! An application that goes on working while its rows are moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dunlin_testkit::fault::When;
use dunlin_testkit::scratch::Connection;
use dunlin_testkit::{Kind, process};

use super::super::Bench;
use super::{SMALL, command, counters, run, series};

over!([postgres, mysql, sqlite]
    inserts_faster_than_the_move_do_not_keep_it_going,
    rows_deleted_under_the_cursor_are_no_matter,
    an_application_keeps_its_value_where_the_condition_guards_it,
);

over!([postgres] a_table_that_was_never_analyzed_is_counted_by_what_was_written);

async fn a_table_that_was_never_analyzed_is_counted_by_what_was_written(kind: Kind) {
    let bench = Bench::new(kind).await;
    counters(&bench, 20_000).await;
    bench.db.sql("delete from t where id <= 2000").await;
    let count = "pg_stat_get_live_tuples('t'::regclass)";
    bench.until("the statistics know the rows", &format!("select ({count} = 18000)::int::bigint")).await;
    run(&bench, "up", SMALL, Some((9, When::After)));
    let total = "select (checkpoint::json ->> 'total')::bigint from dunlin_history";
    assert_eq!(bench.db.number(total).await, 18_000);
    // Twice as many came since: how far along it is nobody can say by then, and nobody says 100 %.
    bench.db.sql("update dunlin_history set checkpoint = replace(checkpoint, '18000', '100')").await;
    let status = bench.run("status");
    assert!(!status.stdout.contains('%'), "{status}");
    bench.up();
}

/// Does something again and again until the program comes to its end; how often it did.
async fn beside<F>(bench: &Bench, pace: &str, mut work: F) -> u32
where
    F: AsyncFnMut(&mut Connection, u32),
{
    let mut application = bench.db.connect().await;
    if bench.db.kind == Kind::Sqlite {
        application.sql("pragma busy_timeout = 10000").await.unwrap();
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let runner = process::spawn(&mut command(bench, "up", pace, None));
    let flag = is_over.clone();
    let waiting = std::thread::spawn(move || {
        let run = runner.wait();
        flag.store(true, Ordering::SeqCst);
        run
    });
    let mut round = 0;
    while !is_over.load(Ordering::SeqCst) {
        round += 1;
        assert!(round < 20_000, "it never ends");
        work(&mut application, round).await;
        // Without a pause nobody else would ever have a SQLite file.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    waiting.join().unwrap().expect_code(0);
    round
}

async fn inserts_faster_than_the_move_do_not_keep_it_going(kind: Kind) {
    let bench = Bench::new(kind).await;
    counters(&bench, 2000).await;
    // Two hundred rows a bout are moved, and five hundred come.
    let rounds = beside(&bench, SMALL, async |application, round| {
        let first = 2000 + (round - 1) * 500;
        let insert = format!("insert into t (id) select {first} + i from {}", series(kind, 500));
        application.sql(&insert).await.unwrap();
    })
    .await;
    assert!(rounds > 3, "{rounds}");
    assert_eq!(bench.db.number("select count(*) from t where id <= 2000 and n <> 1").await, 0);
    assert!(bench.db.number("select count(*) from t where id > 2000 and n = 0").await > 500);
}

async fn rows_deleted_under_the_cursor_are_no_matter(kind: Kind) {
    let bench = Bench::new(kind).await;
    counters(&bench, 4000).await;
    let rounds = beside(&bench, SMALL, async |application, round| {
        let at = round * 37 % 4000;
        drop(
            application
                .sql(&format!("delete from t where id between {at} and {at} + 5 or id = 4000 - {round}"))
                .await,
        );
    })
    .await;
    let left = bench.db.number("select count(*) from t").await;
    assert!(rounds > 3 && left < 4000, "{rounds} rounds, {left} rows left");
    assert_eq!(bench.db.number("select count(*) from t where n <> 1").await, 0);
}

async fn an_application_keeps_its_value_where_the_condition_guards_it(kind: Kind) {
    let bench = Bench::new(kind).await;
    let text = if kind == Kind::Mysql { "varchar(60)" } else { "text" };
    bench
        .db
        .sql(&format!("create table t (id integer primary key, a {text}, b {text}); insert into t (id, a) select i, 'old' from {}", series(kind, 4000)))
        .await;
    bench.write("1_b.toml", "[[backfill]]\nstore = \"app\"\nupdate = { table = \"t\", set = { b = \"a\" }, where = \"b is null\" }\n");
    let mut touched = std::collections::BTreeSet::new();
    beside(&bench, SMALL, async |application, round| {
        let id = 1 + round * 1237 % 4000;
        // What a lock of a chunk keeps out is tried with the next row.
        if application.sql(&format!("update t set a = 'new', b = 'new' where id = {id}")).await.is_ok() {
            touched.insert(id);
        }
    })
    .await;
    assert!(touched.len() > 10, "{}", touched.len());
    let kept = bench.db.number("select count(*) from t where a = 'new' and b = 'new'").await;
    assert_eq!(kept, i64::try_from(touched.len()).unwrap());
    assert_eq!(bench.db.number("select count(*) from t where a = 'old' and b = 'old'").await, 4000 - kept);
}

/// A table that was written over and over is full of rows that are dead, and none of them counts.
#[tokio::test]
async fn dead_rows_are_not_counted_as_rows_to_come() {
    let bench = Bench::new(Kind::Postgres).await;
    bench.write("0_first.sql", "select 1;");
    bench.up();
    counters(&bench, 2000).await;
    let bloat = "alter table t set (autovacuum_enabled = off); analyze t; update t set n = n + 1; update t set n = n - 1; delete from t where id % 4 = 0";
    bench.db.sql(bloat).await;
    bench.until("counted", "select (pg_stat_get_live_tuples('t'::regclass) = 1500)::int::bigint").await;
    let mut totals = Vec::new();
    for at in 1.. {
        let killed = run(&bench, "up", SMALL, Some((at, When::After)));
        let rows =
            bench.db.rows("select checkpoint from dunlin_history where checkpoint like '%total%'").await;
        totals.extend(rows.into_iter().filter_map(|mut row| row.remove(0)));
        if killed.signal.is_none() || !totals.is_empty() {
            break;
        }
    }
    assert!(totals.iter().any(|total| total.contains("\"total\":1500,")), "{totals:?}");
    bench.up();
    assert_eq!(bench.db.number("select count(*) from t where n = 1").await, 1500);
}
