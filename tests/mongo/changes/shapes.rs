//! Collections, indexes and validators that come, go or change: what is there at every station, and that the way back leads
//! to what was there before.

use std::collections::BTreeMap;

use bson::{Document, doc};
use dunlin::{Failure, Phase, Project};
use dunlin_engine::run::Stop;
use dunlin_testkit::scratch;
use mongodb::Database;

use super::{USERS, changes, down, find, losses, shape, try_down, up_before, up_to};
use crate::mongo::{database, store};

/// Up to every phase and back, from the first to the last, and to the end; what the shape is at each.
async fn stations(project: &Project, db: &Database) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let before = shape(db).await;
    let mut seen = BTreeMap::new();
    for (name, next) in [
        ("expand", Some(Phase::Backfill)),
        ("backfill", Some(Phase::Verify)),
        ("verify", Some(Phase::Contract)),
        ("contract", None),
    ] {
        up_to(project, next).await;
        seen.insert(name, shape(db).await);
        down(project).await;
        assert_eq!(shape(db).await, before, "down from {name}");
    }
    up_to(project, None).await;
    assert_eq!(shape(db).await, seen["contract"], "up --contract");
    assert!(up_before(project, None).await.unwrap().completed.is_empty());
    seen.insert("before", before);
    seen
}

async fn error(project: &Project, before: Option<Phase>) -> Stop {
    match up_before(project, before).await {
        Err(Failure::Run(run)) => run.1,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_collection_comes_with_validator_and_indexes() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let change = "create_collection = { collection = 'orders', validator = { total = { '$gte' = 0 } },
        indexes = [{ key = { customer = 1, at = -1 } }, { key = { number = 1 }, unique = true }] }";
    let project = changes(&scratch.url, &[&change.replace("\n        ", " ")]);
    let seen = stations(&project, &db).await;
    let orders = &seen["expand"]["orders"];
    for part in ["customer_1_at_-1", "number_1", "unique", "$gte"] {
        assert!(orders.contains(part), "{part}: {orders}");
    }
    db.collection("orders").insert_one(doc! { "_id": 1, "total": 5 }).await.unwrap();
    assert_eq!(losses(&project).await, ["1: { _id: 1, total: 5 }"]);
}

#[tokio::test]
async fn a_dropped_collection_is_set_aside_until_it_is_purged() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    users.insert_many((0..50).map(|id| doc! { "_id": id })).await.unwrap();
    db.run_command(doc! { "createIndexes": USERS, "indexes": [{ "key": { "a": 1 }, "name": "a_1" }] })
        .await
        .unwrap();
    let project = changes(&scratch.url, &["drop_collection = { collection = 'users' }"]);
    let seen = stations(&project, &db).await;
    assert_eq!(seen["verify"], seen["before"], "nothing goes before the contract");
    assert!(!seen["contract"].contains_key(USERS));

    // An old client that writes once more: its document is in the way of the way back, and is not written over.
    users.insert_one(doc! { "_id": "late" }).await.unwrap();
    let Err(Stop::Failed(failure)) = try_down(&project).await else { panic!("it was to stop") };
    assert!(failure.message.contains("exists"), "{failure:?}");
    users.drop().await.unwrap();
    down(&project).await;
    assert_eq!(find(&db, USERS).await.len(), 50);

    up_to(&project, None).await;
    let store = store(&project).await;
    let archives = store.archives().await.unwrap();
    let listed: Vec<_> =
        archives.iter().map(|archive| (archive.version.to_string(), &*archive.what)).collect();
    assert_eq!(listed, [("20261121".to_owned(), "collection users")]);
    purge(&project).await;
    assert!(store.archives().await.unwrap().is_empty());
    assert!(try_down(&project).await.is_err(), "what is purged does not come back");
}

async fn purge(project: &Project) {
    let store = store(project).await;
    let me = dunlin_engine::lock::me("test", &project.context(BTreeMap::new()).author.run);
    let dunlin::Attempt::Taken(mut session) = store.try_lock(&me).await.unwrap() else {
        panic!("it is free")
    };
    for archive in store.archives().await.unwrap() {
        session.purge(&archive).await.unwrap();
        session.purge(&archive).await.unwrap();
    }
    session.release().await.unwrap();
}

#[tokio::test]
async fn a_view_over_it_keeps_a_collection_from_being_dropped() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    db.run_command(doc! { "create": USERS }).await.unwrap();
    db.run_command(doc! { "create": "names", "viewOn": USERS, "pipeline": [] }).await.unwrap();
    let project = changes(&scratch.url, &["drop_collection = { collection = 'users' }"]);
    let Stop::InUse(uses) = error(&project, None).await else { panic!("it was to stop") };
    assert_eq!(uses[0].1, "view names looks at users");
}

/// New clients read under the new name from the start, and write under the old one until the contract.
#[tokio::test]
async fn a_collection_gets_another_name_and_both_are_read_until_the_contract() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    let people = db.collection::<Document>("people");
    users.insert_one(doc! { "_id": 0 }).await.unwrap();
    db.run_command(doc! { "createIndexes": USERS, "indexes": [{ "key": { "a": 1 }, "name": "a_1" }] })
        .await
        .unwrap();
    let project = changes(&scratch.url, &["rename_collection = { from = 'users', to = 'people' }"]);
    let seen = stations(&project, &db).await;
    assert!(seen["expand"]["people"].starts_with("View"));
    assert!(!seen["contract"].contains_key(USERS) && seen["contract"]["people"].contains("a_1"));
    down(&project).await;

    up_to(&project, Some(Phase::Contract)).await;
    users.insert_one(doc! { "_id": 1 }).await.unwrap();
    assert!(people.insert_one(doc! { "_id": 2 }).await.is_err(), "a view takes no documents");
    assert_eq!((find(&db, USERS).await.len(), find(&db, "people").await.len()), (2, 2));
    up_to(&project, None).await;
    people.insert_one(doc! { "_id": 3 }).await.unwrap();
    assert_eq!(find(&db, "people").await.len(), 3);
    down(&project).await;
    assert_eq!(find(&db, USERS).await.len(), 3);
}

