//! MongoDB servers of one's own: alone, or a replica set whose primary can change.

use std::path::Path;

use bson::{Bson, Document, doc};
use dunlin_core::StoreUrl;
use mongodb::Client;
use mongodb::error::Result;

use super::{Private, Process, folder, words};
use crate::server::{self, Kind};

/// A mongod that is no replica set: it has no transactions, and majority is itself.
pub async fn mongod() -> Private {
    mongod_with(&[]).await
}

/// The same, with options of its own.
pub async fn mongod_with(options: &[&str]) -> Private {
    ready(start(options)).await
}

async fn ready(process: Process) -> Private {
    let url = format!("mongodb://127.0.0.1:{}/test?directConnection=true", process.port);
    Private::ready(url, process).await
}

pub(super) async fn ping(url: &StoreUrl) -> Result<()> {
    run(url.expose(), doc! { "ping": 1 }).await.map(drop)
}

/// Several mongods that elect a primary.
#[derive(Debug)]
pub struct ReplicaSet {
    /// Where they are.
    pub url: StoreUrl,
    /// Each of them.
    pub members: Vec<Private>,
}

/// A replica set of so many members, whose elections are quick.
pub async fn replica_set(size: usize) -> ReplicaSet {
    let mut members = Vec::new();
    for process in (0..size).map(|_| start(&["--replSet", "rs0"])).collect::<Vec<_>>() {
        members.push(ready(process).await);
    }
    let hosts: Vec<String> = members.iter().map(|member| format!("127.0.0.1:{}", member.port())).collect();
    let listed: Vec<Document> =
        (0_i32..).zip(&hosts).map(|(id, host)| doc! { "_id": id, "host": host }).collect();
    // Each follows the primary: a member that is held back holds back no other.
    let settings =
        doc! { "electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200, "chainingAllowed": false };
    let config = doc! { "_id": "rs0", "members": listed, "settings": settings };
    let initiated = run(members[0].url.expose(), doc! { "replSetInitiate": config }).await;
    initiated.unwrap_or_else(|error| panic!("cannot make a replica set: {error}"));
    let url = StoreUrl::new(format!("mongodb://{}/test?replicaSet=rs0", hosts.join(",")));
    let mut set = ReplicaSet { url, members };
    set.settle().await;
    set
}

impl ReplicaSet {
    /// The place of the primary among the members, if there is one now.
    pub async fn primary(&self) -> Option<usize> {
        for (place, member) in self.members.iter().enumerate() {
            if is(&member.url, "isWritablePrimary").await {
                return Some(place);
            }
        }
        None
    }

    /// Makes the primary step down, and waits until another one is elected. From then on the old one may be elected
    /// again: should the new one die, there is somebody who has all it has.
    pub async fn step_down(&mut self) {
        let old = self.primary().await.expect("a primary that can step down");
        let command = doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 10 };
        let stepped = run(self.members[old].url.expose(), command).await;
        stepped.unwrap_or_else(|error| panic!("the primary does not step down: {error}"));
        let urls: Vec<StoreUrl> = self.members.iter().map(|member| member.url.clone()).collect();
        let elected = async || {
            for url in &urls {
                if is(url, "isWritablePrimary").await {
                    return Ok(());
                }
            }
            Err("no member is elected")
        };
        self.members[old].process.until(elected).await;
        let thawed = run(self.members[old].url.expose(), doc! { "replSetFreeze": 0 }).await;
        thawed.unwrap_or_else(|error| panic!("the old primary stays out of elections: {error}"));
    }

    /// Waits until all members are in step, so that any of them can become primary.
    async fn settle(&mut self) {
        for member in &mut self.members {
            let url = member.url.clone();
            let in_step = async || {
                let is_there = is(&url, "isWritablePrimary").await || is(&url, "secondary").await;
                is_there.then_some(()).ok_or("neither primary nor secondary")
            };
            member.process.until(in_step).await;
        }
    }
}

/// Whether a member says this of itself.
async fn is(url: &StoreUrl, role: &str) -> bool {
    let hello = run(url.expose(), doc! { "hello": 1 }).await;
    hello.is_ok_and(|hello| hello.get_bool(role).unwrap_or_default())
}

/// Makes commands fail on a server of one's own: the next `times` that `data` describes, as the server's
/// `failCommand` fail point has it: `{ failCommands: ["insert"], errorCode: 91 }`.
pub async fn fail_command(server: &Private, times: i32, data: Document) {
    let command = doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": Bson::Document(data) };
    let set = run(server.url.expose(), command).await;
    set.unwrap_or_else(|error| panic!("cannot set a fail point: {error}"));
}

fn start(extra: &[&str]) -> Process {
    Process::start(folder(), |folder: &Path, port| {
        let (folder, port) = (folder.display().to_string(), port.to_string());
        let fixed = ["--dbpath", &folder, "--bind_ip", "127.0.0.1", "--port", &port, "--nounixsocket"];
        let small = ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"];
        let test = [
            "--setParameter",
            "enableTestCommands=1",
            "--setParameter",
            "diagnosticDataCollectionEnabled=false",
        ];
        words(&server::program(Kind::Mongo), &[&fixed[..], &small, &test, extra].concat())
    })
}

/// Runs a command on one server's `admin` database, by itself: it may just be starting, or electing.
async fn run(url: &str, command: Document) -> Result<Document> {
    let url = format!("{url}&serverSelectionTimeoutMS=1000&connectTimeoutMS=1000");
    Client::with_uri_str(url).await?.database("admin").run_command(command).await
}
