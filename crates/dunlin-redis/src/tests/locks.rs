//! The lock, logins, and servers that refuse.

use std::time::{Duration, Instant};

use dunlin_core::{Attempt, Backend, ErrorKind, EventKind, LockMode, StoreUrl, Target};

use tokio::io::AsyncWriteExt;

use super::support::{Kind, Step, apply, fresh, lock, me, scratch, version};
use crate::Redis;

#[tokio::test]
async fn the_lock_is_held_by_one_and_named_to_the_others() {
    for kind in [Kind::Single, Kind::Cluster] {
        let scratch = scratch(kind);
        let store = scratch.store().await;
        let session = lock(&store).await;
        let Attempt::Held(Some(holder)) = store.try_lock(&me("r2")).await.unwrap() else {
            panic!("not held")
        };
        assert_eq!((&*holder.who, &*holder.host, &*holder.run.0), ("ann", "here", "r1"));
        let token = holder.token;
        assert_eq!(holder.pid, std::process::id());
        assert!(holder.expires > holder.since);
        assert_eq!(store.holder().await.unwrap(), Some(holder));
        session.release().await.unwrap();
        assert_eq!(store.holder().await.unwrap(), None);
        let again = lock(&store).await;
        assert_eq!(store.holder().await.unwrap().unwrap().token, token + 1, "tokens never come back");
        again.release().await.unwrap();
    }
}

#[tokio::test]
async fn whose_lock_was_taken_away_writes_nothing() {
    let scratch = scratch(Kind::Single);
    let store = scratch.store().await;
    let mut session = lock(&store).await;
    let token = store.holder().await.unwrap().unwrap().token;
    store.unlock(token + 1).await.unwrap();
    assert!(store.holder().await.unwrap().is_some(), "another token's lock stays");
    store.unlock(token).await.unwrap();
    let mut step = Step::up(scratch.op("SET ~a 1"), fresh("1"));
    assert_eq!(step.once(&mut session).await.unwrap_err().kind, ErrorKind::LeaseLost);
    let other = lock(&store).await;
    let lost = ErrorKind::LeaseLost;
    assert_eq!(step.once(&mut session).await.unwrap_err().kind, lost);
    assert_eq!(session.write(&fresh("1"), &[], EventKind::Marked).await.unwrap_err().kind, lost);
    assert_eq!(session.note(&fresh("1"), EventKind::Failed, "x").await.unwrap_err().kind, lost);
    session.release().await.unwrap();
    assert_eq!(
        store.holder().await.unwrap().unwrap().token,
        token + 2,
        "releasing what one lost releases nobody else's"
    );
    other.release().await.unwrap();
    assert_eq!(scratch.text("a").await, None);
    assert!(store.history().await.unwrap().records.is_empty());
}

#[tokio::test]
async fn a_lock_deleted_by_hand_is_no_way_back_in() {
    let scratch = scratch(Kind::Single);
    let store = scratch.store().await;
    let mut stale = lock(&store).await;
    let before = store.holder().await.unwrap().unwrap().token;
    scratch.send::<()>(&format!("DEL {{{}dunlin}}:lock", scratch.prefix)).await.unwrap();
    let session = lock(&store).await;
    assert!(store.holder().await.unwrap().unwrap().token > before);
    let error = stale.note(&fresh("1"), EventKind::Failed, "x").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::LeaseLost);
    session.release().await.unwrap();
}

