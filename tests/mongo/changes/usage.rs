//! Who uses a field that leaves stops the contract, and is named.

use std::time::Duration;

use bson::{Document, doc};

use super::USERS;
use super::purge::{says, shop};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reads_a_field_that_leaves_stops_the_contract_unless_there_is_a_reason() {
    for change in [
        "rename_field = { collection = 'users', from = 'email', to = 'mail' }",
        "drop_field = { collection = 'users', field = 'email' }",
    ] {
        let people = (0..9).map(|id| doc! { "_id": id, "email": format!("{id}@x") }).collect();
        let (_scratch, db, case) = shop(&[change], people).await;
        let index = doc! { "key": { "email": 1 }, "name": "email_1" };
        db.run_command(doc! { "createIndexes": USERS, "indexes": [index] }).await.unwrap();
        let view = async |name: &str, stages: Vec<Document>| {
            db.run_command(doc! { "create": name, "viewOn": USERS, "pipeline": stages }).await.unwrap();
        };
        view("all", vec![]).await;
        view("both", vec![doc! { "$set": { "email": { "$ifNull": ["$mail", "$email"] } } }]).await;
        view("hosts", vec![doc! { "$project": { "email": 1 } }]).await;
        case.done("up");
        let hosts = "view hosts reads users.email";
        says(&case, "contract 1 --yes", &["exit 3", "still-in-use", hosts]);
        assert!(!case.said("contract 1 --yes").contains("view all"), "it names no field");
        db.run_command(doc! { "drop": "hosts" }).await.unwrap();
        if change.starts_with("drop") {
            says(&case, "contract 1 --yes", &["view both reads users.email"]);
        }
        db.run_command(doc! { "drop": "both" }).await.unwrap();

        let users = db.collection::<Document>(USERS);
        let reader = tokio::spawn(async move {
            loop {
                users.find_one(doc! { "email": "3@x" }).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let contract = case.run("contract 1 --yes");
        assert!(contract.contains("index email_1 of users was used"), "{contract}");
        says(&case, "contract 1 --yes --force --reason \"they know\"", &["exit 0"]);
        says(&case, "history 1", &["removed although in use (index email_1 of users was used", "they know"]);
        reader.abort();
    }
}
