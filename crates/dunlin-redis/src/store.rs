//! A Redis we can read, and whose migration lock we can ask for.

use std::sync::Arc;
use std::time::Duration;

use dunlin_core::{
    Ahead, Archive, Attempt, Check, Checked, Error, ErrorKind, Event, Follow, Followed, Follower, History,
    Holder, Line, LockMode, Op, Result, Store as CoreStore, StoredFile, Target, Version, async_trait,
};
use redis::{Cmd, Value, cmd};
use tokio::sync::Mutex;

use crate::connect::{Door, text};
use crate::keys::Keys;
use crate::lock::{self, Leaving, Taken};
use crate::net::Net;
use crate::session::Session;
use crate::usage::Met;
use crate::{address, archive, aside, crew, error, examine, follow, foresee, history, moves, usage, verify};

/// How many journal lines are read at once when only some of them are wanted.
const PAGE: u32 = 500;

/// A store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) net: Net,
    pub(crate) keys: Keys,
    pub(crate) target: Arc<Target>,
    /// What the last look for a contract came past.
    pub(crate) met: Arc<Mutex<Met>>,
}

impl Store {
    /// Connects.
    pub(crate) async fn connect(target: &Target) -> Result<Self> {
        if target.lock == LockMode::Session {
            return Err(Error::new(ErrorKind::Config, "Redis has no locks that end with a connection")
                .help("leave `lock` out, or set it to \"lease\""));
        }
        if target.schema.is_some() {
            return Err(Error::new(ErrorKind::Config, "Redis has no schemas")
                .help("a `prefix` keeps applications apart"));
        }
        if target.prefix.as_deref().is_some_and(|prefix| prefix.contains(['{', '}'])) {
            return Err(Error::new(ErrorKind::Config, "a `prefix` with braces would scatter dunlin's keys")
                .help("dunlin puts the prefix into a hash tag of its own: write `app:` for {app:dunlin}:history"));
        }
        let address = address::parse(&target.url)?;
        let door = Door { address, url: target.url.clone(), timeout: target.connect_timeout };
        let net = error::within(target.connect_timeout, "cannot connect", Net::connect(door)).await?;
        Ok(Self {
            net,
            keys: Keys::new(target.prefix.as_deref()),
            target: Arc::new(target.clone()),
            met: Arc::default(),
        })
    }

    /// How long a server may think about dunlin's own, small requests.
    fn patience(&self) -> Duration {
        self.target.connect_timeout * 3
    }

    pub(crate) async fn ask(&self, request: &Cmd, doing: &str) -> Result<Value> {
        let reply = error::within(self.patience(), doing, self.net.ask(self.keys.slot(), request)).await?;
        reply.map_err(|failure| error::own_state(&failure, doing, &self.net))
    }

    /// The history, over whichever connection there is.
    pub(crate) async fn read_history(&self) -> Result<History> {
        let reply = self.ask(cmd("HGETALL").arg(&self.keys.history), "cannot read the history").await?;
        history::history(reply)
    }
}

#[async_trait]
impl CoreStore for Store {
    fn is_transactional(&self) -> bool {
        false
    }

    async fn history(&self) -> Result<History> {
        self.read_history().await
    }

