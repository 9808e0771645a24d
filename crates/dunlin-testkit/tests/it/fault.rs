//! A fuse kills at the call it is set to, on the side it is set to, and nothing reaches a store after that.

use std::env;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dunlin_core::history::{Event, History};
use dunlin_core::{
    AnyStore, Attempt, Check, Checked, Holder, Result, Store, StoredFile, Version, async_trait,
};
use dunlin_testkit::fault::{AT, Fuse, WHEN, When};
use dunlin_testkit::process::run;

/// Counts what reaches it.
#[derive(Debug, Default)]
struct Counter(AtomicU32);

impl Counter {
    fn reached(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for Counter {
    fn is_transactional(&self) -> bool {
        true
    }

    async fn history(&self) -> Result<History> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(History::default())
    }

    async fn journal(&self, _: Option<&Version>, _: u32) -> Result<Vec<Event>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Vec::new())
    }

    async fn files(&self, _: &Version) -> Result<Vec<StoredFile>> {
        Ok(Vec::new())
    }

    async fn holder(&self) -> Result<Option<Holder>> {
        Ok(None)
    }

    async fn try_lock(&self, _: &Holder) -> Result<Attempt> {
        Ok(Attempt::Held(None))
    }

    async fn unlock(&self, _: i64) -> Result<()> {
        Ok(())
    }

    async fn verify(&self, _: &Check<'_>) -> Result<Checked> {
        Ok(Checked::Wholly { violations: Vec::new(), unlisted: 0, scanned: 0 })
    }

    async fn examine(&self) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }
}

/// Three calls; how many of them succeeded.
async fn three_calls(store: &AnyStore) -> usize {
    let outcomes =
        [store.history().await.is_ok(), store.journal(None, 1).await.is_ok(), store.history().await.is_ok()];
    outcomes.iter().filter(|is_ok| **is_ok).count()
}

#[tokio::test]
async fn calls_are_counted_by_name() {
    let (counter, fuse) = (Arc::new(Counter::default()), Fuse::counting());
    assert_eq!(three_calls(&fuse.around(Arc::clone(&counter) as AnyStore)).await, 3);
    assert_eq!(fuse.calls(), ["history", "journal", "history"]);
    assert!(!fuse.is_burnt());
    assert_eq!(counter.reached(), 3);
}

#[tokio::test]
async fn nothing_reaches_a_store_after_its_fuse_burnt() {
    for (at, when, succeeded, reached) in [
        (1, When::Before, 0, 0),
        (1, When::After, 0, 1),
        (2, When::Before, 1, 1),
        (2, When::After, 1, 2),
        (4, When::Before, 3, 3),
    ] {
        let (counter, fuse) = (Arc::new(Counter::default()), Fuse::silencing(at, when));
        let store = fuse.around(Arc::clone(&counter) as AnyStore);
        assert_eq!(three_calls(&store).await, succeeded, "{when} {at}");
        assert_eq!(counter.reached(), reached, "{when} {at}");
        assert_eq!(fuse.is_burnt(), at <= 3, "{when} {at}");
    }
}

#[test]
fn a_process_aborts_at_each_call_until_it_completes() {
    for when in When::ALL {
        let mut lives = 0;
        for at in 1..=4 {
            let mut command = Command::new(env::current_exe().unwrap());
            command
                .args(["fault::the_process_that_aborts", "--exact", "--nocapture"])
                .env(AT, at.to_string())
                .env(WHEN, when.to_string());
            let run = run(&mut command);
            if run.signal == Some(6) {
                let name = ["history", "journal", "history"][at - 1];
                assert!(run.stderr.contains(&format!("aborting {when} call {at}, {name}")), "{run}");
            } else {
                lives += 1;
                assert_eq!(at, 4, "{run}");
                run.expect_code(0);
            }
        }
        assert_eq!(lives, 1);
    }
}

/// What [`a_process_aborts_at_each_call_until_it_completes`] runs; by itself it completes.
#[tokio::test]
async fn the_process_that_aborts() {
    let store = Fuse::from_env().around(Arc::new(Counter::default()));
    assert_eq!(three_calls(&store).await, 3);
}
