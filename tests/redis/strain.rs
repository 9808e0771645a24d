//! Servers whose other clients are kept waiting, replicas that fall behind, and both where they cannot be seen.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use dunlin::{Attempt, Goal, Pace, Project, RunEvent, StoreUrl, Target};
use dunlin_core::Session;
use dunlin_testkit::{private, scratch};

use super::{COPY, STORE, count_at, failure, project, values};

/// The same project at another pace.
fn paced(url: &StoreUrl, pace: Pace) -> Project {
    let target = Target { lease: Duration::from_secs(2), pace, ..Target::new(STORE, url.clone()) };
    project(url, &[COPY]).target(target).unwrap()
}

async fn session(url: &StoreUrl) -> Box<dyn Session> {
    let project = project(url, &[COPY]);
    let store = project.connect(&[]).await.unwrap().into_values().next().unwrap();
    let run = project.context(dunlin::engine::Stores::default()).author.run.clone();
    match store.try_lock(&dunlin_engine::lock::me("somebody", &run)).await.unwrap() {
        Attempt::Taken(session) => session,
        Attempt::Held(_) => panic!("it is held"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_others_wait_too_long_nothing_is_moved_and_the_reason_is_told() {
    let server = private::redis(&["--enable-debug-command", "yes"]).await;
    let mut connection = scratch::redis_connection(&server.url).await.unwrap();
    values(5000).exec_async(&mut connection).await.unwrap();
    let is_slow = AtomicBool::new(true);
    let (told, moved) = (std::sync::Mutex::new(String::new()), AtomicU32::new(0));
    let pace = Pace { max_latency: Some(Duration::from_millis(10)), ..Pace::default() };
    let project = paced(&server.url, pace);
    // Several at once, so that the server goes from one to the next whenever this test is scheduled.
    let mut sleeps = redis::pipe();
    (0..5).for_each(|_| _ = sleeps.cmd("DEBUG").arg("SLEEP").arg("0.03").ignore());
    let slow = async {
        while is_slow.load(Ordering::SeqCst) {
            sleeps.exec_async(&mut connection).await.unwrap();
            if !told.lock().unwrap().is_empty() {
                // A second and a half in which it would have been done, had it gone on.
                for _ in 0..10 {
                    sleeps.exec_async(&mut connection).await.unwrap();
                }
                assert_eq!(moved.load(Ordering::SeqCst), 0, "it moved keys meanwhile");
                is_slow.store(false, Ordering::SeqCst);
            }
        }
    };
    let mut report = |event: RunEvent<'_>| match event {
        RunEvent::Throttled { reason, .. } => reason.clone_into(&mut told.lock().unwrap()),
        RunEvent::Advanced { changed, .. } if is_slow.load(Ordering::SeqCst) => {
            moved.fetch_add(u32::from(changed > 0), Ordering::SeqCst);
        }
        _ => {}
    };
    let goal = Goal { contract: true, ..Goal::default() };
    let (outcome, ()) = tokio::join!(dunlin::up(&project, &goal, &mut report), slow);
    outcome.unwrap();
    let told = told.into_inner().unwrap();
    assert!(
        told.contains("one in a hundred small requests takes") && told.contains("`max_latency` 10ms"),
        "{told}"
    );
    assert_eq!(count_at(&server.url, "user:*:profile").await, 5000);
}

#[tokio::test]
async fn a_login_that_may_not_measure_may_not_move_under_a_limit() {
    let server = private::redis(&[]).await;
    let mut connection = scratch::redis_connection(&server.url).await.unwrap();
    values(100).exec_async(&mut connection).await.unwrap();
    let words = ["SETUSER", "mover", "on", ">pw", "~*", "&*", "+@all", "-ping"];
    redis::cmd("ACL").arg(&words).exec_async(&mut connection).await.unwrap();
    let url = server.url_as("mover", "pw");
    let limited = Pace { max_latency: Some(Duration::from_secs(1)), ..Pace::default() };
    let said = failure(&paced(&url, limited)).await;
    assert!(
        said.contains("cannot measure how long a small request takes") && said.contains("+ping"),
        "{said}"
    );
    assert_eq!(count_at(&server.url, "user:*:profile").await, 0);
    // Where nobody counts on it, it goes without.
    super::must_up(&paced(&url, Pace::default())).await;
    assert_eq!(count_at(&server.url, "user:*:profile").await, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stops_is_waited_for_and_named() {
    let primary = private::redis(&[]).await;
    let replica = private::redis_replica_of(&primary).await;
    let mut session = session(&primary.url).await;
    let pace = Pace { max_lag: Some(Duration::from_secs(1)), ..Pace::default() };
    let until = async |session: &mut Box<dyn Session>, is_behind: bool| {
        let waiting = async {
            loop {
                let said = session.strain(&pace).await.unwrap();
                if said.is_some() == is_behind {
                    return said.unwrap_or_default();
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it says so")
    };
    until(&mut session, false).await;
    replica.stop();
    let said = until(&mut session, true).await;
    assert!(
        said.contains(&format!("127.0.0.1:{}", replica.port())) && said.contains("`max_lag` 1s"),
        "{said}"
    );
    assert_eq!(session.strain(&Pace { max_lag: None, ..pace.clone() }).await.unwrap(), None);
    replica.wake();
    until(&mut session, false).await;
    session.release().await.unwrap();
}
