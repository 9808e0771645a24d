//! One store, what changes in it, and what applications of either shape do there.

mod mongo;
mod redis;
mod sql;

use std::collections::BTreeMap;

use async_trait::async_trait;
use dunlin::StoreUrl;
use dunlin_testkit::Kind;

use super::{Client, Standing};

/// What an application knows: numbers under numbers.
pub(super) type Records = BTreeMap<i64, i64>;

/// What an application does to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Insert,
    Update,
    Delete,
}

/// A store with a change.
#[async_trait]
pub(super) trait Place: Send + Sync {
    /// What it is called in the configuration.
    fn name(&self) -> &'static str;
    fn url(&self) -> &StoreUrl;
    /// The change, without its store.
    fn change(&self) -> &str;
    /// Whether an application of this shape is at work in this standing, and does such a thing. What no backend promises
    /// to survive is not done: see the places.
    fn may(&self, client: Client, deed: Deed, standing: Standing) -> bool;
    /// Whether an application of this shape reads what is right.
    fn reads(&self, client: Client, standing: Standing) -> bool {
        match client {
            Client::Old => {
                matches!(standing, Standing::Before | Standing::Forth | Standing::Expanded | Standing::Back)
            }
            Client::New => {
                matches!(standing, Standing::Expanded | Standing::Contracting | Standing::Contracted)
            }
        }
    }
    async fn act(&self, client: Client, standing: Standing, deed: Deed, record: (i64, i64));
    async fn read(&self, client: Client, standing: Standing) -> Records;
    /// All there is but what is dunlin's own: the shape, and the records as they are stored.
    async fn picture(&self) -> Vec<String>;
}

/// Which change a place has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Another name.
    Rename,
    /// Another type, or another encoding.
    Retype,
    /// Another content.
    Transform,
}

/// A place of its own, empty but for its first records.
pub(super) async fn open(kind: Kind, change: Change, first: &Records) -> Box<dyn Place> {
    match kind {
        Kind::Postgres | Kind::Mysql | Kind::Sqlite => Box::new(sql::Place::open(kind, change, first).await),
        Kind::Mongo => Box::new(mongo::Place::open(change, first).await),
        Kind::Redis | Kind::RedisCluster => Box::new(redis::Place::open(change, first).await),
    }
}
