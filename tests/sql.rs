//! SQL stores on real servers: what a team's bad day does to them. Each case is written once and runs on every engine
//! it concerns, through the real program.
#![allow(clippy::unwrap_used, reason = "what a test cannot set up fails it")]
#![allow(
    clippy::format_collect,
    clippy::unused_async,
    reason = "texts are small here, and cases are called alike"
)]

/// One test for each engine out of one case, a function that takes the kind of store.
macro_rules! over {
    (@case $case:ident [$($engine:ident),+]) => {
        mod $case {
            $(#[tokio::test]
            async fn $engine() {
                super::$case(crate::sql::kind(stringify!($engine))).await;
            })+
        }
    };
    ($engines:tt $($case:ident),+ $(,)?) => { $(over!(@case $case $engines);)+ };
}

mod blocked;
pub(crate) mod changes;
mod crash;
mod cut;
mod damage;
mod down;
mod faults;
mod lease;
mod mixed;
mod moves;
mod places;
mod purge;
mod race;
mod rebuild;
mod records;
mod rights;
mod settings;

use std::time::Duration;

use dunlin_core::StoreUrl;
use dunlin_testkit::process::{self, Run, Running};
use dunlin_testkit::{Kind, Scratch};

use crate::cli::Case;

/// The commands that only read.
const READS: [&str; 6] = ["status", "plan", "history", "check", "doctor", "lock status"];

/// The engine of a word.
fn kind(word: &str) -> Kind {
    *Kind::ALL.iter().find(|kind| kind.name() == word).unwrap()
}

/// A scratch database with a project of its own.
struct Bench {
    case: Case,
    db: Scratch,
}

impl Bench {
    async fn new(kind: Kind) -> Self {
        Self::with(kind, "").await
    }

    /// With further settings of the store.
    async fn with(kind: Kind, settings: &str) -> Self {
        let mut db = Scratch::of(kind).await;
        if kind == Kind::Postgres {
            // Its handshakes cost more than everything else these tests do.
            db.url = StoreUrl::new(format!("{}?sslmode=disable", db.url.expose()));
        }
        let config = format!("[stores.app]\nurl = \"${{URL}}\"\n{settings}\n");
        let case = Case::new().file("dunlin.toml", &config).variable("URL", db.url.expose());
        Self { case: case.file("migrations/.keep", ""), db }
    }

    /// Writes a migration, or writes it anew.
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.case.path().join("migrations").join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.case.path().join("migrations").join(name)).unwrap();
    }

    fn run(&self, line: &str) -> Run {
        process::run(&mut self.case.command(line))
    }

    fn start(&self, line: &str) -> Running {
        process::spawn(&mut self.case.command(line))
    }

    /// `dunlin up`, which must come to its end.
    #[track_caller]
    fn up(&self) -> Run {
        self.run("up").expect_code(0)
    }

    /// The state in the history of every migration.
    async fn states(&self) -> Vec<String> {
        let rows = self.db.rows("select version, state from dunlin_history order by version").await;
        rows.into_iter()
            .map(|row| row.into_iter().map(Option::unwrap).collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// Waits until a query yields a number above nothing.
    async fn until(&self, what: &str, sql: &str) {
        for _ in 0..1200 {
            if self.db.number(sql).await > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("never: {what}");
    }
}

/// Fails with all that was said unless a run said this.
#[track_caller]
fn says(run: &Run, words: &[&str]) {
    for word in words {
        assert!(run.stderr.contains(word) || run.stdout.contains(word), "{word:?} is not said\n{run}");
    }
}
