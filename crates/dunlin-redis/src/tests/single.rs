//! One server.

use dunlin_core::{ErrorKind, EventKind, State, Timestamp};
use redis::Value;

use super::server::Server;
use super::support::{Kind, Scratch, Step, apply, fresh, lock, scratch, version};

fn single() -> Scratch {
    scratch(Kind::Single)
}

#[tokio::test]
async fn a_store_nobody_migrated_is_empty_and_stays_so() {
    let scratch = single();
    let store = scratch.store().await;
    assert!(store.history().await.unwrap().records.is_empty());
    assert!(store.journal(None, 10).await.unwrap().is_empty());
    assert!(store.files(&version("1")).await.unwrap().is_empty());
    assert!(store.holder().await.unwrap().is_none());
    let facts = store.examine().await.unwrap();
    assert!(
        facts.iter().any(|(what, finding)| what == "rights" && finding == "may lock and record"),
        "{facts:?}"
    );
    let keys: Vec<String> = scratch.send(&format!("KEYS *{}*", scratch.prefix)).await.unwrap();
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test]
async fn commands_run_and_are_recorded_with_server_times() {
    let scratch = single();
    let record = apply(&scratch, "007", "SET ~a 1\nHSET ~h f v\nDEL ~a ~nothing\nGET ~h2").await.unwrap();
    assert_eq!(scratch.text("a").await, None);
    let store = scratch.store().await;
    let history = store.history().await.unwrap();
    assert_eq!(history.record(&version("7")), Some(&record));
    assert_eq!((record.state, record.rows, record.checkpoint), (State::Done, 3, None));
    let (Some(Timestamp(started)), Some(Timestamp(finished))) = (record.started, record.finished) else {
        panic!("no times")
    };
    assert!(started > 1_700_000_000_000 && finished >= started);
    let events = store.journal(Some(&version("7")), 10).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| (event.sequence, event.kind)).collect();
    let begun = EventKind::Begun;
    assert_eq!(kinds, [(1, begun), (2, begun), (3, begun), (4, EventKind::StepDone)]);
    assert_eq!(store.journal(None, 1).await.unwrap()[0].sequence, 4);
    assert_eq!(&*store.files(&version("07")).await.unwrap()[0].text, "SET a 1\n");
}

#[tokio::test]
async fn a_failed_command_changes_nothing_and_is_pointed_at() {
    let scratch = single();
    let lines = "SET ~a 1\nLPUSH ~a x\nSET ~b 1";
    let error = apply(&scratch, "1", lines).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Statement);
    assert!(error.message.starts_with("WRONGTYPE"), "{error}");
    let span = error.span.unwrap();
    assert_eq!(span.start as usize, lines.replace('~', &scratch.prefix).find("LPUSH").unwrap());
    let history = scratch.store().await.history().await.unwrap();
    let checkpoint = history.records[&version("1")].checkpoint.clone().unwrap();
    assert!(checkpoint.0.contains("\"at\":1"), "{checkpoint:?}");
    // The failed command may be corrected; those that ran may not.
    let error = apply(&scratch, "1", "SET ~a 2\nSET ~b 1").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Integrity);
    apply(&scratch, "1", "SET ~a 1\nSET ~b 1").await.unwrap();
    assert_eq!(scratch.text("b").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn an_unknown_command_and_wrong_arguments_are_said_plainly() {
    let scratch = single();
    for (line, message) in [
        ("NOSUCH.THING ~a", "Unknown Redis command"),
        ("SET ~a 1 NONSENSE", "syntax error"),
        ("INCRBY ~a x", "value is not an integer or out of range"),
    ] {
        let error = apply(&scratch, "1", line).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Statement, message));
    }
}

#[tokio::test]
async fn a_block_runs_as_one_and_continues_where_it_failed() {
    let scratch = single();
    let error = apply(&scratch, "1", "SET ~s x\nMULTI\nINCR ~n\nINCR ~s\nINCR ~n\nEXEC").await.unwrap_err();
    assert_eq!(error.fact("done"), Some("1 commands of the block"));
    scratch.send::<()>(&format!("SET {} 4", scratch.key("s"))).await.unwrap();
    let record = apply(&scratch, "1", "SET ~s x\nMULTI\nINCR ~n\nINCR ~s\nINCR ~n\nEXEC").await.unwrap();
    assert_eq!(scratch.text("n").await.as_deref(), Some("2"));
    assert_eq!(scratch.text("s").await.as_deref(), Some("5"));
    assert_eq!(record.rows, 4);
}

