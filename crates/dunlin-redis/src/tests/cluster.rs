//! A cluster of three.

use dunlin_core::{Backend, Checkpoint, ErrorKind, State, StoreUrl, Target};

use super::support::{Kind, Scratch, Step, apply, fresh, lock, scratch, version};
use crate::{Redis, slot};

fn cluster() -> Scratch {
    scratch(Kind::Cluster)
}

#[tokio::test]
async fn commands_run_in_every_slot_exactly_once() {
    let scratch = cluster();
    let lines: Vec<String> = (0..40).map(|number| format!("INCR ~n{number}")).collect();
    let lines = lines.join("\n");
    let record = apply(&scratch, "1", &lines).await.unwrap();
    assert_eq!((record.state, record.rows), (State::Done, 40));
    for number in 0..40 {
        assert_eq!(scratch.text(&format!("n{number}")).await.as_deref(), Some("1"));
    }
    let store = scratch.store().await;
    assert_eq!(store.history().await.unwrap().record(&version("1")), Some(&record));
    // The name of the attempt, then one line for each command.
    assert_eq!(store.journal(None, 100).await.unwrap().len(), 41);
}

#[tokio::test]
async fn what_a_cut_off_run_did_is_found_and_not_done_again() {
    let scratch = cluster();
    let store = scratch.store().await;
    let mut session = lock(&store).await;
    let mut step = Step::up(scratch.op("INCR ~n\nINCR ~n\nINCR ~m"), fresh("1"));
    step.once(&mut session).await.unwrap();
    let before = step.clone();
    step.once(&mut session).await.unwrap();
    session.release().await.unwrap();
    // As if the run had been killed between the command and its record.
    let mut session = lock(&store).await;
    session.write(&before.now, &[], dunlin_core::EventKind::Begun).await.unwrap();
    let mut resumed = Step::up(before.op.clone(), before.now.clone());
    let notes = resumed.run(&mut session).await.unwrap();
    assert!(notes.len() == 1 && notes[0].starts_with("found in effect"), "{notes:?}");
    session.release().await.unwrap();
    assert_eq!(scratch.text("n").await.as_deref(), Some("2"));
    assert_eq!(scratch.text("m").await.as_deref(), Some("1"));
    assert_eq!(resumed.now.rows, 3);
}

