//! Listening to keyspace notifications: a connection to every primary, read as fast as it speaks, so that no server has to
//! keep for us what it said.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dunlin_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::address::Place;
use crate::error;
use crate::store::Store;
use crate::survey::Survey;
use crate::wire::{Answer, Wire};

const DOING: &str = "cannot listen to keyspace notifications";
/// How much waits here; what comes beyond waits at the server, which cuts off whoever is far behind.
const ROOM: usize = 10_000;
/// How often a server that says nothing is asked whether it is there.
const PING: Duration = Duration::from_secs(1);
/// How often it may say nothing to that.
const SILENCES: u32 = 5;

/// A key that was written, and when that was heard.
type Word = (Vec<u8>, Instant);

/// The connections.
#[derive(Debug)]
pub(super) struct Ears {
    heard: Receiver<Result<Word>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Ears {
    /// Subscribes at every primary to the keys of these globs.
    pub(super) async fn open(store: &Store, survey: &Survey, globs: &BTreeSet<Vec<u8>>) -> Result<Self> {
        let (sender, heard) = channel(ROOM);
        let mut ears = Self { heard, tasks: Vec::new() };
        for (place, _) in survey.servers.values() {
            let ear = Ear::open(store, place, globs).await?;
            ears.tasks.push(tokio::spawn(ear.listen(sender.clone())));
        }
        Ok(ears)
    }

    /// What was heard, after so long a wait for the first of it at most.
    pub(super) async fn hear(&mut self, wait: Duration) -> Result<Vec<Word>> {
        let mut words = Vec::new();
        if !wait.is_zero() {
            match tokio::time::timeout(wait, self.heard.recv()).await {
                Ok(Some(word)) => words.push(word?),
                Ok(None) => return Err(Error::new(ErrorKind::Connect, DOING).temporary()),
                Err(_) => {}
            }
        }
        while words.len() < ROOM {
            let Ok(word) = self.heard.try_recv() else { break };
            words.push(word?);
        }
        Ok(words)
    }
}

/// One of them.
struct Ear {
    wire: Wire,
    /// What names of channels begin with.
    channel: String,
    early: Vec<Word>,
}

impl Ear {
    async fn open(store: &Store, place: &Place, globs: &BTreeSet<Vec<u8>>) -> Result<Self> {
        let door = store.net.door();
        let channel = format!("__keyspace@{}__:", door.address.db);
        let mut ear = Self { wire: door.wire(place).await?, channel, early: Vec::new() };
        for glob in globs {
            let pattern = [ear.channel.as_bytes(), glob].concat();
            ear.wire.push(&[b"PSUBSCRIBE", &pattern]);
        }
        ear.wire.flush().await?;
        let mut confirmed = 0;
        while confirmed < globs.len() {
            let answer = ear.wire.heard(door.timeout * 3).await?;
            let answer = answer.ok_or_else(|| error::timed_out(DOING, door.timeout * 3))?;
            match answer {
                Answer::Error(said) => {
                    let error = error::said(&said, DOING, &door.url);
                    return Err(if error.kind == ErrorKind::Access { error.help(RIGHTS) } else { error });
                }
                answer => match ear.key(answer) {
                    Some(key) => ear.early.push((key, Instant::now())),
                    None => confirmed += 1,
                },
            }
        }
        Ok(ear)
    }

    /// The key that a message is about; nothing where it is no message.
    fn key(&self, answer: Answer) -> Option<Vec<u8>> {
        let mut words = answer.list().into_iter();
        if words.next()?.bytes()? != b"pmessage" {
            return None;
        }
        let channel = words.nth(1)?.bytes()?;
        channel.strip_prefix(self.channel.as_bytes()).map(<[u8]>::to_vec)
    }

    /// Passes on what it hears, until it hears nothing more, or nobody listens to it.
    async fn listen(mut self, sender: Sender<Result<Word>>) {
        for word in std::mem::take(&mut self.early) {
            if sender.send(Ok(word)).await.is_err() {
                return;
            }
        }
        let failure = loop {
            match self.next().await {
                Ok(key) => {
                    if sender.send(Ok((key, Instant::now()))).await.is_err() {
                        return;
                    }
                }
                Err(error) => break error,
            }
        };
        drop(sender.send(Err(failure)).await);
    }

    async fn next(&mut self) -> Result<Vec<u8>> {
        let mut silences = 0;
        loop {
            match self.wire.heard(PING).await? {
                Some(answer) => {
                    silences = 0;
                    if let Some(key) = self.key(answer) {
                        return Ok(key);
                    }
                }
                None if silences == SILENCES => return Err(error::timed_out(DOING, PING * SILENCES)),
                None => {
                    silences += 1;
                    self.wire.push(&[b"PING"]);
                    self.wire.flush().await?;
                }
            }
        }
    }
}

const RIGHTS: &str = "grant the login the channels: `ACL SETUSER … &__keyspace@*`, and `+psubscribe`";
