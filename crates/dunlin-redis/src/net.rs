//! The connections of one store: to one server, or to the primaries of a cluster. Routed here and not by the driver's
//! cluster client, because that one sends a request again whose connection broke, and a request that may have taken
//! effect must not be sent twice. Redirections are followed: they prove that nothing happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dunlin_core::{Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind as Kind, RedisError, ServerErrorKind, Value, cmd, pipe};
use tokio::sync::Mutex;

use crate::address::Place;
use crate::connect::{self, Door, Greeting};
use crate::error;
use crate::script::Text;

/// What a server answered: a value, or its refusal, or that the connection broke.
pub(crate) type Reply = std::result::Result<Value, RedisError>;

/// How often a request is sent on to where it belongs, or again after the cluster asked for patience.
const ROUNDS: u32 = 12;

/// Connections, opened when needed.
#[derive(Debug, Clone)]
pub(crate) struct Net(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    door: Door,
    greeting: Greeting,
    is_cluster: bool,
    shape: Mutex<Shape>,
}

/// Who owns which slots, and the connections so far.
#[derive(Debug, Default)]
struct Shape {
    slots: Vec<(u16, u16, Place)>,
    conns: BTreeMap<String, MultiplexedConnection>,
}

impl Net {
    /// Connects to the first place that answers.
    pub(crate) async fn connect(door: Door) -> Result<Self> {
        let mut failure = None;
        for place in door.places() {
            match door.open(&place).await {
                Ok((conn, greeting)) => return Self::of(door, place, conn, greeting).await,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Config, "the URL names no server")))
    }

    async fn of(door: Door, place: Place, conn: MultiplexedConnection, greeting: Greeting) -> Result<Self> {
        if greeting.mode == "sentinel" {
            let message = format!("{} is a sentinel and keeps no data", connect::shown(&place));
            return Err(Error::new(ErrorKind::Unsupported, message).help("connect to the primary it watches"));
        }
        let is_cluster = greeting.mode == "cluster" || door.address.is_cluster;
        if is_cluster && greeting.mode == "standalone" {
            let message = format!("{} does not belong to a cluster", connect::shown(&place));
            return Err(
                Error::new(ErrorKind::Config, message).help("the scheme of a single server is redis://")
            );
        }
        let conns = BTreeMap::from([(connect::shown(&place), conn)]);
        let shape = Mutex::new(Shape { slots: vec![(0, u16::MAX, place)], conns });
        let net = Self(Arc::new(Inner { door, greeting, is_cluster, shape }));
        if is_cluster {
            net.learn().await?;
        }
        Ok(net)
    }

    /// Connections of its own to the same servers.
    pub(crate) async fn again(&self) -> Self {
        let slots = self.0.shape.lock().await.slots.clone();
        let Inner { door, greeting, is_cluster, .. } = &*self.0;
        Self(Arc::new(Inner {
            door: door.clone(),
            greeting: greeting.clone(),
            is_cluster: *is_cluster,
            shape: Mutex::new(Shape { slots, conns: BTreeMap::new() }),
        }))
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.0.is_cluster
    }

    pub(crate) fn greeting(&self) -> &Greeting {
        &self.0.greeting
    }

    pub(crate) fn door(&self) -> &Door {
        &self.0.door
    }

    /// Where the keys of a slot live.
    pub(crate) async fn owner(&self, slot: u16) -> Option<Place> {
        let shape = self.0.shape.lock().await;
        shape
            .slots
            .iter()
            .find(|(from, to, _)| (*from..=*to).contains(&slot))
            .map(|(.., place)| place.clone())
    }

    /// Who owns which slots, by what was last heard.
    pub(crate) async fn slots(&self) -> Vec<(u16, u16, Place)> {
        self.0.shape.lock().await.slots.clone()
    }

    /// Every primary.
    pub(crate) async fn primaries(&self) -> Vec<Place> {
        let shape = self.0.shape.lock().await;
        let by_name: BTreeMap<String, Place> =
            shape.slots.iter().map(|(.., place)| (connect::shown(place), place.clone())).collect();
        by_name.into_values().collect()
    }

    /// Every server that keeps slots or could come to keep them: the primaries, and the replicas that answer.
    pub(crate) async fn everybody(&self) -> Result<Vec<Place>> {
        if !self.0.is_cluster {
            return Ok(self.primaries().await);
        }
        self.learn().await?;
        let mut everybody = self.primaries().await;
        let Some(first) = everybody.first().cloned() else { return Ok(everybody) };
        let slots = self.call_at(&first, cmd("CLUSTER").arg("SLOTS")).await?;
        for replica in slots.map(|reply| replicas(&reply, &first)).unwrap_or_default() {
            if !everybody.contains(&replica) && self.conn(&replica).await.is_ok() {
                everybody.push(replica);
            }
        }
        Ok(everybody)
    }

    async fn conn(&self, place: &Place) -> Result<MultiplexedConnection> {
        let name = connect::shown(place);
        if let Some(conn) = self.0.shape.lock().await.conns.get(&name) {
            return Ok(conn.clone());
        }
        let (conn, _) = self.0.door.open(place).await?;
        self.0.shape.lock().await.conns.insert(name, conn.clone());
        Ok(conn)
    }

    async fn forget(&self, place: &Place) {
        self.0.shape.lock().await.conns.remove(&connect::shown(place));
    }

    /// Asks the cluster who owns what.
    pub(crate) async fn learn(&self) -> Result<()> {
        let mut places = self.primaries().await;
        places.extend(self.0.door.places());
        let mut failure = None;
        for place in places {
            let asked = match self.conn(&place).await {
                Ok(mut conn) => cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut conn).await,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            match asked {
                Ok(reply) => {
                    let slots = owners(&reply, &place);
                    if !slots.is_empty() {
                        self.0.shape.lock().await.slots = slots;
                        return Ok(());
                    }
                }
                Err(error) => {
                    self.forget(&place).await;
                    failure = Some(error::own(&error, "cannot ask who owns which slots", &self.0.door.url));
                }
            }
        }
        let nobody = || Error::new(ErrorKind::Connect, "the cluster has no slots assigned").temporary();
        Err(failure.unwrap_or_else(nobody))
    }

    /// Sends a request to where it must go, once. Only what the server refused unexecuted is sent again.
    pub(crate) async fn call(&self, slot: u16, request: &Cmd) -> Result<Reply> {
        let mut asking = None;
        let mut round = 0;
        loop {
            round += 1;
            let place = match asking.clone() {
                Some(place) => place,
                None => self.owner(slot).await.ok_or_else(|| uncovered(slot))?,
            };
            let opened = self.conn(&place).await;
            let mut conn = match opened {
                Ok(conn) => conn,
                Err(error) if self.0.is_cluster && error.temporary && round < 3 => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    self.learn().await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let reply = send(&mut conn, request, asking.is_some()).await;
            let Err(failure) = reply else { return Ok(reply) };
            asking = None;
            match failure.kind() {
                Kind::Server(ServerErrorKind::Moved) if round < ROUNDS => self.learn().await?,
                Kind::Server(ServerErrorKind::Ask) if round < ROUNDS => asking = redirect(&failure, &place),
                Kind::Server(ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown) if round < ROUNDS => {
                    tokio::time::sleep(Duration::from_millis(u64::from(20 * round))).await;
                    self.learn().await?;
                }
                Kind::Server(ServerErrorKind::ReadOnly) if self.0.is_cluster && round < ROUNDS => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    self.learn().await?;
                }
                Kind::Server(_) | Kind::Extension => return Ok(Err(failure)),
                _ => {
                    self.forget(&place).await;
                    return Ok(Err(failure));
                }
            }
        }
    }

    /// The same for a request that changes nothing: sent again if an idle connection turns out to be broken.
    pub(crate) async fn ask(&self, slot: u16, request: &Cmd) -> Result<Reply> {
        let reply = self.call(slot, request).await?;
        match &reply {
            Err(failure) if failure.kind() == Kind::Io => self.call(slot, request).await,
            _ => Ok(reply),
        }
    }

    /// Sends a request to one server, wherever its keys may be.
    pub(crate) async fn call_at(&self, place: &Place, request: &Cmd) -> Result<Reply> {
        let mut conn = self.conn(place).await?;
        let reply = send(&mut conn, request, false).await;
        if reply.as_ref().is_err_and(|failure| failure.kind() == Kind::Io) {
            self.forget(place).await;
        }
        Ok(reply)
    }

    /// Runs a script, by the name the server remembers it by, or by its text where the server does not.
    pub(crate) async fn eval<K: AsRef<[u8]>>(
        &self,
        slot: u16,
        script: &Text,
        keys: &[K],
        args: &[Vec<u8>],
    ) -> Result<Reply> {
        let request = |verb: &str, what: &str| {
            let mut request = cmd(verb);
            request.arg(what).arg(keys.len());
            for key in keys {
                request.arg(key.as_ref());
            }
            request.arg(args);
            request
        };
        let reply = self.call(slot, &request("EVALSHA", &script.sha)).await?;
        match &reply {
            Err(failure) if failure.kind() == Kind::Server(ServerErrorKind::NoScript) => {
                self.call(slot, &request("EVAL", &script.text)).await
            }
            _ => Ok(reply),
        }
    }
}

