//! Verify guards contract, and contract waits to be asked.

use dunlin::{Failure, Goal, State};
use dunlin_engine::run::Stop;

use super::{Subject, must_up, store, things, up};
use crate::server::Kind;

const LIFE: &str = "-- up\nadd new\nadd old\n-- verify\nnew\n-- contract\ndrop old\n-- contract down\nadd old\n-- down\ndrop new\ndrop old";

/// What a verify step finds stops everything after it.
pub async fn verify_stops_before_contract(subject: Subject) {
    let spoilt = ("1_life", LIFE.replace("-- verify", "bump new\n-- verify"));
    let spoilt = (spoilt.0, spoilt.1.as_str());
    let project = subject.project(&[spoilt, ("2_next", "-- up\nadd next")]);
    if matches!(subject.scratch.kind, Kind::Redis | Kind::RedisCluster) {
        subject.scratch.redis_words::<()>(&["SET", "new:extra", "x"]).await;
    }
    let goal = Goal { contract: true, ..Goal::default() };
    let Err(Failure::Run(run)) = dunlin::up(&project, &goal, &mut |_| {}).await else {
        panic!("nothing was found")
    };
    assert!(matches!(run.1, Stop::Violated), "{:?}", run.1);
    assert!(run.0.broken.is_some());
    let names: Vec<String> = subject.counters_or_keys().await;
    assert!(names.contains(&"old".to_owned()) && !names.contains(&"next".to_owned()), "{names:?}");
    assert!(
        matches!(up(&project).await, Err(Failure::Run(_))),
        "a failed verify is tried again, not passed over"
    );
}

/// `up` ends at expanded; contract goes on from there.
pub async fn contract_runs_when_asked(subject: Subject) {
    let project = subject.project(&[("1_life", LIFE)]);
    assert_eq!(must_up(&project).await, 2);
    let state = |history: dunlin::History| history.records.values().next().map(|record| record.state);
    let store = store(&project).await;
    assert_eq!(state(store.history().await.expect("a history")), Some(State::Expanded));
    assert_eq!(subject.counters().await, things([("new", 0), ("old", 0)]));
    assert_eq!(must_up(&project).await, 0);
    let goal = Goal { contract: true, ..Goal::default() };
    dunlin::up(&project, &goal, &mut |_| {}).await.expect("nothing stands in the way");
    assert_eq!(state(store.history().await.expect("a history")), Some(State::Done));
    assert_eq!(subject.counters().await, things([("new", 0)]));
    super::down(&project, 1).await.expect("the way back is written");
    assert_eq!(subject.counters().await, things([]));
}
