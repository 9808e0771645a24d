//! MongoDB databases.

use bson::Document;
use dunlin_core::StoreUrl;
use mongodb::{Client, Collection, Database};

use super::Scratch;

impl Scratch {
    /// The MongoDB database.
    pub async fn mongo(&self) -> Database {
        let client = Client::with_uri_str(self.url.expose()).await;
        let client = client.unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.url));
        client.default_database().expect("a scratch database has a name")
    }

    /// A collection of the MongoDB database.
    pub async fn collection(&self, name: &str) -> Collection<Document> {
        self.mongo().await.collection(name)
    }
}

pub(super) async fn remove(url: StoreUrl, name: String) {
    if let Ok(client) = Client::with_uri_str(url.expose()).await {
        drop(client.database(&name).drop().await);
    }
}
