//! The real program: killed, put to sleep, asked.

use bson::{Document, doc};
use dunlin_testkit::process::{Running, run, spawn};
use dunlin_testkit::{private, scratch};
use insta::assert_snapshot;
use tempfile::TempDir;

use super::soon;
use crate::cli::filter::steady;

const CHANGES: [(&str, &str); 2] = [
    ("catalog", "rename_field = { collection = \"users\", from = \"mail\", to = \"email\" }"),
    ("cache", "rename_keys = { from = \"u:{id}\", to = \"user:{id}\" }"),
];

/// A directory with a migration of these stores.
struct Desk(TempDir);

impl Desk {
    fn new(stores: &[(&str, &str)]) -> Self {
        let desk = tempfile::tempdir().unwrap();
        let config: String =
            stores.iter().map(|(name, url)| format!("[stores.{name}]\nurl = \"{url}\"\n")).collect();
        std::fs::write(desk.path().join("dunlin.toml"), config).unwrap();
        std::fs::create_dir(desk.path().join("migrations")).unwrap();
        let of = |name: &str| CHANGES.iter().find(|(store, _)| *store == name).map(|(_, change)| *change);
        let change = |(name, _): &(&str, &str)| {
            of(name).map(|change| format!("[[change]]\nstore = \"{name}\"\n{change}\n"))
        };
        let text: String = stores.iter().filter_map(change).collect();
        if !text.is_empty() {
            std::fs::write(desk.path().join("migrations/1_mail.toml"), text).unwrap();
        }
        Self(desk)
    }

    fn command(&self, line: &str) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dunlin-under-test"));
        command
            .args(line.split(' '))
            .current_dir(self.0.path())
            .env_clear()
            .env("USER", "ann")
            .env("TZ", "UTC");
        command
    }

    fn said(&self, line: &str) -> String {
        let run = run(&mut self.command(line));
        let mut said = format!("exit {}\n", run.code.unwrap());
        for (name, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
            if !text.is_empty() {
                said.extend(["---- ", name, "\n", text]);
            }
        }
        steady(&said)
    }

    fn follow(&self) -> Running {
        let mut running = spawn(&mut self.command("follow 1"));
        running.wait_for("follows:");
        running
    }
}

#[tokio::test]
async fn one_that_was_killed_goes_on_where_it_was() {
    let scratch = scratch::mongo().await;
    let users = scratch.collection("users").await;
    let server = private::redis(&["--notify-keyspace-events", "AK"]).await;
    let mut redis = dunlin_testkit::scratch::redis_connection(&server.url).await.unwrap();
    let desk = Desk::new(&[("catalog", scratch.url.expose()), ("cache", server.url.expose())]);
    desk.said("up");
    desk.follow().kill();
    users.insert_many((0..50).map(|id| doc! { "_id": id, "mail": "a" })).await.unwrap();
    for id in 0..50 {
        redis::cmd("SET").arg(format!("u:{id}")).arg(id).exec_async(&mut redis).await.unwrap();
    }
    let following = desk.follow();
    soon("documents", async || users.count_documents(doc! { "email": "a" }).await.unwrap() == 50).await;
    soon("keys", async || {
        let keys: Vec<String> = redis::cmd("KEYS").arg("user:*").query_async(&mut redis).await.unwrap();
        keys.len() == 50
    })
    .await;
    following.interrupt();
    let run = following.wait().expect_code(130);
    assert!(!run.stderr.contains("catalog 1_mail: goes through everything"), "{run}");
    assert!(run.stderr.contains("cache 1_mail: goes through everything"), "{run}");
    assert!(run.stdout.contains("100 mended; `dunlin follow 1` goes on"), "{run}");
}

