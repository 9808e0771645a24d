//! What stands between a change and the loss of a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin::Phase;
use dunlin_testkit::Kind;
use dunlin_testkit::scratch::Scratch;
use tokio::task::JoinHandle;

use super::super::{ask, count, send};
use super::names::old;
use super::{assert_same, change, down, force, picture, renamed, scratches, up_before, up_to};

/// An old application that never stops writing, before, during and after the contract: what it wrote last of each key is
/// there, under the new name where it was not written since, under the old one where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_writer_that_never_stops_loses_nothing() {
    for scratch in scratches().await {
        let keys: usize = if scratch.kind == Kind::RedisCluster { 600 } else { 3000 };
        let mut pipe = redis::pipe();
        for id in 0..keys {
            pipe.cmd("SET").arg(format!("user_{id}")).arg(-1);
        }
        send(&scratch, &pipe).await;
        let rename = "rename_keys = { from = \"user_{id}\", to = \"user:{id}:profile\", wins = \"old\" }";
        let project = change(&scratch.url, rename);
        let is_over = Arc::new(AtomicBool::new(false));
        let is_cluster = scratch.kind == Kind::RedisCluster;
        let mut single = if is_cluster { None } else { Some(scratch.redis().await) };
        let mut cluster = if is_cluster { Some(scratch.cluster().await) } else { None };
        let writer = tokio::spawn({
            let is_over = is_over.clone();
            async move {
                let mut last = vec![-1; keys];
                let mut value = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let id = value * 7919 % keys;
                    let mut request = redis::cmd("SET");
                    request.arg(format!("user_{id}")).arg(value);
                    match (&mut single, &mut cluster) {
                        (Some(one), _) => request.exec_async(one).await.unwrap(),
                        (_, Some(many)) => request.exec_async(many).await.unwrap(),
                        _ => unreachable!("one of them is there"),
                    }
                    last[id] = i64::try_from(value).unwrap();
                    value += 1;
                }
                (last, value)
            }
        });
        force(&project).await.unwrap();
        is_over.store(true, Ordering::SeqCst);
        let (last, written) = writer.await.unwrap();
        assert!(written > 100, "it did write: {written}");
        assert!(count(&scratch, "user:*:profile").await > 0);
        for (id, last) in last.iter().enumerate() {
            let old: Option<i64> = ask(&scratch, &["GET", &format!("user_{id}")]).await;
            let new: Option<i64> = ask(&scratch, &["GET", &format!("user:{id}:profile")]).await;
            assert_eq!(old.or(new), Some(*last), "{id}");
        }
        down(&project).await;
        for (id, last) in last.iter().enumerate() {
            let old: Option<i64> = ask(&scratch, &["GET", &format!("user_{id}")]).await;
            assert_eq!(old, Some(*last), "{id}");
        }
        assert_eq!(count(&scratch, "user:*:profile").await, 0);
    }
}

/// Somebody who reads a key again and again.
async fn reader(scratch: &Scratch, key: &str) -> JoinHandle<()> {
    let is_cluster = scratch.kind == Kind::RedisCluster;
    let mut single = if is_cluster { None } else { Some(scratch.redis().await) };
    let mut cluster = if is_cluster { Some(scratch.cluster().await) } else { None };
    let mut request = redis::cmd("GET");
    request.arg(key);
    tokio::spawn(async move {
        loop {
            match (&mut single, &mut cluster) {
                (Some(one), _) => request.exec_async(one).await.unwrap(),
                (_, Some(many)) => request.exec_async(many).await.unwrap(),
                _ => unreachable!("one of them is there"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_somebody_reads_are_not_removed() {
    for scratch in scratches().await {
        for id in 0..20 {
            ask::<()>(&scratch, &["SET", &format!("user_{{{id}}}"), "x"]).await;
        }
        let rename = "rename_keys = { from = \"user_{{{id}}}\", to = \"user:{{{id}}}:profile\" }";
        let project = change(&scratch.url, rename);
        let reader = reader(&scratch, "user_{7}").await;
        let said = format!("{:?}", up_before(&project, None).await.unwrap_err());
        assert!(
            said.contains("1 of 20 keys looked at was read or written") && said.contains("user_{7}"),
            "{said}"
        );
        assert_eq!(count(&scratch, "user_*").await, 20);
        reader.abort();
        force(&project).await.unwrap();
        assert_eq!((count(&scratch, "user_*").await, count(&scratch, "user:*").await), (0, 20));
    }
}

/// A server keeps a small number once for all keys that have it: who reads it elsewhere uses none of ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_share_a_number_with_one_that_somebody_reads_are_not_in_use() {
    for scratch in scratches().await {
        for id in 0..20 {
            ask::<()>(&scratch, &["SET", &format!("user_{id}"), "7"]).await;
        }
        ask::<()>(&scratch, &["SET", "other", "7"]).await;
        let project =
            change(&scratch.url, "rename_keys = { from = \"user_{id}\", to = \"user:{id}:profile\" }");
        up_to(&project, Some(Phase::Contract)).await;
        let reader = reader(&scratch, "other").await;
        up_to(&project, None).await;
        reader.abort();
        assert_eq!((count(&scratch, "user_*").await, count(&scratch, "user:*").await), (0, 20));
    }
}

#[tokio::test]
async fn a_key_too_big_for_one_go_is_caught_up_slice_by_slice() {
    for scratch in scratches().await {
        for start in (0..60_000).step_by(10_000) {
            let mut pipe = redis::pipe();
            let command = pipe.cmd("HSET").arg("user_big");
            (start..start + 10_000).for_each(|field| _ = command.arg(field).arg("0123456789abcdef"));
            send(&scratch, &pipe).await;
        }
        let rename = "rename_keys = { from = \"user_{id}\", to = \"user:{id}:profile\", wins = \"old\" }";
        let project = change(&scratch.url, rename);
        up_to(&project, Some(Phase::Contract)).await;
        ask::<()>(&scratch, &["HSET", "user_big", "7", "changed", "more", "x"]).await;
        ask::<()>(&scratch, &["PEXPIRE", "user_big", "80000000"]).await;
        let before = picture(&scratch).await.remove("user_big").unwrap();
        up_to(&project, None).await;
        let there = picture(&scratch).await;
        assert!(there.len() == 1 && there["user:big:profile"].0 == before.0);
        down(&project).await;
        assert_same(&picture(&scratch).await, &renamed(&there, old), "rebuilt");
    }
}
