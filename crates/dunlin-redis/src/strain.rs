//! Why moving keys should wait: other clients are kept waiting, or a replica falls behind.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dunlin_core::{Error, Pace, Result};
use redis::cmd;
use tokio::task::JoinHandle;

use crate::error;
use crate::net::Net;
use crate::store::Store;
use crate::survey::ask;

const DOING: &str = "cannot measure how long a small request takes";

/// How often the canary sings.
const EVERY: Duration = Duration::from_millis(5);
/// Over how long its songs count: long enough for one in a hundred of them to be more than a single hiccup.
const WINDOW: Duration = Duration::from_secs(1);
/// How long a small request may take where nobody says; it may also take so many times what it takes on an idle server.
const LATENCY: Duration = Duration::from_millis(5);
const TIMES: u32 = 5;

/// A small client like those of the application, on connections of its own, that measures how long it has to wait.
#[derive(Debug)]
pub(crate) struct Canary {
    task: JoinHandle<()>,
    songs: Arc<Mutex<Songs>>,
    /// What is long without anybody saying so.
    usual: Duration,
}

/// What was measured within the last second.
#[derive(Debug, Default)]
struct Songs {
    heard: VecDeque<(Instant, Duration)>,
    /// Since when an answer has been awaited.
    waiting: Option<Instant>,
    /// Why the last one could not be measured.
    failure: Option<Error>,
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Canary {
    /// Measures the servers while nothing is moved yet, and goes on in the background.
    pub(crate) async fn start(net: &Net) -> Result<Self> {
        let net = net.again().await;
        let songs = Arc::new(Mutex::new(Songs::default()));
        for _ in 0..20 {
            sing(&net, &songs).await;
        }
        let usual = LATENCY.max(lock(&songs).longest_but_few()? * TIMES);
        let task = tokio::spawn({
            let songs = songs.clone();
            async move {
                loop {
                    sing(&net, &songs).await;
                    tokio::time::sleep(EVERY).await;
                }
            }
        });
        Ok(Self { task, songs, usual })
    }
}

fn lock(songs: &Mutex<Songs>) -> MutexGuard<'_, Songs> {
    songs.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn sing(net: &Net, songs: &Mutex<Songs>) {
    for place in net.primaries().await {
        let began = Instant::now();
        lock(songs).waiting = Some(began);
        let outcome = net.call_at(&place, &cmd("PING")).await;
        let outcome =
            outcome.and_then(|reply| reply.map_err(|failure| error::own(&failure, DOING, &net.door().url)));
        let mut songs = lock(songs);
        songs.waiting = None;
        songs.failure = outcome.err();
        if songs.failure.is_some() {
            return;
        }
        songs.heard.push_back((began, began.elapsed()));
        songs.forget();
    }
}

impl Songs {
    fn forget(&mut self) {
        while self.heard.front().is_some_and(|(at, _)| at.elapsed() > WINDOW) {
            self.heard.pop_front();
        }
    }

    /// What all but one in a hundred took no longer than, within the last second. Whoever is still waiting counts.
    fn longest_but_few(&mut self) -> Result<Duration> {
        self.forget();
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let mut all: Vec<Duration> = self.heard.iter().map(|(_, took)| *took).collect();
        all.extend(self.waiting.map(|since| since.elapsed()));
        all.sort_unstable();
        Ok(all.iter().rev().nth(all.len() / 100).copied().unwrap_or_default())
    }
}

/// Where replicas stood when they were asked last.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    canary: Option<Canary>,
    offsets: BTreeMap<String, (Instant, u64)>,
}

/// What to do about other clients that wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Strain {
    None,
    /// Take smaller pages, and rest as long as one works.
    Ease,
    /// Wait.
    Wait(String),
}