#[tokio::test]
async fn the_lease_is_renewed_while_the_session_lives_and_runs_out_when_it_does_not() {
    for kind in [Kind::Single, Kind::Cluster] {
        let scratch = scratch(kind);
        let target = Target { lease: Duration::from_millis(600), ..scratch.target() };
        let store = Redis.connect(&target).await.unwrap();
        let session = lock(&store).await;
        tokio::time::sleep(Duration::from_millis(1300)).await;
        let Attempt::Held(_) = store.try_lock(&me("r2")).await.unwrap() else { panic!("not renewed") };
        drop(session);
        assert!(store.holder().await.unwrap().is_some(), "a dropped session leaves its lock to the lease");
        let began = Instant::now();
        lock(&store).await.release().await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn of_many_runners_at_once_each_gets_its_turn() {
    for kind in [Kind::Single, Kind::Cluster] {
        let scratch = scratch(kind);
        let run = |number: u32| {
            let scratch = scratch.clone();
            tokio::spawn(async move {
                let store = scratch.store().await;
                let mut session = lock(&store).await;
                let history = session.history().await.unwrap();
                if !history.records.contains_key(&version("1")) {
                    Step::up(scratch.op("INCR ~n\nINCR ~n"), fresh("1")).run(&mut session).await.unwrap();
                }
                session.release().await.unwrap();
                number
            })
        };
        let runners: Vec<_> = (0..10).map(run).collect();
        for runner in runners {
            runner.await.unwrap();
        }
        assert_eq!(scratch.text("n").await.as_deref(), Some("2"));
    }
}

#[tokio::test]
async fn a_login_that_only_reads_runs_every_read() {
    let scratch = scratch(Kind::Single);
    apply(&scratch, "1", "SET ~a 1").await.unwrap();
    let user = format!("reader{}", scratch.prefix.replace([':', '-'], "x"));
    scratch.send::<()>(&format!("ACL SETUSER {user} on >s3cr%t +@read ~*")).await.unwrap();
    let rest = scratch.url.expose().split_once("://").unwrap().1.to_owned();
    let url = StoreUrl::new(format!("redis://{user}:s3cr%25t@{rest}"));
    let store = Redis.connect(&Target { url: url.clone(), ..scratch.target() }).await.unwrap();
    assert_eq!(store.history().await.unwrap().records.len(), 1);
    assert_eq!(store.journal(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.files(&version("1")).await.unwrap().len(), 1);
    assert!(store.holder().await.unwrap().is_none());
    let facts = store.examine().await.unwrap();
    assert!(
        facts.iter().any(|(what, finding)| what == "rights" && finding.starts_with("may not")),
        "{facts:?}"
    );
    let error = store.try_lock(&me("r")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Access, "{error}");
    // Rights to lock and record, and none to the migration's own keys.
    scratch
        .send::<()>(&format!("ACL SETUSER {user} +@all resetkeys ~{{{}dunlin}}:*", scratch.prefix))
        .await
        .unwrap();
    let store = Redis.connect(&Target { url, ..scratch.target() }).await.unwrap();
    let mut session = lock(&store).await;
    let error = Step::up(scratch.op("SET ~b 1"), fresh("2")).run(&mut session).await.unwrap_err();
    assert!(error.kind == ErrorKind::Statement && error.span.is_some(), "{error:?}");
    session.release().await.unwrap();
    assert_eq!(store.history().await.unwrap().records.len(), 1);
    scratch.send::<()>(&format!("ACL DELUSER {user}")).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_shown() {
    let scratch = scratch(Kind::Single);
    let rest = scratch.url.expose().split_once("://").unwrap().1.to_owned();
    for login in ["nobody:s3cr%40t", ":s3cr%40t"] {
        let url = StoreUrl::new(format!("redis://{login}@{rest}"));
        let error = Redis.connect(&Target::new("cache", url)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Access, "{error}");
        assert!(!format!("{error:?}").contains("s3cr"), "{error:?}");
    }
}

#[tokio::test]
async fn a_dead_host_is_given_up_in_time() {
    for url in ["redis://127.0.0.1:1", "redis+unix:///nowhere.sock", "redis+cluster://127.0.0.1:1"] {
        let target = Target {
            connect_timeout: Duration::from_millis(400),
            ..Target::new("cache", StoreUrl::new(url))
        };
        let began = Instant::now();
        let error = Redis.connect(&target).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Connect, "{url}: {error}");
        assert!(began.elapsed() < Duration::from_secs(1), "{url}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_is_given_up_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = StoreUrl::new(format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port()));
    let target = Target { connect_timeout: Duration::from_millis(300), ..Target::new("cache", url) };
    let error = Redis.connect(&target).await.unwrap_err();
    assert!(error.kind == ErrorKind::Connect && error.temporary, "{error}");
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = StoreUrl::new(format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port()));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let error = Redis.connect(&Target::new("cache", url)).await.unwrap_err();
    assert!(error.kind == ErrorKind::Connect && !error.temporary, "{error}");
    assert!(error.help.unwrap().contains("does not speak"));
}

#[tokio::test]
async fn settings_that_mean_nothing_here_are_refused() {
    let scratch = scratch(Kind::Single);
    let session = Target { lock: LockMode::Session, ..scratch.target() };
    let schema = Target { schema: Some("public".to_owned()), ..scratch.target() };
    let database =
        Target { url: StoreUrl::new(format!("{}/4711", scratch.url.expose())), ..scratch.target() };
    let braces = Target { prefix: Some("{app}:".to_owned()), ..scratch.target() };
    for target in [session, schema, database, braces] {
        assert_eq!(Redis.connect(&target).await.unwrap_err().kind, ErrorKind::Config);
    }
}
