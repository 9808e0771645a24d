//! Servers of one's own, for what cannot be done to shared ones: killing, stopping, filling, replicating.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dunlin_core::StoreUrl;
use tempfile::TempDir;

use super::support::{Kind, Scratch, scratch_at};

/// A server that ends with the test.
#[derive(Debug)]
pub(super) struct Server {
    folder: TempDir,
    child: Child,
    pub(super) port: u16,
    options: Vec<String>,
}

impl Server {
    /// Starts one with options of redis.conf: `maxmemory 2mb`.
    pub(super) async fn start(options: &[&str]) -> Self {
        let mut folder = TempDir::with_prefix("dunlin-redis-").unwrap();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        // A port that was free a moment ago may be taken by another test; then the next one is tried.
        for _ in 0..5 {
            let port = free_port();
            let child = spawn(folder.path(), port, &options);
            let mut server = Self { folder, child, port, options: options.clone() };
            if server.wait().await {
                return server;
            }
            folder = server.into_folder();
        }
        panic!("no redis-server started")
    }

    fn into_folder(mut self) -> TempDir {
        self.end();
        std::mem::replace(&mut self.folder, TempDir::new().unwrap())
    }

    /// Kills it as a power cut would, and starts it again on the same files.
    pub(super) async fn restart(&mut self) {
        self.end();
        self.child = spawn(self.folder.path(), self.port, &self.options);
        assert!(self.wait().await, "the server did not come back");
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    pub(super) fn scratch(&self) -> Scratch {
        scratch_at(Kind::Single, StoreUrl::new(format!("redis://127.0.0.1:{}", self.port)))
    }

    async fn wait(&mut self) -> bool {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        for _ in 0..200 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut conn) = client.get_multiplexed_async_connection().await
                && redis::cmd("PING").exec_async(&mut conn).await.is_ok()
            {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(folder: &Path, port: u16, options: &[String]) -> Child {
    let program = super::support::variable("DUNLIN_TEST_REDIS_SERVER");
    let mut command = Command::new(program.as_deref().unwrap_or("redis-server"));
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
        .arg(folder)
        .args(["--save", ""]);
    for option in options {
        let (name, values) = option.split_once(' ').unwrap();
        command.arg(format!("--{name}")).args(values.split(' '));
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server is installed")
}
