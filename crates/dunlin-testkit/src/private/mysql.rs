//! A MariaDB of one's own, and a replica of one.

use std::fs;
use std::path::Path;

use dunlin_core::StoreUrl;

use super::{Private, Process, finish, folder, own, unprivileged, words};
use crate::scratch::Connection;
use crate::server::{self, Kind};

/// As whom it runs where we are root.
const USER: &str = "mysql";
/// What it runs before it listens, a line for each statement.
const LOGIN: &str = "\
create or replace user root@localhost identified by 'dunlin';
grant all on *.* to root@localhost with grant option;
create or replace user root@127.0.0.1 identified by 'dunlin';
grant all on *.* to root@127.0.0.1 with grant option;
create database if not exists dunlin;
";

/// A MariaDB that keeps a binary log. Its login and password are those of the shared server, `root` and `dunlin`.
pub async fn mariadb() -> Private {
    start("1", &[]).await
}

/// The same with further options, `--performance-schema=on`.
pub async fn mariadb_with(options: &[&str]) -> Private {
    start("1", options).await
}

/// A MariaDB that follows another one, so many seconds behind.
pub async fn mariadb_replica_of(primary: &Private, delay: u32) -> Private {
    let replica = start("2", &[]).await;
    let mut connection = Connection::open(Kind::Mysql, &replica.url).await.expect("the replica answers");
    let follow = format!(
        "change master to master_host = '127.0.0.1', master_port = {}, master_user = 'root', master_password = 'dunlin', \
         master_delay = {delay}, master_use_gtid = slave_pos; start slave",
        primary.port()
    );
    connection.sql(&follow).await.expect("it follows");
    replica
}

async fn start(id: &str, more: &[&str]) -> Private {
    let program = server::program(Kind::Mysql);
    let folder = folder();
    fs::write(folder.path().join("init.sql"), LOGIN).expect("a file for the first statements");
    initialise(folder.path());
    let process = Process::start(folder, |folder, port| {
        let path = |option: &str, name: &str| format!("--{option}={}", folder.join(name).display());
        let mut command = unprivileged(USER);
        let options = [
            "--no-defaults".to_owned(),
            path("datadir", "data"),
            path("tmpdir", "tmp"),
            path("socket", "sock"),
            path("pid-file", "pid"),
            path("init-file", "init.sql"),
            format!("--port={port}"),
            format!("--server-id={id}"),
        ];
        let fixed = [
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--log-bin=log-bin",
            "--innodb-buffer-pool-size=16M",
        ];
        let options: Vec<&str> =
            options.iter().map(String::as_str).chain(fixed).chain(more.iter().copied()).collect();
        command.extend(words(&program, &options));
        command
    });
    let url = format!("mysql://root:dunlin@127.0.0.1:{}/dunlin", process.port);
    Private::ready(url, process).await
}

pub(super) async fn ping(url: &StoreUrl) -> sqlx::Result<()> {
    Connection::open(Kind::Mysql, url).await.map(drop)
}

/// Its temporary tables have a folder of their own: a server that starts removes what lies there of others.
fn initialise(folder: &Path) {
    fs::create_dir(folder.join("tmp")).expect("a folder for temporary tables");
    own(folder, USER);
    let mut command = unprivileged(USER);
    let path = |option: &str, name: &str| format!("--{option}={}", folder.join(name).display());
    let (data, temporary) = (path("datadir", "data"), path("tmpdir", "tmp"));
    let fixed =
        ["--no-defaults", &data, &temporary, "--skip-test-db", "--auth-root-authentication-method=normal"];
    command.extend(words(Path::new("mariadb-install-db"), &fixed));
    finish(&command, folder);
}
