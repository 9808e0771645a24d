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
            is_new &= has_field_ttls(fact("redis_version:"), fact("valkey_version:"));
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

/// Whether fields of hashes may have TTLs: from Redis 7.4 and Valkey 9 on. Valkey says under its own name which version it
/// is, and under Redis's which one it is like.
fn has_field_ttls(redis: Option<&str>, valkey: Option<&str>) -> bool {
    let parts = |version: &str| {
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    match valkey {
        Some(version) => parts(version) >= (9, 0),
        None => redis.is_some_and(|version| parts(version) >= (7, 4)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_ttls_from_a_version_on() {
        for (redis, valkey, wanted) in [
            ("7.0.15", None, false),
            ("7.2.4", Some("8.1.3"), false),
            ("7.2.4", Some("9.0.0"), true),
            ("7.4.0", None, true),
            ("8.2.3", None, true),
        ] {
            assert_eq!(has_field_ttls(Some(redis), valkey), wanted, "{redis} {valkey:?}");
        }
    }
}
