//! The worked example in `migrations/`: the files that the README shows and the demo runs, over three real stores.

mod clients;

use std::path::Path;

use dunlin::{Goal, Project, State};
use dunlin_engine::Extent;
use dunlin_engine::run::histories;
use dunlin_testkit::scratch::{self, Scratch};

use crate::steer;

/// The three stores of the example.
struct Stores {
    app: Scratch,
    catalog: Scratch,
    cache: Scratch,
}

impl Stores {
    async fn new() -> Self {
        Self {
            app: scratch::postgres().await,
            catalog: scratch::mongo().await,
            cache: scratch::redis().await,
        }
    }

    fn project(&self) -> Project {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let project = Project::default().store("app", self.app.url.expose());
        let project = project.and_then(|project| project.store("catalog", self.catalog.url.expose()));
        let project = project.and_then(|project| project.store("cache", self.cache.url.expose()));
        project.and_then(|project| project.directory(&directory)).expect("the example can be read")
    }

    async fn fields(&self, filter: bson::Document) -> u64 {
        self.catalog.collection("profiles").await.count_documents(filter).await.expect("a count")
    }
}

#[tokio::test]
async fn the_example_expands_contracts_and_comes_back_in_all_three_stores() {
    let stores = Stores::new().await;
    let project = stores.project();
    assert!(project.load().diagnostics.is_empty(), "{:?}", project.load().diagnostics);
    let summary = dunlin::up(&project, &Goal::default(), &mut |_| {}).await.expect("the example runs");
    assert_eq!(summary.completed.len(), 14);

    // Old and new shape side by side, in every store; lifetimes went along.
    assert_eq!(stores.app.number("select count(*) from users where email_address = email").await, 3);
    assert_eq!(
        stores.fields(bson::doc! { "emailAddress": { "$exists": true }, "email": { "$exists": true } }).await,
        3
    );
    assert!(stores.cache.redis_words::<i64>(&["TTL", "user:1:profile"]).await > 80_000);
    assert_eq!(stores.cache.redis_words::<i64>(&["TTL", "user:3:profile"]).await, -1);
    assert_eq!(stores.cache.redis_words::<i64>(&["EXISTS", "user_1", "user_2", "user_3"]).await, 3);

    let goal = Goal { contract: true, ..Goal::default() };
    let summary = dunlin::up(&project, &goal, &mut |_| {}).await.expect("everything was verified");
    assert_eq!(summary.completed.len(), 10);
    assert_eq!(stores.fields(bson::doc! { "email": { "$exists": true } }).await, 0);
    assert_eq!(stores.cache.redis_words::<i64>(&["EXISTS", "user_1", "user_2", "user_3"]).await, 0);
    assert_eq!(dunlin::up(&project, &goal, &mut |_| {}).await.expect("nothing to do").completed.len(), 0);

    back(&project, 9).await;
    for history in
        histories(&project.connect(&[]).await.expect("they can be reached")).await.expect("read").values()
    {
        assert!(history.records.values().all(|record| record.state == State::Undone));
    }
    assert_eq!(
        stores.app.number("select count(*) from information_schema.tables where table_name = 'users'").await,
        0
    );
    assert_eq!(stores.fields(bson::Document::new()).await, 0);
    let left: Vec<String> = stores.cache.redis_words(&["KEYS", "user*"]).await;
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_embedded_directory_is_the_directory() {
    const EMBEDDED: &[dunlin::File] = dunlin::include_migrations!();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let read = dunlin_engine::read_dir(&directory).expect("the example can be read");
    let pairs = |files: &[dunlin::File]| -> Vec<(String, Vec<u8>)> {
        files.iter().map(|file| (file.name.to_string(), file.content.bytes().to_vec())).collect()
    };
    assert_eq!(pairs(EMBEDDED), pairs(&read));
}

/// Takes so many migrations back.
async fn back(project: &Project, count: usize) {
    let went = steer::back(project, &Extent::Count(count), &mut |_| {}).await;
    went.expect("there is a way back from everything");
}