#[tokio::test]
async fn one_that_slept_through_the_way_back_writes_nothing() {
    let scratch = scratch::mongo().await;
    let users = scratch.collection("users").await;
    let server = private::redis(&["--notify-keyspace-events", "AK"]).await;
    let mut redis = dunlin_testkit::scratch::redis_connection(&server.url).await.unwrap();
    let desk = Desk::new(&[("catalog", scratch.url.expose()), ("cache", server.url.expose())]);
    desk.said("up");
    for round in 0..3 {
        let following = desk.follow();
        following.stop();
        // It is asked for these, and wakes up with them in its hands.
        let ids = 100 * round..100 * round + 50;
        users.insert_many(ids.clone().map(|id| doc! { "_id": id, "mail": "a" })).await.unwrap();
        for id in ids {
            redis::cmd("SET").arg(format!("u:{id}")).arg(id).exec_async(&mut redis).await.unwrap();
        }
        let said = desk.said("down --allow-data-loss --yes");
        assert!(said.starts_with("exit 0\n"), "{said}");
        following.wake();
        let run = following.wait().expect_code(0);
        assert!(run.stderr.contains("is taken back, so there is nothing left to follow"), "{run}");
        assert_eq!(users.count_documents(doc! { "email": { "$exists": true } }).await.unwrap(), 0, "{run}");
        let keys: Vec<String> = redis::cmd("KEYS").arg("user:*").query_async(&mut redis).await.unwrap();
        assert!(keys.is_empty(), "{keys:?} {run}");
        desk.said("up");
    }
}

#[tokio::test]
async fn status_says_who_follows_and_who_does_no_more() {
    let scratch = scratch::mongo().await;
    let users = scratch.collection("users").await;
    let desk = Desk::new(&[("catalog", scratch.url.expose())]);
    desk.said("up");
    let following = desk.follow();
    users.insert_one(doc! { "_id": 1, "mail": "a" }).await.unwrap();
    soon("mended", async || users.count_documents(doc! { "email": "a" }).await.unwrap() == 1).await;
    soon("told", async || desk.said("status").contains("1 mended")).await;
    let said = run(&mut desk.command("status")).stdout;
    assert!(said.contains("1_mail in catalog: followed by ann@") && said.contains(", lag "), "{said}");
    let json = run(&mut desk.command("status --json")).stdout;
    assert!(json.contains("\"follower\":{\"alive\":true,\"activity\":\"live\",\"who\":\"ann\""), "{json}");
    following.kill();
    // Time goes by.
    let kept = scratch.mongo().await.collection::<Document>("dunlin_follow");
    let ago = vec![doc! { "$set": { "at": { "$subtract": ["$$NOW", 245_000] } } }];
    kept.update_one(doc! {}, ago).await.unwrap();
    let said = run(&mut desk.command("status")).stdout;
    assert!(said.contains("is silent for 4 min") && said.contains("`dunlin follow 1` goes on"), "{said}");
    let following = desk.follow();
    following.interrupt();
    following.wait().expect_code(130);
    let said = run(&mut desk.command("status")).stdout;
    assert!(said.contains("1_mail in catalog: not followed for "), "{said}");
    let done = desk.said("contract 1 --yes");
    assert!(done.starts_with("exit 0\n"), "{done}");
    assert!(!run(&mut desk.command("status")).stdout.contains("follow"), "nothing is left to be said");
    assert_snapshot!(desk.said("follow 1"), @"");
}

#[tokio::test]
async fn what_cannot_be_followed_is_said() {
    let server = private::redis(&[]).await;
    let desk = Desk::new(&[("cache", server.url.expose())]);
    let steady = |said: String| said.replace(&server.port().to_string(), "PORT");
    assert_snapshot!(steady(desk.said("follow 1")), @"");
    desk.said("up");
    assert_snapshot!(steady(desk.said("follow 1")), @"");
    let standalone = private::mongod().await;
    let desk = Desk::new(&[("catalog", standalone.url.expose())]);
    desk.said("up");
    assert_snapshot!(desk.said("follow 1"), @"");
    let desk = Desk::new(&[("app", "sqlite:app.db?create=true")]);
    std::fs::write(desk.0.path().join("migrations/1_users.sql"), "create table users (id integer);\n")
        .unwrap();
    desk.said("up");
    assert_snapshot!(desk.said("follow 1"), @"");
    assert_snapshot!(desk.said("follow 2"), @"");
}

#[tokio::test]
async fn programs_get_lines() {
    let scratch = scratch::mongo().await;
    let users = scratch.collection("users").await;
    users.insert_one(doc! { "_id": 1, "mail": "a" }).await.unwrap();
    let desk = Desk::new(&[("catalog", scratch.url.expose())]);
    desk.said("up");
    users.insert_one(doc! { "_id": 2, "mail": "a" }).await.unwrap();
    assert_snapshot!(desk.said("follow 1 --once --json"), @"");
}
