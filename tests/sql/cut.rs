//! Real kills: of the process in the middle of a long statement, and of its connection by the server.

use dunlin_testkit::proxy::{Loss, Proxy, Trigger};
use dunlin_testkit::{Kind, process};

use super::{Bench, says};

over!([postgres, mysql]
    a_connection_ended_by_the_server_in_a_statement_is_said_and_continued,
    a_connection_cut_in_a_long_build_is_continued,
    a_process_killed_in_a_long_build_is_continued,
    a_row_change_of_unknown_fate_happens_once,
);
over!([mysql] a_statement_nobody_can_look_up_asks_for_a_person);
over!([postgres] a_concurrent_build_without_a_name_is_settled_by_a_person);

/// A build that lasts until the returned transaction of an application ends.
async fn building(bench: &Bench) -> dunlin_testkit::scratch::Connection {
    bench.write("1_a.sql", "create table a (id int primary key, n int);\ninsert into a values (1, 1);\ncreate table log (n int);");
    bench.up();
    let mut application = bench.db.connect().await;
    application.sql("begin").await.unwrap();
    application.sql("update a set n = 2").await.unwrap();
    let build = if bench.db.kind == Kind::Postgres {
        "create index concurrently a_n on a (n);"
    } else {
        "create index a_n on a (n);"
    };
    bench.write("2_i.sql", &format!("insert into log values (1);\n{build}\ninsert into log values (2);\n"));
    application
}

fn waiting(kind: Kind) -> &'static str {
    if kind == Kind::Postgres {
        "select coalesce(max(pid), 0) from pg_stat_activity where datname = current_database() and query ilike 'create index%' and wait_event_type = 'Lock'"
    } else {
        "select coalesce(max(id), 0) from information_schema.processlist where db = database() and info like 'create index%'"
    }
}

async fn is_whole(bench: &Bench) {
    assert_eq!(bench.db.number("select sum(n) from log").await, 3);
    assert_eq!(bench.states().await, ["1 done", "2 done"]);
    let index = if bench.db.kind == Kind::Postgres {
        "select count(*) from pg_index where indrelid = 'a'::regclass and indisvalid"
    } else {
        "select count(distinct index_name) from information_schema.statistics where table_schema = database() and table_name = 'a'"
    };
    assert_eq!(bench.db.number(index).await, 2);
}

async fn a_connection_ended_by_the_server_in_a_statement_is_said_and_continued(kind: Kind) {
    let bench = Bench::with(kind, "lock_timeout = \"60s\"").await;
    let mut application = building(&bench).await;
    let runner = bench.start("up");
    bench.until("a build that waits", waiting(kind)).await;
    let id = bench.db.number(waiting(kind)).await;
    let kill = if kind == Kind::Postgres {
        format!("select pg_terminate_backend({id})")
    } else {
        format!("kill {id}")
    };
    bench.db.sql(&kill).await;
    let run = runner.wait().expect_code(20);
    says(&run, &["2_i.sql:2:1", "dunlin up"]);
    application.sql("commit").await.unwrap();
    bench.up();
    is_whole(&bench).await;
}

async fn a_connection_cut_in_a_long_build_is_continued(kind: Kind) {
    let bench = Bench::with(kind, "lock_timeout = \"60s\"").await;
    let mut application = building(&bench).await;
    let proxy = Proxy::before(&bench.db.url);
    let runner = process::spawn(bench.case.command("up").env("URL", proxy.url.expose()));
    bench.until("a build that waits", waiting(kind)).await;
    proxy.cut();
    runner.wait().expect_code(20);
    // The server builds on, and may finish what nobody waits for any more.
    application.sql("commit").await.unwrap();
    bench.up();
    is_whole(&bench).await;
}

async fn a_process_killed_in_a_long_build_is_continued(kind: Kind) {
    let bench = Bench::with(kind, "lock_timeout = \"60s\"").await;
    let mut application = building(&bench).await;
    let runner = bench.start("up");
    bench.until("a build that waits", waiting(kind)).await;
    runner.kill();
    let next = bench.start("up");
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    application.sql("commit").await.unwrap();
    let run = next.wait().expect_code(0);
    says(&run, &["takes over the migration lock"]);
    is_whole(&bench).await;
}

