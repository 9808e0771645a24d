//! A process that lost its lock while it moved data writes nothing more.

use std::time::{Duration, Instant};

use dunlin_testkit::fault::{AT, WHEN};
use dunlin_testkit::process::{self, Running};
use dunlin_testkit::{private, scratch};
use tempfile::TempDir;

use super::{ask, count, failure, fill, must_up, project};

const COPY: &str = "copy_keys = { from = \"user_{id}\", to = \"user:{id}:profile\" }";

/// `dunlin up` in a process of its own, with a short lease.
fn runner(folder: &TempDir, url: &str) -> Running {
    let migrations = folder.path().join("migrations");
    std::fs::create_dir_all(&migrations).unwrap();
    let config = format!("[stores.cache]\nurl = \"{url}\"\nlease = \"1s\"\n");
    std::fs::write(folder.path().join("dunlin.toml"), config).unwrap();
    std::fs::write(migrations.join("500_copy.toml"), format!("[[backfill]]\nstore = \"cache\"\n{COPY}\n"))
        .unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dunlin-under-test"));
    command.arg("up").current_dir(folder.path()).env_remove(AT).env_remove(WHEN);
    process::spawn(&mut command)
}

/// Waits until some copies are there.
async fn until_it_copies(scratch: &scratch::Scratch, running: Running) -> Running {
    let began = Instant::now();
    let before: i64 = ask(scratch, &["DBSIZE"]).await;
    while ask::<i64>(scratch, &["DBSIZE"]).await < before + 2000 {
        assert!(began.elapsed() < Duration::from_secs(20), "it never began: {}", running.kill());
    }
    running
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mover_stopped_past_its_lease_and_woken_writes_nothing() {
    let scratch = scratch::redis().await;
    let mut pipe = redis::pipe();
    for number in 0..200_000 {
        pipe.cmd("SET").arg(format!("user_{number}")).arg(number);
        if pipe.len() == 20_000 {
            super::send(&scratch, &pipe).await;
            pipe = redis::pipe();
        }
    }
    let folder = TempDir::new().unwrap();
    let running = runner(&folder, scratch.url.expose());
    let running = until_it_copies(&scratch, running).await;
    running.stop();
    // Whoever comes next waits for the lease to end, and then has the store to itself.
    let delete = "delete_keys = { keys = \"user:{id}:profile\" }\nirreversible = \"all of them\"";
    must_up(&project(&scratch.url, &[("contract", delete)])).await;
    assert_eq!(count(&scratch, "user:*:profile").await, 0);
    running.wake();
    let ended = running.wait();
    assert_ne!(ended.code, Some(0), "{ended}");
    assert_eq!(count(&scratch, "user:*:profile").await, 0, "{ended}");
    assert_eq!(count(&scratch, "user_*").await, 200_000);
}

#[tokio::test]
async fn the_lock_says_that_there_are_movers_only_while_there_are() {
    let scratch = scratch::redis().await;
    fill(&scratch, 500).await;
    must_up(&project(&scratch.url, &[("backfill", COPY)])).await;
    assert_eq!(ask::<Option<String>>(&scratch, &["HGET", "{dunlin}:lock", "movers"]).await, None);
    // One that was killed leaves it said, and whoever follows ends what it left.
    ask::<()>(&scratch, &["HSET", "{dunlin}:lock", "movers", "1"]).await;
    let copy = COPY.replace(" }", ", existing = \"skip\" }");
    must_up(&project(&scratch.url, &[("backfill", &copy)])).await;
    assert_eq!(ask::<Option<String>>(&scratch, &["HGET", "{dunlin}:lock", "movers"]).await, None);
}

#[tokio::test]
async fn a_login_that_could_not_end_a_sleeper_may_not_move() {
    let server = private::redis(&[]).await;
    let mut connection = scratch::redis_connection(&server.url).await.unwrap();
    redis::cmd("SET").arg("user_1").arg("x").exec_async(&mut connection).await.unwrap();
    let words = ["SETUSER", "mover", "on", ">pw", "~*", "+@all", "-client|kill"];
    redis::cmd("ACL").arg(&words).exec_async(&mut connection).await.unwrap();
    let url = server.url_as("mover", "pw");
    let said = failure(&project(&url, &[("backfill", COPY)])).await;
    assert!(said.contains("client|kill") && said.contains("grant the login"), "{said}");
    let copied: bool = redis::cmd("EXISTS").arg("user:1:profile").query_async(&mut connection).await.unwrap();
    assert!(!copied);
}
