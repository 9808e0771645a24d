//! Indexes over a field that leaves: each gets its like over the field that comes.

use bson::{Document, doc};
use mongodb::Database;

use super::purge::{says, shop};
use super::{USERS, find};

const RENAME: &str = "rename_field = { collection = 'users', from = 'email', to = 'mail' }";

/// The indexes of the collection: name, key, and whether it is unique.
async fn indexes(db: &Database) -> Vec<String> {
    let listed = db.run_command(doc! { "listIndexes": USERS }).await.unwrap();
    let listed = listed.get_document("cursor").unwrap().get_array("firstBatch").unwrap().clone();
    let mut shown: Vec<String> = listed.iter().map(ToString::to_string).collect();
    shown.sort();
    shown
}

async fn create(db: &Database, indexes: Vec<Document>) {
    db.run_command(doc! { "createIndexes": USERS, "indexes": indexes }).await.unwrap();
}

fn people() -> Vec<Document> {
    (0..9).map(|id| doc! { "_id": id, "email": format!("{id}@x"), "n": id, "note": "some words" }).collect()
}

/// A unique index over a field would refuse the second document that has it no more.
#[tokio::test]
async fn what_was_unique_and_quick_stays_so_and_comes_back_exactly() {
    let (_scratch, db, case) = shop(&[RENAME], people()).await;
    create(
        &db,
        vec![
            doc! { "key": { "email": 1 }, "name": "email_1", "unique": true },
            doc! { "key": { "n": 1, "email": -1 }, "name": "by_n" },
            doc! { "key": { "n": 1 }, "name": "n_1", "partialFilterExpression": { "email": { "$gt": "" } } },
            doc! { "key": { "email": "text" }, "name": "words" },
            doc! { "key": { "note": 1 }, "name": "note_1" },
        ],
    )
    .await;
    let before = indexes(&db).await;
    case.done("up");
    assert_eq!(indexes(&db).await, before, "nothing changes while old clients search by the old field");
    let drop = "db.users.dropIndex(\"email_1\")";
    says(&case, "contract 1 --dry-run", &["mail_1", drop, "by_n_renamed", "takes away field email of users"]);
    case.done("contract 1 --yes");
    let after = indexes(&db).await;
    assert_eq!(after.len(), before.len(), "{after:?}");
    assert!(!after.iter().any(|index| index.contains("email\"")), "{after:?}");
    assert!(
        after.iter().any(|index| index.contains("\"mail_1\"") && index.contains("\"unique\": true")),
        "{after:?}"
    );
    let users = db.collection::<Document>(USERS);
    users.insert_one(doc! { "mail": "3@x" }).await.expect_err("an address is one person's");
    case.done("down");
    assert_eq!(indexes(&db).await, before);
    assert_eq!(find(&db, USERS).await, people());
    case.done("up --contract --yes");
    assert_eq!(indexes(&db).await, after);
}

#[tokio::test]
async fn an_index_over_a_field_that_is_dropped_goes_with_it_and_comes_back() {
    let (_scratch, db, case) =
        shop(&["drop_field = { collection = 'users', field = 'email' }"], people()).await;
    create(&db, vec![doc! { "key": { "email": 1 }, "name": "email_1", "unique": true }]).await;
    let before = indexes(&db).await;
    case.done("up --contract --yes");
    assert_eq!(indexes(&db).await.len(), 1);
    assert_eq!(find(&db, USERS).await.len(), 9);
    case.done("down");
    assert_eq!((indexes(&db).await, find(&db, USERS).await), (before, people()));
}

/// Text that differs in case only is not the same text, and what compares it otherwise comes back as it was.
#[tokio::test]
async fn a_collection_that_compares_text_otherwise_loses_none_of_it() {
    let retype = "change_type = { collection = 'users', field = 'n', to = 'string', as = 'm' }";
    let drop = "drop_field = { collection = 'users', field = 'note' }";
    let (_scratch, db, case) = shop(&[RENAME, retype, drop], Vec::new()).await;
    let collation = doc! { "locale": "en", "strength": 2 };
    db.run_command(doc! { "create": USERS, "collation": collation }).await.unwrap();
    let mut people = people();
    people.extend(["a", "Ab", "b"].map(|id| doc! { "_id": id, "email": id, "n": 1, "note": "x" }));
    let users = db.collection::<Document>(USERS);
    users.insert_many(&people).await.unwrap();
    let exact = doc! { "key": { "email": 1 }, "name": "exact", "collation": { "locale": "simple" } };
    create(&db, vec![doc! { "key": { "email": 1 }, "name": "email_1", "unique": true }, exact]).await;
    let before = indexes(&db).await;
    case.done("up");
    users.update_one(doc! { "_id": "b" }, doc! { "$set": { "email": "B" } }).await.unwrap();
    people[11].insert("email", "B");
    case.done("up --contract --yes");
    assert_eq!(find(&db, USERS).await[11], doc! { "_id": "b", "mail": "B", "m": "1" });
    for _ in 0..3 {
        case.done("down");
    }
    assert_eq!(find(&db, USERS).await, people);
    assert_eq!(indexes(&db).await, before);
}

