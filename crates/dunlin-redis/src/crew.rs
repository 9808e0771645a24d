//! The connections that move data. Pipelines run at full speed only outside of scripts, so the fencing token cannot be
//! checked with each of their commands. Instead:
//!
//! 1. the lock says that its holder has movers, before the first of them exists;
//! 2. a mover takes a name with the token in it, and only then looks whether the lock is still its own;
//! 3. whoever takes the lock over raises the token, and where the old lock spoke of movers, ends all connections with
//!    names of older tokens on every server, before writing anything.
//!
//! A mover that was named before the servers were asked for names is ended; one that was named after finds, when it
//! looks, that the lock is gone. What it had sent and the server had not read goes with the connection.

use std::collections::BTreeMap;

use dunlin_core::{Checksum, Error, ErrorKind, Result, Version};
use redis::cmd;

use crate::address::Place;
use crate::connect::{shown, text};
use crate::follow::guard::Guard;
use crate::lock::words;
use crate::store::Store;
use crate::wire::Wire;
use crate::{error, script};

const DOING: &str = "cannot open a connection for moving data";
const RIGHTS: &str = "grant the login `+client|id +client|list +client|kill +client|setname`: a run that takes over must be able to end the connections of one that sleeps";

/// Connections, kept from one bout to the next.
#[derive(Debug)]
pub(crate) struct Crew {
    store: Store,
    right: Right,
    idle: BTreeMap<String, Vec<Wire>>,
    /// Whether one of them was given up with something under way.
    is_dirty: bool,
}

/// What lets connections write.
#[derive(Debug)]
enum Right {
    /// Nothing: they only read.
    None,
    /// The lock, by its fencing token.
    Lock(i64),
    /// That a follower is open.
    Follow(Box<Guard>),
}

impl Crew {
    /// For whoever holds the lock with this token.
    pub(crate) fn movers(store: Store, token: i64) -> Self {
        Self { store, right: Right::Lock(token), idle: BTreeMap::new(), is_dirty: false }
    }

    /// For looking only.
    pub(crate) fn readers(store: Store) -> Self {
        Self { store, right: Right::None, idle: BTreeMap::new(), is_dirty: false }
    }

    /// For a follower, as long as it is open.
    pub(crate) fn followers(store: Store, guard: Guard) -> Self {
        Self { store, right: Right::Follow(Box::new(guard)), idle: BTreeMap::new(), is_dirty: false }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether nothing is under way on any of them.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.is_dirty
    }

    /// A connection to a server.
    pub(crate) async fn wire(&mut self, place: &Place) -> Result<Wire> {
        if let Some(wire) = self.idle.get_mut(&shown(place)).and_then(Vec::pop) {
            return Ok(wire);
        }
        match &self.right {
            Right::None => self.open(place).await,
            Right::Lock(token) => {
                declare(&self.store, *token).await?;
                let mut wire = self.open(place).await?;
                enlist(&mut wire, &format!("{}{token}", prefix(&self.store))).await?;
                declare(&self.store, *token).await?;
                Ok(wire)
            }
            Right::Follow(guard) => {
                let mut wire = self.open(place).await?;
                enlist(&mut wire, &follower(&self.store, guard.version())).await?;
                guard.must_be_open().await?;
                Ok(wire)
            }
        }
    }

    /// A new connection. Where a server can, it does not count what it reads as use of a key: whoever looks whether an old
    /// key is in use would else find dunlin.
    async fn open(&self, place: &Place) -> Result<Wire> {
        let net = &self.store.net;
        let mut wire = net.door().wire(place).await?;
        if net.greeting().can_leave_untouched() {
            // Where the login may not say so it is as it was before there was such a command.
            wire.call(&[b"CLIENT", b"NO-TOUCH", b"ON"]).await?;
        }
        Ok(wire)
    }

    /// Takes a connection back.
    pub(crate) fn give(&mut self, place: &Place, wire: Wire) {
        if wire.is_idle() {
            self.idle.entry(shown(place)).or_default().push(wire);
        } else {
            self.is_dirty = true;
        }
    }

    /// A connection was lost with something under way on it.
    pub(crate) fn lose(&mut self) {
        self.is_dirty = true;
        self.idle.clear();
    }

    /// Ends what was given up, which might yet do what it was told: nobody may count on a server having read it.
    pub(crate) async fn tidy(&mut self) -> Result<()> {
        if let (Right::Lock(token), true) = (&self.right, self.is_dirty) {
            let token = *token;
            self.idle.clear();
            evict(&self.store, token).await?;
            self.is_dirty = false;
        }
        Ok(())
    }
}

