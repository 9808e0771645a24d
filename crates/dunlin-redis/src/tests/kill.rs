//! Bad days: runners that are killed or stopped, servers that go away, fill up or only replicate.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dunlin_core::{Attempt, Backend, ErrorKind, State, StoreUrl, Target};

use super::server::Server;
use super::support::{Kind, Scratch, Step, fresh, lock, me, scratch, scratch_at, version};
use crate::Redis;

/// How many commands a runner has to run: enough to be killed in the middle.
const COMMANDS: usize = 120;
const PREFIX: &str = "DUNLIN_TEST_RUNNER_PREFIX";

fn lines(kind: Kind) -> String {
    let line = |number: usize| match kind {
        Kind::Single if number.is_multiple_of(7) => format!("MULTI\nINCR ~n\nINCR ~k{number}\nEXEC"),
        Kind::Single => "INCR ~n".to_owned(),
        Kind::Cluster => format!("INCR ~n{}", number % 10),
    };
    (0..COMMANDS).map(line).collect::<Vec<_>>().join("\n")
}

fn target(scratch: &Scratch) -> Target {
    Target { lease: Duration::from_millis(400), ..scratch.target() }
}

/// The runner that is killed: this very test program, told to run this one test.
#[tokio::test]
#[ignore = "runs as a child of the tests below"]
async fn runner() {
    let (Ok(prefix), Ok(url)) = (std::env::var(PREFIX), std::env::var("DUNLIN_TEST_RUNNER_URL")) else {
        return;
    };
    let kind = if url.contains("cluster") { Kind::Cluster } else { Kind::Single };
    let scratch = Scratch { prefix, ..scratch_at(kind, StoreUrl::new(url)) };
    let store = Redis.connect(&target(&scratch)).await.unwrap();
    let mut session = lock(&store).await;
    let mut step = Step::up(scratch.op(&lines(kind)), fresh("1")).resume(&store).await;
    if step.now.state == State::Applying {
        step.run(&mut session).await.unwrap();
    }
    session.release().await.unwrap();
}

fn spawn(scratch: &Scratch) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "tests::kill::runner", "--ignored", "--nocapture"]);
    command.env(PREFIX, &scratch.prefix).env("DUNLIN_TEST_RUNNER_URL", scratch.url.expose());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

async fn sum(scratch: &Scratch) -> usize {
    match scratch.kind {
        Kind::Single => scratch.text("n").await.map_or(0, |text| text.parse().unwrap()),
        Kind::Cluster => {
            let mut sum = 0;
            for number in 0..10 {
                let text = scratch.text(&format!("n{number}")).await;
                sum += text.map_or(0, |text| text.parse::<usize>().unwrap());
            }
            sum
        }
    }
}

#[tokio::test]
async fn killed_at_any_moment_every_command_still_takes_effect_exactly_once() {
    for kind in [Kind::Single, Kind::Cluster] {
        let scratch = scratch(kind);
        let (mut kills, mut delay) = (0, 9);
        let status = loop {
            let mut child = spawn(&scratch);
            // Wait until it has begun to run commands, then a moment that differs each time.
            let (before, began) = (sum(&scratch).await, Instant::now());
            while sum(&scratch).await == before && began.elapsed() < Duration::from_secs(5) {
                if let Some(status) = child.try_wait().unwrap() {
                    assert!(status.success(), "{status}");
                    break;
                }
            }
            tokio::time::sleep(Duration::from_micros(delay * 100)).await;
            delay = delay * 7 % 31;
            if kills < 8 && child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
            } else {
                break child.wait().unwrap();
            }
        };
        assert!(status.success());
        assert!(kills >= 2, "killed {kills} times only");
        assert_eq!(sum(&scratch).await, COMMANDS, "after {kills} kills");
        let record = scratch.store().await.history().await.unwrap().records[&version("1")].clone();
        assert_eq!(record.state, State::Done);
    }
}

