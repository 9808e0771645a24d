//! Any schedule of applications, runs that die, pauses and ways back ends where the straight run does, and at every station
//! both applications read what they must.
//!
//! The seeds are fixed. `DUNLIN_TEST_SEEDS=300` plays so many for each backend, `DUNLIN_TEST_SEEDS=200..300` those, and
//! `DUNLIN_TEST_SCHEDULE='Rename: old=3 up<12 …'` the one that a failure has printed.

use std::env;
use std::ops::Range;

use dunlin_testkit::Kind;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::play::play;
use super::schedule::{Schedule, any_schedule};
use super::town::THREE;

/// About how many calls a run makes to one store.
const CALLS: usize = 34;
/// How often a failure is made smaller.
const SHRINKS: u32 = 16;

#[test]
fn any_schedule_ends_where_the_straight_run_ends_on_postgres() {
    any(&[Kind::Postgres], 3);
}

#[test]
fn any_schedule_ends_where_the_straight_run_ends_on_mysql() {
    any(&[Kind::Mysql], 3);
}

#[test]
fn any_schedule_ends_where_the_straight_run_ends_on_sqlite() {
    any(&[Kind::Sqlite], 8);
}

#[test]
fn any_schedule_ends_where_the_straight_run_ends_on_mongo() {
    any(&[Kind::Mongo], 4);
}

#[test]
fn any_schedule_ends_where_the_straight_run_ends_on_redis() {
    any(&[Kind::Redis], 3);
}

#[test]
fn any_schedule_ends_where_the_straight_run_ends_over_three_stores() {
    any(&THREE, 2);
}

/// Each place of a way back, and then forth again: what an earlier run made and nothing took away is not made twice.
#[test]
fn a_way_back_that_was_cut_short_leads_forth_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for call in 4..16 {
        let schedule = Schedule::parse(&format!("Rename: up new=3 down>{call} up old=2 contract")).unwrap();
        runtime.block_on(play(&[Kind::Sqlite], &schedule));
    }
}

fn seeds(usual: u64) -> Range<u64> {
    let Ok(wanted) = env::var("DUNLIN_TEST_SEEDS") else { return 0..usual };
    let (from, to) = wanted.split_once("..").unwrap_or(("0", &wanted));
    from.parse().unwrap()..to.parse().unwrap()
}

fn any(kinds: &[Kind], usual: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Ok(text) = env::var("DUNLIN_TEST_SCHEDULE") {
        let schedule = Schedule::parse(&text).unwrap_or_else(|| panic!("no schedule: {text}"));
        return runtime.block_on(play(kinds, &schedule));
    }
    let strategy = any_schedule(CALLS * kinds.len());
    let mut broken = Vec::new();
    for seed in seeds(usual) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config =
            Config { cases: 1, failure_persistence: None, max_shrink_iters: SHRINKS, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let outcome = runner.run(&strategy, |schedule| {
            runtime.block_on(play(kinds, &schedule));
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(reason, schedule)) => {
                broken.push(format!("seed {seed}: DUNLIN_TEST_SCHEDULE='{schedule}'\n{reason}"));
            }
            Err(error) => broken.push(format!("seed {seed}: {error}")),
        }
    }
    assert!(broken.is_empty(), "{} seeds on {kinds:?}:\n{}", broken.len(), broken.join("\n\n"));
}
