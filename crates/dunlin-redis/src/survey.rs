//! Which servers there are at the moment, and whether slots are on the move between them.

use std::collections::BTreeMap;

use dunlin_core::{Checksum, Result};
use redis::cmd;

use crate::address::Place;
use crate::connect::{shown, text};
use crate::error;
use crate::hands::Map;
use crate::store::Store;

/// The servers with keys, at one moment.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) map: Map,
    /// By name: where, and which start of the server: its cursors end with it.
    pub(crate) servers: BTreeMap<String, (Place, String)>,
    /// The sum of who owns what.
    pub(crate) shape: String,
    /// Whether no slot is being moved right now.
    pub(crate) is_settled: bool,
}

impl Survey {
    pub(crate) async fn take(store: &Store) -> Result<Self> {
        let net = &store.net;
        if net.is_cluster() {
            net.learn().await?;
        }
        let mut servers = BTreeMap::new();
        let (mut facts, mut is_settled, mut is_new) = (Vec::new(), true, true);
        for place in net.primaries().await {
            let info = ask(store, &place, cmd("INFO").arg("server")).await?;
            let fact = |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name));
            let run = fact("run_id:").unwrap_or_default().to_owned();
            // Valkey says under its own name which version it is, and under Redis's which one it is like.
            is_new &= fact("redis_version:").is_some_and(is_from_7_4) && fact("valkey_version:").is_none();
            facts.push(format!("{} {run}", shown(&place)));
            if net.is_cluster() {
                let nodes = ask(store, &place, cmd("CLUSTER").arg("NODES")).await?;
                let own = nodes.lines().find(|line| line.contains("myself")).unwrap_or_default();
                // Slots come after eight facts; one on its way stands in brackets.
                let slots: Vec<&str> = own.split(' ').skip(8).collect();
                is_settled &= !slots.iter().any(|slot| slot.starts_with('['));
                facts.extend(slots.into_iter().map(str::to_owned));
            }
            servers.insert(shown(&place), (place, run));
        }
        let map = Map { is_cluster: net.is_cluster(), slots: net.slots().await, has_field_ttls: is_new };
        Ok(Self { map, servers, shape: Checksum::of(facts).to_string(), is_settled })
    }
}

fn is_from_7_4(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next(), parts.next()) >= (Some(7), Some(4))
}

/// A text that a server answers.
pub(crate) async fn ask(store: &Store, place: &Place, request: &redis::Cmd) -> Result<String> {
    let doing = "cannot ask a server how it is";
    let reply = match store.net.call_at(place, request).await? {
        // Asking changes nothing, and an idle connection may have been broken all along.
        Err(failure) if failure.kind() == redis::ErrorKind::Io => store.net.call_at(place, request).await?,
        reply => reply,
    };
    let reply = reply.map_err(|failure| {
        let error = error::own(&failure, doing, &store.target.url);
        if failure.kind() == redis::ErrorKind::Io { error.temporary() } else { error }
    })?;
    Ok(text(&reply).unwrap_or_default())
}