#[tokio::test]
async fn the_same_step_run_again_is_another_attempt() {
    let scratch = cluster();
    let store = scratch.store().await;
    for expected in ["1", "2"] {
        let mut session = lock(&store).await;
        let mut step = Step::up(scratch.op("INCR ~n"), fresh("1"));
        step.run(&mut session).await.unwrap();
        Step::down(scratch.op("SET ~other 1"), &step.now).run(&mut session).await.unwrap();
        session.release().await.unwrap();
        assert_eq!(scratch.text("n").await.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn who_was_overtaken_cannot_write_into_any_slot() {
    let scratch = cluster();
    let store = scratch.store().await;
    let mut stale = lock(&store).await;
    let mut step = Step::up(scratch.op("INCR ~n\nINCR ~m"), fresh("1"));
    // The first advance announces; the session is overtaken before it runs what it announced.
    step.once(&mut stale).await.unwrap();
    store.unlock(store.holder().await.unwrap().unwrap().token).await.unwrap();
    let mut session = lock(&store).await;
    session.history().await.unwrap();
    let error = step.clone().once(&mut stale).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LeaseLost);
    assert_eq!(scratch.text("n").await, None, "the slot is shut before the new holder does anything");
    Step::up(step.op.clone(), step.now.clone()).run(&mut session).await.unwrap();
    session.release().await.unwrap();
    let error = step.once(&mut stale).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LeaseLost);
    assert_eq!(scratch.text("n").await.as_deref(), Some("1"));
    assert_eq!(scratch.text("m").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn what_ran_is_remembered_beside_it_until_the_history_says_so() {
    let scratch = cluster();
    let store = scratch.store().await;
    let keys = crate::keys::Keys::new(Some(&scratch.prefix));
    let fence = keys.fence(slot::of(scratch.key("n").as_bytes()));
    for number in ["1", "2"] {
        apply(&scratch, number, "INCR ~n").await.unwrap();
        let left: i64 = scratch.send(&format!("PTTL {fence}")).await.unwrap();
        assert!((3_000_000..=3_600_000).contains(&left), "{left}");
    }
    // Told of by nobody, it stays: here the session ends between the command and its record.
    let mut session = lock(&store).await;
    let mut step = Step::up(scratch.op("INCR ~n\nINCR ~n"), fresh("3"));
    step.once(&mut session).await.unwrap();
    scratch.send::<()>(&format!("HINCRBY {} token 1", keys.lock)).await.unwrap();
    step.once(&mut session).await.unwrap_err();
    assert_eq!(scratch.text("n").await.as_deref(), Some("3"));
    assert_eq!(scratch.send::<i64>(&format!("PTTL {fence}")).await.unwrap(), -1);
}

#[tokio::test]
async fn keys_of_two_slots_are_both_named() {
    let scratch = cluster();
    let (a, b) = (scratch.key("a"), scratch.key("b"));
    assert_ne!(slot::of(a.as_bytes()), slot::of(b.as_bytes()));
    for lines in ["RENAME ~a ~b", "MULTI\nSET ~a 1\nSET ~b 1\nEXEC"] {
        let error = apply(&scratch, "1", lines).await.unwrap_err();
        assert!(error.kind == ErrorKind::Unsupported && error.span.is_some());
        assert!(error.message.contains(&a) && error.message.contains(&b), "{error}");
    }
}

#[tokio::test]
async fn blocks_and_scripts_run_in_their_slot() {
    let scratch = cluster();
    let lines = "MULTI\nSET {~x}a 1\nINCR {~x}a\nEXEC\nEVAL \"return redis.call('INCR', KEYS[1])\" 1 {~x}a\nRENAME {~x}a {~x}b";
    apply(&scratch, "1", lines).await.unwrap();
    let value: String = scratch.send(&format!("GET {{{}x}}b", scratch.prefix)).await.unwrap();
    assert_eq!(value, "3");
}

#[tokio::test]
async fn a_block_that_fails_is_continued_where_it_stopped() {
    let scratch = cluster();
    let lines = "MULTI\nINCR {~x}n\nINCR {~x}s\nINCR {~x}n\nEXEC";
    let s = format!("{{{}x}}s", scratch.prefix);
    scratch.send::<()>(&format!("SET {s} x")).await.unwrap();
    let error = apply(&scratch, "1", lines).await.unwrap_err();
    assert_eq!((error.kind, error.fact("done")), (ErrorKind::Statement, Some("1 commands of the block")));
    scratch.send::<()>(&format!("SET {s} 4")).await.unwrap();
    let record = apply(&scratch, "1", lines).await.unwrap();
    let value: String = scratch.send(&format!("GET {{{}x}}n", scratch.prefix)).await.unwrap();
    assert_eq!((value.as_str(), record.rows), ("2", 3));
}

#[tokio::test]
async fn commands_without_keys_go_to_all_servers_or_to_one() {
    let scratch = cluster();
    let name = format!("f{}", std::process::id());
    let library = format!(
        "FUNCTION LOAD REPLACE \"#!lua name={name}\\nredis.register_function('{name}', function() return 1 end)\""
    );
    apply(&scratch, "1", &format!("{library}\nPUBLISH ~c hello")).await.unwrap();
    for key in ["a", "b", "c", "d", "e", "f"] {
        let value: u32 = scratch.send(&format!("FCALL {name} 1 {}", scratch.key(key))).await.unwrap();
        assert_eq!(value, 1);
    }
    let error = apply(&scratch, "2", "# dunlin: allow(flushall): no\nFLUSHALL").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
    apply(&scratch, "3", &format!("FUNCTION DELETE {name}")).await.unwrap();
}

#[tokio::test]
async fn any_node_leads_to_the_cluster_and_a_plain_url_too() {
    let scratch = cluster();
    apply(&scratch, "1", "SET ~a 1").await.unwrap();
    let hosts = scratch.url.expose().split_once("://").unwrap().1.to_owned();
    for host in hosts.split(',') {
        let target = Target { url: StoreUrl::new(format!("redis://{host}")), ..scratch.target() };
        let store = Redis.connect(&target).await.unwrap();
        assert_eq!(store.history().await.unwrap().records.len(), 1);
    }
    let dead_first = format!("redis+cluster://127.0.0.1:1,{hosts}");
    let store = Redis.connect(&Target { url: StoreUrl::new(dead_first), ..scratch.target() }).await.unwrap();
    assert!(
        store.examine().await.unwrap().contains(&("mode".to_owned(), "cluster of 3 primaries".to_owned()))
    );
    let single = super::support::scratch(Kind::Single);
    let host = single.url.expose().split_once("://").unwrap().1.to_owned();
    let error = Redis
        .connect(&Target::new("cache", StoreUrl::new(format!("redis+cluster://{host}"))))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
}

#[tokio::test]
async fn a_verify_asks_every_slot() {
    let scratch = cluster();
    apply(&scratch, "1", "SET ~a 1\nSET ~c 1").await.unwrap();
    let store = scratch.store().await;
    let mut session = lock(&store).await;
    let step = Step::up(scratch.op("EXISTS ~a\nEXISTS ~b\nEXISTS ~c"), fresh("2"));
    assert_eq!(step.verify(&mut session).await.len(), 2);
    session.release().await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_from_one_server_goes_on_in_a_cluster() {
    let scratch = cluster();
    let store = scratch.store().await;
    let mut record = fresh("1");
    record.checkpoint = Some(Checkpoint("{\"at\":0}".into()));
    let mut session = lock(&store).await;
    Step::up(scratch.op("INCR ~n"), record).run(&mut session).await.unwrap();
    session.release().await.unwrap();
    assert_eq!(scratch.text("n").await.as_deref(), Some("1"));
}
