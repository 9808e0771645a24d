//! Signals: the first one stops at a safe point, the second one at once; `up` goes on later.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use super::Case;
use super::shop::stall;

/// A statement that takes a few seconds.
pub(super) const SLOW: &str = "-- Up\ncreate table slow as with recursive n(x) as (select 1 union all select x + 1 from n where x < 4000000) select max(x) as x from n;\n-- Down\ndrop table slow;\n";

/// Sends a signal.
pub(super) fn kill(child: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Reads what a run says on stdout until it began the step of a migration.
pub(super) fn started(child: &mut Child, slug: &str) {
    let stdout = child.stdout.as_mut().unwrap();
    let is_it = |line: &str| line.contains("\"started\"") && line.contains(&format!("\"slug\":\"{slug}\""));
    let found = BufReader::with_capacity(1, stdout).lines().any(|line| is_it(&line.unwrap()));
    assert!(found, "{slug} never began");
}

struct Stopped {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `up` until it works at the slow migration, and signals it.
fn stopped(case: &Case, signals: &[&str]) -> Stopped {
    let mut child = case.command("up --json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    started(&mut child, "slow");
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    for signal in signals {
        kill(&child, signal);
        while !said.contains("stopping") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
        }
    }
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    Stopped { code: child.wait().unwrap().code(), stdout, stderr: said }
}

fn slow() -> Case {
    stall()
        .file("migrations/2_slow.sql", SLOW)
        .file("migrations/3_after.sql", "create table after (id int);\n")
}

#[test]
fn the_first_signal_stops_after_the_step_under_way() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let case = slow();
        let stopped = stopped(&case, &[signal]);
        assert_eq!(stopped.code, Some(code), "{}", stopped.stderr);
        assert!(stopped.stderr.contains("stopping at the next safe point; once more stops at once"));
        let last = stopped.stdout.lines().last().unwrap();
        assert!(last.contains("\"outcome\":\"paused\"") && last.contains("\"ok\":false"), "{last}");
        let said = case.said("up");
        assert!(
            said.contains("3_after") && !said.contains("2_slow") && said.starts_with("exit 0\n"),
            "{said}"
        );
    }
}

#[test]
fn the_second_signal_stops_at_once_and_nothing_is_lost() {
    let case = slow();
    let stopped = stopped(&case, &["INT", "INT"]);
    assert_eq!(stopped.code, Some(130), "{}", stopped.stderr);
    assert!(stopped.stdout.lines().last().unwrap().contains("\"outcome\":\"cut\""), "{}", stopped.stdout);
    let said = case.said("up");
    assert!(said.contains("2_slow") && said.contains("3_after") && said.starts_with("exit 0\n"), "{said}");
}
