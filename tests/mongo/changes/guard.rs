//! What stands between a change and the loss of a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::{Document, doc};
use dunlin::{Failure, Phase};
use dunlin_engine::run::Stop;
use dunlin_testkit::scratch;

use super::{USERS, changes, down, find, losses, up_before, up_to};
use crate::mongo::database;

const RENAME: &str = "rename_field = { collection = 'users', from = 'email', to = 'mail' }";

/// An old application that never stops writing, before, during and after the contract. What it wrote last is there, as the
/// new field where the document was not written since, as the old one where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_client_that_never_stops_loses_nothing() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    users.insert_many((0..3000).map(|id| doc! { "_id": id, "email": -1 })).await.unwrap();
    let project = changes(&scratch.url, &[RENAME]);
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (users, is_over) = (users.clone(), is_over.clone());
        async move {
            let mut last = vec![-1; 3000];
            let mut value = 0;
            while !is_over.load(Ordering::SeqCst) {
                let id = value * 7919 % 3000;
                users.update_one(doc! { "_id": id }, doc! { "$set": { "email": value } }).await.unwrap();
                last[usize::try_from(id).unwrap()] = value;
                value += 1;
            }
            (last, value)
        }
    });
    up_to(&project, Some(Phase::Contract)).await;
    up_to(&project, None).await;
    is_over.store(true, Ordering::SeqCst);
    let (last, written) = writer.await.unwrap();
    assert!(written > 100, "it did write: {written}");
    let seen = |document: &Document| {
        document.get_i32("email").or_else(|_| document.get_i32("mail")).expect("one of them is there")
    };
    let found: Vec<i32> = find(&db, USERS).await.iter().map(seen).collect();
    assert_eq!(found, last);
    let gone = users.count_documents(doc! { "email": { "$exists": false } }).await.unwrap();
    assert!(gone > 1000, "most of them are contracted: {gone}");
    down(&project).await;
    let found: Vec<i32> =
        find(&db, USERS).await.iter().map(|found| found.get_i32("email").unwrap()).collect();
    assert_eq!(found, last);
}

#[tokio::test]
async fn what_is_in_the_way_is_listed_and_nothing_is_changed() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    users
        .insert_many([
            doc! { "_id": 1, "email": "a" },
            doc! { "_id": 2, "email": "b", "mail": "another" },
            doc! { "_id": 3, "mail": "alone" },
            doc! { "_id": 4, "email": "d", "mail": "d" },
        ])
        .await
        .unwrap();
    let before = find(&db, USERS).await;
    let Err(Failure::Run(run)) = up_before(&changes(&scratch.url, &[RENAME]), None).await else {
        panic!("it was to stop")
    };
    let Stop::Failed(error) = run.1 else { panic!("{:?}", run.1) };
    let listed = error.fact("documents").unwrap();
    assert_eq!(
        listed,
        "2: \"another\" is there, \"b\" would go there; 3: \"alone\" is there, nothing would go there"
    );
    assert_eq!(find(&db, USERS).await, before);

    // A value in whose place a document would have to be is in the way, too.
    db.collection::<Document>("dunlin_history").delete_many(doc! {}).await.unwrap();
    let change = "rename_field = { collection = 'users', from = 'email', to = 'mail.first' }";
    let Err(Failure::Run(run)) = up_before(&changes(&scratch.url, &[change]), None).await else {
        panic!("it was to stop")
    };
    assert!(run.1.to_string().contains("2 documents of users have mail.first already"), "{}", run.1);
    assert_eq!(find(&db, USERS).await, before);
}

#[tokio::test]
async fn what_a_new_client_wrote_alone_is_listed_before_the_way_back() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    users.insert_many((0..3).map(|id| doc! { "_id": id, "email": "a" })).await.unwrap();
    let project = changes(&scratch.url, &[RENAME]);
    up_to(&project, Some(Phase::Contract)).await;
    assert_eq!(losses(&project).await, Vec::<String>::new());
    users.update_one(doc! { "_id": 1 }, doc! { "$set": { "mail": "b" } }).await.unwrap();
    users.insert_one(doc! { "_id": 7, "mail": "c" }).await.unwrap();
    assert_eq!(losses(&project).await, ["1: email is \"a\", mail is \"b\""]);
    down(&project).await;
    let seven = users.find_one(doc! { "_id": 7 }).await.unwrap().unwrap();
    assert_eq!(seven, doc! { "_id": 7, "email": "c" });
}

#[tokio::test]
async fn documents_that_differ_can_stop_the_contract() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    users.insert_many((0..3).map(|id| doc! { "_id": id, "email": "a" })).await.unwrap();
    let change = RENAME.replace(" }", ", differing = 'stop' }");
    let project = changes(&scratch.url, &[&change]);
    up_to(&project, Some(Phase::Contract)).await;
    users.update_one(doc! { "_id": 1 }, doc! { "$set": { "mail": "b" } }).await.unwrap();
    users.insert_one(doc! { "_id": 7, "email": "c" }).await.unwrap();
    let Err(Failure::Run(run)) = up_before(&project, None).await else { panic!("it was to stop") };
    assert!(matches!(run.1, Stop::Violated));
    let listed: Vec<String> = run.0.broken.unwrap().violations.iter().map(ToString::to_string).collect();
    assert_eq!(listed, ["1: email is \"a\", mail is \"b\""]);
    assert_eq!(users.count_documents(doc! { "email": { "$exists": true } }).await.unwrap(), 4);
    users.update_one(doc! { "_id": 1 }, doc! { "$set": { "email": "b" } }).await.unwrap();
    up_to(&project, None).await;
    assert_eq!(users.count_documents(doc! { "email": { "$exists": true } }).await.unwrap(), 0);
}

