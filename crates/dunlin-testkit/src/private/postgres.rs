//! A PostgreSQL of one's own, and a replica of one.

use std::fs;
use std::path::Path;

use dunlin_core::StoreUrl;
use tempfile::TempDir;

use super::{Private, Process, finish, folder, own, unprivileged, words};
use crate::scratch::Connection;
use crate::server::{self, Kind};

/// As whom it runs where we are root.
const USER: &str = "postgres";

/// A PostgreSQL with these settings: `[("max_connections", "5")]`. Its superuser and password are those of the shared
/// server, `postgres` and `dunlin`; it knows one database, `postgres`.
pub async fn postgres(settings: &[(&str, &str)]) -> Private {
    let (bin, folder) = (server::program(Kind::Postgres), folder());
    initialise(&bin, folder.path());
    start(&bin, folder, settings).await
}

/// A hot standby that streams from another one. It is `replica` to its primary.
pub async fn postgres_replica_of(primary: &Private) -> Private {
    let (bin, folder) = (server::program(Kind::Postgres), folder());
    own(folder.path(), USER);
    let from = format!(
        "host=127.0.0.1 port={} user=postgres password=dunlin application_name=replica",
        primary.port()
    );
    let mut command = unprivileged(USER);
    let fixed =
        ["--pgdata=data", "--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf", "--no-sync"];
    command.extend(words(&bin.join("pg_basebackup"), &[&["-d", &from], &fixed[..]].concat()));
    finish(&command, folder.path());
    start(&bin, folder, &[("hot_standby", "on"), ("wal_receiver_status_interval", "1s")]).await
}

async fn start(bin: &Path, folder: TempDir, settings: &[(&str, &str)]) -> Private {
    let process = Process::start(folder, |folder, port| {
        let data = folder.join("data").display().to_string();
        let (port, sockets) =
            (format!("port={port}"), format!("unix_socket_directories={}", folder.display()));
        let mut command = unprivileged(USER);
        command.extend(words(&bin.join("postgres"), &["-D", &data]));
        let fixed =
            [&*port, &*sockets, "listen_addresses=127.0.0.1", "shared_buffers=16MB"].map(ToOwned::to_owned);
        let wanted = settings.iter().map(|(name, value)| format!("{name}={value}"));
        command.extend(fixed.into_iter().chain(wanted).flat_map(|setting| ["-c".into(), setting.into()]));
        command
    });
    let url = format!("postgres://postgres:dunlin@127.0.0.1:{}/postgres", process.port);
    Private::ready(url, process).await
}

pub(super) async fn ping(url: &StoreUrl) -> sqlx::Result<()> {
    Connection::open(Kind::Postgres, url).await.map(drop)
}

fn initialise(bin: &Path, folder: &Path) {
    fs::write(folder.join("password"), "dunlin").expect("a password file");
    own(folder, USER);
    let mut command = unprivileged(USER);
    let fixed = ["--pgdata=data", "--pwfile=password", "--username=postgres", "--auth=scram-sha-256"];
    let text = ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
    command.extend(words(&bin.join("initdb"), &[&fixed[..], &text].concat()));
    finish(&command, folder);
}
