//! Your application, as small as it can be: users in PostgreSQL, their profiles in MongoDB, and what is looked up on every
//! request in Redis. It writes and reads without pause while dunlin runs `migrations/` under it, and knows nothing of that;
//! what it must know of a change is which shape it speaks, and that is all in [`Shape`].
//!
//! [`work`] says what is done in each round, whoever does it; [`app`], [`catalog`] and [`cache`] do it; [`digest`] says what
//! is there, whatever the shape. `./dev/demo` starts several of these, and lets them race with dunlin.

pub mod app;
pub mod cache;
pub mod catalog;
pub mod digest;
mod report;
pub mod work;

use std::collections::BTreeMap;
use std::time::Instant;

pub use app::App;
pub use cache::Cache;
pub use catalog::Catalog;
pub use report::Report;
pub use work::{Server, What, Work};

/// Whatever goes wrong, in words.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a version of the application knows of the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The code of before: `email`, `address.city`, `user_<id>`.
    Old,
    /// The code of a rolling deploy: what is in the old place leads; what is not there is looked for in the new one.
    Mixed,
    /// The code of after: `email_address`, `emailAddress`, `city`, `user:<id>:profile`.
    New,
}

impl Shape {
    /// Where this version looks for something, one place after the other.
    pub fn places<T>(self, old: T, new: T) -> Vec<T> {
        match self {
            Self::Old => vec![old],
            Self::Mixed => vec![old, new],
            Self::New => vec![new],
        }
    }
}

/// Where the stores are.
#[derive(Debug, Clone)]
pub struct Urls {
    /// PostgreSQL.
    pub app: String,
    /// MongoDB, with the name of the database.
    pub catalog: String,
    /// Redis.
    pub cache: String,
}

/// One of the servers on which the application runs.
#[derive(Debug)]
pub struct Client {
    shape: Shape,
    server: Server,
    rounds: u32,
    /// The round in which it last wrote each user.
    written: BTreeMap<i32, u32>,
    stores: (App, Catalog, Cache),
    report: Report,
}

impl Client {
    /// Goes on after so many rounds that were done before, perhaps by another version.
    pub async fn start(urls: &Urls, shape: Shape, server: Server, rounds: u32) -> Result<Self, Error> {
        let app = App::connect(&urls.app).await?;
        let stores = (app, Catalog::connect(&urls.catalog).await?, Cache::connect(&urls.cache).await?);
        let written = BTreeMap::new();
        let mut client = Self { shape, server, rounds, written, stores, report: Report::default() };
        (1..=rounds).flat_map(|round| work::of(server, round)).for_each(|work| client.remember(&work));
        Ok(client)
    }

    /// Does the next round in every store, and reads something written earlier.
    pub async fn round(&mut self) {
        self.rounds += 1;
        for work in work::of(self.server, self.rounds) {
            self.carry_out(work).await;
            self.remember(&work);
        }
        let known = self.written.iter().nth(self.rounds as usize % self.written.len());
        if let Some((&user, &round)) = known {
            self.carry_out(Work { what: What::Read, user, round, server: self.server }).await;
        }
    }

    async fn carry_out(&mut self, work: Work) {
        let (app, catalog, cache) = &mut self.stores;
        let began = Instant::now();
        self.report.note("app", work, began, app.carry_out(self.shape, work).await);
        let began = Instant::now();
        self.report.note("catalog", work, began, catalog.carry_out(self.shape, work).await);
        let began = Instant::now();
        self.report.note("cache", work, began, cache.carry_out(self.shape, work).await);
    }

    fn remember(&mut self, work: &Work) {
        match work.what {
            What::Leave => self.written.remove(&work.user),
            _ => self.written.insert(work.user, work.round),
        };
    }

    /// How many rounds this server has done by now.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// How it went.
    pub fn report(&self) -> &Report {
        &self.report
    }
}
