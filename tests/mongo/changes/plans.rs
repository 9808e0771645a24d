//! What a plan prints is what is sent: run as printed, it does the same.

use bson::{Bson, Document, doc};
use dunlin::{Phase, Project};
use dunlin_testkit::{private, scratch};
use mongodb::Database;

use super::{USERS, changes, down, find, shape, up_before, up_to};
use crate::mongo::{database, documents, project, store};

/// The statements of the steps of a phase.
fn printed(project: &Project, phase: Phase) -> Vec<String> {
    let loaded = project.load();
    let migration = loaded.migrations.values().next().unwrap();
    let steps = migration.steps().iter().filter(|step| step.phase == phase);
    steps.flat_map(|step| step.op.preview()).map(|line| line.text).collect()
}

/// Runs what is printed, as a migration of scripts, with the bounds that a person would fill in. A command that is no method
/// of a script is a `mongo` step.
async fn run_as_printed(db: &Database, url: &dunlin::StoreUrl, lines: &[String]) {
    for line in lines {
        let line = line.replace("<from>", "MinKey()").replace("<to>", "MaxKey()");
        let command = line.strip_prefix("db.runCommand(").and_then(|rest| rest.strip_suffix(')'));
        let project = match command {
            Some(command) => {
                let step = format!("[[expand]]\nstore = 'app'\nmongo = '''{command}'''\n");
                project(url, &[("1_printed.toml", &step)])
            }
            None => project(url, &[("1_printed.js", &line)]),
        };
        if let Err(failure) = up_before(&project, None).await {
            panic!("{failure}: {line}");
        }
        db.collection::<Document>("dunlin_history").delete_many(doc! {}).await.unwrap();
    }
}

/// Documents with all that is odd about them.
fn seed() -> Vec<Document> {
    let mut seed: Vec<Document> =
        (0..30).map(|id| doc! { "_id": id, "a": id, "n": id.to_string() }).collect();
    seed.push(doc! { "_id": 100, "a": Bson::Null, "items": [{ "p": 1 }, { "q": 2 }, 3], "n": 1.5 });
    seed.push(doc! { "_id": 101, "x": { "y": 1 }, "items": { "p": 4 } });
    seed
}

