//! A PostgreSQL of one's own.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use dunlin_core::StoreUrl;

use super::{Private, Process, folder, words};
use crate::scratch::Connection;
use crate::server::{self, Kind};

/// A PostgreSQL with these settings: `[("max_connections", "5")]`. Its superuser and password are those of the shared
/// server, `postgres` and `dunlin`; it knows one database, `postgres`.
pub async fn postgres(settings: &[(&str, &str)]) -> Private {
    let bin = server::program(Kind::Postgres);
    let folder = folder();
    initialise(&bin, folder.path());
    let process = Process::start(folder, |folder, port| {
        let data = folder.join("data").display().to_string();
        let (port, sockets) =
            (format!("port={port}"), format!("unix_socket_directories={}", folder.display()));
        let mut command = unprivileged();
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
    let mut command = unprivileged();
    if !command.is_empty() {
        let owned = Command::new("chown").args(["-R", "postgres"]).arg(folder).status();
        assert!(owned.is_ok_and(|status| status.success()), "cannot give {} to postgres", folder.display());
    }
    let fixed = ["--pgdata=data", "--pwfile=password", "--username=postgres", "--auth=scram-sha-256"];
    let text = ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
    command.extend(words(&bin.join("initdb"), &[&fixed[..], &text].concat()));
    let made =
        Command::new(&command[0]).args(&command[1..]).current_dir(folder).output().expect("initdb starts");
    assert!(made.status.success(), "initdb fails: {}", String::from_utf8_lossy(&made.stderr));
}

/// What runs a command as PostgreSQL's own user where we are root, which PostgreSQL refuses to be.
fn unprivileged() -> Vec<OsString> {
    let id = Command::new("id").arg("-u").output().expect("there is an id command");
    if id.stdout.trim_ascii() == b"0" {
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "KILL"]
            .map(Into::into)
            .into()
    } else {
        Vec::new()
    }
}
