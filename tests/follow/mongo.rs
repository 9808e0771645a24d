//! MongoDB: change streams.

use std::time::Duration;

use bson::{Document, doc};
use dunlin_core::Doing;
use dunlin_engine::follow::{End, Manner};
use dunlin_testkit::{private, scratch};
use futures_util::StreamExt as _;
use mongodb::{Client, Collection, Database};

use super::{Following, alone, closes, contract, down, ended, is_followable, project, soon, up};

const RENAME: &str = "rename_field = { collection = \"users\", from = \"mail\", to = \"email\" }";

async fn database(url: &dunlin::StoreUrl) -> Database {
    Client::with_uri_str(url.expose()).await.unwrap().default_database().unwrap()
}

fn users(db: &Database) -> Collection<Document> {
    db.collection("users")
}

async fn count(db: &Database, filter: Document) -> u64 {
    users(db).count_documents(filter).await.unwrap()
}

async fn insert(db: &Database, ids: std::ops::Range<i32>) {
    let documents = ids.map(|id| doc! { "_id": id, "mail": format!("{id}@x") });
    users(db).insert_many(documents).await.unwrap();
}

/// A change, an old document, what the new shape of it is, an update of the old shape, and what comes of that.
type Row = (&'static str, Document, Document, Document, Document);

fn rows() -> Vec<Row> {
    vec![
        (
            RENAME,
            doc! { "mail": "a" },
            doc! { "email": "a" },
            doc! { "$set": { "mail": "b" } },
            doc! { "email": "b" },
        ),
        (
            "rename_field = { collection = \"users\", from = \"items.price\", to = \"items.cost\" }",
            doc! { "items": [{ "price": 1 }, { "price": 2 }] },
            doc! { "items": [{ "price": 1, "cost": 1 }, { "price": 2, "cost": 2 }] },
            doc! { "$push": { "items": { "price": 3 } } },
            doc! { "items.2": { "price": 3, "cost": 3 } },
        ),
        (
            "move_fields = { collection = \"users\", fields = { \"address.city\" = \"city\" } }",
            doc! { "address": { "city": "Ulm" } },
            doc! { "city": "Ulm" },
            doc! { "$set": { "address.city": "Bonn" } },
            doc! { "city": "Bonn" },
        ),
        (
            "transform = { collection = \"users\", up = { name = { \"$concat\" = [\"$first\", \" \", \"$last\"] } }, \
             from = [\"first\", \"last\"] }",
            doc! { "first": "Ada", "last": "Byron" },
            doc! { "name": "Ada Byron" },
            doc! { "$set": { "last": "King" } },
            doc! { "name": "Ada King" },
        ),
        (
            "change_type = { collection = \"users\", field = \"age\", to = \"int\", as = \"years\" }",
            doc! { "age": "41" },
            doc! { "years": 41 },
            doc! { "$set": { "age": "42" } },
            doc! { "years": 42 },
        ),
    ]
}

#[tokio::test]
async fn what_the_old_shape_writes_is_there_in_the_new_one_at_once() {
    for (change, old, new, update, newer) in rows() {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        let with = |id: i32, mut filter: Document| {
            filter.insert("_id", id);
            filter
        };
        users(&db).insert_one(with(1, old.clone())).await.unwrap();
        let project = project(&scratch.url, &[change]);
        up(&project).await;
        let following = Following::live(&project).await;
        users(&db).insert_one(with(2, old)).await.unwrap();
        let inserted = soon(change, async || count(&db, with(2, new.clone())).await == 1).await;
        users(&db).update_one(doc! { "_id": 1 }, update).await.unwrap();
        let updated = soon(change, async || count(&db, with(1, newer.clone())).await == 1).await;
        assert!(inserted.max(updated) < Duration::from_secs(5), "{inserted:?} {updated:?}");
        let followed = following.stop().await;
        assert_eq!(followed.mended, 2, "{followed:?}");
    }
}

#[tokio::test]
async fn own_writes_are_passed_by_and_bursts_taken_together() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let project = project(&scratch.url, &[RENAME]);
    insert(&db, 0..1).await;
    up(&project).await;
    let (one, other) = (Following::live(&project).await, Following::live(&project).await);
    for round in 0..10 {
        let value = format!("{round}@y");
        users(&db).update_many(doc! {}, doc! { "$set": { "mail": value } }).await.unwrap();
        insert(&db, 100 * (round + 1)..100 * (round + 1) + 50).await;
    }
    let in_step = async || {
        count(&db, doc! { "$expr": { "$eq": ["$mail", "$email"] } }).await == count(&db, doc! {}).await
    };
    soon("in step", in_step).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let followed = [one.stop().await, other.stop().await];
    let written = 10 * 50 + 50 * 45 + 10;
    let (heard, mended) =
        followed.iter().fold((0, 0), |(heard, mended), one| (heard + one.heard, mended + one.mended));
    assert!((501..=written).contains(&mended), "each write is mended once at most: {followed:?}");
    assert!(heard <= 2 * (written + mended), "nobody answers itself: {followed:?}");
}

