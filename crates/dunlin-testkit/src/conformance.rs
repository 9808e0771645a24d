//! One suite that every backend passes. A case is written once, in the language of the reference store (`add NAME`,
//! `bump NAME`, `drop NAME`); each kind of store says it in its own words. What a store can do changes what a case
//! asserts, never whether it runs.

pub mod history;
pub mod life;
pub mod lock;
pub mod phases;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dunlin::{AnyStore, Failure, File, Goal, Project, StoreName, Summary};
use dunlin_engine::run::{Histories, Stop, histories, run};
use dunlin_engine::{Context, Extent, plan, reverse};

use crate::scratch::Scratch;
use crate::server::Kind;

/// The name of the store in every case.
pub const STORE: &str = "app";

/// A scratch database and how its kind of store says things.
#[derive(Debug)]
pub struct Subject {
    /// Where.
    pub scratch: Scratch,
}

/// One migration, in the language of the reference store. Lines starting with `--` are sections.
pub const UP: &str = "-- up";
/// The way back.
pub const DOWN: &str = "-- down";
/// What must find nothing: the names of things that must be empty.
pub const VERIFY: &str = "-- verify";
/// What removes the old shape.
pub const CONTRACT: &str = "-- contract";

impl Subject {
    /// An empty database of a kind.
    pub async fn new(kind: Kind) -> Self {
        Self { scratch: Scratch::of(kind).await }
    }

    /// A project over it, with migrations given as `(name, script)`.
    pub fn project(&self, migrations: &[(&str, &str)]) -> Project {
        let files: Vec<File> = migrations.iter().map(|(name, script)| self.file(name, script)).collect();
        let project = Project::default().store(STORE, self.scratch.url.expose()).expect("a URL of ours");
        project.files(&files)
    }

    /// A migration as a file of this kind of store.
    pub fn file(&self, name: &str, script: &str) -> File {
        let (extension, comment) = match self.scratch.kind {
            Kind::Postgres | Kind::Mysql | Kind::Sqlite => ("sql", "--"),
            Kind::Mongo => ("js", "//"),
            Kind::Redis | Kind::RedisCluster => ("redis", "#"),
        };
        let mut text = String::new();
        let mut is_verify = false;
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(section) = line.strip_prefix("-- ") {
                is_verify = line == VERIFY;
                let _ = writeln!(text, "{comment} {section}");
            } else if is_verify {
                text.push_str(&self.empty(line));
            } else {
                text.push_str(&self.statement(line));
            }
        }
        let name = format!("{name}.{extension}");
        File { name: name.clone().into(), shown: name.into(), content: text.into_bytes().into() }
    }

    fn statement(&self, line: &str) -> String {
        let (verb, name) = line.split_once(' ').expect("a verb and a name");
        let text = match (self.scratch.kind, verb) {
            (Kind::Postgres | Kind::Mysql | Kind::Sqlite, "add") => {
                format!("create table {name} (n integer);")
            }
            (Kind::Postgres | Kind::Mysql | Kind::Sqlite, "drop") => format!("drop table {name};"),
            (Kind::Postgres | Kind::Mysql | Kind::Sqlite, "bump") => {
                format!("insert into {name} (n) values (1);")
            }
            (Kind::Mongo, "add") => format!("db.createCollection('{name}');"),
            (Kind::Mongo, "drop") => format!("db.{name}.drop();"),
            // On a collection that is not there MongoDB would make one; the validator rule finds that out.
            (Kind::Mongo, "bump") => format!("db.{name}.insertOne({{ n: 1 }});"),
            (Kind::Redis | Kind::RedisCluster, "add") => format!("SET {name} 0"),
            (Kind::Redis | Kind::RedisCluster, "drop") => format!("DEL {name}"),
            (Kind::Redis | Kind::RedisCluster, "bump") => format!("INCR {name}"),
            // A statement that every store refuses when it runs, not when it is read.
            (Kind::Mongo, "fail") => {
                format!("db.runCommand({{ collMod: '{name}', validator: {{ $nope: 1 }} }});")
            }
            (Kind::Redis | Kind::RedisCluster, "fail") => format!("LPUSH {name} 1"),
            (_, "fail") => format!("insert into no_such_table_{name} (n) values (1);"),
            _ => panic!("{line}: no such verb"),
        };
        text + "\n"
    }

    /// A query that finds something unless the thing is empty.
    fn empty(&self, name: &str) -> String {
        match self.scratch.kind {
            Kind::Postgres | Kind::Mysql | Kind::Sqlite => format!("select n from {name};\n"),
            Kind::Mongo => format!("db.{name}.find({{}});\n"),
            // `0` and nothing are what may be found.
            Kind::Redis | Kind::RedisCluster => format!("EXISTS {name}:extra\nSTRLEN {name}:extra\n"),
        }
    }

    /// Everything in the database that is not dunlin's, by name, with how often it was bumped.
    pub async fn counters(&self) -> BTreeMap<String, i64> {
        match self.scratch.kind {
            Kind::Mongo => {
                let database = self.scratch.mongo().await;
                let mut counters = BTreeMap::new();
                for name in database.list_collection_names().await.expect("names") {
                    if !name.starts_with("dunlin_") {
                        let count =
                            self.scratch.collection(&name).await.count_documents(bson::Document::new()).await;
                        counters.insert(name, i64::try_from(count.expect("a count")).expect("a small count"));
                    }
                }
                counters
            }
            Kind::Redis | Kind::RedisCluster => {
                let mut counters = BTreeMap::new();
                for name in self.scratch.redis_words::<Vec<String>>(&["KEYS", "*"]).await {
                    if !is_ours(&name) {
                        let value: i64 = self.scratch.redis_words(&["GET", &name]).await;
                        counters.insert(name, value);
                    }
                }
                counters
            }
            kind => {
                let sql = match kind {
                    Kind::Postgres => {
                        "select table_name::text from information_schema.tables where table_schema = 'public'"
                    }
                    Kind::Mysql => {
                        "select table_name from information_schema.tables where table_schema = database()"
                    }
                    _ => "select name from sqlite_master where type = 'table'",
                };
                let mut counters = BTreeMap::new();
                for row in self.scratch.rows(sql).await {
                    let name = row[0].clone().expect("a name");
                    if !name.starts_with("dunlin_") && !name.starts_with("sqlite_") {
                        counters.insert(
                            name.clone(),
                            self.scratch.number(&format!("select count(*) from {name}")).await,
                        );
                    }
                }
                counters
            }
        }
    }
}

