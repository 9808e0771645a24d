//! MongoDB on real servers: what a team's bad day does to it. A replica set and a single server, connections that are
//! cut, elections, histories edited by hand.
#![allow(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod blocked;
pub(crate) mod changes;
mod cut;
mod damage;
mod election;
mod kinds;
mod moves;
mod reach;
mod scripts;
mod settle;
mod steps;

use std::time::Duration;

use bson::Document;
use dunlin::{AnyStore, Failure, File, Goal, Project, RunEvent, StoreName, StoreUrl, Summary, Target};
use mongodb::{Client, Database};

const STORE: &str = "app";

/// A file of a migration.
fn file(name: &str, text: &str) -> File {
    File {
        name: name.to_owned().into(),
        shown: name.to_owned().into(),
        content: text.as_bytes().to_vec().into(),
    }
}

/// A project over the database of a URL.
fn project(url: &StoreUrl, files: &[(&str, &str)]) -> Project {
    let target = Target { connect_timeout: Duration::from_secs(5), ..Target::new(STORE, url.clone()) };
    let files: Vec<File> = files.iter().map(|(name, text)| file(name, text)).collect();
    Project::default().target(target).unwrap().files(&files)
}

async fn up(project: &Project) -> Result<Summary, Failure> {
    dunlin::up(project, &Goal::default(), &mut |_| {}).await
}

/// `up`, which must succeed; what was noted on the way.
async fn must_up(project: &Project) -> Vec<String> {
    let mut notes = Vec::new();
    let goal = Goal { contract: true, ..Goal::default() };
    let mut report = |event: RunEvent<'_>| {
        if let RunEvent::Noted { note, .. } = event {
            notes.push(note.to_owned());
        }
    };
    if let Err(failure) = dunlin::up(project, &goal, &mut report).await {
        panic!("{failure}: {failure:?}");
    }
    notes
}

async fn store(project: &Project) -> AnyStore {
    project.connect(&[]).await.unwrap()[&StoreName::from(STORE)].clone()
}

pub(crate) async fn database(url: &StoreUrl) -> Database {
    Client::with_uri_str(url.expose()).await.unwrap().default_database().unwrap()
}

/// All documents of a collection, in order of `_id`, as relaxed JSON without their `_id`.
async fn documents(db: &Database, name: &str) -> Vec<Document> {
    use futures_util::TryStreamExt as _;
    let collection = db.collection::<Document>(name);
    let find = collection.find(bson::doc! {}).sort(bson::doc! { "_id": 1 });
    find.projection(bson::doc! { "_id": 0 }).await.unwrap().try_collect().await.unwrap()
}
