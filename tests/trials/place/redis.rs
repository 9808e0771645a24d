//! Keys `user_1` that become `user:1:profile`. Nothing tells which of two values was written last, so only one application
//! writes while both are there, as `wins` says: the old one, or the new one that looks under the old name where there is
//! no new one. Nor does anything tell a key that was deleted from one that was never copied: the old application deletes
//! none while copies are there, and the new one deletes both.

use async_trait::async_trait;
use dunlin::StoreUrl;
use dunlin_testkit::{Scratch, scratch};
use redis::aio::MultiplexedConnection;

use super::{Change, Client, Deed, Records, Standing};

pub(super) struct Place {
    scratch: Scratch,
    change: Change,
    connection: MultiplexedConnection,
}

impl Place {
    pub(super) async fn open(change: Change, first: &Records) -> Self {
        let scratch = scratch::redis().await;
        let connection = scratch.redis().await;
        let place = Self { scratch, change, connection };
        for (id, value) in first {
            super::Place::act(&place, Client::Old, Standing::Before, Deed::Insert, (*id, *value)).await;
        }
        place
    }

    /// Who writes while both names are there.
    fn winner(&self) -> Client {
        if self.change == Change::Transform { Client::New } else { Client::Old }
    }

    async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut request = redis::Cmd::new();
        request.arg(words);
        request.query_async(&mut self.connection.clone()).await.unwrap()
    }

    async fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", "*"]).await;
        keys.retain(|key| !key.starts_with("{dunlin"));
        keys.sort();
        keys
    }

    /// What a key holds: a number as it is, or in a JSON document or a hash.
    async fn value(&self, key: &str) -> i64 {
        let kind: String = self.ask(&["TYPE", key]).await;
        if kind == "hash" {
            return self.ask(&["HGET", key, "n"]).await;
        }
        let text: String = self.ask(&["GET", key]).await;
        // What came out of a hash is a text in JSON.
        text.trim_start_matches("{\"n\":").trim_end_matches('}').trim_matches('"').parse().unwrap()
    }
}

fn old(id: i64) -> String {
    format!("user_{id}")
}

fn new(id: i64) -> String {
    format!("user:{id}:profile")
}

/// The record of a key, and whether the key has the old name.
fn record(key: &str) -> (i64, bool) {
    match key.strip_prefix("user_") {
        Some(id) => (id.parse().unwrap(), true),
        None => (key.trim_start_matches("user:").trim_end_matches(":profile").parse().unwrap(), false),
    }
}

#[async_trait]
impl super::Place for Place {
    fn name(&self) -> &'static str {
        "cache"
    }

    fn url(&self) -> &StoreUrl {
        &self.scratch.url
    }

    fn change(&self) -> &str {
        match self.change {
            Change::Rename => "rename_keys = { from = 'user_{id}', to = 'user:{id}:profile', wins = 'old' }",
            Change::Retype => {
                "change_encoding = { from = 'user_{id}', to = 'user:{id}:profile', into = 'hash', wins = 'old' }"
            }
            Change::Transform => {
                "rename_keys = { from = 'user_{id}', to = 'user:{id}:profile', wins = 'new' }"
            }
        }
    }

    fn may(&self, client: Client, deed: Deed, standing: Standing) -> bool {
        match standing {
            Standing::Before => client == Client::Old,
            Standing::Contracted => client == Client::New,
            Standing::Forth | Standing::Expanded => {
                client == self.winner() && (client == Client::New || deed != Deed::Delete)
            }
            Standing::Back => client == Client::Old && self.winner() == client && deed != Deed::Delete,
            Standing::Contracting | Standing::Amid => false,
        }
    }

    fn reads(&self, client: Client, standing: Standing) -> bool {
        match client {
            Client::Old => standing == Standing::Before || self.may(client, Deed::Update, standing),
            Client::New => !matches!(standing, Standing::Before | Standing::Amid),
        }
    }

    async fn act(&self, client: Client, _: Standing, deed: Deed, (id, value): (i64, i64)) {
        let json = format!("{{\"n\":{value}}}");
        let value = value.to_string();
        match (client, deed) {
            (Client::Old, Deed::Delete) => self.ask::<()>(&["DEL", &old(id)]).await,
            (Client::New, Deed::Delete) => self.ask::<()>(&["DEL", &old(id), &new(id)]).await,
            (Client::Old, _) if self.change == Change::Retype => {
                self.ask::<()>(&["SET", &old(id), &json]).await;
            }
            (Client::New, _) if self.change == Change::Retype => {
                self.ask::<()>(&["HSET", &new(id), "n", &value]).await;
            }
            (Client::Old, _) => self.ask::<()>(&["SET", &old(id), &value]).await,
            (Client::New, _) => self.ask::<()>(&["SET", &new(id), &value]).await,
        }
    }

    async fn read(&self, client: Client, _: Standing) -> Records {
        let mut records = Records::new();
        let is_old_right = self.winner() == Client::Old;
        for key in self.keys().await {
            let (id, is_old) = record(&key);
            if client == Client::Old && !is_old {
                continue;
            }
            if is_old == is_old_right || !records.contains_key(&id) {
                let is_there = records.contains_key(&id);
                if !is_there || is_old == is_old_right {
                    records.insert(id, self.value(&key).await);
                }
            }
        }
        records
    }

    async fn picture(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for key in self.keys().await {
            let (kind, ends): (String, i64) =
                (self.ask(&["TYPE", &key]).await, self.ask(&["PTTL", &key]).await);
            lines.push(format!("{key} {kind} {} {ends}", self.value(&key).await));
        }
        lines
    }
}
