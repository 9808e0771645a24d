//! Steps that go through the documents of a collection.

mod bounds;
mod convert;
mod crash;
mod look;
mod merge;
mod strain;
mod walk;

use std::num::NonZeroU32;
use std::time::Duration;

use bson::Document;
use dunlin::{Failure, Goal, Pace, Project, RunEvent, StoreUrl, Summary};
use dunlin_engine::run::{self, Stop};
use dunlin_testkit::fault::{Fuse, When};
use mongodb::Database;
use tokio_util::sync::CancellationToken;

use super::{STORE, project};
use crate::steer::down;

/// A project of one migration with one step of this phase.
fn step(url: &StoreUrl, phase: &str, text: &str) -> Project {
    project(url, &[("1_step.toml", &format!("[[{phase}]]\nstore = \"{STORE}\"\n{text}\n"))])
}

/// Puts documents into a collection.
async fn fill(db: &Database, name: &str, documents: impl IntoIterator<Item = Document>) {
    let documents: Vec<Document> = documents.into_iter().collect();
    db.collection(name).insert_many(documents).await.unwrap();
}

async fn count(db: &Database, name: &str, filter: Document) -> u64 {
    db.collection::<Document>(name).count_documents(filter).await.unwrap()
}

/// The error a run ends with.
async fn error(project: &Project) -> (Summary, dunlin::Error) {
    match dunlin::up(project, &Goal::default(), &mut |_| {}).await {
        Err(Failure::Run(run)) => match *run {
            (summary, Stop::Failed(error)) => (summary, error),
            (_, other) => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// The same in chunks of so many documents at most, each an advance of its own.
fn slowly(mut project: Project, size: u32) -> Project {
    project.pace(|pace| *pace = chunks_of(size));
    project
}

fn chunks_of(size: u32) -> Pace {
    let rate = NonZeroU32::new(size * 1000);
    Pace { bout: Duration::from_millis(1), rate, ..Pace::default() }
}

/// Runs `up` in a process that is dead from its k-th call to the store on. Whether it came to that.
async fn killed_at(project: &Project, call: usize, when: When) -> bool {
    let fuse = Fuse::silencing(call, when);
    let stores = project.connect(&[]).await.unwrap();
    let behind = stores.iter().map(|(name, store)| (name.clone(), fuse.around(store.clone()))).collect();
    let (context, loaded, goal) = (project.context(behind), project.load(), Goal::default());
    let planner = run::forward(&loaded.migrations, project.policy, &goal);
    let (_, result) = run::run(&context, &planner, &mut |_| {}).await;
    assert_eq!(result.is_err(), fuse.is_burnt(), "{call} {when}: {result:?}");
    release(project).await;
    fuse.is_burnt()
}

/// Takes the lock away from whoever died with it.
async fn release(project: &Project) {
    let store = super::store(project).await;
    if let Some(holder) = store.holder().await.unwrap() {
        store.unlock(holder.token).await.unwrap();
    }
}

/// A run that pauses once so many documents were come past.
async fn paused_after(project: &Project, documents: u64) {
    let cancel = project.cancel.clone();
    let mut report = |event: RunEvent<'_>| {
        if let RunEvent::Advanced { seen: Some(seen), .. } = event
            && seen.scanned >= documents
        {
            cancel.cancel();
        }
    };
    let summary = dunlin::up(project, &Goal::default(), &mut report).await.unwrap();
    assert!(summary.stopped_in.is_some(), "it was to pause");
}

/// The same project for another run.
trait Again {
    fn again(&self) -> Project;
}

impl Again for Project {
    fn again(&self) -> Project {
        let mut project = self.clone();
        project.cancel = CancellationToken::new();
        project
    }
}
