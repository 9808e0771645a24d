//! Whole changes: what an old and a new application read and write at every station of a change's life.

mod carry;
mod crash;
mod fields;
mod foresee;
mod guard;
mod plans;
mod purge;
mod shapes;
mod usage;

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use dunlin::{Phase, Project, StoreUrl};
use dunlin_engine::{plan, run};
use dunlin_testkit::scratch;
use futures_util::TryStreamExt as _;
use mongodb::Database;

use super::{STORE, database, project};
use crate::steer::{down, try_down, up_before};

/// The name of the collection that changes.
const USERS: &str = "users";

/// A project of one migration with these changes.
fn changes(url: &StoreUrl, changes: &[&str]) -> Project {
    let one = |text: &&str| format!("[[change]]\nstore = \"{STORE}\"\n{text}\n");
    let text = changes.iter().map(one).collect::<Vec<_>>().join("\n");
    project(url, &[("20261121_change.toml", &text)])
}

async fn up_to(project: &Project, phase: Option<Phase>) {
    if let Err(failure) = up_before(project, phase).await {
        panic!("{failure}: {failure:?}");
    }
}

/// What `down` says it would lose.
async fn losses(project: &Project) -> Vec<String> {
    let stores = project.connect(&[]).await.unwrap();
    let context = project.context(stores);
    let histories = run::histories(&context.stores).await.unwrap();
    let migrations: Vec<_> = project.load().migrations.into_values().collect();
    let plan = plan::down(&migrations, &histories).unwrap();
    let gone: Vec<String> =
        plan.items.iter().filter_map(|item| item.op.as_ref()).flat_map(|op| op.removes()).collect();
    assert!(gone.is_empty(), "a look says what is lost, and only where there is something: {gone:?}");
    let proofs = dunlin_engine::verify::losses(&context, &plan, &mut |_| {}).await.unwrap().unwrap();
    proofs.iter().flat_map(|proof| &proof.violations).map(ToString::to_string).collect()
}

/// The shape of a database: its collections, their options and indexes, but not what is dunlin's own.
pub(crate) async fn shape(db: &Database) -> BTreeMap<String, String> {
    let mut shape = BTreeMap::new();
    let listed: Vec<_> = db.list_collections().await.unwrap().try_collect().await.unwrap();
    for found in
        listed.into_iter().filter(|found| !found.name.starts_with("dunlin_") && found.name != "system.views")
    {
        let list = doc! { "listCollections": 1, "filter": { "name": &found.name }, "cursor": {} };
        let options = db.run_command(list).await.unwrap();
        let options = options.get_document("cursor").unwrap().get_array("firstBatch").unwrap()[0].clone();
        let mut options = options.as_document().unwrap().get_document("options").unwrap().clone();
        // What the server takes where nothing is said.
        for (name, usual) in [("validationLevel", "strict"), ("validationAction", "error")] {
            if options.get_str(name).is_ok_and(|value| value == usual) {
                options.remove(name);
            }
        }
        let mut text = format!("{:?} {options}", found.collection_type);
        if let Ok(indexes) = db.run_command(doc! { "listIndexes": &found.name }).await {
            let indexes = indexes.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
            let mut indexes: Vec<String> = indexes.iter().map(ToString::to_string).collect();
            indexes.sort();
            text.push_str(&indexes.join(" "));
        }
        shape.insert(found.name, text);
    }
    shape
}

async fn find(db: &Database, name: &str) -> Vec<Document> {
    let collection = db.collection::<Document>(name);
    let found = collection.find(doc! {}).sort(doc! { "_id": 1 });
    found.await.unwrap().try_collect().await.unwrap()
}

/// What an application of one shape does with documents.
#[derive(Clone, Copy)]
struct Client {
    /// A new document with this value.
    insert: fn(i32) -> Document,
    /// The update that gives a document this value.
    update: fn(i32) -> Vec<Document>,
    /// The value it sees.
    read: fn(&Document) -> Option<i32>,
}

/// Two applications, and the value that every document must have for both.
struct Town {
    db: Database,
    old: Client,
    new: Client,
    /// The new one, once the old shape is gone.
    late: Client,
    expected: BTreeMap<i32, i32>,
    next: i32,
}