impl Subject {
    /// The names of everything that is not dunlin's.
    pub async fn counters_or_keys(&self) -> Vec<String> {
        match self.scratch.kind {
            Kind::Redis | Kind::RedisCluster => {
                let names = self.scratch.redis_words::<Vec<String>>(&["KEYS", "*"]).await;
                names.into_iter().filter(|name| !is_ours(name)).collect()
            }
            _ => self.counters().await.into_keys().collect(),
        }
    }
}

/// Whether a key is dunlin's own: its state, or the fence of a slot.
fn is_ours(key: &str) -> bool {
    key.starts_with("{dunlin")
}

/// Brings a project up to date.
pub async fn up(project: &Project) -> Result<Summary, Failure> {
    dunlin::up(project, &Goal::default(), &mut |_| {}).await
}

/// Brings a project up to date, which must succeed; the number of steps that ran.
pub async fn must_up(project: &Project) -> usize {
    match up(project).await {
        Ok(summary) => summary.completed.len(),
        Err(failure) => panic!("{failure}: {failure:?}"),
    }
}

/// Takes the last `count` migrations back.
pub async fn down(project: &Project, count: usize) -> Result<Summary, Stop> {
    let mut loaded = project.load();
    let context = connect(project).await;
    let histories = histories(&context.stores).await?;
    let versions = reverse::versions(&loaded.migrations, &histories, &Extent::Count(count));
    let backends = project.backends();
    let stores = (&context.stores, &backends);
    let reversal =
        reverse::resolve(&versions, &loaded.migrations, &histories, stores, &mut loaded.sources).await?;
    let planner = |histories: &Histories, _: &mut Summary| {
        plan::down(&reversal.migrations, histories).map_err(Stop::Failed)
    };
    let (summary, result) = run(&context, &planner, &mut |_| {}).await;
    result.map(|_| summary)
}

/// An invocation over the project's stores.
pub async fn connect(project: &Project) -> Context {
    project.context(project.connect(&[]).await.expect("the store can be reached"))
}

/// The project's one store.
pub async fn store(project: &Project) -> AnyStore {
    connect(project).await.stores[&StoreName::from(STORE)].clone()
}

/// Things by name and count, for comparing.
pub fn things<const N: usize>(things: [(&str, i64); N]) -> BTreeMap<String, i64> {
    things.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// A test for every case of the suite, for one kind of store.
#[macro_export]
macro_rules! conformance {
    ($name:ident, $kind:ident) => {
        mod $name {
            $crate::conformance!(@cases $kind,
                life: applies_in_order_and_records_it, a_second_up_does_nothing, reading_creates_nothing,
                    goes_back_and_forth, goes_back_by_the_stored_text, an_empty_up_is_applied_and_an_empty_down_refused,
                    a_failed_statement_is_explained_and_continued, runners_at_once_apply_each_step_once,
                    a_cancelled_run_continues;
                history: records_read_back, files_read_back, the_journal_only_grows, undone_and_applied_again_starts_afresh;
                lock: holder_is_named_while_held, a_session_that_lost_the_lock_writes_nothing, tokens_only_grow,
                    a_lease_that_ran_out_is_taken_over;
                phases: verify_stops_before_contract, contract_runs_when_asked
            );
        }
    };
    (@cases $kind:ident, $($module:ident: $($case:ident),+);+) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::$module::$case($crate::conformance::Subject::new($crate::Kind::$kind).await).await;
            })+
        })+
    };
}
