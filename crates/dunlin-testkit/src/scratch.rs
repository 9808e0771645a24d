//! A database of one's own for each test, on the shared servers, gone when the test ends. What a killed test leaves
//! behind goes with `dev/servers down`.

mod mongo;
mod redis;
mod sql;

use std::fs::File;
use std::future::Future;

use dunlin_core::StoreUrl;
use tempfile::TempDir;

use crate::server::{self, Kind};

pub use self::redis::redis_connection;
pub use sql::Connection;

/// An empty database. Its helpers look and write from outside of dunlin, over connections of their own.
#[derive(Debug)]
pub struct Scratch {
    /// Where it is.
    pub url: StoreUrl,
    /// What it is.
    pub kind: Kind,
    hold: Hold,
}

/// What must be given back at the end.
#[derive(Debug)]
enum Hold {
    /// A database by this name.
    Database(String),
    /// A folder with a file.
    Folder(#[expect(dead_code, reason = "deletes the folder when dropped")] TempDir),
    /// A numbered database of a Redis, and the proof that it is ours.
    Number(redis::Claim),
    /// A whole cluster.
    Turn(#[expect(dead_code, reason = "gives up the lock when dropped")] File),
}

/// A PostgreSQL database.
pub async fn postgres() -> Scratch {
    sql::create(Kind::Postgres).await
}

/// A MariaDB database.
pub async fn mysql() -> Scratch {
    sql::create(Kind::Mysql).await
}

/// A SQLite file.
#[expect(clippy::unused_async, reason = "called as its siblings are")]
pub async fn sqlite() -> Scratch {
    let folder = TempDir::with_prefix("dunlin-").expect("a folder for a SQLite file");
    let path = folder.path().join("scratch.db");
    File::create(&path).expect("a SQLite file");
    Scratch {
        url: StoreUrl::new(format!("sqlite://{}", path.display())),
        kind: Kind::Sqlite,
        hold: Hold::Folder(folder),
    }
}

/// A MongoDB database; it exists from its first write on.
#[expect(clippy::unused_async, reason = "called as its siblings are")]
pub async fn mongo() -> Scratch {
    let name = unique_name();
    Scratch {
        url: with_database(&server::url(Kind::Mongo), &name),
        kind: Kind::Mongo,
        hold: Hold::Database(name),
    }
}

/// A numbered database of the Redis server.
pub async fn redis() -> Scratch {
    let claim = redis::claim().await;
    let url = with_database(&server::url(Kind::Redis), &claim.number.to_string());
    Scratch { url, kind: Kind::Redis, hold: Hold::Number(claim) }
}

/// The Redis cluster, emptied. It has no databases, so tests take turns: waits until no other test holds it.
pub async fn redis_cluster() -> Scratch {
    let url = server::url(Kind::RedisCluster);
    let turn = tokio::task::spawn_blocking(|| server::turn("redis_cluster")).await.expect("nobody aborts it");
    redis::flush(&url).await;
    Scratch { url, kind: Kind::RedisCluster, hold: Hold::Turn(turn) }
}

impl Scratch {
    /// A database of this kind.
    pub async fn of(kind: Kind) -> Self {
        match kind {
            Kind::Postgres => postgres().await,
            Kind::Mysql => mysql().await,
            Kind::Sqlite => sqlite().await,
            Kind::Mongo => mongo().await,
            Kind::Redis => redis().await,
            Kind::RedisCluster => redis_cluster().await,
        }
    }

    /// The URL with another login, both parts percent-encoded.
    pub fn url_as(&self, user: &str, password: &str) -> StoreUrl {
        server::with_login(&self.url, user, password)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let url = self.url.clone();
        match (&self.hold, self.kind) {
            (Hold::Database(name), Kind::Mongo) => block_on(mongo::remove(url, name.clone())),
            (Hold::Database(name), kind) => block_on(sql::remove(kind, name.clone())),
            (Hold::Number(claim), _) => block_on(redis::give_back(url, claim.clone())),
            (Hold::Folder(_) | Hold::Turn(_), _) => {}
        }
    }
}

/// Runs a cleanup to its end from a destructor, whatever runtime the test has. A failed cleanup is no failed test.
fn block_on(cleanup: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(cleanup);
    });
    drop(thread.join());
}

/// A name that no other test on these servers has.
fn unique_name() -> String {
    format!("t_{}", uuid::Uuid::new_v4().simple())
}

/// A server's URL with its database replaced.
fn with_database(url: &StoreUrl, name: &str) -> StoreUrl {
    let (base, query) =
        url.expose().split_once('?').map_or((url.expose(), None), |(base, query)| (base, Some(query)));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    StoreUrl::new(format!("{}/{name}{query}", &base[..end]))
}
