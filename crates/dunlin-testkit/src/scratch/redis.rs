//! Redis databases. A server has few, and they have numbers: a test claims one with a key in database 0, which nobody
//! gets. Claims of killed tests end by themselves.

use std::time::Duration;

use dunlin_core::StoreUrl;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisResult, cmd};

use super::{Scratch, unique_name, with_database};
use crate::server::{self, Kind};

const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any test takes.
const CLAIM_SECONDS: u32 = 900;

/// A database that nobody else uses.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) number: u32,
    token: String,
}

impl Scratch {
    /// A connection to the Redis database.
    pub async fn redis(&self) -> MultiplexedConnection {
        assert!(self.kind == Kind::Redis, "{} is not a single Redis", self.kind);
        let connected = redis_connection(&self.url).await;
        connected.unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.url))
    }

    /// A connection to the Redis cluster.
    pub async fn cluster(&self) -> ClusterConnection {
        assert!(self.kind == Kind::RedisCluster, "{} is not a Redis cluster", self.kind);
        let connected = connect_cluster(&self.url).await;
        connected.unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.url))
    }

    /// Runs a Redis command, written with spaces between its words: `set greeting hello`.
    pub async fn redis_command<T: FromRedisValue>(&self, command: &str) -> T {
        let words: Vec<&str> = command.split_whitespace().collect();
        self.redis_words(&words).await
    }

    /// Runs a Redis command whose words are anything, on whichever kind of Redis this is.
    pub async fn redis_words<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = Cmd::new();
        for word in words {
            command.arg(word);
        }
        let reply = match self.kind {
            Kind::RedisCluster => command.query_async(&mut self.cluster().await).await,
            _ => command.query_async(&mut self.redis().await).await,
        };
        reply.unwrap_or_else(|error| panic!("{} refuses {words:?}: {error}", self.kind))
    }
}

pub(super) async fn claim() -> Claim {
    let server = server::url(Kind::Redis);
    let claimed = try_claim(&server).await;
    let claimed = claimed.unwrap_or_else(|error| panic!("cannot claim a database of {server}: {error}"));
    claimed.unwrap_or_else(|| panic!("all databases of {server} are in use: run dev/servers down and up"))
}

async fn try_claim(server: &StoreUrl) -> RedisResult<Option<Claim>> {
    let mut connection = redis_connection(&with_database(server, "0")).await?;
    let (_, count): (String, u32) =
        cmd("CONFIG").arg("GET").arg("databases").query_async(&mut connection).await?;
    let token = unique_name();
    for number in 1..count {
        let mut set = cmd("SET");
        set.arg(claim_key(number)).arg(&token).arg("NX").arg("EX").arg(CLAIM_SECONDS);
        if set.query_async::<Option<String>>(&mut connection).await?.is_some() {
            let mut ours = redis_connection(&with_database(server, &number.to_string())).await?;
            cmd("FLUSHDB").exec_async(&mut ours).await?;
            return Ok(Some(Claim { number, token }));
        }
    }
    Ok(None)
}

pub(super) async fn give_back(url: StoreUrl, claim: Claim) {
    let Ok(mut ours) = redis_connection(&url).await else { return };
    drop(cmd("FLUSHDB").exec_async(&mut ours).await);
    let Ok(mut connection) = redis_connection(&with_database(&url, "0")).await else { return };
    let key = claim_key(claim.number);
    let holder: Result<String, _> = cmd("GET").arg(&key).query_async(&mut connection).await;
    if holder.is_ok_and(|holder| holder == claim.token) {
        drop(cmd("DEL").arg(&key).exec_async(&mut connection).await);
    }
}

/// Empties a cluster, every node of it.
pub(super) async fn flush(url: &StoreUrl) {
    let flushed = try_flush(url).await;
    flushed.unwrap_or_else(|error| panic!("cannot empty {url}: {error}"));
}

async fn try_flush(url: &StoreUrl) -> RedisResult<()> {
    cmd("FLUSHALL").exec_async(&mut connect_cluster(url).await?).await
}

fn claim_key(number: u32) -> String {
    format!("dunlin-test-claim:{number}")
}

/// A connection to any single Redis, as patient as tests on a busy machine need: the driver's own patience is half a
/// second a reply.
pub async fn redis_connection(url: &StoreUrl) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    Client::open(url.expose())?.get_multiplexed_async_connection_with_config(&config).await
}

async fn connect_cluster(url: &StoreUrl) -> RedisResult<ClusterConnection> {
    let seeds =
        url.expose().trim_start_matches("redis+cluster://").split(',').map(|seed| format!("redis://{seed}"));
    let client =
        ClusterClientBuilder::new(seeds).connection_timeout(PATIENCE).response_timeout(PATIENCE).build()?;
    client.get_async_connection().await
}
