//! A collection, and a field `a` that becomes `b`. Until the contract the old field leads: the new application writes both
//! and reads the new one only where there is no old one. While the contract removes it nobody writes.

use async_trait::async_trait;
use bson::{Bson, Document, doc};
use dunlin::StoreUrl;
use dunlin_testkit::{Scratch, scratch};
use futures_util::TryStreamExt as _;
use mongodb::{Collection, Database};

use super::{Change, Client, Deed, Records, Standing};
use crate::mongo::changes::shape;
use crate::mongo::database;

pub(super) struct Place {
    scratch: Scratch,
    change: Change,
    db: Database,
}

impl Place {
    pub(super) async fn open(change: Change, first: &Records) -> Self {
        let scratch = scratch::mongo().await;
        let db = database(&scratch.url).await;
        let place = Self { scratch, change, db };
        let documents = first.iter().map(|(id, value)| {
            let mut document = place.fields(Client::Old, Standing::Before, *value);
            document.extend(doc! { "_id": *id, "other": "x" });
            document
        });
        place.users().insert_many(documents).await.unwrap();
        place
    }

    fn users(&self) -> Collection<Document> {
        self.db.collection("users")
    }

    fn fields(&self, client: Client, standing: Standing, value: i64) -> Document {
        let old = match self.change {
            Change::Retype => Bson::String(value.to_string()),
            Change::Rename | Change::Transform => Bson::Int64(value),
        };
        let new = if self.change == Change::Transform { value + 1000 } else { value };
        match (client, standing) {
            (Client::Old, _) => doc! { "a": old },
            (Client::New, Standing::Contracted) => doc! { "b": new },
            (Client::New, _) => doc! { "a": old, "b": new },
        }
    }

    fn value(&self, client: Client, document: &Document) -> i64 {
        match (document.get("a"), document.get("b")) {
            (Some(Bson::Int64(value)), _) => *value,
            (Some(Bson::String(text)), _) => text.parse().unwrap(),
            (None, Some(Bson::Int64(value))) if client == Client::New => {
                *value - if self.change == Change::Transform { 1000 } else { 0 }
            }
            _ => panic!("{client} cannot read {document}"),
        }
    }
}

#[async_trait]
impl super::Place for Place {
    fn name(&self) -> &'static str {
        "catalog"
    }

    fn url(&self) -> &StoreUrl {
        &self.scratch.url
    }

    fn change(&self) -> &str {
        match self.change {
            Change::Rename => "rename_field = { collection = 'users', from = 'a', to = 'b' }",
            Change::Retype => {
                "change_type = { collection = 'users', field = 'a', to = 'long', was = 'string', as = 'b' }"
            }
            Change::Transform => {
                "transform = { collection = 'users', up = { b = { '$add' = ['$a', 1000] } }, down = { a = { '$subtract' = ['$b', 1000] } } }"
            }
        }
    }

    fn may(&self, client: Client, _: Deed, standing: Standing) -> bool {
        standing != Standing::Contracting && self.reads(client, standing)
    }

    async fn act(&self, client: Client, standing: Standing, deed: Deed, (id, value): (i64, i64)) {
        let (users, mut fields) = (self.users(), self.fields(client, standing, value));
        match deed {
            Deed::Insert => {
                fields.extend(doc! { "_id": id, "other": "x" });
                users.insert_one(fields).await.map(drop).unwrap();
            }
            Deed::Update => {
                users.update_one(doc! { "_id": id }, doc! { "$set": fields }).await.map(drop).unwrap();
            }
            Deed::Delete => users.delete_one(doc! { "_id": id }).await.map(drop).unwrap(),
        }
    }

    async fn read(&self, client: Client, _: Standing) -> Records {
        let found: Vec<Document> = self.users().find(doc! {}).await.unwrap().try_collect().await.unwrap();
        found
            .iter()
            .map(|document| (document.get_i64("_id").unwrap(), self.value(client, document)))
            .collect()
    }

    async fn picture(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            shape(&self.db).await.into_iter().map(|(name, text)| format!("{name} {text}")).collect();
        let found: Vec<Document> =
            self.users().find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().try_collect().await.unwrap();
        lines.extend(found.into_iter().map(|document| {
            // Where a field stands among the others is nobody's concern.
            let mut fields: Vec<String> =
                document.iter().map(|(name, value)| format!("{name}={value}")).collect();
            fields.sort();
            fields.join(" ")
        }));
        lines
    }
}
