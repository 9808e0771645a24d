//! The migration lock: a lease in a hash, timed by the server's clock, with a token that counts up and never comes
//! back. Every write checks the token in the script that writes, so whoever slept through a takeover writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use dunlin_core::history::{damaged, readable};
use dunlin_core::{Error, Holder, Result, RunId, Timestamp};
use redis::Value;
use tokio::task::JoinHandle;

use crate::connect::text;
use crate::keys::Keys;
use crate::net::Net;
use crate::{error, script};

/// What came of asking for the lock.
pub(crate) enum Taken {
    Ours {
        token: i64,
        expires: i64,
        /// Whether an earlier holder may still have connections that write.
        has_movers: bool,
    },
    Held(Option<Holder>),
}

/// One attempt.
pub(crate) async fn take(net: &Net, keys: &Keys, me: &Holder, lease: Duration) -> Result<Taken> {
    let args = [&*me.who, &me.host, &me.pid.to_string(), &me.process, &me.run.0, &millis(lease).to_string()]
        .map(|arg| arg.as_bytes().to_vec());
    let reply = net.eval(keys.slot(), &script::LOCK, &keys.all(), &args).await?;
    let reply = reply.map_err(|failure| error::own_state(&failure, "cannot take the migration lock", net))?;
    let parts = words(&reply);
    let number = |index: usize| parts.get(index).and_then(|word| word.parse().ok());
    match (parts.first().map(String::as_str), number(1), number(3)) {
        (Some("taken"), Some(token), Some(expires)) => {
            let has_movers = parts.get(4).is_some_and(|word| !word.is_empty());
            Ok(Taken::Ours { token, expires, has_movers })
        }
        (Some("held"), ..) => match &reply {
            Value::Array(items) => Ok(Taken::Held(items.get(1).map(holder).transpose()?.flatten())),
            _ => Ok(Taken::Held(None)),
        },
        (Some("format"), ..) => {
            readable(number(1).unwrap_or(i64::MAX))?;
            Err(damaged("the format of the lock", &parts.join(" ")))
        }
        _ => Err(unknown_reply(&reply)),
    }
}

/// How a lock ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It is taken away.
    Taken,
    /// Its holder gives it back, and cannot say that nothing is under way.
    Given,
    /// Its holder gives it back, with nothing under way.
    Quiet,
}

/// Gives the lock back, or takes it away from a holder who may still believe to have it.
pub(crate) async fn leave(net: &Net, keys: &Keys, token: i64, how: Leaving) -> Result<()> {
    let how = match how {
        Leaving::Taken => "taken",
        Leaving::Given => "given",
        Leaving::Quiet => "quiet",
    };
    let args = [token.to_string(), how.to_owned()].map(String::into_bytes);
    let reply = net.eval(keys.slot(), &script::LEAVE, &keys.all(), &args).await?;
    reply.map(drop).map_err(|failure| error::own_state(&failure, "cannot release the migration lock", net))
}

/// Reads the fields of the lock; `None` while nobody holds it.
pub(crate) fn holder(fields: &Value) -> Result<Option<Holder>> {
    let Value::Array(items) = fields else { return Ok(None) };
    let pairs = items.chunks_exact(2).filter_map(|pair| Some((text(&pair[0])?, text(&pair[1])?)));
    let known: BTreeMap<String, String> = pairs.collect();
    let Some(run) = known.get("run") else { return Ok(None) };
    let format = known.get("format").map_or("", String::as_str);
    readable(format.parse().map_err(|_| damaged("the format of the lock", format))?)?;
    let word = |name: &str| known.get(name).map_or("", String::as_str);
    let number = |name: &str| word(name).parse::<i64>().map_err(|_| damaged("the lock", word(name)));
    Ok(Some(Holder {
        who: word("who").into(),
        host: word("host").into(),
        pid: u32::try_from(number("pid")?).unwrap_or_default(),
        process: word("process").into(),
        run: RunId(run.as_str().into()),
        token: number("token")?,
        since: Some(Timestamp(number("since")?)),
        expires: Some(Timestamp(number("expires")?)),
    }))
}

/// Renews the lease for as long as it lives.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    task: JoinHandle<()>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    is_lost: AtomicBool,
    expires: AtomicI64,
}

impl Heartbeat {
    /// Starts renewing at a third of the lease, over a connection of its own that is opened when first needed.
    pub(crate) fn start(net: &Net, keys: &Keys, (token, expires): (i64, i64), lease: Duration) -> Self {
        let shared = Arc::new(Shared { is_lost: AtomicBool::new(false), expires: AtomicI64::new(expires) });
        let task = tokio::spawn(renew(net.clone(), keys.clone(), token, lease, shared.clone()));
        Self { task, shared }
    }

    /// Whether somebody else has the lock now.
    pub(crate) fn is_lost(&self) -> bool {
        self.shared.is_lost.load(Ordering::Relaxed)
    }

    /// Until when the lock is ours, by the server's clock.
    pub(crate) fn expires(&self) -> i64 {
        self.shared.expires.load(Ordering::Relaxed)
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn renew(net: Net, keys: Keys, token: i64, lease: Duration, shared: Arc<Shared>) {
    let args = [token.to_string(), millis(lease).to_string()].map(String::into_bytes);
    tokio::time::sleep(lease / 3).await;
    let net = net.again().await;
    loop {
        let reply = net.eval(keys.slot(), &script::RENEW, &keys.all(), &args).await;
        let parts =
            reply.ok().and_then(std::result::Result::ok).map(|reply| words(&reply)).unwrap_or_default();
        match (parts.first().map(String::as_str), parts.get(1).and_then(|word| word.parse().ok())) {
            (Some("ok"), Some(expires)) => {
                shared.expires.store(expires, Ordering::Relaxed);
                tokio::time::sleep(lease / 3).await;
            }
            (Some("lost"), _) => return shared.is_lost.store(true, Ordering::Relaxed),
            // A server that is away or busy: the lock stays ours until somebody takes it, which the next write finds
            // out by itself.
            _ => tokio::time::sleep(lease / 10).await,
        }
    }
}

/// A duration in the unit of the scripts.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The words a script answers with.
pub(crate) fn words(reply: &Value) -> Vec<String> {
    match reply {
        Value::Array(items) => items.iter().map(|item| text(item).unwrap_or_default()).collect(),
        _ => Vec::new(),
    }
}

/// A script answered what it never answers.
pub(crate) fn unknown_reply(reply: &Value) -> Error {
    Error::unexpected(format!("a script answered {reply:?}"))
}
