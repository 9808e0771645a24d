//! What goes wrong in a chunk: who is named, what stays, and that it goes on from there.

use std::process::Command;

use dunlin_testkit::process;
use dunlin_testkit::{Kind, fault::When};

use super::super::{Bench, says};
use super::{COUNT, SMALL, command, counters, run, series};

over!([postgres, mysql, sqlite]
    a_row_that_fails_is_named_and_what_came_before_it_stays,
    an_unknown_column_is_pointed_at_and_nothing_changes,
    what_is_there_already_may_be_passed_by_after_all,
    a_runner_that_slept_past_its_lease_moves_nothing_more,
);
over!([postgres, mysql] a_locked_row_is_waited_for_and_its_holder_named);
over!([sqlite] a_disk_that_is_full_stops_the_move_and_it_goes_on_when_there_is_room);

async fn a_row_that_fails_is_named_and_what_came_before_it_stays(kind: Kind) {
    let bench = Bench::new(kind).await;
    let (text, number) = match kind {
        Kind::Postgres => ("text", "s::integer"),
        Kind::Mysql => ("varchar(20)", "s"),
        _ => ("text", "cast(s as integer)"),
    };
    bench
        .db
        .sql(&format!(
            "create table t (id integer primary key, s {text}, v integer check (v > 0)); insert into t (id, s) select i, i from {}; \
             update t set s = 'n/a' where id in (2345, 2400)",
            series(kind, 3000)
        ))
        .await;
    bench.write(
        "1_v.toml",
        &format!(
            "[[backfill]]\nstore = \"app\"\nupdate = {{ table = \"t\", set = {{ v = \"{number}\" }} }}\n"
        ),
    );
    let failed = bench.run("up").expect_code(1);
    says(&failed, &["id = 2345", "up to id = ", "are done and recorded", "dunlin up"]);
    let done = bench.db.number("select count(*) from t where v is not null").await;
    let last = bench.db.number("select max(id) from t where v is not null").await;
    assert!(done >= 1000 && done == last && last < 2345, "{done} rows, up to {last}");
    bench.db.sql("update t set s = '1' where id = 2345").await;
    says(&bench.run("up").expect_code(1), &["id = 2400", "leave it out with `where`"]);
    let text = std::fs::read_to_string(bench.case.path().join("migrations/1_v.toml")).unwrap();
    bench.write("1_v.toml", &text.replace("\" } }", "\" }, where = \"s <> 'n/a'\" }"));
    bench.up();
    assert_eq!(bench.db.number("select count(*) from t where v is null").await, 1);
}

async fn an_unknown_column_is_pointed_at_and_nothing_changes(kind: Kind) {
    let bench = Bench::new(kind).await;
    counters(&bench, 10).await;
    bench.write(
        "1_count.toml",
        "[[backfill]]\nstore = \"app\"\nupdate = { table = \"t\", set = { n = \"n + missing\" } }\n",
    );
    let failed = bench.run("up").expect_code(1);
    says(&failed, &["missing", "1_count.toml:3:", "nothing of it", "correct the step"]);
    assert_eq!(bench.db.number("select sum(n) from t").await, 0);
    // Nothing was written: it may become any other step, and there is nothing to take back.
    says(&bench.run("down --dry-run"), &["nothing to undo"]);
    bench.write("1_count.toml", "[[backfill]]\nstore = \"app\"\nsql = \"update t set n = n + missing\"\n");
    bench.run("up").expect_code(1);
    bench.write("1_count.toml", COUNT);
    bench.up();
    assert_eq!(bench.db.number("select sum(n) from t").await, 10);
}

async fn what_is_there_already_may_be_passed_by_after_all(kind: Kind) {
    let bench = Bench::new(kind).await;
    counters(&bench, 3000).await;
    bench.db.sql("create table u (id bigint primary key); insert into u values (2345)").await;
    let copy = "[[backfill]]\nstore = \"app\"\ninsert_select = { from = \"t\", into = \"u\", values = { id = \"id\" } }\n";
    bench.write("1_count.toml", copy);
    says(&bench.run("up").expect_code(1), &["existing = \"skip\"", "are done and recorded"]);
    bench.write("1_count.toml", &copy.replace("\" } }", "\" }, existing = \"skip\" }"));
    bench.up();
    assert_eq!(bench.db.number("select count(*) from u").await, 3000);
}

async fn a_runner_that_slept_past_its_lease_moves_nothing_more(kind: Kind) {
    let bench = Bench::with(kind, "lock = \"lease\"\nlease = \"2s\"").await;
    counters(&bench, 200_000).await;
    let mut sleeper = bench.start("up");
    let begun = "select count(*) from t where n = 1 and id < 5000";
    bench.until("a chunk that is committed", begun).await;
    sleeper.stop();
    // Whoever is stopped while it has the file locked keeps everybody out: elsewhere, then.
    while kind == Kind::Sqlite && is_locked(&bench).await {
        sleeper.wake();
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        sleeper.stop();
    }
    assert!(!sleeper.has_ended(), "it was too quick to be stopped");
    let other = bench.run("up --lock-wait 60s").expect_code(0);
    says(&other, &["waits for the migration lock"]);
    sleeper.wake();
    let run = sleeper.wait();
    assert!(matches!(run.code, Some(20 | 21)), "{run}");
    assert_eq!(bench.db.number("select count(*) from t where n <> 1").await, 0);
}

async fn is_locked(bench: &Bench) -> bool {
    // A signal is sent before it arrives.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    bench.db.connect().await.sql("pragma busy_timeout = 0; begin exclusive; rollback").await.is_err()
}

async fn a_locked_row_is_waited_for_and_its_holder_named(kind: Kind) {
    let bench = Bench::new(kind).await;
    counters(&bench, 3000).await;
    let mut application = bench.db.connect().await;
    application.sql("begin").await.unwrap();
    application.sql("update t set n = n + 10 where id = 2500").await.unwrap();
    let mut runner = bench.start("up");
    runner.wait_for("blocked by");
    application.sql("commit").await.unwrap();
    let run = runner.wait().expect_code(0);
    says(&run, &["tries again", "in a transaction for"]);
    assert_eq!(bench.db.number("select n from t where id = 2500").await, 11);
    assert_eq!(bench.db.number("select count(*) from t where n = 1").await, 2999);
}

async fn a_disk_that_is_full_stops_the_move_and_it_goes_on_when_there_is_room(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench
        .db
        .sql(&format!("create table t (id integer primary key, n integer not null default 0, s text); insert into t (id) select i from {}", series(kind, 20_000)))
        .await;
    let grow = COUNT.replace("{ n = \"n + 1\" }", "\"n = n + 1, s = hex(zeroblob(200))\"");
    bench.write("1_count.toml", &grow);
    let path = bench.db.url.expose().trim_start_matches("sqlite://").to_owned();
    let blocks = std::fs::metadata(&path).unwrap().len() / 512 + 4000;
    // The file may grow by two megabytes, and needs eight.
    let inner = command(&bench, "up", SMALL, None);
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""))
        .arg(inner.get_program())
        .args(inner.get_args());
    limited.env("DUNLIN_TEST_PACE", "0 0 1");
    let full = process::run(&mut limited);
    assert_eq!(full.code, Some(1), "{full}");
    let moved = bench.db.number("select count(*) from t where n = 1").await;
    assert!(moved > 0 && moved < 20_000, "{moved} rows moved\n{full}");
    run(&bench, "up", "250 0 1", Some((1_000, When::After))).expect_code(0);
    assert_eq!(bench.db.number("select count(*) from t where n <> 1 or length(s) <> 400").await, 0);
}