#[tokio::test]
async fn every_statement_of_a_plan_runs_as_printed() {
    for change in [
        "rename_field = { collection = 'users', from = 'a', to = 'b' }",
        "rename_field = { collection = 'users', from = 'items.p', to = 'items.r', schema_version = 2 }",
        "move_fields = { collection = 'users', fields = { 'x.y' = 'z' } }",
        "transform = { collection = 'users', up = { b = { '$ifNull' = ['$a', 0] } }, down = { a = '$b' } }",
        "change_type = { collection = 'users', field = 'n', to = 'int', as = 'm', on_error = 'null' }",
        "change_type = { collection = 'users', field = 'n', to = 'int', on_error = 'keep' }",
        "add_field = { collection = 'users', field = 'new', default = '$5' }",
        "drop_field = { collection = 'users', field = 'x.y' }",
        "create_collection = { collection = 'more', indexes = [{ key = { a = 1 } }] }",
        "drop_collection = { collection = 'users' }",
        "rename_collection = { from = 'users', to = 'people' }",
        "add_index = { collection = 'users', keys = { a = 1 } }",
        "set_validator = { collection = 'users', validator = { _id = { '$exists' = true } } }",
    ] {
        let (ours, theirs) = (scratch::mongo().await, scratch::mongo().await);
        let (db, other) = (database(&ours.url).await, database(&theirs.url).await);
        for db in [&db, &other] {
            db.collection::<Document>(USERS).insert_many(seed()).await.unwrap();
        }
        let project = changes(&ours.url, &[change]);
        up_to(&project, None).await;
        for phase in [Phase::Expand, Phase::Backfill, Phase::Contract] {
            let lines = printed(&project, phase);
            // What only looks is no statement of a script, and `$merge` is one.
            let lines: Vec<String> = lines
                .into_iter()
                .filter(|line| !line.contains("aggregate") || line.contains("$merge: "))
                .filter(|line| !line.contains("listIndexes"))
                .collect();
            run_as_printed(&other, &theirs.url, &lines).await;
        }
        for name in db.list_collection_names().await.unwrap() {
            let own = ["dunlin_history", "dunlin_journal", "dunlin_lock", "dunlin_shape"];
            if !own.contains(&name.as_str()) && name != "system.views" {
                assert_eq!(documents(&other, &name).await, documents(&db, &name).await, "{change}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn who_holds_no_lock_sees_what_is_not_in_step_and_changes_nothing() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let users = db.collection::<Document>(USERS);
    users.insert_many(seed()).await.unwrap();
    let project = changes(&scratch.url, &["rename_field = { collection = 'users', from = 'a', to = 'b' }"]);
    up_to(&project, Some(Phase::Contract)).await;
    users.update_one(doc! { "_id": 3 }, doc! { "$set": { "a": -3 } }).await.unwrap();
    users.insert_one(doc! { "_id": 200, "a": 200 }).await.unwrap();
    let before = find(&db, USERS).await;
    let loaded = project.load();
    let migration = loaded.migrations.values().next().unwrap();
    let step = migration.steps().iter().find(|step| step.phase == Phase::Verify).unwrap();
    let check = dunlin::Check { op: &*step.op, from: None, pace: &dunlin::Pace::default() };
    let dunlin::Checked::Wholly { violations, .. } = store(&project).await.verify(&check).await.unwrap()
    else {
        panic!("so few are one bout")
    };
    let listed: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert_eq!(listed, ["3: a is -3, b is 3", "200: a is 200, b is nothing"]);
    assert_eq!(find(&db, USERS).await, before);
    // The contract brings both in step, and then takes them away.
    up_to(&project, None).await;
    assert_eq!(users.count_documents(doc! { "b": { "$in": [-3, 200] } }).await.unwrap(), 2);
}

#[tokio::test]
async fn what_waits_for_its_contract_holds_back_who_touches_the_same_field() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    db.collection::<Document>(USERS).insert_many(seed()).await.unwrap();
    let change = |text: &str| format!("[[change]]\nstore = 'app'\n{text}\n");
    let files = [
        ("1_a.toml", change("rename_field = { collection = 'users', from = 'a', to = 'b' }")),
        ("2_b.toml", change("add_index = { collection = 'users', keys = { b = 1 } }")),
        ("3_c.toml", change("add_field = { collection = 'users', field = 'c', default = 1 }")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let summary =
        dunlin::up(&project(&scratch.url, &files), &dunlin::Goal::default(), &mut |_| {}).await.unwrap();
    assert_eq!(summary.held_back.len(), 1, "{summary:?}");
    assert_eq!(summary.held_back[0].id.version.to_string(), "2");
    assert!(format!("{:?}", summary.held_back[0].by).contains("users.b"), "{summary:?}");
}

/// What cannot be true of two shapes at once, or not be taken back, is said when the file is read.
#[test]
fn changes_that_cannot_be_are_refused_when_they_are_read() {
    let url = dunlin::StoreUrl::new("mongodb://127.0.0.1:1/none");
    for (change, word) in [
        ("rename_field = { collection = 'users', from = 'a', to = 'a' }", "the same"),
        ("rename_field = { collection = 'users', from = 'a', to = 'a.b' }", "one is in the other"),
        ("rename_field = { collection = 'users', from = '_id', to = 'b' }", "_id"),
        ("rename_field = { collection = 'users', from = 'a', to = '$b' }", "no field"),
        ("rename_field = { collection = 'dunlin_lock', from = 'a', to = 'b' }", "belongs to dunlin"),
        ("rename_field = { collection = 'users', from = 'a', to = 'b', filter = { a = 1 } }", "filter"),
        ("rename_field = { collection = 'users', from = 'a', to = 'b', schema_version = 0 }", "version"),
        ("rename_field = { collection = 'users', from = 'a', to = 'b', differing = 'new' }", "differing"),
        ("move_fields = { collection = 'users', fields = {} }", "table"),
        ("transform = { collection = 'users', up = { b = '$a' } }", "neither `down` nor `from`"),
        ("transform = { collection = 'users', up = { b = '$b' }, from = ['a'] }", "which it makes"),
        (
            "transform = { collection = 'users', up = { b = '$a' }, from = ['a'], archive = false }",
            "lead back",
        ),
        (
            "change_type = { collection = 'users', field = 'a', to = 'int', as = 'b', on_error = 'quarantine' }",
            "old clients",
        ),
        ("add_field = { collection = 'users', field = 'a' }", "neither `default` nor `expr`"),
        ("add_index = { collection = 'users', keys = {} }", "no field"),
        ("drop_index = { collection = 'users', name = '_id_' }", "_id"),
        ("drop_index = { collection = 'users' }", "neither `name` nor `keys`"),
        ("set_validator = { collection = 'users' }", "neither `validator` nor `schema`"),
        ("rename_collection = { from = 'a', to = 'a' }", "already"),
        ("drop_collection = { collection = 'users', purge = true }", "unknown key"),
    ] {
        let loaded = changes(&url, &[change]).load();
        let said: Vec<String> = loaded.diagnostics.iter().map(|wrong| wrong.message.clone()).collect();
        assert!(said.iter().any(|said| said.contains(word)), "{change}: {said:?}");
    }
}

/// A server without transactions: each document is still changed by one write that looks at it.
#[tokio::test]
async fn without_transactions_fields_are_renamed_and_nothing_is_archived() {
    let server = private::mongod().await;
    let db = database(&server.url).await;
    let users = db.collection::<Document>(USERS);
    users.insert_many(seed()).await.unwrap();
    let before = find(&db, USERS).await;
    let rename = "rename_field = { collection = 'users', from = 'a', to = 'b' }";
    let first = changes(&server.url, &[rename]);
    up_to(&first, Some(Phase::Contract)).await;
    users.update_one(doc! { "_id": 3 }, doc! { "$set": { "a": -3 } }).await.unwrap();
    up_to(&first, None).await;
    assert_eq!(users.count_documents(doc! { "a": { "$exists": true } }).await.unwrap(), 0);
    down(&first).await;
    users.update_one(doc! { "_id": 3 }, doc! { "$set": { "a": 3 } }).await.unwrap();
    let sorted = |documents: Vec<Document>| -> Vec<std::collections::BTreeMap<String, Bson>> {
        documents.into_iter().map(|found| found.into_iter().collect()).collect()
    };
    assert_eq!(sorted(find(&db, USERS).await), sorted(before));

    let gone = changes(&server.url, &["drop_field = { collection = 'users', field = 'a' }"]);
    db.collection::<Document>("dunlin_history").delete_many(doc! {}).await.unwrap();
    let failure = up_before(&gone, None).await.unwrap_err().to_string();
    assert!(failure.contains("no transactions"), "{failure}");
    assert_eq!(users.count_documents(doc! { "a": { "$exists": true } }).await.unwrap(), 31);
}

/// The way back from a change of shape depends on what was there: connected, the plan shows it.
#[tokio::test]
async fn the_way_back_of_a_shape_runs_as_a_connected_plan_prints_it() {
    let scratch = scratch::mongo().await;
    let db = database(&scratch.url).await;
    let create =
        doc! { "create": USERS, "validator": { "a": { "$type": "int" } }, "validationLevel": "moderate" };
    db.run_command(create).await.unwrap();
    let index = doc! { "key": { "a": 1 }, "name": "a_1", "unique": true, "collation": { "locale": "de" } };
    db.run_command(doc! { "createIndexes": USERS, "indexes": [index] }).await.unwrap();
    let before = shape(&db).await;
    let lines = [
        "set_validator = { collection = 'users', validator = { b = { '$exists' = true } } }",
        "drop_index = { collection = 'users', name = 'a_1' }",
        "add_index = { collection = 'users', keys = { c = 1 } }",
    ];
    let project = changes(&scratch.url, &lines);
    up_to(&project, None).await;
    assert_ne!(shape(&db).await, before);
    let (loaded, store) = (project.load(), store(&project).await);
    let migration = loaded.migrations.values().next().unwrap();
    let mut printed = Vec::new();
    for phase in [Phase::Contract, Phase::Backfill, Phase::Expand] {
        for step in migration.steps().iter().filter(|step| step.phase == phase) {
            let dunlin::Undo::Op(undo) = &step.undo else { panic!("{step:?}") };
            printed.extend(store.preview(&**undo).await.unwrap().into_iter().map(|line| line.text));
        }
    }
    db.collection::<Document>("dunlin_history").delete_many(doc! {}).await.unwrap();
    run_as_printed(&db, &scratch.url, &printed).await;
    assert_eq!(shape(&db).await, before, "{printed:#?}");
}
