//! Up, down, and what comes between.

use dunlin::{ErrorKind, Failure};
use dunlin_engine::run::Stop;

use super::{Subject, connect, down, must_up, store, things, up};

const THREE: [(&str, &str); 3] = [
    ("1_a", "-- up\nadd a\nbump a\n-- down\ndrop a"),
    ("2_b", "-- up\nadd b\n-- down\ndrop b"),
    ("3_c", "-- up\nbump a\nbump b\n-- down\n"),
];

/// Each step once, in order of version, and the history says so.
pub async fn applies_in_order_and_records_it(subject: Subject) {
    let project = subject.project(&THREE);
    assert_eq!(must_up(&project).await, 3);
    assert_eq!(subject.counters().await, things([("a", 2), ("b", 1)]));
    let history = store(&project).await.history().await.expect("a history");
    let versions: Vec<&str> = history.records.keys().map(dunlin::Version::as_str).collect();
    assert_eq!(versions, ["1", "2", "3"]);
    for record in history.records.values() {
        assert_eq!((record.state, record.steps.len(), &record.checkpoint), (dunlin::State::Done, 1, &None));
        assert!(record.started <= record.finished && record.started.is_some(), "{record:?}");
    }
}

/// Nothing to do means no lock and no write.
pub async fn a_second_up_does_nothing(subject: Subject) {
    let project = subject.project(&THREE);
    must_up(&project).await;
    let store = store(&project).await;
    let before =
        (store.history().await.expect("a history"), store.journal(None, 100).await.expect("a journal"));
    assert_eq!(must_up(&project).await, 0);
    let after =
        (store.history().await.expect("a history"), store.journal(None, 100).await.expect("a journal"));
    assert_eq!(before, after);
}

/// Every read works on a database dunlin never wrote to, and leaves it as it is.
pub async fn reading_creates_nothing(subject: Subject) {
    let project = subject.project(&THREE);
    let store = store(&project).await;
    assert!(store.history().await.expect("a history").records.is_empty());
    assert!(store.journal(None, 10).await.expect("a journal").is_empty());
    assert!(store.holder().await.expect("a lock").is_none());
    assert!(!store.examine().await.expect("facts").is_empty());
    assert_eq!(must_up(&subject.project(&[])).await, 0);
    assert!(store.history().await.expect("a history").records.is_empty());
    assert_eq!(subject.counters().await, things([]));
}

/// Down leaves what was there before up, and up does it all again.
pub async fn goes_back_and_forth(subject: Subject) {
    let project = subject.project(&THREE[..2]);
    must_up(&project).await;
    down(&project, 1).await.expect("there is a way back");
    assert_eq!(subject.counters().await, things([("a", 1)]));
    down(&project, 5).await.expect("there is a way back");
    assert_eq!(subject.counters().await, things([]));
    assert_eq!(must_up(&project).await, 2);
    assert_eq!(subject.counters().await, things([("a", 1), ("b", 0)]));
}

/// The text that ran is kept, so the file may be gone.
pub async fn goes_back_by_the_stored_text(subject: Subject) {
    must_up(&subject.project(&THREE[..2])).await;
    let without_files = subject.project(&[]);
    let summary = down(&without_files, 2).await.expect("the history kept the text");
    assert_eq!(summary.completed.len(), 2);
    assert_eq!(subject.counters().await, things([]));
}

/// An empty file is a migration; an empty way back is none.
pub async fn an_empty_up_is_applied_and_an_empty_down_refused(subject: Subject) {
    let project = subject.project(&[("1_empty", "")]);
    assert_eq!(must_up(&project).await, 1);
    assert_eq!(must_up(&project).await, 0);
    let Err(Stop::Failed(error)) = down(&project, 1).await else { panic!("went back by nothing") };
    assert!(error.message.contains("nothing to undo is written here"), "{error}");
    assert_eq!(must_up(&project).await, 0);
}

/// A statement that fails names itself; what ran before it stays only where no transaction holds them together; the
/// corrected file continues.
pub async fn a_failed_statement_is_explained_and_continued(subject: Subject) {
    let bad = ("2_b", "-- up\nadd b\nfail b\nbump b\n-- down\ndrop b");
    let project = subject.project(&[THREE[0], bad]);
    let Err(Failure::Run(run)) = up(&project).await else { panic!("did not fail") };
    let Stop::Failed(error) = &run.1 else { panic!("{:?}", run.1) };
    assert_eq!(error.kind, ErrorKind::Statement, "{error:?}");
    let place = error.span.and_then(|span| project.load().sources.locate(span)).expect("a place in the file");
    assert!(place.file.starts_with("2_b.") && place.line >= 3, "{place}");
    let is_transactional = store(&project).await.is_transactional();
    assert_eq!(!subject.counters_or_keys().await.contains(&"b".to_owned()), is_transactional);
    let good = ("2_b", "-- up\nadd b\nbump b\n-- down\ndrop b");
    must_up(&subject.project(&[THREE[0], good])).await;
    assert_eq!(subject.counters().await, things([("a", 1), ("b", 1)]));
}

/// Ten runners race from nothing; each succeeds, and each step ran once.
pub async fn runners_at_once_apply_each_step_once(subject: Subject) {
    for _ in 0..2 {
        let runners: Vec<_> = (0..10)
            .map(|_| {
                let project = subject.project(&THREE);
                tokio::spawn(async move { must_up(&project).await })
            })
            .collect();
        let mut steps = 0;
        for runner in runners {
            steps += runner.await.expect("every runner succeeds");
        }
        assert!(steps == 3 || steps == 0, "{steps} steps ran");
        assert_eq!(subject.counters().await, things([("a", 2), ("b", 1)]));
    }
}

/// A run that is cancelled pauses between steps, and the next one goes on.
pub async fn a_cancelled_run_continues(subject: Subject) {
    let project = subject.project(&THREE);
    let goal = dunlin::Goal::default();
    let cancel = project.cancel.clone();
    let mut stop = |event: dunlin::RunEvent<'_>| {
        if matches!(event, dunlin::RunEvent::Finished { .. }) {
            cancel.cancel();
        }
    };
    let summary = dunlin::up(&project, &goal, &mut stop).await.expect("a pause is no failure");
    assert_eq!((summary.completed.len(), summary.remaining.len()), (1, 1));
    assert_eq!(connect(&project).await.stores.len(), 1);
    assert_eq!(must_up(&subject.project(&THREE)).await, 2);
    assert_eq!(subject.counters().await, things([("a", 2), ("b", 1)]));
}