    async fn journal(&self, version: Option<&Version>, limit: u32) -> Result<Vec<Event>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut events: Vec<Event> = Vec::new();
        let mut end = "+".to_owned();
        while events.len() < limit {
            let mut request = cmd("XREVRANGE");
            request.arg(&self.keys.journal).arg(&end).arg("-").arg("COUNT").arg(PAGE);
            let Value::Array(page) = self.ask(&request, "cannot read the journal").await? else { break };
            let Some(last) = page.last() else { break };
            let Some(before) = history::event(last)?.sequence.checked_sub(1) else { break };
            for entry in &page {
                let event = history::event(entry)?;
                if version.is_none_or(|version| event.id.version == *version) {
                    events.push(event);
                }
            }
            if page.len() < PAGE as usize || before < 1 {
                break;
            }
            end = before.to_string();
        }
        events.truncate(limit);
        events.reverse();
        Ok(events)
    }

    async fn files(&self, version: &Version) -> Result<Vec<StoredFile>> {
        let mut request = cmd("HGET");
        request.arg(&self.keys.files).arg(history::field(version));
        history::files(&self.ask(&request, "cannot read the stored files").await?)
    }

    async fn holder(&self) -> Result<Option<Holder>> {
        let (mut lock, time) = (cmd("HGETALL"), cmd("TIME"));
        lock.arg(&self.keys.lock);
        let slot = self.keys.slot();
        let fields = self.ask(&lock, "cannot read the migration lock");
        let (fields, time) = tokio::join!(fields, self.net.ask(slot, &time));
        let holder = lock::holder(&fields?)?;
        // A login that only reads may not ask for the time; then the lock is shown as it was written.
        let now = time.ok().and_then(std::result::Result::ok).and_then(|reply| server_time(&reply));
        Ok(holder.filter(|holder| match (now, holder.expires) {
            (Some(now), Some(expires)) => now < expires.0,
            _ => true,
        }))
    }

    async fn try_lock(&self, me: &Holder) -> Result<Attempt> {
        if matches!(self.net.greeting().role.as_str(), "replica" | "slave") && !self.net.is_cluster() {
            return Err(Error::new(ErrorKind::Unsupported, "this server is a replica and takes no writes")
                .help("connect to its primary"));
        }
        let lease = self.target.lease;
        let taking = lock::take(&self.net, &self.keys, me, lease);
        match error::within(self.patience(), "cannot take the migration lock", taking).await? {
            Taken::Held(holder) => Ok(Attempt::Held(holder)),
            Taken::Ours { token, expires, has_movers } => {
                Ok(Attempt::Taken(Box::new(Session::new(self.clone(), (token, expires), has_movers))))
            }
        }
    }

    async fn unlock(&self, token: i64) -> Result<()> {
        let mut asks = cmd("HGET");
        asks.arg(&self.keys.lock).arg("movers");
        let has_movers = self.ask(&asks, "cannot read the migration lock").await? != Value::Nil;
        lock::leave(&self.net, &self.keys, token, Leaving::Taken).await?;
        // The lock goes on saying that there are movers, so that the next holder makes sure once more.
        if has_movers { crew::evict(self, token).await } else { Ok(()) }
    }

    async fn verify(&self, check: &Check<'_>) -> Result<Checked> {
        verify::run(self, check).await
    }

    async fn preview(&self, op: &dyn Op) -> Result<Vec<Line>> {
        Ok(if self.net.is_cluster() { moves::render::in_cluster(op) } else { op.preview() })
    }

    async fn foresee(&self, now: &[Ahead<'_>], later: &[Ahead<'_>]) -> Result<Vec<String>> {
        foresee::foresee(self, now, later).await.map(|()| Vec::new())
    }

    async fn usage(&self, op: &dyn Op) -> Result<Vec<String>> {
        usage::usage(self, op).await
    }

    async fn gone(&self, op: &dyn Op, _place: (&Version, usize)) -> Result<Vec<String>> {
        aside::gone(self, op).await
    }

    async fn archives(&self) -> Result<Vec<Archive>> {
        archive::list(self).await
    }

    async fn follow(&self, what: &Follow<'_>) -> Result<Option<Box<dyn Follower>>> {
        follow::begin(self, what).await
    }

    async fn followed(&self) -> Result<Vec<Followed>> {
        follow::told(self).await
    }

    async fn examine(&self) -> Result<Vec<(String, String)>> {
        examine::examine(self).await
    }
}

/// Milliseconds out of a reply to `TIME`.
pub(crate) fn server_time(reply: &Value) -> Option<i64> {
    let Value::Array(parts) = reply else { return None };
    let number = |index: usize| parts.get(index).and_then(text).and_then(|text| text.parse::<i64>().ok());
    Some(number(0)? * 1000 + number(1)? / 1000)
}
