//! An application's transaction stands in the way: dunlin gives way, tries again, and names it.

use std::time::{Duration, Instant};

use dunlin_testkit::Kind;

use super::{Bench, says};

over!([postgres, mysql]
    an_alter_gives_way_and_succeeds_when_the_blocker_ends,
    a_blocker_that_stays_is_named,
    rows_locked_by_an_application_are_waited_for,
    a_step_waits_as_long_as_it_says_and_the_next_as_long_as_the_store_does,
);
over!([sqlite] a_file_is_waited_for_as_long_as_a_step_says, a_change_gives_way_to_who_writes_a_file);
over!([postgres, mysql, sqlite] how_long_a_step_waits_is_no_edit_of_it);

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
    says(&run, &[word, "in a transaction for"]);
    if kind == Kind::Postgres {
        // MariaDB does not say what a connection that does nothing just now did last.
        says(&run, &[": update a set n = 2"]);
    }
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

async fn a_step_waits_as_long_as_it_says_and_the_next_as_long_as_the_store_does(kind: Kind) {
    let bench = Bench::with(kind, "lock_timeout = \"40s\"").await;
    bench.db.sql("create table a (id int primary key, n int)").await;
    let mut application = bench.db.connect().await;
    application.sql("begin").await.unwrap();
    application.rows("select * from a").await.unwrap();
    let seen = match kind {
        Kind::Postgres => "insert into seen select current_setting('lock_timeout')",
        _ => "insert into seen select concat(@@lock_wait_timeout, 's')",
    };
    let step = |sql: &str, rest: &str| {
        format!("[[expand]]\nstore = 'app'\nsql = \"{sql}\"\nno_op = 'a test'\n{rest}\n")
    };
    let text = step("create table seen (said varchar(9))", "")
        + &step(seen, "lock_timeout = '2s'")
        + &step("alter table a add column m int", "lock_timeout = '1s'")
        + &step(seen, "")
        + "[[change]]\nstore = 'app'\nlock_timeout = '1s'\nadd_column = { table = 'a', column = 'k', type = 'int' }\n";
    bench.write("2_b.toml", &text);
    let began = Instant::now();
    let mut runner = bench.start("up");
    runner.wait_for("tries again");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    application.sql("commit").await.unwrap();
    let run = runner.wait().expect_code(0);
    says(&run, &["blocked by", "in a transaction for"]);
    let rows = bench.db.rows("select said from seen").await;
    let mut said: Vec<String> = rows.into_iter().map(|row| row[0].clone().unwrap()).collect();
    said.sort_unstable();
    assert_eq!(said, ["2s", "40s"]);

    // A change is blocked like a step, and gives way like one.
    application.sql("begin").await.unwrap();
    application.rows("select * from a").await.unwrap();
    let change = "[[change]]\nstore = 'app'\nlock_timeout = '1s'\nadd_column = { table = 'a', column = 'j', type = 'int' }\n";
    bench.write("3_c.toml", change);
    let began = Instant::now();
    let mut runner = bench.start("up");
    runner.wait_for("blocked by");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    application.sql("commit").await.unwrap();
    runner.wait().expect_code(0);
}

async fn how_long_a_step_waits_is_no_edit_of_it(kind: Kind) {
    let bench = Bench::new(kind).await;
    let text = "[[expand]]\nstore = 'app'\nsql = 'create table a (id integer)'\nundo = 'drop table a'\n";
    bench.write("1_a.toml", text);
    bench.up();
    bench.write("1_a.toml", &format!("{text}lock_timeout = '5s'\n"));
    says(&bench.run("up").expect_code(0), &["nothing to do"]);
    bench.run("check").expect_code(0);
    bench.run("down --allow-data-loss").expect_code(0);
    bench.write("1_a.toml", &format!("{text}lock_timeout = 'soon'\n"));
    says(&bench.run("up").expect_code(13), &["a duration is expected here", "`500ms`"]);
}

async fn a_file_is_waited_for_as_long_as_a_step_says(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.db.sql("create table seen (said integer)").await;
    let step = |rest: &str| {
        format!(
            "[[expand]]\nstore = 'app'\nsql = 'insert into seen select timeout from pragma_busy_timeout'\nno_op = 'a test'\n{rest}\n"
        )
    };
    bench.write("1_a.toml", &(step("lock_timeout = '300ms'") + &step("")));
    bench.up();
    let rows = bench.db.rows("select said from seen order by rowid").await;
    let said: Vec<String> = rows.into_iter().map(|row| row[0].clone().unwrap()).collect();
    assert_eq!(said, ["300", "10000"]);
}

async fn a_change_gives_way_to_who_writes_a_file(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.db.sql("create table a (id integer primary key, n integer); insert into a values (1, 1)").await;
    let change = "[[change]]\nstore = 'app'\nlock_timeout = '300ms'\nrename_column = { table = 'a', from = 'n', to = 'm' }\n";
    bench.write("1_a.toml", change);
    let mut application = bench.db.connect().await;
    let runner = bench.start("up");
    for at in 0..40 {
        application.sql("begin immediate").await.unwrap();
        application.sql(&format!("update a set n = {at}")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        application.sql("commit").await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    runner.wait().expect_code(0);
    bench.db.sql("update a set n = 99").await;
    assert_eq!(bench.db.number("select m from a").await, 99);
}
