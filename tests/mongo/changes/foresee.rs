//! What only the contract would stumble over is said before anything is written.

use bson::{Document, doc};
use dunlin::{Failure, Goal, Project, RunEvent};
use dunlin_engine::run::Stop;
use dunlin_testkit::scratch;

use super::purge::{says, shop};
use super::{USERS, changes, find};
use crate::mongo::database;

const RENAME: &str = "rename_field = { collection = 'users', from = 'email', to = 'mail' }";
const LOOSE: &str =
    "set_validator = { collection = 'users', schema = { properties = { mail = { bsonType = 'string' } } } }";

/// `up`, and what it foresaw.
async fn up(project: &Project, contract: bool) -> (Vec<String>, Result<(), String>) {
    let mut told = Vec::new();
    let goal = Goal { contract, ..Goal::default() };
    let mut report = |event: RunEvent<'_>| {
        if let RunEvent::Foreseen { note, .. } = event {
            told.push(note.to_owned());
        }
    };
    let ran = match dunlin::up(project, &goal, &mut report).await {
        Ok(_) => Ok(()),
        Err(Failure::Run(run)) => match run.1 {
            Stop::Failed(error) => Err(format!("{error} {}", error.help.clone().unwrap_or_default())),
            other => Err(other.to_string()),
        },
        Err(other) => panic!("{other}"),
    };
    (told, ran)
}

#[tokio::test]
async fn what_is_no_collection_is_refused_before_anything_is_written() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    db.collection::<Document>(USERS).insert_one(doc! { "_id": 1, "email": "a" }).await.unwrap();
    db.run_command(doc! { "create": "seen", "viewOn": USERS, "pipeline": [] }).await.unwrap();
    db.run_command(doc! { "create": "times", "timeseries": { "timeField": "t" } }).await.unwrap();
    for (change, words) in [
        ("drop_collection = { collection = 'none' }", "there is no collection none"),
        ("drop_collection = { collection = 'seen' }", "seen is a view"),
        ("drop_collection = { collection = 'times' }", "times is a time series"),
        ("rename_collection = { from = 'none', to = 'more' }", "there is no collection none"),
        ("rename_collection = { from = 'seen', to = 'more' }", "seen is a view"),
    ] {
        // Contract is far off: the new field comes first.
        let project = changes(&scratch.url, &[RENAME, change]);
        let said = up(&project, false).await.1.expect_err(change);
        assert!(said.contains(words), "{change}: {said}");
        assert_eq!(find(&db, USERS).await, [doc! { "_id": 1, "email": "a" }], "{change}");
        let names = db.list_collection_names().await.unwrap();
        assert!(!names.contains(&"more".to_owned()), "{change}: {names:?}");
    }
    // What the migration itself makes first is no fault.
    let own = ["create_collection = { collection = 'none' }", "drop_collection = { collection = 'none' }"];
    up(&changes(&scratch.url, &own), true).await.1.unwrap();
}

#[tokio::test]
async fn a_validator_that_asks_for_what_leaves_is_told_of_and_stops_the_contract_before_it_begins() {
    for (change, field) in [
        (RENAME, "email"),
        ("drop_field = { collection = 'users', field = 'email' }", "email"),
        ("move_fields = { collection = 'users', fields = { 'at.home' = 'home' } }", "at.home"),
        (
            "transform = { collection = 'users', up = { mail = { '$toLower' = '$email' } }, down = { email = '$mail' } }",
            "email",
        ),
    ] {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        let schema = doc! { "required": ["email"], "properties": { "at": { "required": ["home"] } } };
        let create = doc! { "create": USERS, "validator": { "$jsonSchema": schema } };
        db.run_command(create).await.unwrap();
        let one = doc! { "_id": 1, "email": "a", "at": { "home": 2 } };
        db.collection::<Document>(USERS).insert_one(one.clone()).await.unwrap();
        let (told, ran) = up(&changes(&scratch.url, &[change]), true).await;
        let said = ran.expect_err(change);
        let words = format!("the validator of users asks for {field}");
        assert!(said.contains(&words) && said.contains("set_validator"), "{said}");
        assert_eq!((find(&db, USERS).await, told), (vec![one], vec![]), "{change}");

        let (told, ran) = up(&changes(&scratch.url, &[change]), false).await;
        ran.unwrap();
        // All of the change is the contract's: then there is nothing to run before, and nothing to tell.
        let is_told = told.iter().any(|told| told.contains(&words));
        assert_eq!(is_told, !change.starts_with("drop"), "{change}: {told:?}");
        let said = up(&changes(&scratch.url, &[change]), true).await.1.expect_err(change);
        assert!(said.contains(&words), "{said}");
        assert!(find(&db, USERS).await[0].contains_key("email"), "nothing is gone yet");

        let modify = doc! { "collMod": USERS, "validator": {} };
        db.run_command(modify).await.unwrap();
        up(&changes(&scratch.url, &[change]), true).await.1.unwrap();
    }
}

#[tokio::test]
async fn a_validator_that_the_migration_changes_itself_is_no_fault() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let validator = doc! { "$jsonSchema": { "required": ["email"] } };
    db.run_command(doc! { "create": USERS, "validator": validator }).await.unwrap();
    db.collection::<Document>(USERS).insert_one(doc! { "_id": 1, "email": "a" }).await.unwrap();
    let (told, ran) = up(&changes(&scratch.url, &[RENAME, LOOSE]), true).await;
    assert_eq!((told, ran), (vec![], Ok(())));
    assert_eq!(find(&db, USERS).await, [doc! { "_id": 1, "mail": "a" }]);
}

#[tokio::test]
async fn a_plan_says_what_would_be_refused_and_who_runs_it_reads_what_is_told() {
    // The migration begins with what it would not stumble over.
    let missing =
        format!("{RENAME}\n[[change]]\nstore = \"app\"\ndrop_collection = {{ collection = 'none' }}");
    let (_scratch, db, case) = shop(&[&missing], vec![doc! { "_id": 1, "email": "a" }]).await;
    let said = case.said("plan");
    assert!(said.contains("would be refused: there is no collection none"), "{said}");
    says(&case, "up", &["there is no collection none", "leave the change out"]);
    assert_eq!(find(&db, USERS).await, [doc! { "_id": 1, "email": "a" }]);

    let (_scratch, db, case) = shop(&[RENAME], vec![doc! { "_id": 1, "email": "a" }]).await;
    let validator = doc! { "email": { "$exists": true } };
    db.run_command(doc! { "collMod": USERS, "validator": validator }).await.unwrap();
    let words = "the validator of users asks for email, which the contract takes away";
    let said = case.said("plan");
    assert!(said.contains(words), "{said}");
    says(&case, "up", &[words]);
    says(&case, "contract 1 --yes", &[words, "set_validator"]);
}