/// The like is there already: a team that made it itself keeps it when it goes back.
#[tokio::test]
async fn an_index_that_somebody_made_over_the_new_field_is_left_alone() {
    let (_scratch, db, case) = shop(&[RENAME], people()).await;
    create(&db, vec![doc! { "key": { "email": 1 }, "name": "email_1" }]).await;
    case.done("up");
    create(&db, vec![doc! { "key": { "mail": 1 }, "name": "ours" }]).await;
    let before = indexes(&db).await;
    case.done("contract 1 --yes");
    assert_eq!(indexes(&db).await.len(), 2);
    case.done("down");
    assert_eq!(indexes(&db).await, before);
}

/// What would stop the way back, or the contract, in the middle is said before any of it.
#[tokio::test]
async fn what_would_not_be_unique_any_more_is_said_before_anything_is_written() {
    let unique = || vec![doc! { "key": { "email": 1 }, "name": "email_1", "unique": true }];
    let (_scratch, db, case) =
        shop(&["drop_field = { collection = 'users', field = 'email' }"], people()).await;
    create(&db, unique()).await;
    case.done("up --contract --yes");
    let users = db.collection::<Document>(USERS);
    users.insert_many([doc! { "_id": 20 }, doc! { "_id": 21 }]).await.unwrap();
    let before = (find(&db, USERS).await, case.run("status"));
    let words =
        ["email would not be unique", "null in 2 documents (20, 21)", "the way back would end half-way"];
    says(&case, "down --allow-data-loss", &words);
    assert_eq!((find(&db, USERS).await, case.run("status")), before);
    users.update_one(doc! { "_id": 21 }, doc! { "$set": { "email": "3@x" } }).await.unwrap();
    says(&case, "down --allow-data-loss", &["\"3@x\" in 2 documents (3, 21)"]);
    users.update_one(doc! { "_id": 21 }, doc! { "$set": { "email": "21@x" } }).await.unwrap();
    case.done("down --allow-data-loss");
    assert_eq!(find(&db, USERS).await.len(), 11);

    let (_scratch, db, case) = shop(&[RENAME], people()).await;
    create(&db, unique()).await;
    case.done("up");
    let users = db.collection::<Document>(USERS);
    users.insert_one(doc! { "_id": 20, "mail": "3@x" }).await.unwrap();
    let before = (find(&db, USERS).await, case.run("status"));
    let twice = "\"3@x\" in 2 documents (3, 20)";
    says(&case, "contract 1 --yes", &["mail would not be unique", twice, "before the contract"]);
    says(&case, "down --allow-data-loss", &["email would not be unique", twice]);
    assert_eq!((find(&db, USERS).await, case.run("status")), before);
    users.update_one(doc! { "_id": 20 }, doc! { "$set": { "mail": "20@x" } }).await.unwrap();
    case.done("contract 1 --yes");
    case.done("down");
}

/// Numbers that were there among the texts are none that were made of texts.
#[tokio::test]
async fn what_had_the_new_type_before_has_it_after_the_way_back() {
    let documents = vec![
        doc! { "_id": 1, "n": "1" },
        doc! { "_id": 2, "n": "02" },
        doc! { "_id": 3, "n": "x" },
        doc! { "_id": 4, "n": 4 },
    ];
    let change =
        "change_type = { collection = 'users', field = 'n', to = 'int', was = 'string', on_error = 'keep' }";
    let (_scratch, db, case) = shop(&[change], documents.clone()).await;
    case.done("up --contract --yes");
    assert_eq!(
        find(&db, USERS).await[1..],
        [doc! { "_id": 2, "n": 2 }, documents[2].clone(), documents[3].clone()]
    );
    db.collection::<Document>(USERS).insert_one(doc! { "_id": 5, "n": 5 }).await.unwrap();
    case.done("down");
    let mut expected = documents;
    expected.push(doc! { "_id": 5, "n": "5" });
    assert_eq!(find(&db, USERS).await, expected);
}

#[tokio::test]
async fn null_and_missing_stay_two_things_under_another_name_and_type() {
    let documents = vec![
        doc! { "_id": 1, "n": "1" },
        doc! { "_id": 2 },
        doc! { "_id": 3, "n": null },
        doc! { "_id": 4, "n": "x" },
    ];
    let change =
        "change_type = { collection = 'users', field = 'n', to = 'int', as = 'm', on_error = 'null' }";
    let (_scratch, db, case) = shop(&[change], documents.clone()).await;
    case.done("up --contract --yes");
    let expected = [
        doc! { "_id": 1, "m": 1 },
        doc! { "_id": 2 },
        doc! { "_id": 3, "m": null },
        doc! { "_id": 4, "m": null },
    ];
    assert_eq!(find(&db, USERS).await, expected);
    case.done("down");
    assert_eq!(find(&db, USERS).await, documents);
}

/// In a projection a number says whether the field is shown.
#[tokio::test]
async fn a_default_may_be_nought_or_false() {
    for default in ["0", "1", "false", "true", "0.0", "''", "[]"] {
        let change = format!("add_field = {{ collection = 'users', field = 'x', default = {default} }}");
        let (_scratch, db, case) = shop(&[&change], vec![doc! { "_id": 1 }]).await;
        case.done("up");
        let added = find(&db, USERS).await;
        assert!(added[0].contains_key("x"), "{default}");
        case.done("down");
        assert_eq!(find(&db, USERS).await, [doc! { "_id": 1 }], "{default}");
        db.collection::<Document>(USERS).update_one(doc! {}, doc! { "$set": { "x": "mine" } }).await.unwrap();
        says(&case, "up", &["1 document of users has x already", "1: \"mine\" is there"]);
    }
}
