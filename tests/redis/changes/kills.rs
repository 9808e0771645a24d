//! Every change, killed at any call to its store, there and back, while the old application goes on writing: what it wrote
//! last is there in the end, and everything else is as it was.

use dunlin_testkit::Kind;
use dunlin_testkit::fault::{When, stride};
use dunlin_testkit::scratch::{self, Scratch};

use super::super::send;
use super::crash::killed;
use super::{Picture, assert_same, change, down, picture};

/// A change, and what there is before it.
struct Case {
    kind: Kind,
    change: &'static str,
    /// What keys there are.
    keys: &'static [&'static str],
    /// What the old application writes once a process was killed.
    late: &'static str,
    /// Every so many calls one is killed.
    share: usize,
}

impl Case {
    async fn scratch(&self) -> Scratch {
        let scratch = match self.kind {
            Kind::RedisCluster => scratch::redis_cluster().await,
            _ => scratch::redis().await,
        };
        for line in self.keys {
            write(&scratch, line).await;
        }
        scratch
    }

    /// What there must be once all is taken back.
    async fn wanted(&self, is_late: bool) -> Picture {
        let scratch = self.scratch().await;
        if is_late {
            write(&scratch, self.late).await;
        }
        picture(&scratch).await
    }

    /// Where an undisturbed run leads.
    async fn straight(&self) -> Picture {
        let scratch = self.scratch().await;
        assert!(!killed(&change(&scratch.url, self.change), false, usize::MAX, When::Before).await);
        picture(&scratch).await
    }

    async fn check(&self) {
        let (straight, quiet, late) =
            (self.straight().await, self.wanted(false).await, self.wanted(true).await);
        assert_ne!(quiet, late);
        for when in When::ALL {
            // Whoever skips some has both sides among those that are left.
            let (share, first) = match (stride(self.share), when) {
                (share, When::Before) => (share, 1),
                (share, When::After) => (share, 1 + share / 2),
            };
            for call in (first..).step_by(share) {
                let moment = format!("{}: {when} {call}", self.change);
                let scratch = self.scratch().await;
                let project = change(&scratch.url, self.change);
                let was_killed = killed(&project, false, call, when).await;
                if was_killed {
                    write(&scratch, self.late).await;
                    assert!(!killed(&project, false, usize::MAX, when).await, "{moment}");
                } else {
                    assert_eq!(names(&picture(&scratch).await), names(&straight), "{moment}");
                }
                let was_killed_back = killed(&project, true, call, when).await;
                down(&project).await;
                let wanted = if was_killed { &late } else { &quiet };
                assert_same(&picture(&scratch).await, wanted, &format!("back, {moment}"));
                if !was_killed && !was_killed_back {
                    assert!(call > 5, "steps and bouts are calls of their own: {moment}");
                    break;
                }
            }
        }
    }
}

/// All but the ends, which depend on the moment.
fn names(picture: &Picture) -> Vec<(&String, &String)> {
    picture.iter().map(|(key, (value, _))| (key, value)).collect()
}

async fn write(scratch: &Scratch, line: &str) {
    let mut pipe = redis::pipe();
    let mut words = line.split(' ');
    let command = pipe.cmd(words.next().unwrap());
    words.for_each(|word| _ = command.arg(word));
    send(scratch, &pipe).await;
}

const KEYS: [&str; 6] = [
    "SET user_1 x",
    "SET user_2 y",
    "RPUSH user_3 a b",
    "HSET user_5 f v",
    "SET user_4 z PXAT 4102444800000",
    "SET user_6 z PXAT 4102444800000",
];
const RENAME: &str = "rename_keys = { from = \"user_{id}\", to = \"user:{id}:profile\", wins = \"old\" }";
const FIELD: &str = "rename_hash_field = { keys = \"h{x}\", from = \"n\", to = \"m\", wins = \"old\" }";
const HASH: &str = "change_encoding = { from = \"a_{x}\", to = \"b:{x}\", into = \"hash\", wins = \"old\" }";
const TEXT: &str = "change_encoding = { from = \"h{x}\", to = \"b:{x}\", into = \"string\", wins = \"old\" }";
const STRINGS: [&str; 4] = [
    "SET a_1 {\"n\":1.50,\"a\":\"x\"}",
    "SET a_2 {\"n\":\"t\"}",
    "SET a_3 {\"z\":\"\",\"n\":true} PXAT 4102444800000",
    "SET other stays",
];
const HASHES: [&str; 4] = ["HSET h1 n x o y", "HSET h2 n y", "HSET h3 n z", "PEXPIREAT h3 4102444800000"];

#[tokio::test]
async fn a_renamed_field() {
    Case { kind: Kind::Redis, change: FIELD, keys: &HASHES, late: "HSET h2 n late", share: 2 }.check().await;
}

#[tokio::test]
async fn strings_that_become_hashes() {
    Case { kind: Kind::Redis, change: HASH, keys: &STRINGS, late: "SET a_2 {\"n\":7.0}", share: 2 }
        .check()
        .await;
}

#[tokio::test]
async fn hashes_that_become_strings() {
    Case { kind: Kind::Redis, change: TEXT, keys: &HASHES, late: "HSET h2 n late", share: 2 }.check().await;
}

#[tokio::test]
async fn keys_that_get_an_end() {
    let change = "set_ttl = { keys = \"user_{id}\", ttl = \"7d\" }";
    Case { kind: Kind::Redis, change, keys: &KEYS, late: "SET user_2 late KEEPTTL", share: 2 }.check().await;
}

#[tokio::test]
async fn keys_that_are_deleted() {
    let change = "delete_keys = { keys = \"user_{id}\" }";
    Case { kind: Kind::Redis, change, keys: &KEYS, late: "SET user_2 late", share: 2 }.check().await;
}

/// The two names of a key mostly live in different slots.
#[tokio::test]
async fn a_rename_in_a_cluster() {
    Case { kind: Kind::RedisCluster, change: RENAME, keys: &KEYS, late: "SET user_2 late", share: 6 }
        .check()
        .await;
}

#[tokio::test]
async fn keys_that_are_deleted_in_a_cluster() {
    let change = "delete_keys = { keys = \"user_{id}\" }";
    Case { kind: Kind::RedisCluster, change, keys: &KEYS, late: "SET user_2 late", share: 6 }.check().await;
}