#[tokio::test]
async fn a_script_of_the_user_is_part_of_the_same_whole() {
    let scratch = single();
    let lines =
        "EVAL \"redis.call('SET', KEYS[1], ARGV[1]) return redis.call('INCR', KEYS[1])\" 1 ~n 41\nINCR ~n";
    apply(&scratch, "1", lines).await.unwrap();
    assert_eq!(scratch.text("n").await.as_deref(), Some("43"));
    for (text, message) in [
        ("return redis.error_reply('MY no')", "MY no"),
        ("error('no')", "user_script:1: no"),
        ("return redis.call('LPUSH', KEYS[1], 1)", "WRONGTYPE"),
        ("syntax?", "user_script:1:"),
    ] {
        let error = apply(&scratch, "2", &format!("EVAL \"{text}\" 1 ~n")).await.unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
    }
    let history = scratch.store().await.history().await.unwrap();
    assert!(!history.records.contains_key(&version("2")));
}

#[tokio::test]
async fn commands_that_scripts_may_not_run_are_announced_first() {
    let scratch = single();
    let sha: String = scratch.send("SCRIPT LOAD return(redis.call('INCR',KEYS[1]))").await.unwrap();
    let lines = format!("INCR ~n\nEVALSHA {sha} 1 ~n\nEVALSHA {sha} 1 ~n\nINCR ~n");
    apply(&scratch, "1", &lines).await.unwrap();
    assert_eq!(scratch.text("n").await.as_deref(), Some("4"));
    let events = scratch.store().await.journal(None, 99).await.unwrap();
    let details: Vec<_> = events.iter().map(|event| event.detail.clone().unwrap_or_default()).collect();
    let open: Vec<bool> = details.iter().map(|detail| detail.contains("\"open\":true")).collect();
    assert_eq!(open, [false, true, false, true, false, false], "{details:?}");
    // A failed one is not under way any more.
    let wrong = "EVALSHA 0000000000000000000000000000000000000000 0";
    assert!(apply(&scratch, "2", wrong).await.unwrap_err().message.contains("NOSCRIPT"));
    let record = scratch.store().await.history().await.unwrap().records[&version("2")].clone();
    assert!(!record.checkpoint.unwrap().0.contains("open"));
}

#[tokio::test]
async fn an_announced_command_nobody_heard_of_again_is_ambiguous_unless_it_may_be_repeated() {
    let scratch = single();
    let store = scratch.store().await;
    for (line, is_ambiguous) in
        [("EVALSHA 0000000000000000000000000000000000000000 0", true), ("SCRIPT LOAD return(1)", false)]
    {
        let mut record = fresh("1");
        record.checkpoint = Some(dunlin_core::Checkpoint("{\"at\":0,\"open\":true}".into()));
        let mut session = lock(&store).await;
        let outcome = Step::up(scratch.op(line), record).run(&mut session).await;
        session.release().await.unwrap();
        match outcome {
            Ok(notes) => assert!(!is_ambiguous && notes[0].starts_with("sent again"), "{notes:?}"),
            Err(error) => assert!(is_ambiguous && error.kind == ErrorKind::Ambiguous, "{error}"),
        }
    }
}

