//! Steps that go through many records: stopped, looked at, continued, proven.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use insta::assert_snapshot;

use super::Case;
use super::shop::stall;
use super::signals::kill;

const ROWS: &str = "-- Up\ncreate table people (id integer primary key, first text, n int not null default 0);\n\
    with recursive r(i) as (select 1 union all select i + 1 from r where i < 20000)\n\
    insert into people (first) select 'ada' || i from r;\n-- Down\ndrop table people;\n";

const COUNT: &str = "[[backfill]]\nstore = \"app\"\nupdate = { table = \"people\", set = { n = \"n + 1\" } }\n\
    undo = { table = \"people\", set = { n = \"n - 1\" } }\n\
    [[verify]]\nstore = \"app\"\nsame = { table = \"people\", expr = \"n\", as = \"1\" }\n";

fn case() -> Case {
    let case = stall().file("migrations/2_people.sql", ROWS).file("migrations/3_count.toml", COUNT);
    case.done("up --to 2");
    case
}

/// Signals a run once it came past some records; how it ended, and what it said.
fn paused(case: &Case, command: &str, signal: &str) -> (Option<i32>, String) {
    let mut child = case.command(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let is_under_way = |line: &String| line.contains("\"advanced\"") && !line.contains("\"scanned\":0,");
    assert!(lines.any(|line| is_under_way(&line)), "it got somewhere");
    kill(&child, signal);
    let rest: Vec<String> = lines.collect();
    (child.wait().unwrap().code(), rest.join("\n"))
}

#[test]
fn a_step_that_is_stopped_says_how_far_it_is_and_is_continued() {
    let case = case();
    let (code, said) = paused(&case, "up --json --rate 10000", "INT");
    assert_eq!(code, Some(23), "{said}");
    assert!(said.contains("\"outcome\":\"paused\""), "{said}");
    let status = case.said("status");
    assert!(status.contains("applying") && status.contains(" %"), "{status}");
    let resumed = case.said("up");
    assert!(resumed.contains("goes on where an earlier run stopped"), "{resumed}");
    assert!(resumed.contains("20,000 compared"), "each row was counted once: {resumed}");
}

#[test]
fn the_way_back_and_sigterm_pause_among_records_as_well() {
    let case = case();
    assert_eq!(paused(&case, "up --json --rate 10000", "TERM").0, Some(23));
    case.done("up");
    let (code, said) = paused(&case, "down --json --rate 10000 --allow-data-loss -y", "INT");
    assert_eq!(code, Some(23), "{said}");
    let undone = case.said("down --allow-data-loss -y");
    assert!(undone.starts_with("exit 0\n"), "{undone}");
    assert!(case.said("up").contains("20,000 compared"), "no row went back twice");
}

#[test]
fn a_run_that_is_paused_among_records_says_how_it_goes_on() {
    let case = case();
    let mut child = case.command("up --rate 10000").stdout(Stdio::piped()).spawn().unwrap();
    while !case.said("status").contains(" %") {}
    kill(&child, "INT");
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(23), "{said}");
    let says_how = |line: &str| line.starts_with("paused while moving data, after 0 migrations, 0 steps, ");
    assert!(said.lines().any(says_how) && said.ends_with("; `dunlin up` goes on there\n"), "{said}");
}

#[test]
fn what_differs_is_listed_and_its_values_only_where_they_may_be_seen() {
    let case = case();
    let wrong = COUNT.replace("as = \"1\"", "as = \"case when id % 7000 = 0 then 5 else 1 end\"");
    let case = case.file("migrations/3_count.toml", &wrong);
    assert_snapshot!(case.said("up"), @"
    exit 14
    ---- stderr
    ↑ app 3_count backfill: update people set n (TOOK, 20,000 rows)
    error[verify-failed]: 3_count in `app`: a verify step found what must not be there:
    id = 7000: n: 1, case when id % 7000 = 0 then 5 else 1 en…: 5
    id = 14000: n: 1, case when id % 7000 = 0 then 5 else 1 en…: 5
     --> migrations/3_count.toml:5:1
      |
    5 | [[verify]]
      | ^^^^^^^^^^ this step
      = help: nothing was removed: the old shape still holds; correct the data or the step, then run this again

    `dunlin explain verify-failed` says more
    ");
    assert_snapshot!(case.said("up --redact"), @"
    exit 14
    ---- stderr
    error[verify-failed]: 3_count in `app`: a verify step found what must not be there:
    id = 7000
    id = 14000
     --> migrations/3_count.toml:5:1
      |
    5 | [[verify]]
      | ^^^^^^^^^^ this step
      = help: nothing was removed: the old shape still holds; correct the data or the step, then run this again

    `dunlin explain verify-failed` says more
    ");
}
