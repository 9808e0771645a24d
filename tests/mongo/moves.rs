//! Steps that go through the documents of a collection.

mod walk;

use std::num::NonZeroU32;
use std::time::Duration;

use bson::Document;
use dunlin::{Failure, Goal, Pace, Project, StoreUrl, Summary};
use dunlin_engine::run::Stop;
use mongodb::Database;

use super::{STORE, project};

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
    let rate = NonZeroU32::new(size * 1000);
    let pace = Pace { bout: Duration::from_millis(1), rate, ..Pace::default() };
    project.paces.insert(STORE.into(), pace);
    project
}
