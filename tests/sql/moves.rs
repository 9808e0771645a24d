//! Ops that move data in chunks, and those that compare it afterwards.

mod faults;
mod keys;
mod kills;
mod live;
mod ops;
mod strain;
mod verify;

use std::process::Command;

use dunlin_testkit::Kind;
use dunlin_testkit::fault::{AT, WHEN, When};
use dunlin_testkit::process::{self, Run};

use super::Bench;

/// How data is moved in these tests unless they say otherwise: milliseconds of a bout, records a second, workers. Two
/// hundred records a bout.
const SMALL: &str = "5 40000 1";
/// The same with two workers.
const TWO: &str = "5 40000 2";

/// Something to select from: `i` from 1 to `count`.
fn series(kind: Kind, count: u32) -> String {
    match kind {
        Kind::Postgres => format!("generate_series(1, {count}) as s (i)"),
        Kind::Mysql => format!("(select seq as i from seq_1_to_{count}) s"),
        _ => format!(
            "(with recursive s (i) as (select 1 union all select i + 1 from s where i < {count}) select i from s) s"
        ),
    }
}

/// The program that runs migrations at a pace, and dies where it is told to.
fn command(bench: &Bench, direction: &str, pace: &str, fault: Option<(usize, When)>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash-runner"));
    command.arg(direction).arg(bench.db.url.expose()).arg(bench.case.path().join("migrations"));
    command.env_remove(AT).env_remove(WHEN).env("DUNLIN_TEST_PACE", pace);
    if let Some((at, when)) = fault {
        command.env(AT, at.to_string()).env(WHEN, when.to_string());
    }
    command
}

pub(super) fn run(bench: &Bench, direction: &str, pace: &str, fault: Option<(usize, When)>) -> Run {
    process::run(&mut command(bench, direction, pace, fault))
}

/// A table `t` of rows `1..=count` with `n = 0`, and a migration that adds one to each.
async fn counters(bench: &Bench, count: u32) {
    let table = match bench.db.kind {
        Kind::Sqlite => "create table t (id integer primary key, n integer not null default 0)",
        _ => "create table t (id bigint primary key, n integer not null default 0)",
    };
    let fill = format!("insert into t (id) select i from {}", series(bench.db.kind, count));
    bench.db.sql(&format!("{table}; {fill}")).await;
    bench.write("1_count.toml", COUNT);
}

const COUNT: &str = "[[backfill]]\nstore = \"app\"\nupdate = { table = \"t\", set = { n = \"n + 1\" } }\nundo = { table = \"t\", set = { n = \"n - 1\" } }\n";
