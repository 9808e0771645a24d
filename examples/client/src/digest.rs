//! What the stores hold, told so that the shape makes no difference: a digest of all records for each store, and beside it,
//! not in it, how many of them are in which shape.

use std::collections::BTreeMap;
use std::fmt;

use bson::Document;
use futures_util::TryStreamExt as _;
use redis::AsyncCommands as _;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use crate::app::{NEW, OLD, Statements, is_of_another_shape};
use crate::catalog::{CITY, EMAIL, text};
use crate::{App, Cache, Catalog, Error, Shape, Urls};

/// What one store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Its name.
    pub store: &'static str,
    /// How many records.
    pub records: usize,
    /// The same for the same records.
    pub sum: String,
    /// How many of them are in the old shape, and how many in the new one.
    pub shapes: (usize, usize),
}

/// A record in words, and in which shapes it is. Where it is in both, the old one leads.
type Record = (String, bool, bool);

impl Digest {
    /// Of records in the order of their users.
    fn of(store: &'static str, records: &BTreeMap<i32, Record>) -> Self {
        let mut sum = Sha256::new();
        for (user, (record, ..)) in records {
            sum.update(format!("{user} {record}\n"));
        }
        let first = sum.finalize().first_chunk().copied().expect("a digest has 32 bytes");
        let sum = format!("{:016x}", u64::from_be_bytes(first));
        let olds = records.values().filter(|record| record.1).count();
        let news = records.values().filter(|record| record.2).count();
        Self { store, records: records.len(), sum, shapes: (olds, news) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, records, sum, shapes: (olds, news) } = self;
        write!(f, "{store:<8} {records:>5} records {sum}  old shape {olds:>5}  new shape {news:>5}")
    }
}

/// What all stores hold.
pub async fn all(urls: &Urls) -> Result<[Digest; 3], Error> {
    let app = app(App::connect(&urls.app).await?).await?;
    let catalog = catalog(&Catalog::connect(&urls.catalog).await?).await?;
    let cache = cache(Cache::connect(&urls.cache).await?).await?;
    Ok([Digest::of("app", &app), Digest::of("catalog", &catalog), Digest::of("cache", &cache)])
}

async fn app(mut app: App) -> Result<BTreeMap<i32, Record>, Error> {
    let mut records = BTreeMap::new();
    for (Statements { all, .. }, is_old) in [(NEW, false), (OLD, true)] {
        let rows = match sqlx::query(all).fetch_all(&mut app.0).await.map_err(Error::from) {
            Err(error) if is_of_another_shape(&error) => continue,
            rows => rows?,
        };
        for row in rows {
            let (user, name, email): (i32, String, Option<String>) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let is_new = !is_old || records.contains_key(&user);
            records.insert(user, (format!("{name} {email:?}"), is_old, is_new));
        }
    }
    Ok(records)
}

async fn catalog(catalog: &Catalog) -> Result<BTreeMap<i32, Record>, Error> {
    let documents: Vec<Document> = catalog.profiles.find(bson::doc! {}).await?.try_collect().await?;
    let mut records = BTreeMap::new();
    for mut document in documents {
        let [email, city] = [EMAIL, CITY]
            .map(|[old, new]| Shape::Mixed.places(old, new).into_iter().find_map(|at| text(&document, at)));
        let is_old = [EMAIL[0], "address"].iter().any(|name| document.contains_key(name));
        let is_new = [EMAIL[1], CITY[1]].iter().any(|name| document.contains_key(name));
        let user = document.get_i32("userId")?;
        for moved in ["_id", EMAIL[0], EMAIL[1], "address", CITY[1]] {
            document.remove(moved);
        }
        // The rest, in an order of its own: a field that moves comes last.
        let rest: BTreeMap<String, String> =
            document.into_iter().map(|(name, value)| (name, value.to_string())).collect();
        records.insert(user, (format!("{email:?} {city:?} {rest:?}"), is_old, is_new));
    }
    Ok(records)
}

async fn cache(mut cache: Cache) -> Result<BTreeMap<i32, Record>, Error> {
    let mut records: BTreeMap<i32, Record> = BTreeMap::new();
    let keys: Vec<String> = cache.0.keys("user*").await?;
    for key in keys {
        let old = key.strip_prefix("user_");
        let new = key.strip_prefix("user:").and_then(|rest| rest.strip_suffix(":profile"));
        let Some(user) = old.or(new).and_then(|user| user.parse().ok()) else { continue };
        let value: Option<String> = cache.0.get(&key).await?;
        let ends = cache.0.ttl::<_, i64>(&key).await? >= 0;
        let record = format!("{value:?} {}", if ends { "ends" } else { "stays" });
        let held = records.entry(user).or_default();
        if old.is_some() || !held.1 {
            held.0 = record;
        }
        held.1 |= old.is_some();
        held.2 |= new.is_some();
    }
    Ok(records)
}
