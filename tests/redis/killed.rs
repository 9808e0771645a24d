//! Movers that are killed with SIGKILL: in the middle of a key too big for one go, and at moments that nobody chose. The
//! next `up` goes on, and all is as if nothing had happened.

use std::time::{Duration, Instant};

use dunlin_testkit::fault::{AT, WHEN};
use dunlin_testkit::process::{self, Running};
use dunlin_testkit::proxy::{Loss, Proxy, Trigger};
use dunlin_testkit::scratch::{self, Scratch};
use tempfile::TempDir;

use super::{COPY, SAME, ask, count, fill, must_up, project, send};

/// `dunlin up` over a copy, in a process of its own.
fn spawn(folder: &TempDir, scratch: &Scratch) -> Running {
    let migrations = folder.path().join("migrations");
    std::fs::create_dir_all(&migrations).unwrap();
    let config = format!("[stores.cache]\nurl = \"{}\"\nlease = \"1s\"\n", scratch.url.expose());
    std::fs::write(folder.path().join("dunlin.toml"), config).unwrap();
    let step = format!("[[{}]]\nstore = \"cache\"\n{}\n", COPY.0, COPY.1);
    std::fs::write(migrations.join("500_copy.toml"), step).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dunlin-under-test"));
    command.arg("up").current_dir(folder.path()).env_remove(AT).env_remove(WHEN);
    process::spawn(&mut command)
}

/// A hash of so many fields that ends in a day.
async fn big(scratch: &Scratch, fields: u32) {
    let mut pipe = redis::pipe();
    for start in (0..fields).step_by(10_000) {
        let command = pipe.cmd("HSET").arg("user_big");
        (start..start + 10_000).for_each(|field| _ = command.arg(field).arg(field));
    }
    pipe.cmd("PEXPIRE").arg("user_big").arg(86_400_000);
    send(scratch, &pipe).await;
}

/// What has been copied of a key that is under way.
async fn draft(scratch: &Scratch) -> i64 {
    let drafts: Vec<String> = ask(scratch, &["KEYS", "{dunlin-*:draft:*"]).await;
    match drafts.first() {
        Some(draft) => ask(scratch, &["HLEN", draft]).await,
        None => 0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_a_hash_of_a_million_fields_the_next_run_goes_on_in_it() {
    let scratch = scratch::redis().await;
    big(&scratch, 1_000_000).await;
    let folder = TempDir::new().unwrap();
    for share in [100_000, 500_000] {
        let mut running = spawn(&folder, &scratch);
        let began = Instant::now();
        while draft(&scratch).await < share {
            assert!(
                !running.has_ended() && began.elapsed() < Duration::from_mins(1),
                "it never got that far"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(running.kill().signal.is_some());
        // What is there stays there: it is not begun anew.
        let there = draft(&scratch).await;
        assert!((share..1_000_000).contains(&there), "{there}");
        assert_eq!(count(&scratch, "user:big:profile").await, 0, "nobody sees half of it");
    }
    ask::<()>(&scratch, &["CONFIG", "RESETSTAT"]).await;
    spawn(&folder, &scratch).wait().expect_code(0);
    let fields: i64 = ask(&scratch, &["HLEN", "user:big:profile"]).await;
    let left: i64 = ask(&scratch, &["PTTL", "user:big:profile"]).await;
    assert!(fields == 1_000_000 && left > 80_000_000, "{fields} {left}");
    must_up(&project(&scratch.url, &[SAME])).await;
    assert_eq!(count(&scratch, "{dunlin-*").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_when_a_big_key_gets_its_name_the_run_goes_on() {
    for loss in [Loss::Request, Loss::Reply] {
        let scratch = scratch::redis().await;
        big(&scratch, 30_000).await;
        let proxy = Proxy::before(&scratch.url);
        proxy.cut_at(Trigger::text("$8\r\nRENAMENX\r\n"), loss);
        must_up(&project(&proxy.url, &[COPY, SAME])).await;
        assert_eq!(proxy.cuts(), 1, "{loss:?}");
        let fields: i64 = ask(&scratch, &["HLEN", "user:big:profile"]).await;
        assert_eq!((fields, count(&scratch, "{dunlin-*:draft:*").await), (30_000, 0), "{loss:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_the_next_run_makes_it_whole() {
    let (mut seed, mut kills, mut longest) = (0x2545_f491_4f6c_dd1d_u64, 0, Duration::from_millis(1500));
    for round in 0..10 {
        let scratch = scratch::redis().await;
        fill(&scratch, 12_000).await;
        big(&scratch, 100_000).await;
        let folder = TempDir::new().unwrap();
        for _ in 0..3 {
            // xorshift: the same moments each time, as far as the machine is the same.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let moment = longest.mul_f64(f64::from(u16::try_from(seed & 0xffff).unwrap()) / 65536.0);
            let (began, mut running) = (Instant::now(), spawn(&folder, &scratch));
            tokio::time::sleep(moment).await;
            if running.has_ended() {
                longest = longest.min(began.elapsed());
            }
            kills += u32::from(running.kill().signal.is_some());
        }
        spawn(&folder, &scratch).wait().expect_code(0);
        assert_eq!(count(&scratch, "user:*:profile").await, 12_001, "round {round}");
        must_up(&project(&scratch.url, &[SAME])).await;
        assert_eq!(count(&scratch, "{dunlin-*").await, 0, "round {round}");
    }
    assert!(kills >= 10, "it was killed {kills} times only");
}