/// Each value of a dropped field is in the archive until it is purged, the one written a moment before it went included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_value_comes_back_as_it_was_last() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    let before: Vec<Document> = (0..2000)
        .map(|id| match id % 3 {
            0 => doc! { "_id": id },
            1 => doc! { "_id": id, "gone": bson::Bson::Null },
            _ => doc! { "_id": id, "gone": [id, { "x": 1.5 }] },
        })
        .collect();
    users.insert_many(before.clone()).await.unwrap();
    let project = changes(&scratch.url, &["drop_field = { collection = 'users', field = 'gone' }"]);
    up_to(&project, None).await;
    assert_eq!(users.count_documents(doc! { "gone": { "$exists": true } }).await.unwrap(), 0);
    down(&project).await;
    assert_eq!(find(&db, USERS).await, before);

    let is_over = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (users, is_over) = (users.clone(), is_over.clone());
        async move {
            let mut last = vec![None; 2000];
            let mut value = 0;
            while !is_over.load(Ordering::SeqCst) {
                let id = value * 7919 % 2000;
                users.update_one(doc! { "_id": id }, doc! { "$set": { "gone": value } }).await.unwrap();
                last[usize::try_from(id).unwrap()] = Some(value);
                value += 1;
            }
            last
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    up_to(&project, None).await;
    is_over.store(true, Ordering::SeqCst);
    let last = writer.await.unwrap();
    down(&project).await;
    for (found, (last, before)) in find(&db, USERS).await.iter().zip(last.iter().zip(&before)) {
        let expected = last.map(bson::Bson::Int32).or_else(|| before.get("gone").cloned());
        assert_eq!(found.get("gone"), expected.as_ref(), "{found}");
    }
}

/// What the new type cannot say is listed, kept, made null or moved aside, and all of it comes back.
#[tokio::test]
async fn values_of_no_type_are_listed_kept_made_null_or_moved_aside() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    let before = vec![
        doc! { "_id": 1, "n": "1" },
        doc! { "_id": 2, "n": "two" },
        doc! { "_id": 3, "n": 3.5 },
        doc! { "_id": 4 },
        doc! { "_id": 5, "n": bson::Bson::Null },
        doc! { "_id": 6, "n": 6 },
    ];
    users.insert_many(before.clone()).await.unwrap();
    let change =
        |rest: &str| format!("change_type = {{ collection = 'users', field = 'n', to = 'int'{rest} }}");
    let after = async |project: &dunlin::Project| {
        up_to(project, None).await;
        let found = find(&db, USERS).await;
        down(project).await;
        assert_eq!(find(&db, USERS).await, before);
        db.collection::<Document>("dunlin_history").delete_many(doc! {}).await.unwrap();
        found
            .iter()
            .map(|found| found.get("n").map_or("-".to_owned(), ToString::to_string))
            .collect::<Vec<_>>()
    };
    for (rest, expected) in [
        (", on_error = 'keep'", vec!["1", "\"two\"", "3.5", "-", "null", "6"]),
        (", on_error = 'null'", vec!["1", "null", "null", "-", "null", "6"]),
        (", on_error = 'quarantine'", vec!["1", "-", "null", "6"]),
    ] {
        assert_eq!(after(&changes(&scratch.url, &[&change(rest)])).await, expected, "{rest}");
    }
    let Err(Failure::Run(run)) = up_before(&changes(&scratch.url, &[&change("")]), None).await else {
        panic!("it was to stop")
    };
    assert_eq!(run.0.broken.unwrap().violations.len(), 2);
    db.collection::<Document>("dunlin_history").delete_many(doc! {}).await.unwrap();
    let beside = change(", as = 'number'");
    let Err(Failure::Run(run)) = up_before(&changes(&scratch.url, &[&beside]), None).await else {
        panic!("it was to stop")
    };
    assert!(run.1.to_string().contains("2 documents"), "{}", run.1);
    assert_eq!(find(&db, USERS).await, before);
}

/// What the new field cannot say comes back from the archive as long as it still leads there; what was written since, by the
/// way back that was written down.
#[tokio::test]
async fn an_archived_value_comes_back_while_it_leads_to_the_new_one() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    let names = ["MiXed", "lower", "Changed", "Gone"];
    users
        .insert_many((0_i32..4).map(|id| doc! { "_id": id, "name": names[usize::try_from(id).unwrap()] }))
        .await
        .unwrap();
    let change = "transform = { collection = 'users', up = { upper = { '$toUpper' = '$name' } }, \
                  down = { name = { '$toLower' = '$upper' } } }";
    let project = changes(&scratch.url, &[change]);
    up_to(&project, None).await;
    users.update_one(doc! { "_id": 2 }, doc! { "$set": { "upper": "OTHER" } }).await.unwrap();
    users.delete_one(doc! { "_id": 3 }).await.unwrap();
    users.insert_one(doc! { "_id": 9, "upper": "LATE" }).await.unwrap();
    users.insert_one(doc! { "_id": 10, "upper": "Odd" }).await.unwrap();
    assert_eq!(losses(&project).await, ["10: name is \"odd\", upper is \"Odd\""]);
    down(&project).await;
    let found: Vec<String> = find(&db, USERS).await.iter().map(ToString::to_string).collect();
    let expected = [(0, "MiXed"), (1, "lower"), (2, "other"), (9, "late"), (10, "odd")];
    let expected = expected.map(|(id, name)| doc! { "_id": id, "name": name }.to_string());
    assert_eq!(found, expected);
}
