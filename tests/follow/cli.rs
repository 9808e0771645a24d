//! The real program: killed, put to sleep, asked.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use dunlin_testkit::Scratch;
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
        let one = |(name, url): &(&str, &str)| format!("[stores.{name}]\nurl = \"{url}\"\n");
        let config = stores.iter().map(one).collect::<Vec<_>>().concat();
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
    assert_snapshot!(desk.said("follow 1"), @r#"
    exit 0
    ---- stdout
    nothing to follow: 1_mail is contracted
    "#);
}

#[tokio::test]
async fn what_cannot_be_followed_is_said() {
    let server = private::redis(&[]).await;
    let desk = Desk::new(&[("cache", server.url.expose())]);
    let steady = |said: String| said.replace(&server.port().to_string(), "PORT");
    assert_snapshot!(steady(desk.said("follow 1")), @r#"
    exit 1
    ---- stderr
    error[not-followable]: 1_mail has not begun: there is one shape only
      = help: run `dunlin up` first; what is written meanwhile is not lost

    `dunlin explain not-followable` says more
    "#);
    desk.said("up");
    assert_snapshot!(steady(desk.said("follow 1")), @r#"
    exit 1
    ---- stderr
    error[no-notifications]: 127.0.0.1:PORT sends too few notifications for a follower to hear of every write
      = store: cache
      = migration: 1_mail
      = help: `CONFIG SET notify-keyspace-events Kg$lshzt` turns it on, or `--configure` does that; it costs a little work with every write, and `CONFIG REWRITE` keeps it

    `dunlin explain no-notifications` says more
    "#);
    let standalone = private::mongod().await;
    let desk = Desk::new(&[("catalog", standalone.url.expose())]);
    desk.said("up");
    assert_snapshot!(desk.said("follow 1"), @r#"
    exit 1
    ---- stderr
    error[no-change-streams]: this server is no replica set: it has no change streams, so nothing says what is written
      = store: catalog
      = migration: 1_mail
      = help: make it a replica set (one member will do: `--replSet rs0`, then `rs.initiate()`); without a follower nothing is lost, since the passes before a contract find what was written

    `dunlin explain no-change-streams` says more
    "#);
    let desk = Desk::new(&[("app", "sqlite:app.db?create=true")]);
    std::fs::write(desk.0.path().join("migrations/1_users.sql"), "create table users (id integer);\n")
        .unwrap();
    desk.said("up");
    assert_snapshot!(desk.said("follow 1"), @r#"
    exit 0
    ---- stdout
    nothing to follow of 1_users
    ---- stderr
    note: `app` needs no follower: wherever there are two shapes, triggers of SQLite keep them in step
    "#);
    assert_snapshot!(desk.said("follow 2"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: there is no migration 2
      = help: `dunlin status` lists them; nothing was changed

    `dunlin explain unknown-version` says more
    "#);
}

#[tokio::test]
async fn programs_get_lines() {
    let scratch = scratch::mongo().await;
    let users = scratch.collection("users").await;
    users.insert_one(doc! { "_id": 1, "mail": "a" }).await.unwrap();
    let desk = Desk::new(&[("catalog", scratch.url.expose())]);
    desk.said("up");
    users.insert_one(doc! { "_id": 2, "mail": "a" }).await.unwrap();
    let said = desk.said("follow 1 --once --json");
    let lines: Vec<&str> = said.lines().skip(2).collect();
    assert!(lines[0].contains("\"event\":\"followed\",\"store\":\"catalog\",\"version\":\"1\""), "{said}");
    assert!(lines[0].contains("\"doing\":\"pass\",\"heard\":0,\"mended\":1,\"left\":[]"), "{said}");
    let [.., end, answer] = lines.as_slice() else { panic!("{said}") };
    assert!(end.contains("\"event\":\"unfollowed\"") && end.contains("\"end\":\"in-step\""), "{said}");
    assert!(answer.contains("{\"schema\":\"dunlin.follow/1\",\"ok\":true,"), "{said}");
    assert!(answer.contains("\"mended\":1,\"left\":0,\"end\":\"in-step\""), "{said}");
}

#[tokio::test]
async fn a_store_that_needs_no_follower_is_left_alone() {
    let scratch = scratch::mongo().await;
    let desk = Desk::new(&[("app", "sqlite:app.db?create=true"), ("catalog", scratch.url.expose())]);
    std::fs::write(desk.0.path().join("migrations/1_mail.app.sql"), "create table users (id integer);\n")
        .unwrap();
    desk.said("up");
    assert_snapshot!(desk.said("follow 1 --once"), @r#"
    exit 0
    ---- stdout
    followed for TOOK: 0 heard, 0 mended
    ---- stderr
    note: `app` needs no follower: wherever there are two shapes, triggers of SQLite keep them in step
    catalog 1_mail: nobody followed before: every document is looked at first, while the stream is open already
    catalog 1_mail: goes through everything once; 0 mended
    catalog 1_mail: follows: in step, 0 heard, 0 mended
    catalog 1_mail: everything is in step
    "#);
}

/// A desk whose follower takes its time over a document: it is in a transaction of its own when this comes back.
async fn in_a_transaction(scratch: &Scratch) -> (Desk, Running) {
    let desk = Desk::new(&[("catalog", scratch.url.expose())]);
    let slow = "{ \"$function\" = { body = \"function (mail) { sleep(mail === 'a' ? 400 : 0); return mail; }\", \
                args = [\"$mail\"], lang = \"js\" } }";
    let change = format!(
        "[[change]]\nstore = \"catalog\"\ntransform = {{ collection = \"users\", up = {{ email = {slow} }}, from = [\"mail\"] }}\n"
    );
    std::fs::write(desk.0.path().join("migrations/1_mail.toml"), change).unwrap();
    desk.said("up");
    let following = desk.follow();
    let users = scratch.collection("users").await;
    users.insert_one(doc! { "_id": 1, "mail": "a" }).await.unwrap();
    let is_open = doc! { "aggregate": 1, "cursor": {}, "pipeline": [
        { "$currentOp": { "idleSessions": true } },
        { "$match": { "ns": format!("{}.users", users.namespace().db), "transaction": { "$exists": true } } },
    ] };
    let admin = scratch.mongo().await.client().database("admin");
    soon("an open transaction", async || {
        admin.run_command(is_open.clone()).await.unwrap().to_string().contains("\"opid\"")
    })
    .await;
    (desk, following)
}

/// What a follower that was killed left open on the server is ended by whoever comes next, before it waits for any of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_transaction_of_a_killed_follower_ends_with_the_next_follower_or_run() {
    for line in ["follow 1 --once", "down --allow-data-loss --yes"] {
        let scratch = scratch::mongo().await;
        let users = scratch.collection("users").await;
        let (desk, following) = in_a_transaction(&scratch).await;
        following.kill();
        users.update_one(doc! { "_id": 2 }, doc! { "$set": { "mail": "b" } }).upsert(true).await.unwrap();
        let since = Instant::now();
        let said = desk.said(line);
        assert!(said.starts_with("exit 0\n"), "{line}: {said}");
        assert!(since.elapsed() < Duration::from_secs(15), "{line}: {:?} {said}", since.elapsed());
        let all = users.update_many(doc! {}, doc! { "$set": { "app": 1 } }).await.unwrap();
        assert_eq!(all.matched_count, 2, "{line}: the application goes on");
        let has_new = doc! { "email": { "$exists": true } };
        let new = users.count_documents(has_new).await.unwrap();
        assert_eq!(new, if line.starts_with("follow") { 2 } else { 0 }, "{line}: {said}");
    }
}

/// Whoever takes the lock cannot tell the living from the dead, and need not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_follower_does_again_what_a_run_ended() {
    let scratch = scratch::mongo().await;
    let users = scratch.collection("users").await;
    let (desk, following) = in_a_transaction(&scratch).await;
    std::fs::write(desk.0.path().join("migrations/2_more.js"), "db.more.insertOne({ n: 1 })").unwrap();
    let up = desk.said("up");
    assert!(up.contains("2_more"), "{up}");
    let has_new = doc! { "email": "a" };
    soon("the document", async || users.count_documents(has_new.clone()).await.unwrap() == 1).await;
    following.interrupt();
    let run = following.wait().expect_code(130);
    assert!(run.stdout.contains("1 mended") && !run.stderr.contains("tries again"), "{run}");
}
