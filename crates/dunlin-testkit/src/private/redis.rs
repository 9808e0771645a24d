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
