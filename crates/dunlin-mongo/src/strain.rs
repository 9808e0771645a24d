//! Whether a replica set can just now take on more: how far its members are behind, and whether it holds writes back.

use bson::{Bson, Document, doc};
use dunlin_core::{Error, ErrorKind, Pace, Result};
use mongodb::error::Error as DriverError;

use crate::connect::Topology;
use crate::error;
use crate::store::Store;

/// Why moving data should wait. Routers do not know how far the members of their shards are; majority writes wait there.
pub(crate) async fn strain(store: &Store, pace: &Pace) -> Result<Option<String>> {
    let Some(most) = pace.max_lag.filter(|_| store.topology == Topology::ReplicaSet) else { return Ok(None) };
    let admin = store.client.database("admin");
    let fail = |failure: DriverError| unreadable(store, &failure);
    let hello = admin.run_command(doc! { "hello": 1 }).await.map_err(fail)?;
    let hosts = hosts(&hello);
    if hosts.len() < 2 {
        return Ok(None);
    }
    let status = admin.run_command(doc! { "replSetGetStatus": 1 }).await.map_err(fail)?;
    if let Some((name, millis)) = slowest(&status, &hosts)
        && u128::from(millis) > most.as_millis()
    {
        let (seconds, limit) = (millis / 1000, most.as_secs_f64());
        return Ok(Some(format!("{name} is {seconds} s behind the primary, and the limit is {limit} s")));
    }
    let without = doc! {
        "serverStatus": 1, "metrics": 0, "wiredTiger": 0, "locks": 0, "tcmalloc": 0, "repl": 0, "opLatencies": 0,
    };
    let status = admin.run_command(without).await.map_err(fail)?;
    Ok(status.get_document("flowControl").ok().and_then(held_back))
}

/// The members whose lag counts: hidden ones, delayed ones among them, are not listed.
fn hosts(hello: &Document) -> Vec<&str> {
    let lists = ["hosts", "passives"].into_iter().filter_map(|name| hello.get_array(name).ok());
    lists.flatten().filter_map(Bson::as_str).collect()
}

/// The secondary that is furthest behind, and by how many milliseconds.
fn slowest<'a>(status: &'a Document, hosts: &[&str]) -> Option<(&'a str, u64)> {
    let members = status.get_array("members").ok()?;
    let members = || members.iter().filter_map(Bson::as_document);
    let at = |member: &Document| member.get_datetime("optimeDate").ok().map(|at| at.timestamp_millis());
    let is = |member: &Document, state: &str| member.get_str("stateStr").is_ok_and(|found| found == state);
    let primary = members().find(|member| is(member, "PRIMARY")).and_then(at)?;
    let secondaries = members().filter(|member| is(member, "SECONDARY"));
    let lags = secondaries.filter_map(|member| {
        let name = member.get_str("name").ok().filter(|name| hosts.contains(name))?;
        Some((name, u64::try_from(primary - at(member)?).unwrap_or(0)))
    });
    lags.max_by_key(|(_, lag)| *lag)
}

fn held_back(flow: &Document) -> Option<String> {
    let is_lagged = flow.get_bool("enabled").unwrap_or(false) && flow.get_bool("isLagged").unwrap_or(false);
    is_lagged.then(|| "the server's flow control holds writes back, since the majority is behind".to_owned())
}

fn unreadable(store: &Store, failure: &DriverError) -> Error {
    let error = error::own(failure, "cannot read how far the replicas are behind", &store.target.url);
    if error.kind == ErrorKind::Access {
        return error.help("grant the login the role clusterMonitor, or set `max_lag = \"off\"` for this store; nothing was changed");
    }
    error
}

#[cfg(test)]
mod tests {
    use bson::DateTime;

    use super::*;

    #[test]
    fn the_slowest_listed_secondary_counts() {
        let at = |seconds: i64| DateTime::from_millis(seconds * 1000);
        let status = doc! { "members": [
            { "name": "a:1", "stateStr": "PRIMARY", "optimeDate": at(100) },
            { "name": "b:1", "stateStr": "SECONDARY", "optimeDate": at(97) },
            { "name": "c:1", "stateStr": "SECONDARY", "optimeDate": at(99) },
            { "name": "hidden:1", "stateStr": "SECONDARY", "optimeDate": at(1) },
            { "name": "d:1", "stateStr": "(not reachable/healthy)", "optimeDate": at(0) },
        ] };
        let hosts = ["a:1", "b:1", "c:1", "d:1"];
        assert_eq!(slowest(&status, &hosts), Some(("b:1", 3000)));
        assert_eq!(slowest(&doc! { "members": [] }, &hosts), None);
        assert!(held_back(&doc! { "enabled": true, "isLagged": true }).is_some());
        assert!(held_back(&doc! { "enabled": true, "isLagged": false }).is_none());
    }
}