/// Gives a connection its name, and makes sure that somebody else could end it by that name.
async fn enlist(wire: &mut Wire, name: &str) -> Result<()> {
    let denied = |error: Error| if error.kind == ErrorKind::Access { error.help(RIGHTS) } else { error };
    wire.must(&[b"CLIENT", b"SETNAME", name.as_bytes()], DOING).await.map_err(denied)?;
    let id = wire.must(&[b"CLIENT", b"ID"], DOING).await.map_err(denied)?.text().unwrap_or_default();
    let list = wire.must(&[b"CLIENT", b"LIST", b"ID", id.as_bytes()], DOING).await.map_err(denied)?;
    if clients(&list.text().unwrap_or_default()).all(|(_, known)| known != name) {
        let message = format!("{DOING}: the server does not keep the names of connections");
        return Err(Error::new(ErrorKind::Unsupported, message)
            .help("connect to the server itself, not through a proxy that shares connections"));
    }
    // No connection has this number: only the right to end one is tried.
    let nobody = i64::MAX.to_string();
    wire.must(&[b"CLIENT", b"KILL", b"ID", nobody.as_bytes()], DOING).await.map_err(denied)?;
    Ok(())
}

/// Says in the lock that there are movers, if it is still ours.
async fn declare(store: &Store, token: i64) -> Result<()> {
    say(store, token, "some").await
}

async fn say(store: &Store, token: i64, what: &str) -> Result<()> {
    let args = [token.to_string(), what.to_owned()].map(String::into_bytes);
    let keys = &store.keys;
    let reply = store.net.eval(keys.slot(), &script::MOVERS, &keys.all(), &args).await?;
    let reply = reply.map_err(|failure| error::own_state(&failure, DOING, &store.net))?;
    if words(&reply).first().is_some_and(|word| word == "ok") { Ok(()) } else { Err(error::lost()) }
}

/// Ends the movers of all who held the lock before the one with this token, for whom it does so.
pub(crate) async fn shut(store: &Store, token: i64) -> Result<()> {
    evict(store, token - 1).await?;
    say(store, token, "none").await
}

/// Ends all movers with this token or an older one, on every server.
pub(crate) async fn evict(store: &Store, token: i64) -> Result<()> {
    let prefix = prefix(store);
    end(store, |name| {
        let theirs = name.strip_prefix(&prefix).and_then(|token| token.parse::<i64>().ok());
        theirs.is_some_and(|theirs| theirs <= token)
    })
    .await
}

/// Ends all connections of those who follow a migration, on every server.
pub(crate) async fn evict_followers(store: &Store, version: &Version) -> Result<()> {
    let theirs = follower(store, version);
    end(store, |name| name == theirs).await
}

/// The name of the connections of whoever follows a migration. No mover has such a one: tokens are numbers.
fn follower(store: &Store, version: &Version) -> String {
    format!("{}{}", prefix(store), Guard::name(version))
}

async fn end(store: &Store, is_theirs: impl Fn(&str) -> bool) -> Result<()> {
    let doing = "cannot end the connections of an earlier run";
    let failed = |failure: redis::RedisError| {
        let error = error::own(&failure, doing, &store.target.url);
        if error.kind == ErrorKind::Access { error.help(RIGHTS) } else { error }
    };
    for place in store.net.everybody().await? {
        let list = store.net.call_at(&place, cmd("CLIENT").arg("LIST")).await?.map_err(failed)?;
        for (id, name) in clients(&text(&list).unwrap_or_default()) {
            if is_theirs(name) {
                let kill = store.net.call_at(&place, cmd("CLIENT").arg("KILL").arg("ID").arg(id)).await?;
                kill.map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Numbers and names out of `CLIENT LIST`.
fn clients(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.lines().filter_map(|line| {
        let fact = |name: &str| line.split(' ').find_map(|pair| pair.strip_prefix(name));
        Some((fact("id=")?, fact("name=")?))
    })
}

/// What the names of all movers of one lock begin with: locks of other applications have tokens of their own.
fn prefix(store: &Store) -> String {
    let db = store.net.door().address.db.to_string();
    let sum = Checksum::of([store.keys.lock.as_str(), &db]).to_string();
    let sum: String = sum.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    format!("dunlin-{sum}-")
}
