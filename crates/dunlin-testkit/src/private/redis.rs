//! A Redis of one's own.

use dunlin_core::StoreUrl;
use redis::{Cmd, RedisResult};

use super::{Private, Process, folder, words};
use crate::scratch::redis_connection;
use crate::server::{self, Kind};

/// A Redis with these settings, as on its command line: `["--requirepass", "secret"]`. It keeps nothing on disk unless
/// they say so.
pub async fn redis(settings: &[&str]) -> Private {
    let process = Process::start(folder(), |folder, port| {
        let (folder, port) = (folder.display().to_string(), port.to_string());
        let fixed =
            ["--bind", "127.0.0.1", "--port", &port, "--dir", &folder, "--save", "", "--appendonly", "no"];
        // A replica is served at once, not after the five seconds in which more might come.
        let quick = ["--repl-diskless-sync-delay", "0"];
        words(&server::program(Kind::Redis), &[&fixed[..], &quick, settings].concat())
    });
    let url = format!("redis://127.0.0.1:{}/0", process.port);
    Private::ready(url, process).await
}

/// A replica of a Redis without a password, in step with it.
pub async fn redis_replica_of(primary: &Private) -> Private {
    let mut replica = redis(&["--replicaof", "127.0.0.1", &primary.port().to_string()]).await;
    let url = replica.url.clone();
    replica
        .process
        .until(async || match command(&url, &["INFO", "replication"]).await {
            Ok(text) if text.contains("master_link_status:up") => Ok(()),
            Ok(text) => Err(text),
            Err(error) => Err(error.to_string()),
        })
        .await;
    replica
}

/// Answers also while it refuses us: whoever asks for a password says so.
pub(super) async fn ping(url: &StoreUrl) -> RedisResult<()> {
    match command(url, &["PING"]).await {
        Err(error) if error.code() == Some("NOAUTH") => Ok(()),
        reply => reply.map(drop),
    }
}

async fn command(url: &StoreUrl, words: &[&str]) -> RedisResult<String> {
    Cmd::new().arg(words).query_async(&mut redis_connection(url).await?).await
}

/// A cluster of one's own: three primaries with a third of the slots each, and replicas of the first one.
#[derive(Debug)]
pub struct RedisCluster {
    /// Its URL.
    pub url: StoreUrl,
    /// The primaries, then the replicas.
    pub nodes: Vec<Private>,
}

/// Starts a cluster whose first primary has so many replicas.
pub async fn redis_cluster(replicas: usize) -> RedisCluster {
    let mut nodes = Vec::new();
    for number in 0..3 + replicas {
        let bus = super::free_port().to_string();
        let settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", &bus];
        let node = redis(&settings).await;
        if number < 3 {
            let (from, to) = (number * 16384 / 3, (number + 1) * 16384 / 3 - 1);
            let range = [from.to_string(), to.to_string()];
            must(&node, &["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]]).await;
            // Nodes that find the same epoch in one another would have to sort it out first.
            must(&node, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await;
        }
        let port = node.port().to_string();
        if let Some(first) = nodes.first() {
            must(first, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).await;
        }
        nodes.push(node);
    }
    let size = nodes.len();
    for node in &mut nodes {
        settle(node, &format!("cluster_known_nodes:{size}")).await;
    }
    let primary = must(&nodes[0], &["CLUSTER", "MYID"]).await;
    for replica in nodes.iter().skip(3) {
        must(replica, &["CLUSTER", "REPLICATE", &primary]).await;
    }
    for node in &mut nodes {
        settle(node, "cluster_state:ok").await;
    }
    let hosts: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
    RedisCluster { url: StoreUrl::new(format!("redis+cluster://{}", hosts.join(","))), nodes }
}

async fn must(node: &Private, words: &[&str]) -> String {
    let reply = command(&node.url, words).await;
    reply.unwrap_or_else(|error| panic!("{} refuses {words:?}: {error}", node.url))
}

async fn settle(node: &mut Private, fact: &str) {
    let url = node.url.clone();
    node.process
        .until(async || match command(&url, &["CLUSTER", "INFO"]).await {
            Ok(text) if text.contains(fact) => Ok(()),
            Ok(text) => Err(text),
            Err(error) => Err(error.to_string()),
        })
        .await;
}

impl RedisCluster {
    /// Moves slots from one primary to another one, keys included, as `redis-cli --cluster reshard` does.
    pub async fn move_slots(&self, slots: std::ops::Range<u16>, from: usize, to: usize) {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let ids = (must(source, &["CLUSTER", "MYID"]).await, must(target, &["CLUSTER", "MYID"]).await);
        let port = target.port().to_string();
        let mut connection = redis_connection(&source.url).await.expect("a connection");
        for slot in slots.map(|slot| slot.to_string()) {
            must(target, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids.0]).await;
            must(source, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids.1]).await;
            loop {
                let mut asks = Cmd::new();
                asks.arg(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
                let keys: Vec<Vec<u8>> = asks.query_async(&mut connection).await.expect("keys");
                if keys.is_empty() {
                    break;
                }
                let mut migrate = Cmd::new();
                migrate.arg(&["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "REPLACE", "KEYS"]).arg(keys);
                migrate.exec_async(&mut connection).await.expect("keys that go");
            }
            must(target, &["CLUSTER", "SETSLOT", &slot, "NODE", &ids.1]).await;
            must(source, &["CLUSTER", "SETSLOT", &slot, "NODE", &ids.1]).await;
        }
    }
}
