//! Processes run, and end as told.

use std::process::Command;

use dunlin_testkit::process::{run, spawn};

#[test]
fn a_run_has_its_code_and_its_words() {
    let run = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).expect_code(3);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn much_output_on_both_pipes_does_not_block() {
    let run = run(Command::new("sh").args(["-c", "yes | head -c 1000000; yes | head -c 1000000 >&2"]))
        .expect_code(0);
    assert_eq!((run.stdout.len(), run.stderr.len()), (1_000_000, 1_000_000));
}

#[test]
fn a_killed_process_says_so() {
    let mut running = spawn(Command::new("sh").args(["-c", "echo ready; sleep 60 & wait"]));
    running.wait_for("ready");
    assert!(!running.has_ended());
    // The sleeper holds the pipes open; it is not ours to wait for.
    let run = spawn(Command::new("sleep").arg("60")).kill();
    assert_eq!((run.code, run.signal), (None, Some(9)));
}

#[test]
fn a_stopped_process_does_nothing_until_it_wakes() {
    let mut running = spawn(Command::new("sh").args(["-c", "echo ready; read line; echo got $line"]));
    running.wait_for("ready");
    running.stop();
    running.write("a line\n");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!running.has_ended());
    running.wake();
    assert_eq!(running.wait().expect_code(0).stdout, "ready\ngot a line\n");
}

#[test]
fn an_interrupt_can_be_caught() {
    let script = "trap 'echo caught; exit 130' INT; echo ready; while :; do sleep 0.01; done";
    let mut running = spawn(Command::new("sh").args(["-c", script]));
    running.wait_for("ready");
    running.interrupt();
    assert!(running.wait().expect_code(130).stdout.ends_with("caught\n"));
}

#[test]
#[should_panic(expected = "never wrote \"ready\"")]
fn waiting_for_words_that_never_come_fails() {
    spawn(Command::new("sh").args(["-c", "echo other"])).wait_for("ready");
}