async fn a_row_change_of_unknown_fate_happens_once(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id int primary key, n int);\ninsert into a values (1, 1);");
    bench.up();
    bench.write("2_b.sql", "update a set n = n + 1;");
    let proxy = Proxy::before(&bench.db.url);
    for loss in [Loss::HalfRequest, Loss::Reply, Loss::HalfReply] {
        proxy.cut_at(Trigger::text("update a set n"), loss);
        process::run(bench.case.command("up").env("URL", proxy.url.expose())).expect_code(20);
    }
    // Committed, and nobody was told.
    proxy.cut_at(Trigger::text("commit"), Loss::Reply);
    let run = process::run(bench.case.command("up").env("URL", proxy.url.expose()));
    assert_eq!(proxy.cuts(), 4, "{run}");
    says(&bench.up(), &[]);
    assert_eq!(bench.db.number("select n from a").await, 2);
}

async fn a_statement_nobody_can_look_up_asks_for_a_person(kind: Kind) {
    let bench = Bench::with(kind, "lock_timeout = \"60s\"").await;
    let mut application = building(&bench).await;
    bench.write(
        "2_i.sql",
        "alter table a engine = InnoDB, add index (n), add index (n, id);\ninsert into log values (1);",
    );
    let proxy = Proxy::before(&bench.db.url);
    let runner = process::spawn(bench.case.command("up").env("URL", proxy.url.expose()));
    let waiting = "select count(*) from information_schema.processlist where db = database() and info like 'alter table%'";
    bench.until("a statement that waits", waiting).await;
    proxy.cut();
    runner.wait().expect_code(20);
    application.sql("commit").await.unwrap();
    for _ in 0..2 {
        let run = bench.run("up").expect_code(1);
        says(&run, &["2_i.sql:1:1", "cannot tell whether it took effect", "dunlin mark 2 statement-done"]);
    }
    assert_eq!(bench.db.number("select count(*) from log").await, 0);
    // The person looked, and the run goes on behind the statement.
    bench.run("mark 2 statement-done --store app --reason looked").expect_code(0);
    bench.up();
    assert_eq!(bench.db.number("select count(*) from log").await, 1);
    bench.run("mark 2 statement-done --store app --reason again").expect_code(2);
}

async fn a_concurrent_build_without_a_name_is_settled_by_a_person(kind: Kind) {
    for is_done in [true, false] {
        let bench = Bench::with(kind, "lock_timeout = \"60s\"").await;
        let mut application = building(&bench).await;
        // The server chooses the name, so that dunlin does not know what to look for.
        bench.write("2_i.sql", "create index concurrently on a (n);\ninsert into log values (3);");
        let runner = bench.start("up");
        bench.until("a build that waits", waiting(kind)).await;
        runner.kill();
        if !is_done {
            let id = bench.db.number(waiting(kind)).await;
            bench.db.sql(&format!("select pg_terminate_backend({id})")).await;
        }
        application.sql("commit").await.unwrap();
        for _ in 0..2 {
            let run = bench.run("up").expect_code(1);
            says(
                &run,
                &["2_i.sql:1:1", "cannot tell whether it took effect", "dunlin mark 2 statement-done"],
            );
        }
        assert_eq!(bench.db.number("select count(*) from log").await, 0);
        // The person looks: what was killed left an index that nobody can use.
        let valid = "select count(*) from pg_index where indrelid = 'a'::regclass and indisvalid";
        assert_eq!(bench.db.number(valid).await, 1 + i64::from(is_done));
        if !is_done {
            bench.db.sql("drop index a_n_idx").await;
        }
        let state = if is_done { "statement-done" } else { "statement-undone" };
        bench.run(&format!("mark 2 {state} --reason looked")).expect_code(0);
        bench.up();
        is_whole(&bench).await;
        bench.run(&format!("mark 2 {state} --reason again")).expect_code(2);
    }
}
