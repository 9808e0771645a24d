//! Where the test servers are: what `dev/servers up` wrote, unless the environment says otherwise. A missing server
//! fails the test; only `DUNLIN_SKIP_SERVERS` skips it, by name (`mongo,redis_cluster`) or altogether (`all`).

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dunlin_core::StoreUrl;

/// The kinds of store there are, one for each that behaves differently enough to be tested by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB, or MySQL.
    Mysql,
    /// SQLite, in a file.
    Sqlite,
    /// MongoDB, a replica set.
    Mongo,
    /// One Redis.
    Redis,
    /// A Redis cluster.
    RedisCluster,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Postgres, Self::Mysql, Self::Sqlite, Self::Mongo, Self::Redis, Self::RedisCluster];

    /// Its name in variables and messages: `redis_cluster`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sqlite => "sqlite",
            Self::Mongo => "mongo",
            Self::Redis => "redis",
            Self::RedisCluster => "redis_cluster",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the shared server of a kind is. Its database belongs to everybody: tests want a [`crate::Scratch`].
pub fn url(kind: Kind) -> StoreUrl {
    assert!(kind != Kind::Sqlite, "SQLite has no server");
    skip_if_told(kind);
    let name = format!("DUNLIN_TEST_{}_URL", kind.name().to_uppercase());
    StoreUrl::new(variable(&name).unwrap_or_else(|| missing(&name)))
}

/// A URL with another login, both parts percent-encoded.
pub fn with_login(url: &StoreUrl, user: &str, password: &str) -> StoreUrl {
    let (scheme, rest) = url.expose().split_once("://").expect("a URL of a server");
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    StoreUrl::new(format!("{scheme}://{user}:{password}@{place}"))
}

/// The program of a server, for an instance of one's own; for PostgreSQL the folder of its programs.
pub fn program(kind: Kind) -> PathBuf {
    skip_if_told(kind);
    let name = match kind {
        Kind::Postgres => "DUNLIN_TEST_PG_BIN",
        Kind::Mysql => "DUNLIN_TEST_MARIADBD",
        Kind::Sqlite => panic!("SQLite has no server"),
        Kind::Mongo => "DUNLIN_TEST_MONGOD",
        Kind::Redis | Kind::RedisCluster => "DUNLIN_TEST_REDIS_SERVER",
    };
    variable(name).unwrap_or_else(|| missing(name)).into()
}

/// A setting of the test servers: from the environment, else from what `dev/servers up` wrote.
pub fn variable(name: &str) -> Option<String> {
    static WRITTEN: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let written = || {
        let text = fs::read_to_string(folder().join("env")).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .or_else(|| WRITTEN.get_or_init(written).get(name).cloned())
}

/// Where the test servers keep their state, and where tests that must take turns keep their locks.
pub fn folder() -> PathBuf {
    if let Some(folder) = env::var_os("DUNLIN_SERVERS_DIR") {
        return folder.into();
    }
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let dev = package.ancestors().map(|folder| folder.join("dev")).find(|dev| dev.join("servers").is_file());
    dev.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev")).join(".servers")
}

/// A lock that only one process on this machine holds at a time, until the file is dropped. Waiting blocks the thread.
pub fn turn(name: &str) -> File {
    let path = folder().join(format!("{name}.turn"));
    fs::create_dir_all(folder()).expect("the servers' folder can be made");
    let file =
        File::create(&path).unwrap_or_else(|error| panic!("cannot create {}: {error}", path.display()));
    file.lock().unwrap_or_else(|error| panic!("cannot lock {}: {error}", path.display()));
    file
}

fn missing(name: &str) -> ! {
    panic!(
        "{name} is not set and no server is known: run dev/servers up (or name what to skip in DUNLIN_SKIP_SERVERS)"
    )
}

/// Ends this test as passed if its server is to be skipped, and writes that down where the gate counts it. That needs a
/// process of the test's own, as nextest gives it.
#[expect(clippy::exit, clippy::print_stderr, reason = "a test that is skipped has no other way to end well")]
fn skip_if_told(kind: Kind) {
    let told = env::var("DUNLIN_SKIP_SERVERS").unwrap_or_default();
    if !told.split(',').any(|name| name == kind.name() || name == "all") {
        return;
    }
    let is_alone = env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test");
    assert!(
        is_alone,
        "DUNLIN_SKIP_SERVERS works under cargo nextest only, where a test has a process of its own"
    );
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let list = File::options().create(true).append(true).open(folder().join("skipped"));
    let written = list.and_then(|mut list| writeln!(list, "{kind} {test}"));
    written.expect("the list of skipped tests can be written");
    eprintln!("skipped: DUNLIN_SKIP_SERVERS names {kind}");
    std::process::exit(0);
}