impl Town {
    async fn found(db: &Database, [old, new, late]: [Client; 3], count: i32) -> Self {
        let documents = (0..count).map(|id| with_id(id, (old.insert)(id)));
        db.collection::<Document>(USERS).insert_many(documents).await.unwrap();
        let expected = (0..count).map(|id| (id, id)).collect();
        Self { db: db.clone(), old, new, late, expected, next: count }
    }

    async fn write(&mut self, client: Client) {
        let users = self.db.collection::<Document>(USERS);
        for step in [7, 13] {
            let (value, inserted) = (1000 + self.next, self.next);
            self.next += 1;
            let changed = value * step % 100;
            users.update_one(doc! { "_id": changed }, (client.update)(value)).await.unwrap();
            users.insert_one(with_id(inserted, (client.insert)(value))).await.unwrap();
            self.expected.extend([(changed, value), (inserted, value)]);
        }
    }

    /// Both applications work for a while.
    async fn work(&mut self) {
        let (old, new) = (self.old, self.new);
        self.write(old).await;
        self.write(new).await;
    }

    async fn sees(&self, client: Client, station: &str) {
        let seen: BTreeMap<i32, i32> = find(&self.db, USERS)
            .await
            .iter()
            .map(|document| {
                let value = (client.read)(document);
                (document.get_i32("_id").unwrap(), value.unwrap_or_else(|| panic!("{station}: {document}")))
            })
            .collect();
        assert_eq!(seen, self.expected, "{station}");
    }

    async fn both_see(&self, station: &str) {
        self.sees(self.old, station).await;
        self.sees(self.new, station).await;
    }
}

fn with_id(id: i32, mut document: Document) -> Document {
    document.insert("_id", id);
    document
}

/// Leads a change of fields through its whole life, with both applications at work between any two stations.
async fn live(change: &str, clients: [Client; 3], (olds, news): (&[&str], &[&str])) {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let mut town = Town::found(&db, clients, 300).await;
    let before = shape(&db).await;
    let project = changes(&scratch.url, &[change]);
    let none_has = async |fields: &[&str], station: &str| {
        for field in fields {
            let count =
                db.collection::<Document>(USERS).count_documents(doc! { *field: { "$exists": true } }).await;
            assert_eq!(count.unwrap(), 0, "{station}: {field}");
        }
    };

    up_to(&project, Some(Phase::Backfill)).await;
    town.write(town.old).await;
    town.both_see("expand").await;
    down(&project).await;
    none_has(news, "down from expand").await;
    assert_eq!(shape(&db).await, before, "down from expand");
    town.write(town.old).await;
    up_to(&project, Some(Phase::Backfill)).await;
    up_to(&project, Some(Phase::Verify)).await;
    town.work().await;
    town.both_see("backfill").await;
    up_to(&project, Some(Phase::Contract)).await;
    town.work().await;
    town.both_see("verify").await;
    down(&project).await;
    none_has(news, "down from verify").await;
    town.sees(town.old, "down from verify").await;
    assert_eq!(shape(&db).await, before, "down from verify");

    up_to(&project, Some(Phase::Contract)).await;
    town.work().await;
    town.both_see("expanded").await;
    up_to(&project, None).await;
    none_has(olds, "contract").await;
    town.sees(town.late, "contract").await;
    town.write(town.late).await;
    town.sees(town.late, "after contract").await;
    assert_eq!(losses(&project).await, Vec::<String>::new(), "everything can come back");
    down(&project).await;
    none_has(news, "down").await;
    town.sees(town.old, "down").await;
    assert_eq!(shape(&db).await, before, "down");
    let left: Vec<String> = db.list_collection_names().await.unwrap();
    assert!(!left.iter().any(|name| name.starts_with("dunlin_archive")), "{left:?}");

    town.write(town.old).await;
    up_to(&project, None).await;
    none_has(olds, "up --contract").await;
    town.sees(town.late, "up --contract").await;
    let again = up_before(&project, None).await.unwrap();
    assert!(again.completed.is_empty(), "a second one does nothing");
}

/// A number of a document, wherever it is.
fn number(document: &Document, path: &str) -> Option<i32> {
    let mut at = document;
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let value = at.get(name)?;
        if names.peek().is_none() {
            return match value {
                Bson::Int32(number) => Some(*number),
                Bson::String(text) => text.trim_start_matches('v').parse().ok(),
                _ => None,
            };
        }
        at = value.as_document()?;
    }
    None
}