#[tokio::test]
async fn a_runner_stopped_past_its_lease_and_woken_writes_nothing() {
    for kind in [Kind::Single, Kind::Cluster] {
        let scratch = scratch(kind);
        let mut child = spawn(&scratch);
        while sum(&scratch).await == 0 {
            tokio::task::yield_now().await;
        }
        signal("-STOP", child.id());
        let store = Redis.connect(&target(&scratch)).await.unwrap();
        let mut session = lock(&store).await;
        let mut step = Step::up(scratch.op(&lines(kind)), fresh("1")).resume(&store).await;
        assert_eq!(step.now.state, State::Applying, "it was stopped in the middle");
        for _ in 0..3 {
            step.once(&mut session).await.unwrap();
        }
        signal("-CONT", child.id());
        tokio::time::sleep(Duration::from_millis(100)).await;
        step.run(&mut session).await.unwrap();
        session.release().await.unwrap();
        assert!(!child.wait().unwrap().success(), "it must have found its lock gone");
        assert_eq!(sum(&scratch).await, COMMANDS);
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_is_continued_from_its_file() {
    let mut server = Server::start(&["appendonly yes", "appendfsync always"]).await;
    let scratch = server.scratch();
    let store = Redis.connect(&target(&scratch)).await.unwrap();
    let mut session = lock(&store).await;
    let mut step = Step::up(scratch.op(&lines(Kind::Single)), fresh("1"));
    for _ in 0..20 {
        step.once(&mut session).await.unwrap();
    }
    server.end();
    let error = step.once(&mut session).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Connect, "{error}");
    server.restart().await;
    drop(session);
    let mut session = lock(&store).await;
    let mut step = Step::up(step.op, fresh("1")).resume(&store).await;
    step.run(&mut session).await.unwrap();
    session.release().await.unwrap();
    assert_eq!(sum(&scratch).await, COMMANDS);
}

#[tokio::test]
async fn a_server_without_persistence_is_warned_of() {
    let server = Server::start(&["maxmemory 100mb", "maxmemory-policy allkeys-lru"]).await;
    let facts = server.scratch().store().await.examine().await.unwrap();
    let fact =
        |name: &str| facts.iter().find(|(what, _)| what == name).map(|(_, found)| found.clone()).unwrap();
    assert!(fact("persistence").starts_with("none"), "{facts:?}");
    assert!(fact("eviction").contains("may throw the history away"), "{facts:?}");
    assert_eq!(fact("mode"), "standalone, 0 replicas");
}

#[tokio::test]
async fn a_full_server_refuses_the_command_and_takes_the_one_that_makes_room() {
    let server = Server::start(&["maxmemory-policy noeviction"]).await;
    let scratch = server.scratch();
    scratch.send::<()>(&format!("SET {} {}", scratch.key("big"), "x".repeat(4_000_000))).await.unwrap();
    scratch.send::<()>("CONFIG SET maxmemory 3mb").await.unwrap();
    let store = scratch.store().await;
    let mut session = lock(&store).await;
    let error = Step::up(scratch.op("SET ~a 1"), fresh("1")).run(&mut session).await.unwrap_err();
    assert!(error.kind == ErrorKind::Statement && error.message.starts_with("OOM"), "{error}");
    assert!(session.history().await.unwrap().records.is_empty());
    session.note(&fresh("1"), dunlin_core::EventKind::Failed, "no room").await.unwrap();
    let mut step = Step::up(scratch.op("DEL ~big\nSET ~a 1"), fresh("2"));
    step.run(&mut session).await.unwrap();
    session.release().await.unwrap();
    assert_eq!(scratch.text("a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_replica_is_read_and_says_where_to_write() {
    let primary = Server::start(&["repl-diskless-sync-delay 0"]).await;
    let replica = Server::start(&[&format!("replicaof 127.0.0.1 {}", primary.port)]).await;
    let scratch = primary.scratch();
    super::support::apply(&scratch, "1", "SET ~a 1").await.unwrap();
    let url = StoreUrl::new(format!("redis://127.0.0.1:{}", replica.port));
    let store = Redis.connect(&Target { url, ..scratch.target() }).await.unwrap();
    let began = Instant::now();
    while store.history().await.map_or(true, |history| history.records.is_empty()) {
        assert!(began.elapsed() < Duration::from_secs(10), "never replicated");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(store.journal(None, 9).await.unwrap().len(), 1);
    let error = store.try_lock(&me("r")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Unsupported && error.message.contains("replica"), "{error}");
    assert!(error.help.unwrap().contains("primary"));
    let facts = store.examine().await.unwrap();
    assert!(facts.iter().any(|(what, found)| what == "mode" && found.starts_with("replica")), "{facts:?}");
}

#[tokio::test]
async fn a_server_demoted_under_a_session_takes_no_more_writes() {
    let server = Server::start(&[]).await;
    let scratch = server.scratch();
    let store = scratch.store().await;
    let mut session = lock(&store).await;
    scratch.send::<()>("REPLICAOF 127.0.0.1 1").await.unwrap();
    let error = Step::up(scratch.op("SET ~a 1"), fresh("1")).run(&mut session).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn a_busy_server_is_waited_for_and_the_lock_survives() {
    let server = Server::start(&["busy-reply-threshold 50"]).await;
    let scratch = server.scratch();
    let store = Redis.connect(&target(&scratch)).await.unwrap();
    let mut session = lock(&store).await;
    let slow =
        "EVAL \"local n = 0 while n < 2e8 do n = n + 1 end return redis.call('SET', KEYS[1], 1)\" 1 ~a";
    let mut step = Step::up(scratch.op(slow), fresh("1"));
    let run = tokio::spawn(async move {
        step.run(&mut session).await.unwrap();
        session.release().await.unwrap();
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let error = scratch.store().await.history().await.unwrap_err();
    assert!(error.temporary && error.kind == ErrorKind::Connect, "{error}");
    run.await.unwrap();
    assert_eq!(scratch.text("a").await.as_deref(), Some("1"));
    assert!(server.pid() > 0 && matches!(store.try_lock(&me("r2")).await.unwrap(), Attempt::Taken(_)));
}