#[tokio::test]
async fn an_index_is_built_once_its_duplicates_are_mended() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    users
        .insert_many((0..200).map(|id| doc! { "_id": id, "a": if id < 3 { 0 } else { id }, "b": id }))
        .await
        .unwrap();
    let change =
        "add_index = { collection = 'users', keys = { a = 1 }, unique = true, options = { sparse = true } }";
    let project = changes(&scratch.url, &[change]);
    let Stop::Failed(failure) = error(&project, None).await else { panic!("it was to stop") };
    assert_eq!(failure.fact("documents").unwrap(), "0 in 3 documents (0, 2)");
    users.delete_many(doc! { "_id": { "$in": [0, 1] } }).await.unwrap();
    down(&project).await;
    let seen = stations(&project, &db).await;
    assert_eq!(seen["expand"], seen["before"]);
    assert!(seen["backfill"][USERS].contains("a_1"));

    // What is there already is not ours to take away.
    db.run_command(doc! { "createIndexes": USERS, "indexes": [{ "key": { "b": 1 }, "name": "mine" }] })
        .await
        .unwrap();
    scratch.collection("dunlin_history").await.delete_many(doc! {}).await.unwrap();
    let other = changes(&scratch.url, &["add_index = { collection = 'users', keys = { b = 1 } }"]);
    let Stop::Failed(failure) = error(&other, None).await else { panic!("it was to stop") };
    assert!(failure.message.contains("already"), "{failure:?}");
}

#[tokio::test]
async fn an_index_is_hidden_then_dropped_and_comes_back_exactly() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let create = doc! { "createIndexes": USERS, "indexes": [
        { "key": { "a": 1, "b": -1 }, "name": "ab", "unique": true, "partialFilterExpression": { "a": { "$gt": 1 } },
          "collation": { "locale": "de", "strength": 2 } },
        { "key": { "words": "text" }, "name": "words", "default_language": "german" },
        { "key": { "at": 1 }, "name": "at", "expireAfterSeconds": 3600, "hidden": true },
    ] };
    db.run_command(create).await.unwrap();
    for (change, hidden) in [
        ("drop_index = { collection = 'users', name = 'ab' }", 2),
        ("drop_index = { collection = 'users', name = 'words' }", 2),
        ("drop_index = { collection = 'users', keys = { at = 1 } }", 1),
    ] {
        let project = changes(&scratch.url, &[change]);
        let seen = stations(&project, &db).await;
        assert_eq!(seen["expand"][USERS].matches("\"hidden\": true").count(), hidden, "{change}");
        down(&project).await;
        assert_eq!(shape(&db).await, seen["before"], "{change}");
    }
}

#[tokio::test]
async fn an_index_that_somebody_shows_again_is_in_use() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    db.run_command(doc! { "createIndexes": USERS, "indexes": [{ "key": { "a": 1 }, "name": "a_1" }] })
        .await
        .unwrap();
    let project = changes(&scratch.url, &["drop_index = { collection = 'users', name = 'a_1' }"]);
    up_to(&project, Some(Phase::Contract)).await;
    let show = doc! { "collMod": USERS, "index": { "name": "a_1", "hidden": false } };
    db.run_command(show).await.unwrap();
    db.collection::<Document>(USERS).find_one(doc! { "a": 1 }).await.unwrap();
    let Stop::InUse(uses) = error(&project, None).await else { panic!("it was to stop") };
    assert!(uses[0].1.contains("used 1 time") && uses[0].1.contains("not hidden"), "{uses:?}");
}

#[tokio::test]
async fn a_validator_warns_until_no_document_breaks_it() {
    for before in [
        doc! {},
        doc! { "validator": { "a": { "$exists": true } }, "validationLevel": "moderate", "validationAction": "warn" },
        doc! { "validator": { "a": { "$exists": true } } },
    ] {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        let mut create = doc! { "create": USERS };
        create.extend(before);
        db.run_command(create).await.unwrap();
        let users = db.collection::<Document>(USERS);
        users.insert_many((0..50).map(|id| doc! { "_id": id, "a": id })).await.unwrap();
        let change = "set_validator = { collection = 'users', schema = { required = ['a'], properties = { a = { bsonType = 'int' } } } }";
        let project = changes(&scratch.url, &[change]);
        let seen = stations(&project, &db).await;
        assert!(seen["expand"][USERS].contains("\"validationAction\": \"warn\""), "{:?}", seen["expand"]);
        assert!(!seen["contract"][USERS].contains("validationAction"), "{:?}", seen["contract"]);
        assert!(users.insert_one(doc! { "_id": "old", "a": "text" }).await.is_err(), "refused by now");
        down(&project).await;

        up_to(&project, Some(Phase::Contract)).await;
        users.insert_one(doc! { "_id": "old", "a": "text" }).await.unwrap();
        assert!(
            matches!(error(&project, None).await, Stop::Violated),
            "it is counted before anything is refused"
        );
        let Err(Failure::Run(run)) = up_before(&project, None).await else { panic!("it was to stop") };
        assert_eq!(run.0.broken.unwrap().violations[0].record, "old");
        users.delete_one(doc! { "_id": "old" }).await.unwrap();
        up_to(&project, None).await;
    }
}
