//! Crashes, exhaustively: the process dies before or after every call to the store, and the connection is cut at every
//! request, until a run completes untouched. Whatever happens, running again ends where an undisturbed run does.

use std::process::Command;

use dunlin_testkit::Kind;
use dunlin_testkit::fault::{AT, WHEN, When};
use dunlin_testkit::process::{self, Run};
use dunlin_testkit::proxy::{Loss, Proxy, Trigger};
use dunlin_testkit::scratch::Connection;

use super::Bench;

over!([postgres, mysql, sqlite] a_process_that_dies_before_a_call_loses_nothing, a_process_that_dies_after_a_call_loses_nothing);
over!([postgres, mysql] a_connection_cut_before_a_request_loses_nothing, a_connection_cut_before_a_reply_loses_nothing);

/// Files whose statements show it if they run twice or never, with every way of running that the engine has.
fn write(bench: &Bench) {
    let (middle, back) = match bench.db.kind {
        Kind::Postgres => (
            "create index concurrently n_n on n (n);\nupdate n set n = n + 100;\ncreate index concurrently if not exists n_m on n (n, id);",
            "drop index concurrently n_m;\nupdate n set n = n - 100;\ndrop index concurrently n_n;",
        ),
        Kind::Mysql => (
            "create index n_n on n (n);\nupdate n set n = n + 100;\nalter table n add column m int;",
            "alter table n drop column m;\nupdate n set n = n - 100;\nalter table n drop index n_n;",
        ),
        _ => (
            "pragma foreign_keys = off;\ncreate index n_n on n (n);\nupdate n set n = n + 100;\npragma foreign_keys = on;\nalter table n add column m int;",
            "alter table n drop column m;\nupdate n set n = n - 100;\ndrop index n_n;",
        ),
    };
    bench.write("1_n.sql", "-- Up\ncreate table n (id integer primary key, n integer not null);\ninsert into n values (1, 0);\n-- Down\ndrop table n;\n");
    bench.write(
        "2_mixed.sql",
        &format!("-- Up\nupdate n set n = n + 1;\ninsert into n values (2, 0);\n{middle}\nupdate n set n = n + 10;\n-- Down\nupdate n set n = n - 10;\n{back}\ndelete from n where id = 2;\nupdate n set n = n - 1;\n"),
    );
    bench.write("3_last.sql", "-- Up\ncreate table last (id integer primary key);\ninsert into last values (7);\n-- Down\ndrop table last;\n");
}

/// What can be told apart of a database.
async fn picture(db: &mut Connection, kind: Kind) -> Vec<Vec<Option<String>>> {
    let catalogue = match kind {
        Kind::Postgres => {
            "select c.relname::text, c.relkind::text, i.indisvalid::text from pg_class c left join pg_index i on i.indexrelid = c.oid \
             where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'i') order by 1"
        }
        Kind::Mysql => {
            "select table_name, column_name, column_key from information_schema.columns \
             where table_schema = database() and table_name not like 'dunlin%' order by 1, 2"
        }
        _ => "select name, sql, '' from sqlite_master order by 1",
    };
    let mut all = db.rows(catalogue).await.unwrap();
    all.extend(
        db.rows("select version, state, steps, checkpoint from dunlin_history order by 1").await.unwrap(),
    );
    for query in ["select id, n from n order by 1", "select id from last"] {
        let rows = db.rows(query).await.unwrap_or_default();
        all.extend(rows);
    }
    all
}

/// A runner; `fault` is the call and the side it dies at.
fn runner(bench: &Bench, direction: &str, fault: Option<(usize, When)>) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash-runner"));
    command.arg(direction).arg(bench.db.url.expose()).arg(bench.case.path().join("migrations"));
    command.env_remove(AT).env_remove(WHEN);
    if let Some((at, when)) = fault {
        command.env(AT, at.to_string()).env(WHEN, when.to_string());
    }
    process::run(&mut command)
}

async fn dies_everywhere(kind: Kind, when: When) {
    let bench = Bench::new(kind).await;
    let mut db = bench.db.connect().await;
    write(&bench);
    runner(&bench, "up", None).expect_code(0);
    let up = picture(&mut db, kind).await;
    runner(&bench, "down", None).expect_code(0);
    let down = picture(&mut db, kind).await;
    let mut at = 1;
    let mut is_over = false;
    while !is_over {
        is_over = true;
        for (direction, wanted) in [("up", &up), ("down", &down)] {
            let run = runner(&bench, direction, Some((at, when)));
            let is_dead = run.signal.is_some();
            assert!(is_dead || run.code == Some(0), "{direction} {when} call {at}: {run}");
            if is_dead {
                is_over = false;
                runner(&bench, direction, None).expect_code(0);
            }
            assert_eq!(&picture(&mut db, kind).await, wanted, "{direction}, killed {when} call {at}\n{run}");
        }
        at += 1;
    }
    assert!(at > 5, "it died at {at} calls only");
}

async fn a_process_that_dies_before_a_call_loses_nothing(kind: Kind) {
    dies_everywhere(kind, When::Before).await;
}

async fn a_process_that_dies_after_a_call_loses_nothing(kind: Kind) {
    dies_everywhere(kind, When::After).await;
}

async fn is_cut_everywhere(kind: Kind, loss: Loss) {
    let bench = Bench::new(kind).await;
    let mut db = bench.db.connect().await;
    write(&bench);
    bench.up();
    let up = picture(&mut db, kind).await;
    let back = "down 3 --allow-data-loss";
    bench.run(back).expect_code(0);
    let down = picture(&mut db, kind).await;
    let proxy = Proxy::before(&bench.db.url);
    let mut at = 0;
    let mut is_over = false;
    while !is_over {
        is_over = true;
        // The second time as many migrations as are left: those undone before the cut are not counted again.
        for (line, again, wanted) in [("up", "up", &up), (back, "down --to 0 --allow-data-loss", &down)] {
            let cuts = proxy.cuts();
            proxy.cut_at(Trigger::next().later(at), loss);
            let run = bench.run(&format!("{line} --url {}", proxy.url.expose()));
            assert!(matches!(run.code, Some(0 | 20)), "{line}, cut at request {at}: {run}");
            if proxy.cuts() > cuts {
                is_over = false;
                bench.run(again).expect_code(0);
            }
            assert_eq!(&picture(&mut db, kind).await, wanted, "{line}, cut at request {at}\n{run}");
        }
        at += 1;
    }
    assert!(at > 10, "it was cut at {at} requests only");
}

async fn a_connection_cut_before_a_request_loses_nothing(kind: Kind) {
    is_cut_everywhere(kind, Loss::Request).await;
}

async fn a_connection_cut_before_a_reply_loses_nothing(kind: Kind) {
    is_cut_everywhere(kind, Loss::Reply).await;
}
