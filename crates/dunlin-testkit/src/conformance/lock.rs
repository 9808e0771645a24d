//! One holder at a time, and none that does not know it.

use std::time::Duration;

use dunlin::{Attempt, ErrorKind, EventKind, LockMode, StoreUrl, Target};
use dunlin_engine::{lock, mark};

use super::history::session;
use super::{STORE, Subject, connect, store};

/// Who, where, which process, since when: while it is held, and not after.
pub async fn holder_is_named_while_held(subject: Subject) {
    let project = subject.project(&[]);
    let held = session(&project).await;
    let store = store(&project).await;
    let holder = store.holder().await.expect("a lock").expect("a holder");
    assert_eq!((&*holder.who, holder.pid), ("tester", std::process::id()));
    assert!(holder.since.is_some() && holder.token > 0 && !holder.host.is_empty());
    let me = lock::me("other", &holder.run);
    match store.try_lock(&me).await.expect("the lock can be asked for") {
        Attempt::Held(Some(named)) => assert_eq!(named.token, holder.token),
        attempt => panic!("{attempt:?}"),
    }
    held.release().await.expect("a release");
    assert!(store.holder().await.expect("a lock").is_none());
}

/// Every write checks the token, whatever was in flight.
pub async fn a_session_that_lost_the_lock_writes_nothing(subject: Subject) {
    let target = Target {
        lease: Duration::from_secs(2),
        ..Target::new(STORE, StoreUrl::new(subject.scratch.url.expose()))
    };
    let files = [subject.file("1_a", "-- up\nadd a\n-- down\ndrop a")];
    let project = dunlin::Project::default().target(target).expect("a URL of ours").files(&files);
    let loaded = project.load();
    let migration = loaded.migrations.values().next().expect("one migration");
    let context = connect(&project).await;
    let mut asleep = session(&project).await;
    let store = store(&project).await;
    let token = store.holder().await.expect("a lock").expect("a holder").token;
    store.unlock(token).await.expect("the lock can be taken away");
    let record = mark::settled(&**migration, &STORE.into(), dunlin::Origin::Mark, &context.author);
    let refused = asleep.write(&record, &[], EventKind::Marked).await.expect_err("wrote without the lock");
    // A session whose connection was ended with its lock cannot even ask.
    assert!(matches!(refused.kind, ErrorKind::LeaseLost | ErrorKind::Connect), "{refused:?}");
    let step = &migration.steps()[0];
    let work = dunlin::Work {
        op: &*step.op,
        running: &dunlin::Record { state: dunlin::State::Applying, steps: Vec::new(), ..record.clone() },
        done: &record,
        files: &[],
        pace: &dunlin::Pace::default(),
        lock_timeout: None,
        is_followed: false,
    };
    asleep.advance(&work).await.expect_err("ran without the lock");
    assert!(store.history().await.expect("a history").records.is_empty());
    assert!(subject.counters().await.is_empty());
    drop(asleep);
    // Where a write may still be on its way to another node, the lock stays closed until the lease is over.
    let me = lock::me("later", &context.author.run);
    for _ in 0..40 {
        if let Attempt::Taken(session) = store.try_lock(&me).await.expect("the lock can be asked for") {
            return session.release().await.expect("a release");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the lock never came free");
}

/// Whoever comes later has the higher token.
pub async fn tokens_only_grow(subject: Subject) {
    let project = subject.project(&[]);
    let mut last = 0;
    for _ in 0..3 {
        let held = session(&project).await;
        let token = store(&project).await.holder().await.expect("a lock").expect("a holder").token;
        assert!(token > last);
        last = token;
        held.release().await.expect("a release");
    }
}

/// A lease that nobody renews ends by the store's clock. Its holder then writes nothing.
pub async fn a_lease_that_ran_out_is_taken_over(subject: Subject) {
    let target = Target {
        lock: LockMode::Lease,
        lease: Duration::from_mins(10),
        ..Target::new(STORE, StoreUrl::new(subject.scratch.url.expose()))
    };
    let project = dunlin::Project::default().target(target.clone()).expect("a URL of ours");
    let brief = dunlin::Project::default()
        .target(Target { lease: Duration::from_millis(300), ..target })
        .expect("a URL of ours");
    let mut sleeper = session(&brief).await;
    // Renewals come from tasks of this runtime; one that blocks all its threads is as good as stopped.
    let blockers: Vec<_> =
        (0..2).map(|_| tokio::spawn(async { std::thread::sleep(Duration::from_millis(900)) })).collect();
    for blocker in blockers {
        blocker.await.expect("it only sleeps");
    }
    let me = lock::me("second", &connect(&project).await.author.run);
    let mut tries = 0;
    let taken = loop {
        match store(&project).await.try_lock(&me).await.expect("the lock can be asked for") {
            Attempt::Taken(session) => break Some(session),
            Attempt::Held(_) if tries < 40 => tries += 1,
            Attempt::Held(_) => break None,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    // The renewal may have been first; then the lease never ran out, and the sleeper is its rightful holder.
    let note = sleeper.note(&any_record(&project).await, EventKind::Failed, "still here").await;
    match taken {
        Some(session) => {
            assert_eq!(note.expect_err("wrote after the takeover").kind, ErrorKind::LeaseLost);
            session.release().await.expect("a release");
        }
        None => note.expect("it still holds the lock"),
    }
}

async fn any_record(project: &dunlin::Project) -> dunlin::Record {
    let author = connect(project).await.author;
    dunlin::Record {
        id: dunlin::MigrationId { version: dunlin::Version::parse("1").expect("digits"), slug: "a".into() },
        state: dunlin::State::Applying,
        phase: dunlin::Phase::Expand,
        origin: dunlin::Origin::Run,
        steps: Vec::new(),
        checkpoint: None,
        text: dunlin::Checksum::of(["a"]),
        author,
        started: None,
        finished: None,
        rows: 0,
        note: None,
    }
}