async fn send(conn: &mut MultiplexedConnection, request: &Cmd, is_asking: bool) -> Reply {
    if !is_asking {
        return request.query_async(conn).await;
    }
    let (reply,): (Value,) =
        pipe().cmd("ASKING").ignore().add_command(request.clone()).query_async(conn).await?;
    Ok(reply)
}

fn uncovered(slot: u16) -> Error {
    Error::new(ErrorKind::Connect, format!("no server of the cluster owns slot {slot}")).temporary()
}

/// Where an `ASK` sends us; a server that does not know its own address leaves the host out.
fn redirect(failure: &RedisError, from: &Place) -> Option<Place> {
    let (target, _) = failure.redirect_node()?;
    let (host, port) = target.rsplit_once(':')?;
    place(host, port.parse().ok()?, from)
}

fn place(host: &str, port: u16, from: &Place) -> Option<Place> {
    let Place::Hosts(hosts) = from else { return None };
    let host = if host.is_empty() || host == "?" { hosts.first()?.0.clone() } else { host.to_owned() };
    Some(Place::Hosts(vec![(host, port)]))
}

/// Reads `CLUSTER SLOTS`: ranges with their primary first.
fn owners(reply: &Value, from: &Place) -> Vec<(u16, u16, Place)> {
    let Value::Array(ranges) = reply else { return Vec::new() };
    let number = |value: &Value| connect::text(value).and_then(|text| text.parse::<u16>().ok());
    let range = |range: &Value| {
        let Value::Array(parts) = range else { return None };
        let [start, end, Value::Array(primary), ..] = parts.as_slice() else { return None };
        let host = primary.first().and_then(connect::text).unwrap_or_default();
        Some((number(start)?, number(end)?, place(&host, number(primary.get(1)?)?, from)?))
    };
    ranges.iter().filter_map(range).collect()
}

/// Reads `CLUSTER SLOTS`: whoever follows a primary.
fn replicas(reply: &Value, from: &Place) -> Vec<Place> {
    let Value::Array(ranges) = reply else { return Vec::new() };
    let server = |server: &Value| {
        let Value::Array(parts) = server else { return None };
        let port = connect::text(parts.get(1)?)?.parse().ok()?;
        place(&parts.first().and_then(connect::text).unwrap_or_default(), port, from)
    };
    let all = ranges.iter().flat_map(|range| match range {
        Value::Array(parts) => parts.iter().skip(3).filter_map(server).collect(),
        _ => Vec::new(),
    });
    all.collect()
}