#[tokio::test]
async fn what_happens_to_the_stream_is_said() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    insert(&db, 0..3).await;
    let project = project(&scratch.url, &[RENAME]);
    up(&project).await;
    let following = Following::live(&project).await;
    assert!(following.said()[0].contains("pass"), "{:?}", following.said());
    following.stop().await;
    // Nobody follows; the token leads back to what is written now.
    insert(&db, 3..6).await;
    let following = Following::live(&project).await;
    soon("resumed", async || count(&db, doc! { "email": { "$exists": true } }).await == 6).await;
    assert!(!following.said().iter().any(|said| said == "pass"), "{:?}", following.said());
    following.stop().await;
    // A token that leads nowhere: nothing of the kind was written at that time.
    let mut stream = users(&db).watch().await.unwrap();
    insert(&db, 100..101).await;
    let event = stream.next().await.unwrap().unwrap();
    let token = bson::serialize_to_document(&event.id).unwrap().get_str("_data").unwrap().to_owned();
    let id = token.rfind("002B").expect("the number of the document") + 4;
    let nowhere = format!("{}FE{}", &token[..id], &token[id + 2..]);
    assert_ne!(nowhere, token);
    let kept = db.collection::<Document>("dunlin_follow");
    kept.update_one(doc! {}, doc! { "$set": { "token": { "_data": nowhere } } }).await.unwrap();
    insert(&db, 6..9).await;
    let following = Following::live(&project).await;
    soon("looked at", async || count(&db, doc! { "email": { "$exists": true } }).await == 10).await;
    let said = following.said();
    assert!(said.iter().any(|said| said.contains("every document is looked at")), "{said:?}");
    users(&db).drop().await.unwrap();
    let error = following.end().await.unwrap_err();
    assert!(error.message.contains("the collection users was dropped while it was followed"), "{error:?}");
}

#[tokio::test]
async fn a_contract_ends_it_and_nothing_is_lost() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    insert(&db, 0..500).await;
    let project = project(&scratch.url, &[RENAME]);
    up(&project).await;
    let following = Following::live(&project).await;
    let writer = tokio::spawn({
        let db = db.clone();
        async move {
            for id in 500..700 {
                insert(&db, id..id + 1).await;
                users(&db)
                    .update_one(doc! { "_id": id - 500 }, doc! { "$set": { "mail": "new" } })
                    .await
                    .unwrap();
            }
        }
    });
    let contracted = contract(&project);
    let (written, ()) = tokio::join!(writer, contracted);
    written.unwrap();
    ended(&following.end().await.unwrap(), &End::Contracted);
    // What was written after the removal went by is left over under the old name, and lost to nobody.
    for document in crate_find(&db).await {
        let id = document.get_i32("_id").unwrap();
        let seen = document.get_str("mail").or_else(|_| document.get_str("email")).unwrap();
        let wanted = if id < 200 { "new".to_owned() } else { format!("{id}@x") };
        assert_eq!(seen, wanted, "{document}");
    }
    assert_eq!(count(&db, doc! {}).await, 700);
    assert_eq!(db.collection::<Document>("dunlin_follow").count_documents(doc! {}).await.unwrap(), 0);
}

async fn crate_find(db: &Database) -> Vec<Document> {
    use futures_util::TryStreamExt as _;
    users(db).find(doc! {}).await.unwrap().try_collect().await.unwrap()
}

