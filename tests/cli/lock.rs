//! `dunlin lock`

use std::process::{Child, Stdio};

use insta::assert_snapshot;

use super::Case;
use super::shop::stall;
use super::signals::{SLOW, kill, started};

/// A run that was killed while it held the lock. Its lease is still there.
fn killed() -> (Case, u32) {
    let case = stall().file("migrations/2_slow.sql", SLOW);
    let mut child: Child =
        case.command("up --json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    started(&mut child, "slow");
    kill(&child, "KILL");
    let pid = child.id();
    child.wait().unwrap();
    (case, pid)
}

#[test]
fn a_lock_that_nobody_holds() {
    let case = stall();
    case.done("up");
    assert_snapshot!(case.said("lock status"), @r#"
    exit 0
    ---- stdout
    store  held by  process  since  expires  run
    app  nobody
    "#);
    assert_snapshot!(case.said("lock status --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.lock/1","ok":true,"data":{"locks":[{"store":"app","holder":null}]},"diagnostics":[]}
    "#);
    assert_snapshot!(case.said("lock release"), @r#"
    exit 0
    ---- stdout
    nobody holds the migration lock
    "#);
}

#[test]
fn the_holder_is_named_and_its_lock_is_taken_away_only_when_confirmed() {
    let (case, pid) = killed();
    let said = |line: &str| case.said(line).replace(&pid.to_string(), "PID");
    assert_snapshot!(said("lock status"), @r#"
    exit 0
    ---- stdout
    store  held by  process  since  expires  run
    app  ann@HOST  PID  AT  AT  RUN
    "#);
    assert_snapshot!(said("lock status --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.lock/1","ok":true,"data":{"locks":[{"store":"app","holder":{"who":"ann","host":"HOST","pid":N,"run":"RUN","since":"AT","expires":"AT"}}]},"diagnostics":[]}
    "#);
    assert_snapshot!(said("lock release"), @r#"
    exit 3
    ---- stderr
    error[confirmation-missing]: this takes the lock of `app` from ann on HOST, process N, since AT
      = help: say `--yes` if the holder is gone; nothing was changed

    `dunlin explain confirmation-missing` says more
    "#);
    assert!(case.run("lock release --no-input").starts_with("exit 3\n"));
    assert_snapshot!(said("lock release --yes"), @r#"
    exit 0
    ---- stdout
    took the lock of `app` from ann on HOST, process N, since AT
    "#);
    assert_snapshot!(said("lock status"), @r#"
    exit 0
    ---- stdout
    store  held by  process  since  expires  run
    app  nobody
    "#);
}

#[test]
fn a_dead_holder_on_this_machine_is_not_waited_for() {
    let (case, pid) = killed();
    let case = case.file("migrations/2_slow.sql", "create table quick (id int);\n");
    assert_snapshot!(case.said("up --lock-wait 0s").replace(&pid.to_string(), "PID"), @r#"
    exit 0
    ---- stdout
    1 migration, 1 step, TOOK
    ---- stderr
    takes over the migration lock of `app`, held by ann on HOST, process N, which is gone
    ↑ app 2_slow expand: create table quick (TOOK)
    "#);
}

#[test]
fn a_live_holder_is_waited_for_as_long_as_was_said() {
    let case = stall().file("migrations/2_slow.sql", SLOW);
    let mut child = case.command("up --json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    started(&mut child, "slow");
    let said = case.said("baseline 2 --reason x --lock-wait 0s");
    kill(&child, "KILL");
    child.wait().unwrap();
    assert_snapshot!(said, @r#"
    exit 21
    ---- stderr
    waits for the migration lock of `app`, held by ann on HOST, process N
    error[lock-held]: the migration lock of `app` is held by ann on HOST, process N
      = store: app
      = help: wait longer with --lock-wait; `dunlin lock status` shows the holder, `dunlin lock release` takes the lock away from a dead one

    `dunlin explain lock-held` says more
    "#);
}
