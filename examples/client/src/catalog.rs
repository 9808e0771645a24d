//! The document half: what users say about themselves.

use bson::{Document, doc};
use mongodb::{Client, Collection, Database};

use crate::{Error, Shape, What, Work};

/// What was renamed, and what was moved: old and new place.
pub(crate) const EMAIL: [&str; 2] = ["email", "emailAddress"];
pub(crate) const CITY: [&str; 2] = ["address.city", "city"];

/// A collection.
#[derive(Debug)]
pub struct Catalog {
    database: Database,
    pub(crate) profiles: Collection<Document>,
}

impl Catalog {
    /// Goes where the URL says, which names the database.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let client = Client::with_uri_str(url).await?;
        let database = client.default_database().ok_or("the URL of MongoDB names no database")?;
        let profiles = database.collection("profiles");
        Ok(Self { database, profiles })
    }

    /// Where the collection is.
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    pub(crate) async fn carry_out(&self, shape: Shape, work: Work) -> Result<(), Error> {
        let id = doc! { "userId": work.user };
        match work.what {
            What::SignUp => {
                let (email, city) = (work.email(), work.city());
                self.profiles.insert_one(match shape {
                    // What is in the old place, everybody reads until the contract.
                    Shape::Old | Shape::Mixed => {
                        doc! { "userId": work.user, "email": email, "likes": [], "address": { "city": city } }
                    }
                    Shape::New => doc! { "userId": work.user, "emailAddress": email, "likes": [], "city": city },
                })
                .await?;
                Ok(())
            }
            What::Change => {
                self.put(work, shape.places(EMAIL[0], EMAIL[1]), &work.email()).await?;
                self.put(work, shape.places(CITY[0], CITY[1]), &work.city()).await
            }
            What::Leave => match self.profiles.delete_one(id).await?.deleted_count {
                1 => Ok(()),
                _ => Err("nobody was there".into()),
            },
            What::Read => {
                let document = self.profiles.find_one(id).await?.ok_or("nobody is there")?;
                let seen = [EMAIL, CITY].map(|[old, new]| {
                    shape.places(old, new).into_iter().find_map(|place| text(&document, place))
                });
                if work.is_kept(&seen) { Ok(()) } else { Err(format!("reads {document}").into()) }
            }
        }
    }

    /// Puts a value in the first place where the document has one, unless a greater one is there. Each statement says by
    /// itself that nothing is in the places before: an old place may come back since it was looked for, and it leads.
    async fn put(&self, work: Work, places: Vec<&str>, value: &str) -> Result<(), Error> {
        let mut nowhere = doc! { "userId": work.user };
        let mut choices = Vec::new();
        for place in &places {
            let mut there = nowhere.clone();
            there.insert(*place, doc! { "$exists": true });
            choices.push((there, doc! { "$max": { *place: value } }));
            nowhere.insert(*place, doc! { "$exists": false });
        }
        // Twice, for a change that comes or goes between the two.
        for (there, change) in choices.iter().chain(&choices) {
            if self.profiles.update_one(there.clone(), change.clone()).await?.matched_count == 1 {
                return Ok(());
            }
        }
        Err(format!("nobody has {}", places.join(" or ")).into())
    }
}

/// What a document has in a place.
pub(crate) fn text(document: &Document, place: &str) -> Option<String> {
    match place.split_once('.') {
        Some((outer, inner)) => text(document.get_document(outer).ok()?, inner),
        None => document.get_str(place).ok().map(str::to_owned),
    }
}