#[tokio::test]
async fn a_way_back_ends_it_and_it_puts_nothing_back() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    insert(&db, 0..500).await;
    let project = project(&scratch.url, &[RENAME]);
    for round in 1..4 {
        up(&project).await;
        let following = Following::live(&project).await;
        let writer = tokio::spawn({
            let db = db.clone();
            async move {
                for id in 0..100 {
                    insert(&db, 1000 * round + id..1000 * round + id + 1).await;
                }
            }
        });
        let (written, ()) = tokio::join!(writer, down(&project));
        written.unwrap();
        ended(&following.end().await.unwrap(), &End::TakenBack);
        assert_eq!(count(&db, doc! { "email": { "$exists": true } }).await, 0);
    }
}

#[tokio::test]
async fn an_election_is_waited_out() {
    let mut set = private::replica_set(3).await;
    let db = database(&set.url).await;
    insert(&db, 0..10).await;
    let project = project(&set.url, &[RENAME]);
    up(&project).await;
    let following = Following::live(&project).await;
    set.step_down().await;
    soon("writes", async || users(&db).insert_one(doc! { "_id": 77, "mail": "77" }).await.is_ok()).await;
    soon("mended", async || count(&db, doc! { "_id": 77, "email": "77" }).await == 1).await;
    let said = following.said();
    ended(&following.stop().await, &End::Stopped);
    assert_eq!(
        said.iter().filter(|said| said.contains("looked at")).count(),
        1,
        "it goes on by its token: {said:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_no_replica_set_is_refused() {
    let server = private::mongod().await;
    let db = database(&server.url).await;
    insert(&db, 0..10).await;
    let project = project(&server.url, &[RENAME]);
    up(&project).await;
    let error = Following::begin(&project, Manner::default()).await.end().await.unwrap_err();
    assert!(error.message.contains("no replica set") && !error.temporary, "{error:?}");
    assert!(error.help.unwrap().contains("rs.initiate()"));
}

#[tokio::test]
async fn it_waits_for_a_backfill_and_once_ends_in_step() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    insert(&db, 0..10).await;
    let project = project(&scratch.url, &[RENAME]);
    up(&project).await;
    insert(&db, 10..20).await;
    let once = Manner { is_once: true, ..Manner::default() };
    let followed = Following::begin(&project, once).await.end().await.unwrap();
    ended(&followed, &End::InStep);
    assert_eq!((followed.mended, count(&db, doc! { "email": { "$exists": true } }).await), (10, 20));
}

#[tokio::test]
async fn one_that_is_told_nothing_writes_nothing_once_a_shape_goes() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    insert(&db, 0..10).await;
    let project = project(&scratch.url, &[RENAME]);
    let mut next = 100;
    for _ in 0..3 {
        up(&project).await;
        let mut follower = alone(&project).await;
        insert(&db, next..next + 50).await;
        next += 50;
        down(&project).await;
        closes(&mut follower).await;
        assert_eq!(count(&db, doc! { "email": { "$exists": true } }).await, 0);
        assert!(!is_followable(&project).await);
        // Another life of the same migration lets nobody write who knew the one before.
        up(&project).await;
        let other = alone(&project).await;
        assert_eq!(follower.advance().await.unwrap().doing, Doing::Closed);
        other.close(false).await.unwrap();
        down(&project).await;
    }
}

#[tokio::test]
async fn the_clock_ends_it() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    insert(&db, 0..10).await;
    let project = project(&scratch.url, &[RENAME]);
    up(&project).await;
    let mut until = project.clone();
    until.until = Some(std::time::Instant::now() + Duration::from_millis(500));
    ended(&Following::begin(&until, Manner::default()).await.end().await.unwrap(), &End::Until);
    assert!(is_followable(&project).await);
}

#[tokio::test]
async fn a_document_that_refuses_holds_nobody_else_up() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    insert(&db, 0..10).await;
    let project = project(&scratch.url, &[RENAME]);
    up(&project).await;
    let rule = doc! { "collMod": "users", "validator": { "email": { "$ne": "15@x" } } };
    db.run_command(rule).await.unwrap();
    let mut following = Following::live(&project).await;
    insert(&db, 10..20).await;
    soon("the others", async || count(&db, doc! { "email": { "$exists": true } }).await == 19).await;
    // It says so once it is through with all of them.
    following.until("left 15").await;
    let followed = following.stop().await;
    assert_eq!((followed.mended, followed.left >= 1), (9, true), "{followed:?}");
}
