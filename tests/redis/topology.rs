//! Clusters that change their shape while keys are gone through.

use std::time::Duration;

use dunlin::{Goal, RunEvent, StoreUrl};
use dunlin_testkit::private::{self, RedisCluster};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;

use super::{COPY, SAME, project, up};

const KEYS: u32 = 4000;

async fn connect(url: &StoreUrl) -> ClusterConnection {
    let seeds =
        url.expose().trim_start_matches("redis+cluster://").split(',').map(|seed| format!("redis://{seed}"));
    ClusterClient::new(seeds).unwrap().get_async_connection().await.unwrap()
}

async fn filled(replicas: usize) -> RedisCluster {
    let cluster = private::redis_cluster(replicas).await;
    let mut connection = connect(&cluster.url).await;
    for number in 0..KEYS {
        redis::cmd("SET")
            .arg(format!("user_{number}"))
            .arg(number)
            .exec_async(&mut connection)
            .await
            .unwrap();
    }
    cluster
}

async fn copies(url: &StoreUrl) -> usize {
    let mut connection = connect(url).await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("user:*:profile").query_async(&mut connection).await.unwrap();
    keys.len()
}

/// Goes `up` and does something once so many keys were come past; how many were in the end.
async fn up_and(cluster: &RedisCluster, at: u64, happens: impl FnOnce() + Send + 'static) -> u64 {
    let (mut happens, mut seen_last) = (Some(happens), 0);
    let goal = Goal { contract: true, ..Goal::default() };
    let project = project(&cluster.url, &[COPY]);
    let outcome = dunlin::up(&project, &goal, &mut |event| {
        if let RunEvent::Advanced { seen: Some(seen), .. } = event {
            seen_last = seen.scanned;
            if seen.scanned > at
                && let Some(happens) = happens.take()
            {
                happens();
            }
        }
    })
    .await;
    assert!(happens.is_none(), "it never came so far");
    let mut tries = 0;
    let mut outcome = outcome.map(drop);
    while let Err(failure) = outcome {
        tries += 1;
        assert!(tries < 60, "{failure:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        outcome = up(&project).await.map(drop);
    }
    seen_last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_pass_from_one_server_to_another_meanwhile_are_met() {
    let cluster = std::sync::Arc::new(filled(0).await);
    let (moved, has_moved) = std::sync::mpsc::channel();
    let moving = cluster.clone();
    let seen = up_and(&cluster, 1000, move || {
        // The run waits in its report until half of the last server's keys are on the first one.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(moving.move_slots(10923..11223, 2, 0));
            moved.send(()).unwrap();
        });
        has_moved.recv().unwrap();
    })
    .await;
    assert!(seen > u64::from(KEYS), "{seen}: the walk must be made again");
    assert_eq!(copies(&cluster.url).await, KEYS as usize);
    up(&project(&cluster.url, &[SAME])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_fails_costs_no_copy() {
    let mut cluster = filled(1).await;
    // What the replica has not got would be lost, whoever copies.
    let mut connection = dunlin_testkit::scratch::redis_connection(&cluster.nodes[0].url).await.unwrap();
    let waited: i64 = redis::cmd("WAIT").arg(1).arg(5000).query_async(&mut connection).await.unwrap();
    assert_eq!(waited, 1);
    let pid = cluster.nodes[0].pid();
    up_and(&cluster, 1000, move || dunlin_testkit::process::signal(pid, "KILL")).await;
    cluster.nodes[0].kill();
    assert_eq!(copies(&cluster.url).await, KEYS as usize);
    up(&project(&cluster.url, &[SAME])).await.unwrap();
}