#[tokio::test]
async fn flushing_keeps_what_dunlin_remembers() {
    // A server of its own: this one loses all its keys.
    let server = Server::start(&[]).await;
    let scratch = server.scratch();
    apply(&scratch, "1", "SET ~a 1").await.unwrap();
    apply(&scratch, "2", "# dunlin: allow(flushdb): a test\nFLUSHDB\nSET ~b 1").await.unwrap();
    assert_eq!((scratch.text("a").await, scratch.text("b").await.as_deref()), (None, Some("1")));
    let store = scratch.store().await;
    assert_eq!(store.history().await.unwrap().records.len(), 2);
    assert_eq!(store.journal(None, 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn dunlins_own_keys_are_out_of_bounds() {
    let scratch = single();
    let line = format!("DEL {{{}dunlin}}:history", scratch.prefix);
    let error = apply(&scratch, "1", &line).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

#[tokio::test]
async fn arguments_without_number_run_too() {
    let scratch = single();
    let members: Vec<String> = (0..9000).map(|number| format!("m{number}")).collect();
    apply(&scratch, "1", &format!("SADD ~s {}", members.join(" "))).await.unwrap();
    let count: u32 = scratch.send(&format!("SCARD {}", scratch.key("s"))).await.unwrap();
    assert_eq!(count, 9000);
}

#[tokio::test]
async fn the_way_back_passes_over_what_is_already_back() {
    let scratch = single();
    let store = scratch.store().await;
    let record = apply(&scratch, "1", "SET ~a 1\nRENAME ~a ~b").await.unwrap();
    scratch.send::<()>(&format!("RENAME {} {}", scratch.key("b"), scratch.key("a"))).await.unwrap();
    let mut session = lock(&store).await;
    let mut down = Step::down(scratch.op("RENAME ~b ~a"), &record);
    let notes = down.run(&mut session).await.unwrap();
    assert!(notes[0].starts_with("passed over"), "{notes:?}");
    assert_eq!(down.now.state, State::Undone);
    session.release().await.unwrap();
    assert_eq!(store.journal(None, 1).await.unwrap()[0].kind, EventKind::StepUndone);
    assert!(store.history().await.unwrap().live(&version("1")).is_none());
}

#[tokio::test]
async fn a_verify_lists_what_must_not_be_there() {
    let scratch = single();
    let store = scratch.store().await;
    apply(&scratch, "1", "SET ~a hello\nRPUSH ~l x y").await.unwrap();
    let mut session = lock(&store).await;
    let bad = Step::up(scratch.op("GET ~a\nEXISTS ~b\nLRANGE ~l 0 -1"), fresh("2"));
    let found = bad.verify(&mut session).await;
    let shown: Vec<_> = found.iter().map(|violation| violation.record.clone()).collect();
    let key = |name: &str| scratch.key(name);
    assert_eq!(
        shown,
        [
            format!("GET {}: hello", key("a")),
            format!("LRANGE {} 0 -1: x", key("l")),
            format!("LRANGE {} 0 -1: y", key("l"))
        ]
    );
    let good = Step::up(scratch.op("EXISTS ~b\nTYPE ~b\nGET ~b"), fresh("2"));
    assert_eq!(good.verify(&mut session).await, []);
    session.release().await.unwrap();
}

#[tokio::test]
async fn newer_formats_and_other_peoples_values_are_refused() {
    let scratch = single();
    let store = scratch.store().await;
    apply(&scratch, "1", "").await.unwrap();
    let history = format!("{{{}dunlin}}:history", scratch.prefix);
    for (value, message) in
        [("{\"format\":2}", "format 2"), ("nonsense", "did not write"), ("{\"format\":1}", "did not write")]
    {
        scratch.send::<Value>(&format!("HSET {history} 1 {value}")).await.unwrap();
        let error = store.history().await.unwrap_err();
        assert!(error.kind == ErrorKind::Integrity && error.message.contains(message), "{error}");
    }
    scratch.send::<Value>(&format!("SET {history} x")).await.unwrap();
    assert_eq!(store.history().await.unwrap_err().kind, ErrorKind::Integrity);
    assert_eq!(store.try_lock(&super::support::me("r")).await.unwrap_err().kind, ErrorKind::Integrity);
}

#[tokio::test]
async fn a_journal_of_one_version_is_found_among_many() {
    let scratch = single();
    let store = scratch.store().await;
    let mut session = lock(&store).await;
    let (one, other) = (fresh("1"), fresh("2"));
    session.note(&one, EventKind::Failed, "first").await.unwrap();
    for _ in 0..1200 {
        session.note(&other, EventKind::Failed, "no").await.unwrap();
    }
    session.release().await.unwrap();
    let events = store.journal(Some(&version("1")), 5).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].sequence, events[0].detail.as_deref()), (1, Some("first")));
    let newest: Vec<i64> =
        store.journal(None, 1100).await.unwrap().iter().map(|event| event.sequence).collect();
    assert_eq!((newest.len(), newest[0], newest[1099]), (1100, 102, 1201));
    assert!(store.history().await.unwrap().records.is_empty(), "a note writes no record");
}
