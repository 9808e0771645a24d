//! Ops that go through the keys of a Redis, on real servers.
#![allow(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod back;
mod bad_days;
mod changes;
mod cluster;
mod doors;
mod fence;
mod field_ends;
mod killed;
mod ops;
mod refusals;
mod same;
mod settle;
mod strain;
mod told;
mod topology;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dunlin::{Failure, File, Goal, Project, RunEvent, StoreUrl, Summary, Target};
use dunlin_core::Pace;
use dunlin_engine::Extent;
use dunlin_engine::audit::Reaction;
use dunlin_testkit::scratch::{self, Scratch};
use redis::{Cmd, FromRedisValue, Pipeline};

use crate::steer::back;

const STORE: &str = "cache";
/// The version of the next project: each is a migration of its own.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A project over the database of a URL, of steps that stand under these headings: `("backfill", "copy_keys = …")`. One
/// page an advance, so that there are many places to be cut off at.
fn project(url: &StoreUrl, steps: &[(&str, &str)]) -> Project {
    paced(&next(), url, steps, Pace { bout: Duration::ZERO, ..Pace::default() })
}

/// The same in a file of this name.
fn named(name: &str, url: &StoreUrl, steps: &[(&str, &str)]) -> Project {
    paced(name, url, steps, Pace { bout: Duration::ZERO, ..Pace::default() })
}

/// The same, with several pages under way.
fn usual(url: &StoreUrl, steps: &[(&str, &str)]) -> Project {
    paced(&next(), url, steps, Pace::default())
}

type Paced = fn(&StoreUrl, &[(&str, &str)]) -> Project;

/// Both: one page an advance, and several under way.
const PACES: [Paced; 2] = [project, usual];

/// Both, on one server, and the usual one on a cluster.
async fn everywhere() -> [(Paced, Scratch); 3] {
    let [slow, fast] = PACES;
    let [one, other] = [scratch::redis().await, scratch::redis().await];
    [(slow, one), (fast, other), (fast, scratch::redis_cluster().await)]
}

/// A name after all others. That the earlier ones have no files any more is nobody's concern here.
fn next() -> String {
    format!("{:06}_keys.toml", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn paced(name: &str, url: &StoreUrl, steps: &[(&str, &str)], pace: Pace) -> Project {
    let target = Target {
        connect_timeout: Duration::from_secs(5),
        lease: Duration::from_secs(2),
        pace,
        ..Target::new(STORE, url.clone())
    };
    let text: Vec<String> =
        steps.iter().map(|(phase, step)| format!("[[{phase}]]\nstore = \"{STORE}\"\n{step}\n")).collect();
    let file = File { name: name.into(), shown: name.into(), content: text.join("\n").into_bytes().into() };
    let mut project = Project::default().target(target).unwrap().files(&[file]);
    project.policy.missing = Reaction::Accept;
    project.policy.out_of_order = Reaction::Accept;
    project
}

async fn up(project: &Project) -> Result<Summary, Failure> {
    let goal = Goal { contract: true, ..Goal::default() };
    dunlin::up(project, &goal, &mut |_| {}).await
}

/// `up`, which must succeed; what was noted on the way.
async fn must_up(project: &Project) -> Vec<String> {
    let mut notes = Vec::new();
    let goal = Goal { contract: true, ..Goal::default() };
    let mut report = |event: RunEvent<'_>| {
        if let RunEvent::Noted { note, .. } = event {
            notes.push(note.to_owned());
        }
    };
    if let Err(failure) = dunlin::up(project, &goal, &mut report).await {
        panic!("{failure}: {failure:?}");
    }
    notes
}

/// One step that must go well.
async fn step(url: &StoreUrl, phase: &str, step: &str) -> Vec<String> {
    must_up(&project(url, &[(phase, step)])).await
}

/// What `up` says when it fails: the error and its help, or what a verify found.
async fn failure(project: &Project) -> String {
    match up(project).await {
        Ok(_) => panic!("it went well"),
        Err(failure) => format!("{failure:?}"),
    }
}

/// Takes everything back.
async fn down(project: &Project) -> Vec<String> {
    let mut notes = Vec::new();
    let mut report = |event: RunEvent<'_>| {
        if let RunEvent::Noted { note, .. } = event {
            notes.push(note.to_owned());
        }
    };
    if let Err(stop) = back(project, &Extent::Count(usize::MAX), &mut report).await {
        panic!("{stop:?}");
    }
    notes
}

/// Fills `user_0` to `user_<count - 1>` with values of all types, a fifth of them with a TTL.
async fn fill(scratch: &Scratch, count: u32) {
    send(scratch, &values(count)).await;
}

fn values(count: u32) -> Pipeline {
    let mut pipe = redis::pipe();
    for number in 0..count {
        let key = format!("user_{number}");
        match number % 6 {
            0 => pipe.cmd("HSET").arg(&key).arg("name").arg(format!("n{number}")).arg("age").arg(number),
            1 => pipe.cmd("RPUSH").arg(&key).arg("a").arg("b").arg(number),
            2 => pipe.cmd("SADD").arg(&key).arg("x").arg("y").arg(number),
            3 => pipe.cmd("ZADD").arg(&key).arg("1.5").arg("m").arg(number).arg("n"),
            4 => pipe.cmd("XADD").arg(&key).arg("1-1").arg("f").arg(number),
            _ => pipe.cmd("SET").arg(&key).arg(format!("value of {number}")),
        };
        if number % 5 == 0 {
            pipe.cmd("PEXPIRE").arg(&key).arg(86_400_000 + u64::from(number));
        }
    }
    pipe
}

async fn send(scratch: &Scratch, pipe: &Pipeline) {
    match scratch.kind {
        dunlin_testkit::Kind::RedisCluster => {
            let mut connection = scratch.cluster().await;
            for command in pipe.cmd_iter() {
                command.exec_async(&mut connection).await.unwrap();
            }
        }
        _ => pipe.exec_async(&mut scratch.redis().await).await.unwrap(),
    }
}

async fn ask<T: FromRedisValue>(scratch: &Scratch, words: &[&str]) -> T {
    scratch.redis_words(words).await
}

/// How many keys match a glob, over all servers.
async fn count(scratch: &Scratch, glob: &str) -> usize {
    let keys: Vec<Vec<u8>> = match scratch.kind {
        dunlin_testkit::Kind::RedisCluster => {
            Cmd::new().arg("KEYS").arg(glob).query_async(&mut scratch.cluster().await).await.unwrap()
        }
        _ => ask(scratch, &["KEYS", glob]).await,
    };
    keys.len()
}

/// The same on a server of one's own.
async fn count_at(url: &StoreUrl, glob: &str) -> usize {
    let mut connection = dunlin_testkit::scratch::redis_connection(url).await.unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg(glob).query_async(&mut connection).await.unwrap();
    keys.len()
}

/// The step of a verify that compares all keys with their copies.
const SAME: (&str, &str) = ("verify", "same = { from = \"user_{id}\", to = \"user:{id}:profile\" }");
const COPY: (&str, &str) = ("backfill", "copy_keys = { from = \"user_{id}\", to = \"user:{id}:profile\" }");
