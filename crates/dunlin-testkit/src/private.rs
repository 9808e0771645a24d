//! Servers of a test's own, for what would disturb others: kills, failovers, settings, fail points. They start on free
//! loopback ports with their data in a temporary folder, and die with the value, or with the test's process.

mod mongo;
mod mysql;
mod postgres;
mod redis;

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dunlin_core::StoreUrl;
use tempfile::TempDir;

use crate::process::signal;
use crate::server;

pub use mongo::{ReplicaSet, fail_command, mongod, mongod_with, replica_set};
pub use mysql::{mariadb, mariadb_replica_of, mariadb_with};
pub use postgres::{postgres, postgres_replica_of};
pub use redis::{RedisCluster, redis, redis_cluster, redis_replica_of};

/// Longer than any server takes to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// One server.
#[derive(Debug)]
pub struct Private {
    /// Where it is.
    pub url: StoreUrl,
    process: Process,
}

impl Private {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.process.port
    }

    /// The URL with another login, both parts percent-encoded.
    pub fn url_as(&self, user: &str, password: &str) -> StoreUrl {
        server::with_login(&self.url, user, password)
    }

    /// Ends it without warning; its data stays until the value is dropped.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after [`Private::kill`], on the same port and data, and waits until it answers.
    pub async fn restart(&mut self) {
        self.process.restart();
        self.answers().await;
    }

    /// A server whose process has just been started.
    async fn ready(url: String, process: Process) -> Self {
        let mut server = Self { url: StoreUrl::new(url), process };
        server.answers().await;
        server
    }

    async fn answers(&mut self) {
        let url = &self.url;
        let ask = async || match url.scheme().as_str() {
            "mysql" => mysql::ping(url).await.map_err(|error| error.to_string()),
            "postgres" => postgres::ping(url).await.map_err(|error| error.to_string()),
            "mongodb" => mongo::ping(url).await.map_err(|error| error.to_string()),
            _ => redis::ping(url).await.map_err(|error| error.to_string()),
        };
        self.process.until(ask).await;
    }

    /// Stops it where it is: connections stay open and nothing answers.
    pub fn stop(&self) {
        self.process.tree().into_iter().for_each(|pid| signal(pid, "STOP"));
    }

    /// Lets it go on after [`Private::stop`].
    pub fn wake(&self) {
        self.process.tree().into_iter().for_each(|pid| signal(pid, "CONT"));
    }
}

/// A server's process and what it needs.
#[derive(Debug)]
struct Process {
    child: Child,
    port: u16,
    folder: TempDir,
    command: Vec<OsString>,
}

impl Process {
    /// Starts a server whose command is made of its folder and its port.
    fn start(folder: TempDir, command: impl FnOnce(&Path, u16) -> Vec<OsString>) -> Self {
        let port = free_port();
        let command = command(folder.path(), port);
        let child = spawn(folder.path(), &command);
        Self { child, port, folder, command }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn kill(&mut self) {
        let tree =
            if self.child.try_wait().is_ok_and(|ended| ended.is_none()) { self.tree() } else { Vec::new() };
        drop(self.child.kill());
        drop(self.child.wait());
        // Children that saw their parent die end by themselves, but not before they have served whoever asks.
        for pid in tree.into_iter().skip(1) {
            signal(pid, "KILL");
        }
    }

    /// The server and its children: a PostgreSQL has one for each connection.
    fn tree(&self) -> Vec<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        std::iter::once(pid)
            .chain(children.split_whitespace().filter_map(|child| child.parse().ok()))
            .collect()
    }

    fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.folder.path(), &self.command);
    }

    /// Waits until this succeeds.
    async fn until<T, E: std::fmt::Display>(&mut self, mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match attempt().await {
                Ok(value) => return value,
                Err(error) => {
                    let ended = self.child.try_wait().expect("it is our child");
                    assert!(
                        ended.is_none() && Instant::now() < deadline,
                        "{}",
                        self.complaint(&error.to_string())
                    );
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn complaint(&self, error: &str) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let start = log.len().saturating_sub(2000);
        let tail = log.get(start..).unwrap_or(&log);
        format!("{} did not start: {error}; its log ends:\n{tail}", self.command[0].display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &Path, command: &[OsString]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log");
    let errors = log.try_clone().expect("a log");
    // The server ends when the thread that started it does, however this process ends.
    let mut leashed = Command::new("setpriv");
    leashed.args(["--pdeathsig", "KILL", "--"]).args(command).current_dir(folder);
    let started = leashed.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
    started.unwrap_or_else(|error| panic!("cannot start {}: {error}", command[0].display()))
}

/// A port of this machine that nobody listens on, right now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("the listener's address").port()
}

/// What runs a command as a server's own user where we are root, which PostgreSQL refuses to be.
fn unprivileged(user: &str) -> Vec<OsString> {
    let id = Command::new("id").arg("-u").output().expect("there is an id command");
    if id.stdout.trim_ascii() != b"0" {
        return Vec::new();
    }
    let (user, group) = (format!("--reuid={user}"), format!("--regid={user}"));
    ["setpriv", &user, &group, "--init-groups", "--pdeathsig", "KILL"].map(Into::into).into()
}

/// Gives a folder to the user as whom commands are run.
fn own(folder: &Path, user: &str) {
    if !unprivileged(user).is_empty() {
        let owned = Command::new("chown").args(["-R", user]).arg(folder).status();
        assert!(owned.is_ok_and(|status| status.success()), "cannot give {} to {user}", folder.display());
    }
}

/// Runs a command to its end in a folder.
fn finish(command: &[OsString], folder: &Path) {
    let made = Command::new(&command[0]).args(&command[1..]).current_dir(folder).output().expect("it starts");
    assert!(made.status.success(), "{command:?} fails: {}", String::from_utf8_lossy(&made.stderr));
}

fn folder() -> TempDir {
    TempDir::with_prefix("dunlin-server-").expect("a folder for a server")
}

fn words(program: &Path, args: &[&str]) -> Vec<OsString> {
    std::iter::once(program.into()).chain(args.iter().map(Into::into)).collect()
}
