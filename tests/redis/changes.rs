//! Whole changes: what an old and a new application read and write at every station of a change's life.

mod crash;
mod ends;
mod gone;
mod guard;
mod kills;
mod names;
mod shapes;
mod shown;

use std::collections::BTreeMap;

use dunlin::{Goal, Phase, Project, StoreUrl};
use dunlin_engine::plan;
use dunlin_engine::run::{self, Stop};
use dunlin_testkit::Kind;
use dunlin_testkit::scratch::{self, Scratch};

use super::{ask, project};
use crate::steer::{down, up_before};

/// A project of one migration with one change.
fn change(url: &StoreUrl, change: &str) -> Project {
    project(url, &[("change", change)])
}

async fn up_to(project: &Project, phase: Option<Phase>) {
    if let Err(failure) = up_before(project, phase).await {
        let said = format!("{failure:?}");
        panic!(
            "{failure}: {}",
            said.split("broken:").last().unwrap_or_default().chars().take(1500).collect::<String>()
        );
    }
}

/// What `down` says it would lose.
pub(super) async fn losses(project: &Project) -> Vec<String> {
    let stores = project.connect(&[]).await.unwrap();
    let context = project.context(stores);
    let histories = run::histories(&context.stores).await.unwrap();
    let migrations: Vec<_> = project.load().migrations.into_values().collect();
    let plan = plan::down(&migrations, &histories).unwrap();
    let proofs = dunlin_engine::verify::losses(&context, &plan, &mut |_| {}).await.unwrap().unwrap();
    proofs.iter().flat_map(|proof| &proof.violations).map(ToString::to_string).collect()
}

/// What keys hold, as text, and when they end, by name.
pub(super) type Picture = BTreeMap<String, (String, i64)>;

/// All keys but dunlin's own.
pub(super) async fn picture(scratch: &Scratch) -> Picture {
    let keys: Vec<String> = match scratch.kind {
        Kind::RedisCluster => {
            redis::cmd("KEYS").arg("*").query_async(&mut scratch.cluster().await).await.unwrap()
        }
        _ => ask(scratch, &["KEYS", "*"]).await,
    };
    let keys: Vec<String> = keys.into_iter().filter(|key| !key.starts_with("{dunlin")).collect();
    let mut pipe = redis::pipe();
    for key in &keys {
        pipe.cmd("TYPE").arg(key);
    }
    let kinds = answers(scratch, &pipe).await;
    let mut pipe = redis::pipe();
    for (key, kind) in keys.iter().zip(&kinds) {
        match text(kind).as_str() {
            "string" => pipe.cmd("GET").arg(key),
            "list" => pipe.cmd("LRANGE").arg(key).arg(0).arg(-1),
            "set" => pipe.cmd("SMEMBERS").arg(key),
            "zset" => pipe.cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES"),
            "hash" => pipe.cmd("HGETALL").arg(key),
            _ => pipe.cmd("XRANGE").arg(key).arg("-").arg("+"),
        };
        pipe.cmd("PEXPIRETIME").arg(key);
    }
    let values = answers(scratch, &pipe).await;
    let entry = |((key, kind), values): ((String, &redis::Value), &[redis::Value])| {
        let kind = text(kind);
        let mut held: Vec<String> = match &values[0] {
            redis::Value::Array(items) if kind == "hash" => {
                items.chunks(2).map(|pair| format!("{}={}", text(&pair[0]), text(&pair[1]))).collect()
            }
            redis::Value::Array(items) => items.iter().map(text).collect(),
            value => vec![text(value)],
        };
        if kind == "set" || kind == "hash" {
            held.sort();
        }
        (key, (format!("{kind} {}", held.join(" ")), redis::from_redis_value(values[1].clone()).unwrap()))
    };
    keys.into_iter().zip(&kinds).zip(values.chunks(2)).map(entry).collect()
}

async fn answers(scratch: &Scratch, pipe: &redis::Pipeline) -> Vec<redis::Value> {
    if scratch.kind != Kind::RedisCluster {
        let is_empty = pipe.cmd_iter().next().is_none();
        return if is_empty {
            Vec::new()
        } else {
            pipe.query_async(&mut scratch.redis().await).await.unwrap()
        };
    }
    let mut connection = scratch.cluster().await;
    let mut values = Vec::new();
    for command in pipe.cmd_iter() {
        values.push(command.query_async(&mut connection).await.unwrap());
    }
    values
}

fn text(value: &redis::Value) -> String {
    redis::from_redis_value(value.clone()).unwrap_or_else(|_| format!("{value:?}"))
}

/// The same, but for a moment in the ends: a copy may have been made of what was left.
#[track_caller]
fn assert_same(found: &Picture, wanted: &Picture, when: &str) {
    for (key, (value, ends)) in wanted {
        let Some((held, held_ends)) = found.get(key) else { panic!("{when}: {key} is missing") };
        assert_eq!(held, value, "{when}: {key}");
        assert!(held_ends.abs_diff(*ends) < 2000, "{when}: {key} ends at {held_ends}, not at {ends}");
    }
    let more: Vec<&String> = found.keys().filter(|key| !wanted.contains_key(*key)).collect();
    assert!(more.is_empty(), "{when}: more than wanted: {more:?}");
}

/// The same under other names; what has none is not in it.
fn renamed(picture: &Picture, name: impl Fn(&str) -> Option<String>) -> Picture {
    picture.iter().filter_map(|(key, value)| Some((name(key)?, value.clone()))).collect()
}

pub(super) async fn scratches() -> [Scratch; 2] {
    [scratch::redis().await, scratch::redis_cluster().await]
}

/// The same, although somebody visibly uses what is removed.
async fn force(project: &Project) -> Result<(), Stop> {
    let stores = project.connect(&[]).await.unwrap();
    let mut context = project.context(stores);
    context.force = Some("they are told".into());
    let (loaded, goal) = (project.load(), Goal { contract: true, ..Goal::default() });
    let planner = run::forward(&loaded.migrations, project.policy, &goal);
    run::run(&context, &planner, &mut |_| {}).await.1.map(drop)
}

async fn set(scratch: &Scratch, name: &str, value: &str) {
    ask::<()>(scratch, &["SET", name, value]).await;
}
