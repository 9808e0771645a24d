//! What contracts set aside goes for good, and the way back with it: refused before any of it runs.

use bson::{Document, doc};
use dunlin_testkit::scratch;
use mongodb::Database;

use super::{USERS, find};
use crate::cli::Case;
use crate::mongo::{STORE, database};

/// A project whose migrations are one change each, over a database with these documents.
pub(super) async fn shop(changes: &[&str], documents: Vec<Document>) -> (scratch::Scratch, Database, Case) {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    if !documents.is_empty() {
        db.collection::<Document>(USERS).insert_many(documents).await.unwrap();
    }
    let url = scratch.url.expose();
    let mut case = Case::new().file("dunlin.toml", &format!("[stores.{STORE}]\nurl = \"{url}\"\n"));
    for (at, change) in changes.iter().enumerate() {
        let text = format!("[[change]]\nstore = \"{STORE}\"\n{change}\n");
        case = case.file(&format!("migrations/{}_change.toml", at + 1), &text);
    }
    (scratch, db, case)
}

pub(super) fn says(case: &Case, line: &str, words: &[&str]) {
    let said = case.run(line);
    for word in words {
        assert!(said.contains(word), "`{word}` is not in what {line} said: {said}");
    }
}

async fn archives(db: &Database) -> Vec<String> {
    let names = db.list_collection_names().await.unwrap();
    names.into_iter().filter(|name| name.starts_with("dunlin_archive")).collect()
}

async fn contracted(change: &str) -> (scratch::Scratch, Database, Case) {
    let documents = (0..3).map(|id| doc! { "_id": id, "email": "a", "age": "3" }).collect();
    let (scratch, db, case) = shop(&[change], documents).await;
    db.run_command(doc! { "createIndexes": USERS, "indexes": [{ "key": { "age": 1 }, "name": "age_1" }] })
        .await
        .unwrap();
    case.done("up --contract --yes");
    (scratch, db, case)
}

/// Nothing runs of a way back that cannot come to its end.
async fn no_way_back(case: &Case, db: &Database, what: &str) {
    let before = (find(db, USERS).await, case.run("status"));
    for line in ["down", "down --dry-run", "down --allow-data-loss", "redo --allow-data-loss"] {
        says(case, line, &["exit 1", what, "error[purged]"]);
    }
    assert_eq!((find(db, USERS).await, case.run("status")), before);
}

#[tokio::test]
async fn what_was_set_aside_goes_and_so_does_the_way_back() {
    for (change, what) in [
        ("drop_field = { collection = 'users', field = 'email' }", "field email"),
        ("drop_collection = { collection = 'users' }", "collection users"),
        ("change_type = { collection = 'users', field = 'age', to = 'int', was = 'string' }", "field age"),
        ("change_type = { collection = 'users', field = 'age', to = 'int', as = 'years' }", "field age"),
        ("transform = { collection = 'users', up = { mail = '$email' }, from = ['email'] }", "field email"),
    ] {
        let (_scratch, db, case) = contracted(change).await;
        says(&case, "purge --dry-run", &[what, "1_change"]);
        says(&case, "purge", &["exit 3", &format!("{what} of 1_change in `app`")]);
        assert_eq!(archives(&db).await.len(), 1, "nothing went unasked");
        says(&case, "purge --yes", &["exit 0", &format!("purged {what} of 1_change in `app`")]);
        assert!(archives(&db).await.is_empty());
        says(
            &case,
            "history 1",
            &[&format!("purging {what} (dunlin_archive_1_1"), &format!("purged {what} (")],
        );
        no_way_back(&case, &db, &format!("the old {what} was purged by")).await;
        says(&case, "up", &["nothing to do"]);
    }
}

#[tokio::test]
async fn what_was_removed_by_hand_is_missed_before_anything_runs() {
    let by_hand = "is no longer there, and the journal does not say who removed it";
    let quarantine =
        "change_type = { collection = 'users', field = 'email', to = 'int', on_error = 'quarantine' }";
    for (change, name, what) in [
        ("drop_field = { collection = 'users', field = 'email' }", "dunlin_archive_1_1", "field users.email"),
        (quarantine, "dunlin_archive_1_1_quarantine", "quarantine of documents that could not be converted"),
        ("drop_index = { collection = 'users', name = 'age_1' }", "dunlin_shape", "index \"age_1\" of users"),
        (
            "set_validator = { collection = 'users', validator = '{ age: \"3\" }' }",
            "dunlin_shape",
            "validator of users",
        ),
    ] {
        let (_scratch, db, case) = contracted(change).await;
        db.collection::<Document>(name).drop().await.unwrap();
        no_way_back(&case, &db, &format!("the old {what} {by_hand}")).await;
    }
}

#[tokio::test]
async fn a_rename_keeps_its_way_back_without_any_archive() {
    let (_scratch, db, case) =
        contracted("rename_field = { collection = 'users', from = 'email', to = 'mail' }").await;
    says(&case, "purge --yes", &["nothing to purge"]);
    case.done("down");
    assert_eq!(find(&db, USERS).await[0], doc! { "_id": 0, "age": "3", "email": "a" });
}

/// What was only begun may not have set anything aside yet: it goes back.
#[tokio::test]
async fn what_has_set_nothing_aside_yet_goes_back() {
    let documents = vec![doc! { "_id": 1, "email": "a" }];
    let (_scratch, db, case) =
        shop(&["drop_field = { collection = 'users', field = 'email' }"], documents).await;
    case.done("up");
    case.done("down");
    assert_eq!(find(&db, USERS).await[0], doc! { "_id": 1, "email": "a" });
}
