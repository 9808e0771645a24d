//! Facts about the server and the login.

use std::collections::BTreeMap;

use dunlin_core::Result;
use redis::{Value, cmd};

use crate::connect::text;
use crate::store::Store;

/// Finds out what a person should know before trusting this server with a history.
pub(crate) async fn examine(store: &Store) -> Result<Vec<(String, String)>> {
    let slot = store.keys.slot();
    let greeting = store.net.greeting();
    let mut facts = Vec::new();
    let mut say = |what: &str, finding: String| facts.push((what.to_owned(), finding));
    let info = store.net.ask(slot, &cmd("INFO")).await?.ok().as_ref().and_then(text).unwrap_or_default();
    let info: BTreeMap<&str, &str> =
        info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let known = |name: &str| info.get(name).copied();
    let version = if greeting.version.is_empty() {
        known("redis_version").unwrap_or("unknown")
    } else {
        &greeting.version
    };
    say(
        "version",
        format!("{} {version}", if greeting.server.is_empty() { "redis" } else { &greeting.server }),
    );
    if store.net.is_cluster() {
        say("mode", format!("cluster of {} primaries", store.net.primaries().await.len()));
    } else if matches!(known("role").unwrap_or(&greeting.role), "slave" | "replica") {
        say(
            "mode",
            "replica: it can be read, and takes no writes; connect to its primary to migrate".to_owned(),
        );
    } else {
        let replicas = known("connected_slaves").unwrap_or("unknown");
        say("mode", format!("standalone, {replicas} replicas"));
    }
    say("persistence", persistence(store, &info).await);
    say("eviction", eviction(&info));
    say("login", login(store).await);
    say("rights", rights(store).await);
    Ok(facts)
}

async fn persistence(store: &Store, info: &BTreeMap<&str, &str>) -> String {
    let saves = store.net.ask(store.keys.slot(), cmd("CONFIG").arg("GET").arg("save")).await;
    let saves = match saves {
        Ok(Ok(Value::Array(pair))) => pair.get(1).and_then(text),
        _ => None,
    };
    let aof = match info.get("aof_enabled") {
        Some(&"1") => "append-only file",
        Some(_) => "",
        None => return "not told to this login".to_owned(),
    };
    match (aof, saves.as_deref()) {
        ("", Some("")) => {
            "none: after a restart keys and history are gone; switch on `appendonly` or `save`".to_owned()
        }
        ("", Some(saves)) => {
            format!("snapshots ({saves}): a crash loses what came after the last one, history included")
        }
        ("", None) => "no append-only file; whether snapshots are taken is not told to this login".to_owned(),
        (aof, _) => aof.to_owned(),
    }
}

fn eviction(info: &BTreeMap<&str, &str>) -> String {
    let limit = info.get("maxmemory_human").copied().unwrap_or("unknown");
    match (info.get("maxmemory_policy").copied(), info.get("maxmemory").copied()) {
        (None, _) => "not told to this login".to_owned(),
        (Some(policy), Some("0")) => format!("none, memory is not limited (policy {policy})"),
        (Some(policy), _) if policy.starts_with("allkeys-") => {
            format!(
                "{policy} at {limit}: the server may throw the history away; use a volatile-* policy or noeviction"
            )
        }
        (Some(policy), _) => format!("{policy} at {limit}; the history has no expiry and is not evicted"),
    }
}

async fn login(store: &Store) -> String {
    match store.net.ask(store.keys.slot(), cmd("ACL").arg("WHOAMI")).await {
        Ok(Ok(reply)) => text(&reply).unwrap_or_default(),
        _ => store.net.door().address.user.clone().unwrap_or_else(|| "default".to_owned()),
    }
}

/// A change that changes nothing.
const PROBE: &str = "return redis.call('HDEL', KEYS[1], '') + redis.call('HDEL', KEYS[2], '')";

/// Tries a change of the lock and the history that changes nothing.
async fn rights(store: &Store) -> String {
    let mut request = cmd("EVAL");
    request.arg(PROBE).arg(2).arg(&store.keys.lock).arg(&store.keys.history);
    match store.net.ask(store.keys.slot(), &request).await {
        Ok(Ok(_)) => "may lock and record".to_owned(),
        Ok(Err(failure)) => {
            let said = crate::error::sentence(&failure);
            format!("may not migrate: {}", crate::error::plain(&store.target.url.scrub(&said)))
        }
        Err(error) => format!("unknown: {error}"),
    }
}
