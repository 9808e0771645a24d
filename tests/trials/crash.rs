//! One migration changes PostgreSQL, MongoDB and Redis, and the process that runs it dies before or after any of its calls
//! to any of the three. The next run goes on as if nothing had been: every record and every shape is what an undisturbed
//! run leaves, forward and back, before the contract and after it.

use std::collections::BTreeMap;
use std::process::Command;

use dunlin_testkit::fault::{AT, WHEN, When, stride};
use dunlin_testkit::process::{self, Run};

use super::place::Change;
use super::town::{THREE, Town};

/// So few that every chunk is there, and every copy is quick.
const COUNT: i64 = 7;

type Picture = BTreeMap<&'static str, Vec<String>>;

/// A run in a process of its own; `fault` is the call and the side it dies at.
async fn runner(town: &Town, direction: &str, fault: Option<(usize, When)>) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash-runner"));
    for (place, _) in &town.places {
        let url = place.url().expose();
        if place.name() == "app" {
            command.args([direction, url]).arg(town.folder());
        } else {
            command.arg(format!("{}={url}", place.name()));
        }
    }
    command.env_remove(AT).env_remove(WHEN).env("DUNLIN_TEST_PACE", "0 1000000000 1");
    if let Some((at, when)) = fault {
        command.env(AT, at.to_string()).env(WHEN, when.to_string());
    }
    // Whoever waits for a process on a thread of the runtime keeps other towns from going on, in the middle of a handshake even.
    tokio::task::spawn_blocking(move || process::run(&mut command)).await.unwrap()
}

/// The stations of the migration, as undisturbed runs leave them.
struct Stations {
    before: Picture,
    expanded: Picture,
    contracted: Picture,
}

impl Stations {
    async fn walk(town: &Town) -> Self {
        let before = town.picture().await;
        runner(town, "up", None).await.expect_code(0);
        let expanded = town.picture().await;
        runner(town, "contract", None).await.expect_code(0);
        let contracted = town.picture().await;
        runner(town, "down", None).await.expect_code(0);
        assert_eq!(town.picture().await, before, "undisturbed, there and back");
        assert!(
            before != expanded && expanded != contracted && contracted != before,
            "each changes something"
        );
        Self { before, expanded, contracted }
    }
}

/// Runs in one direction and dies at a call, then runs to the end. Whether it came to that.
async fn dies(town: &Town, direction: &str, fault: (usize, When), wanted: &Picture) -> bool {
    let (at, when) = fault;
    let run = runner(town, direction, Some(fault)).await;
    let is_dead = run.signal.is_some();
    if is_dead {
        runner(town, direction, None).await.expect_code(0);
    } else {
        assert_eq!(run.code, Some(0), "{direction}, {when} call {at}: {run}");
    }
    assert_eq!(&town.picture().await, wanted, "{direction}, killed {when} call {at}: {run}");
    is_dead
}

/// The places to die at: before and after each call. Whoever skips some has both sides among those that are left.
fn places(usual: usize, shard: usize, shards: usize) -> impl Iterator<Item = (usize, When)> {
    let stride = stride(usual);
    (shard * stride..).step_by(stride * shards).map(|place| (1 + place / 2, When::ALL[place % 2]))
}

/// Both ways between two stations, with a death at every place of each.
struct Walk {
    /// What leads there and is not disturbed.
    first: Option<&'static str>,
    there: &'static str,
    /// How many places are skipped, and how many towns share the others.
    share: (usize, usize),
}

impl Walk {
    /// What one of several towns does; how many places it died at. The town is given back: what takes it down waits on a
    /// thread of the runtime, which others may need in the middle of a handshake.
    async fn alone(&self, shard: usize) -> (usize, Town) {
        let town = Town::found(&THREE, Change::Rename, COUNT).await;
        let stations = Stations::walk(&town).await;
        let wanted = if self.first.is_some() { &stations.contracted } else { &stations.expanded };
        let mut deaths = 0;
        for fault in places(self.share.0, shard, self.share.1) {
            if let Some(first) = self.first {
                runner(&town, first, None).await.expect_code(0);
            }
            let there = dies(&town, self.there, fault, wanted).await;
            let back = dies(&town, "down", fault, &stations.before).await;
            deaths += usize::from(there) + usize::from(back);
            if !there && !back {
                break;
            }
        }
        (deaths, town)
    }

    async fn all(self) -> usize {
        let walk = std::sync::Arc::new(self);
        let shards: Vec<_> = (0..walk.share.1)
            .map(|shard| {
                let walk = walk.clone();
                tokio::spawn(async move { walk.alone(shard).await })
            })
            .collect();
        let (mut deaths, mut towns) = (0, Vec::new());
        for shard in shards {
            let (died, town) = shard.await.unwrap();
            deaths += died;
            towns.push(town);
        }
        deaths * stride(walk.share.0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_stores_survive_a_death_at_any_call_before_the_contract() {
    let deaths = Walk { first: None, there: "up", share: (31, 3) }.all().await;
    assert!(deaths > 100, "it died at about {deaths} places only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_stores_survive_a_death_at_any_call_of_the_contract() {
    let deaths = Walk { first: Some("up"), there: "contract", share: (37, 4) }.all().await;
    assert!(deaths > 100, "it died at about {deaths} places only");
}
