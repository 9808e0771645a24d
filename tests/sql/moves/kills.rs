//! Kills at every place: each row is changed exactly once, `n = n + 1` though it is.

use std::time::Duration;

use dunlin_testkit::Kind;
use dunlin_testkit::fault::When;
use dunlin_testkit::process;
use dunlin_testkit::proxy::{Loss, Proxy, Trigger};

use super::super::Bench;
use super::{COUNT, SMALL, TWO, command, counters, run, series};

over!([postgres, mysql, sqlite]
    a_run_killed_at_any_call_changes_each_row_once,
    a_way_back_from_any_call_goes_over_what_was_moved_and_no_further,
    every_kind_of_move_comes_to_its_end_at_the_usual_pace,
);
over!([postgres, mysql]
    two_workers_killed_at_any_call_change_each_row_once,
    a_connection_cut_at_any_request_changes_each_row_once,
    two_workers_killed_in_a_chunk_change_each_row_once,
);

const ROWS: u32 = 1300;

/// The rows that do not have this number.
async fn others(bench: &Bench, n: i64) -> i64 {
    bench.db.number(&format!("select count(*) from t where n <> {n}")).await
}

async fn is_killed_everywhere(kind: Kind, pace: &str) {
    let bench = Bench::new(kind).await;
    counters(&bench, ROWS).await;
    let (mut at, mut round) = (1, 0);
    loop {
        let mut is_whole = true;
        for when in When::ALL {
            round += 1;
            bench.write(&format!("{round}_count.toml"), COUNT);
            let killed = run(&bench, "up", pace, Some((at, when)));
            if killed.signal.is_some() {
                is_whole = false;
                run(&bench, "up", pace, None).expect_code(0);
            } else {
                killed.expect_code(0);
            }
            assert_eq!(others(&bench, round).await, 0, "killed {when} call {at}");
        }
        if is_whole {
            break;
        }
        at += 1;
    }
    assert!(at > 8, "it died at {at} calls only");
}

async fn a_run_killed_at_any_call_changes_each_row_once(kind: Kind) {
    is_killed_everywhere(kind, SMALL).await;
}

async fn two_workers_killed_at_any_call_change_each_row_once(kind: Kind) {
    is_killed_everywhere(kind, TWO).await;
}

async fn a_way_back_from_any_call_goes_over_what_was_moved_and_no_further(kind: Kind) {
    let bench = Bench::new(kind).await;
    counters(&bench, ROWS).await;
    let pace = if kind == Kind::Sqlite { SMALL } else { TWO };
    let mut half_way = 0;
    for at in 1.. {
        let killed = run(&bench, "up", pace, Some((at, When::After)));
        let moved = bench.db.number("select sum(n) from t").await;
        half_way += usize::from(moved > 0 && moved < i64::from(ROWS));
        run(&bench, "down", pace, None).expect_code(0);
        assert_eq!(others(&bench, 0).await, 0, "killed after call {at}, with {moved} rows moved");
        if killed.signal.is_none() {
            break;
        }
    }
    assert!(half_way > 3, "it was half-way back {half_way} times only");
}

async fn a_connection_cut_at_any_request_changes_each_row_once(kind: Kind) {
    let bench = Bench::new(kind).await;
    counters(&bench, 500).await;
    let proxy = Proxy::before(&bench.db.url);
    let mut round = 0;
    for at in 0.. {
        let mut is_whole = true;
        for loss in [Loss::Request, Loss::Reply, Loss::HalfReply] {
            round += 1;
            bench.write(&format!("{round}_count.toml"), COUNT);
            let cuts = proxy.cuts();
            proxy.cut_at(Trigger::next().later(at), loss);
            let mut cut = command(&bench, "up", SMALL, None);
            let arguments: Vec<_> = cut.get_args().map(std::ffi::OsStr::to_owned).collect();
            let mut through = std::process::Command::new(cut.get_program());
            through
                .arg(&arguments[0])
                .arg(proxy.url.expose())
                .arg(&arguments[2])
                .env("DUNLIN_TEST_PACE", SMALL);
            process::run(&mut through);
            is_whole &= proxy.cuts() == cuts;
            process::run(&mut cut).expect_code(0);
            assert_eq!(others(&bench, round).await, 0, "cut at request {at}");
        }
        if is_whole {
            assert!(at > 20, "it was cut at {at} requests only");
            break;
        }
    }
}

async fn two_workers_killed_in_a_chunk_change_each_row_once(kind: Kind) {
    let bench = Bench::new(kind).await;
    counters(&bench, 60_000).await;
    let mut was_half_way = 0;
    for round in 1..9 {
        bench.write(&format!("{round}_count.toml"), COUNT);
        let runner = process::spawn(&mut command(&bench, "up", "250 0 2", None));
        let moved = format!("select count(*) from (select 1 from t where n = {round} limit 1) moved");
        bench.until("a chunk that is committed", &moved).await;
        std::thread::sleep(std::time::Duration::from_millis(7 * u64::try_from(round).unwrap()));
        runner.kill();
        was_half_way += usize::from(others(&bench, round).await > 0);
        run(&bench, "up", "250 0 2", None).expect_code(0);
        assert_eq!(others(&bench, round).await, 0, "round {round}");
    }
    assert!(was_half_way > 0, "it was always done before it was killed");
}

/// As people run it: larger chunks, and many of them in one advance, with the workers that they have by default.
async fn every_kind_of_move_comes_to_its_end_at_the_usual_pace(kind: Kind) {
    let bench = Bench::new(kind).await;
    let rows = 40_000;
    counters(&bench, rows).await;
    let fill = format!("insert into gone (id) select i from {}", series(kind, rows));
    let tables =
        "create table copy (id integer primary key, n integer); create table gone (id integer primary key)";
    bench.db.sql(&format!("{tables}; {fill}")).await;
    let steps = "[[backfill]]\nstore = \"app\"\ninsert_select = { from = \"t\", into = \"copy\", values = { id = \"id\", n = \"n\" } }\n\
                 undo = { delete = { table = \"copy\", where = \"true\" } }\n\
                 [[backfill]]\nstore = \"app\"\ndelete = { table = \"gone\", where = \"id % 4 <> 0\" }\n\
                 undo = { insert_select = { from = \"t\", into = \"gone\", values = { id = \"id\" }, where = \"id % 4 <> 0\", existing = \"skip\" } }\n";
    bench.write("1_count.toml", &format!("{COUNT}{steps}"));
    let sums = "select (select count(*) from t where n = 1), (select count(*) from copy where n = 1), (select count(*) from gone)";
    let there = [rows, rows, rows / 4].map(|count| Some(count.to_string()));
    let back = [0, 0, rows].map(|count| Some(count.to_string()));
    for (direction, expected) in [("up", &there), ("down", &back), ("up", &there)] {
        let mut kills: usize = 0;
        for delay in (60_u64..).step_by(35) {
            // In the middle of a chunk, and between two.
            let running = process::spawn(&mut command(&bench, direction, "", None));
            tokio::time::sleep(Duration::from_millis(delay)).await;
            if running.kill().signal.is_none() {
                break;
            }
            kills += 1;
            let killed =
                run(&bench, direction, "", Some((3 + kills % 5, When::ALL[kills % When::ALL.len()])));
            if killed.signal.is_none() {
                killed.expect_code(0);
                break;
            }
        }
        assert!(kills > 0, "it was never killed");
        run(&bench, direction, "", None).expect_code(0);
        assert_eq!(bench.db.rows(sums).await, [expected.to_vec()], "{direction} after {kills} kills");
    }
}
