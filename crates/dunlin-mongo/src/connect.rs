//! Connecting: from a URL to a store, and what kind of server answers.

use std::sync::Arc;

use bson::{Document, doc};
use dunlin_core::{AnyStore, Error, ErrorKind, Result, Target};
use mongodb::Client;
use mongodb::options::ClientOptions;

use crate::error;
use crate::store::Store;

/// What kind of deployment answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One server that is no replica set: no transactions.
    Standalone,
    /// A replica set.
    ReplicaSet,
    /// Routers before shards.
    Sharded,
}

impl Topology {
    pub(crate) fn has_transactions(self) -> bool {
        self != Self::Standalone
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Standalone => "standalone server",
            Self::ReplicaSet => "replica set",
            Self::Sharded => "sharded cluster",
        }
    }

    fn of(hello: &Document) -> Self {
        if hello.get_str("msg").is_ok_and(|word| word == "isdbgrid") {
            Self::Sharded
        } else if hello.contains_key("setName") {
            Self::ReplicaSet
        } else {
            Self::Standalone
        }
    }
}

/// Connects. One question is asked, so that a dead host or a wrong password is found now.
pub(crate) async fn connect(target: &Target) -> Result<AnyStore> {
    let doing = "cannot connect";
    let fail = |failure: &mongodb::error::Error| {
        let error = error::own(failure, doing, &target.url);
        Error { temporary: false, ..error }
    };
    let limit = target.connect_timeout;
    let parsed = tokio::time::timeout(limit, ClientOptions::parse(target.url.expose()));
    let late = || {
        Error::new(ErrorKind::Connect, "cannot connect: the host name was not resolved in time")
            .with("url", &target.url)
    };
    let mut options = parsed.await.map_err(|_| late())?.map_err(|failure| fail(&failure))?;
    let Some(name) = options.default_database.clone() else {
        let message = "the URL names no database";
        let error = Error::new(ErrorKind::Config, message).with("url", &target.url);
        return Err(error.help(
            "put it behind the host: mongodb://host/app; users of another database add ?authSource=admin",
        ));
    };
    options.server_selection_timeout = Some(limit);
    options.connect_timeout = Some(limit);
    options.app_name.get_or_insert_with(|| "dunlin".to_owned());
    let client = Client::with_options(options).map_err(|failure| fail(&failure))?;
    let db = client.database(&name);
    let hello = tokio::time::timeout(limit, db.run_command(doc! { "hello": 1 })).await;
    let hello = hello.map_err(|_| {
        Error::new(ErrorKind::Connect, "cannot connect: no answer in time").with("url", &target.url)
    })?;
    let topology = Topology::of(&hello.map_err(|failure| fail(&failure))?);
    Ok(Arc::new(Store { client, db, target: Arc::new(target.clone()), topology }))
}