impl Watch {
    /// Looks at all servers.
    pub(crate) async fn look(&mut self, store: &Store, pace: &Pace) -> Result<Strain> {
        if let Some(limit) = pace.max_lag
            && let Some(reason) = self.lag(store, limit).await?
        {
            return Ok(Strain::Wait(reason));
        }
        let canary = match &mut self.canary {
            Some(canary) => canary,
            none => match Canary::start(&store.net).await {
                Err(_) if pace.max_latency.is_none() => return Ok(Strain::None),
                canary => none.insert(canary?),
            },
        };
        let took = match lock(&canary.songs).longest_but_few() {
            // One that is away is for the mover to find out, unless somebody counts on being told.
            Err(_) if pace.max_latency.is_none() => return Ok(Strain::None),
            took => took?,
        };
        Ok(match pace.max_latency {
            Some(limit) if took > limit => Strain::Wait(format!(
                "one in a hundred small requests takes {took:.1?}, more than `max_latency` {limit:?}"
            )),
            None if pace.jobs.get() == 1 && took > canary.usual => Strain::Ease,
            _ => Strain::None,
        })
    }

    async fn lag(&mut self, store: &Store, limit: Duration) -> Result<Option<String>> {
        for place in store.net.primaries().await {
            let info = ask(store, &place, cmd("INFO").arg("replication")).await?;
            let name = crate::connect::shown(&place);
            let offset = fact(&info, "master_repl_offset:").parse().unwrap_or_default();
            let before = self.offsets.insert(name.clone(), (Instant::now(), offset));
            let rate = before.map_or(0.0, |(at, before)| rate(offset.saturating_sub(before), at.elapsed()));
            for (replica, behind) in replicas(&info, offset, rate) {
                match behind {
                    Some(behind) if behind <= limit => {}
                    Some(behind) => {
                        let message = format!("replica {replica} of {name} is {behind:.1?} behind");
                        return Ok(Some(format!("{message}, more than `max_lag` {limit:?}")));
                    }
                    None => return Ok(Some(format!("replica {replica} of {name} is being filled"))),
                }
            }
        }
        Ok(None)
    }
}

fn fact<'a>(info: &'a str, name: &str) -> &'a str {
    info.lines().find_map(|line| line.trim_end().strip_prefix(name)).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a rate is an estimate")]
fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64().max(0.001)
}

/// Each replica and how far it is behind: by its last word, or by what is still to be sent at the rate at which it comes.
#[expect(clippy::cast_precision_loss, reason = "a rate is an estimate")]
fn replicas(info: &str, offset: u64, rate: f64) -> Vec<(String, Option<Duration>)> {
    let replica = |line: &str| {
        let (name, facts) = line.trim_end().split_once(':')?;
        if !name.strip_prefix("slave")?.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let known =
            |name: &str| facts.split(',').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default();
        let silent = Duration::from_secs(known("lag=").parse().unwrap_or_default());
        let missing = offset.saturating_sub(known("offset=").parse().unwrap_or(offset));
        let behind = Duration::from_secs_f64((missing as f64 / rate.max(1_000_000.0)).min(1e6));
        // It speaks once a second: a second of silence is none.
        let behind = behind.max(silent.saturating_sub(Duration::from_secs(1)));
        let place = format!("{}:{}", known("ip="), known("port="));
        Some((place, (known("state=") == "online").then_some(behind)))
    };
    info.lines().filter_map(replica).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_behind_by_silence_or_by_bytes() {
        let info = "role:master\r\nconnected_slaves:3\r\n\
            slave0:ip=10.0.0.1,port=1,state=online,offset=9000000,lag=1\r\n\
            slave1:ip=10.0.0.2,port=2,state=online,offset=10000000,lag=31\r\n\
            slave2:ip=10.0.0.3,port=3,state=wait_bgsave,offset=0,lag=0\r\nmaster_repl_offset:10000000\r\n";
        let found = replicas(info, 10_000_000, 2_000_000.0);
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        assert_eq!(
            found,
            [
                ("10.0.0.1:1".to_owned(), seconds(0.5)),
                ("10.0.0.2:2".to_owned(), seconds(30.0)),
                ("10.0.0.3:3".to_owned(), None)
            ]
        );
    }
}
