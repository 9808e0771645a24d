//! What a store remembers is what it was told.

use std::sync::Arc;

use dunlin::{
    Attempt, Checkpoint, Checksum, Cursor, EventKind, MigrationId, Origin, Phase, Record, Session, State,
    StoredFile, Version,
};
use dunlin_engine::lock;

use super::{Subject, connect, down, must_up, store};
use dunlin::Project;

/// A session on the project's store.
pub(super) async fn session(project: &Project) -> Box<dyn Session> {
    let context = connect(project).await;
    let me = lock::me("tester", &context.author.run);
    match store(project).await.try_lock(&me).await.expect("the lock can be asked for") {
        Attempt::Taken(session) => session,
        Attempt::Held(holder) => panic!("held by {holder:?}"),
    }
}

fn record(version: &str, project_run: &Arc<dunlin::Author>) -> Record {
    Record {
        id: MigrationId { version: Version::parse(version).expect("digits"), slug: "some_words".into() },
        state: State::Applying,
        phase: Phase::Backfill,
        origin: Origin::Run,
        steps: vec![Checksum::of(["one"]), Checksum::of(["two"])],
        checkpoint: Some(Checkpoint::of(&Cursor {
            at: 3,
            open: true,
            before: Some("absent".into()),
            sum: "s".to_owned(),
        })),
        text: Checksum::of(["text"]),
        author: project_run.clone(),
        started: None,
        finished: None,
        rows: 12_345_678_901,
        note: Some("it's a \"note\" with \\ and ${} and\nlines, 漢字 and 🐦".to_owned()),
    }
}

/// Every field of every kind of record comes back as it was written; times are the store's.
pub async fn records_read_back(subject: Subject) {
    let project = subject.project(&[]);
    let author = connect(&project).await.author;
    let mut session = session(&project).await;
    let states = [State::Applying, State::Expanded, State::Done, State::Undoing, State::Undone];
    for (index, state) in states.into_iter().enumerate() {
        let origin = [Origin::Run, Origin::Baseline, Origin::Mark][index % 3];
        let plain = record(&format!("{:014}", index + 1), &author);
        let empty = index % 2 == 1;
        let (checkpoint, note) =
            if empty { (None, None) } else { (plain.checkpoint.clone(), plain.note.clone()) };
        let written = Record {
            state,
            origin,
            checkpoint,
            note,
            steps: if empty { Vec::new() } else { plain.steps.clone() },
            ..plain
        };
        session.write(&written, &[], EventKind::Marked).await.expect("a write");
        let history = session.history().await.expect("a history");
        let read = &history.records[&written.id.version];
        assert_eq!(Record { started: None, finished: None, ..Record::clone(read) }, written);
        assert!(read.started.is_some());
        assert_eq!(read.finished.is_some(), state.is_settled(), "{state}");
    }
    session.release().await.expect("a release");
    assert_eq!(store(&project).await.history().await.expect("a history").records.len(), states.len());
}

/// Texts come back letter by letter, large ones too.
pub async fn files_read_back(subject: Subject) {
    let project = subject.project(&[]);
    let author = connect(&project).await.author;
    let mut session = session(&project).await;
    let files = vec![
        StoredFile { name: "1_a.sql".into(), text: "-- Up\r\n'\"\\ 漢字 🐦 $1 ?\n".into() },
        StoredFile { name: "1_a.down.sql".into(), text: "x".repeat(1_000_000).into() },
    ];
    let record = record("1", &author);
    session.write(&record, &files, EventKind::Begun).await.expect("a write");
    session.release().await.expect("a release");
    assert_eq!(store(&project).await.files(&record.id.version).await.expect("files"), files);
    let unknown = Version::parse("2").expect("digits");
    assert!(store(&project).await.files(&unknown).await.expect("no files").is_empty());
}

/// Events are numbered in the order in which they happened, and stay.
pub async fn the_journal_only_grows(subject: Subject) {
    let project = subject.project(&[
        ("1_a", "-- up\nadd a\nbump a\n-- down\ndrop a"),
        ("2_b", "-- up\nadd b\n-- down\ndrop b"),
    ]);
    must_up(&project).await;
    let store = store(&project).await;
    let first = store.journal(None, 100).await.expect("a journal");
    down(&project, 2).await.expect("a way back");
    let second = store.journal(None, 100).await.expect("a journal");
    assert_eq!(second[..first.len()], first);
    assert!(second.windows(2).all(|pair| pair[0].sequence < pair[1].sequence && pair[0].at <= pair[1].at));
    let ends: Vec<EventKind> =
        second.iter().map(|event| event.kind).filter(|kind| *kind != EventKind::Begun).collect();
    assert_eq!(
        ends,
        [EventKind::StepDone, EventKind::StepDone, EventKind::StepUndone, EventKind::StepUndone]
    );
    let one = store.journal(Some(&Version::parse("1").expect("digits")), 100).await.expect("a journal");
    assert!(one.iter().all(|event| event.id.version.as_str() == "1") && one.len() < second.len());
    assert_eq!(store.journal(None, 1).await.expect("a journal"), second[second.len() - 1..]);
}

/// What was undone counts as never having run.
pub async fn undone_and_applied_again_starts_afresh(subject: Subject) {
    let project = subject.project(&[("1_a", "-- up\nadd a\n-- down\ndrop a")]);
    must_up(&project).await;
    let store = store(&project).await;
    let version = Version::parse("1").expect("digits");
    let first = store.history().await.expect("a history").records[&version].clone();
    down(&project, 1).await.expect("a way back");
    let undone = store.history().await.expect("a history").records[&version].clone();
    assert_eq!((undone.state, undone.steps.len()), (State::Undone, 0));
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    must_up(&project).await;
    let again = store.history().await.expect("a history").records[&version].clone();
    assert!(again.state == State::Done && again.started > first.finished, "{first:?} {again:?}");
}
