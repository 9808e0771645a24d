//! A TCP proxy before a server, that stalls and cuts connections where a test says: before a statement arrives, in the
//! middle of it, or after it ran and before its reply is read. It lives on a thread of its own, so a test may block.
//!
//! What to cut is recognised by turns, not by protocol: a request is what a client sends until the server answers.

mod rules;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use dunlin_core::StoreUrl;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub use rules::{Direction, Loss, Trigger};
use rules::{Rules, Talk};

/// A proxy before one server.
#[derive(Debug)]
pub struct Proxy {
    /// The server's URL, by way of the proxy, in clear text so that the proxy can read what is sent.
    pub url: StoreUrl,
    rules: Arc<Mutex<Rules>>,
    valves: watch::Sender<Valves>,
    thread: Option<JoinHandle<()>>,
}

/// What concerns every connection at once.
#[derive(Debug, Clone, Copy, Default)]
struct Valves {
    is_paused: bool,
    is_refusing: bool,
    is_over: bool,
    /// Connections that are older than this many cuts are closed.
    cuts: u64,
}

impl Proxy {
    /// Listens on a free port of this machine, in front of the server of this URL.
    pub fn before(url: &StoreUrl) -> Self {
        let (target, template) = split(url);
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener without blocking");
        let port = listener.local_addr().expect("the listener's address").port();
        let rules = Arc::default();
        let (valves, watched) = watch::channel(Valves::default());
        let state = Wire { target, rules: Arc::clone(&rules), valves: watched };
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, state));
        });
        Self {
            url: StoreUrl::new(template.replace(PLACE, &port.to_string())),
            rules,
            valves,
            thread: Some(thread),
        }
    }

    /// Cuts the connection that meets the trigger next, losing this. Once.
    pub fn cut_at(&self, trigger: Trigger, loss: Loss) {
        self.rules().arm(trigger, loss);
    }

    /// Cuts a connection when so many more bytes have gone this way, over all connections. Once.
    pub fn cut_after_bytes(&self, direction: Direction, count: u64) {
        self.rules().limit(direction, count);
    }

    /// Cuts every connection now.
    pub fn cut(&self) {
        self.valves.send_modify(|valves| valves.cuts += 1);
    }

    /// Holds back everything, in both directions, until [`Proxy::resume`].
    pub fn pause(&self) {
        self.valves.send_modify(|valves| valves.is_paused = true);
    }

    /// Lets go what was held back.
    pub fn resume(&self) {
        self.valves.send_modify(|valves| valves.is_paused = false);
    }

    /// Whether new connections are closed at once, from now on.
    pub fn refuse(&self, is_refusing: bool) {
        self.valves.send_modify(|valves| valves.is_refusing = is_refusing);
    }

    /// How many connections the rules have cut: a test that means to cut checks that it did.
    pub fn cuts(&self) -> u64 {
        self.rules().cuts
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.rules().connections
    }

    /// How many requests were made, over all connections.
    pub fn requests(&self) -> u64 {
        self.rules().requests
    }

    /// How many bytes went this way, over all connections.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.rules().bytes(direction)
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        lock(&self.rules)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.valves.send_modify(|valves| valves.is_over = true);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy at {}", self.url)
    }
}

/// Stands for the port in a URL that has none yet.
const PLACE: &str = "{port}";

/// The address of a URL's server, and the URL that leads to the proxy once its port is known.
fn split(url: &StoreUrl) -> (String, String) {
    let scheme = url.scheme();
    assert!(!scheme.contains("cluster"), "a cluster's nodes name one another, past any proxy");
    // A client of a replica set would learn the members' own addresses; TLS would hide the statements.
    let (url, parameter) = match scheme.as_str() {
        "mongodb" => (url.without(&["replicaSet", "directConnection"]), "directConnection=true"),
        "postgres" | "postgresql" => (url.without(&["sslmode"]), "sslmode=disable"),
        "mysql" | "mariadb" => (url.without(&["ssl-mode"]), "ssl-mode=DISABLED"),
        _ => (url.clone(), ""),
    };
    let (scheme, rest) = url.expose().split_once("://").expect("a URL of a server");
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (login, address) =
        authority.rsplit_once('@').map_or(("", authority), |(login, address)| (login, address));
    let login = if login.is_empty() { String::new() } else { format!("{login}@") };
    let joint = match (parameter, tail.contains('?')) {
        ("", _) => "",
        (_, true) => "&",
        (_, false) => "?",
    };
    (address.to_owned(), format!("{scheme}://{login}127.0.0.1:{PLACE}{tail}{joint}{parameter}"))
}

/// What each connection knows.
#[derive(Debug, Clone)]
struct Wire {
    target: String,
    rules: Arc<Mutex<Rules>>,
    valves: watch::Receiver<Valves>,
}

async fn serve(listener: std::net::TcpListener, state: Wire) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    let mut over = state.valves.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                lock(&state.rules).connections += 1;
                let refusing = state.valves.borrow().is_refusing;
                if !refusing {
                    tokio::spawn(relay(client, state.clone()));
                }
            }
            _ = over.wait_for(|valves| valves.is_over) => return,
        }
    }
}

/// One connection, until either side ends it or a rule does. Both sockets close together.
async fn relay(client: TcpStream, mut state: Wire) {
    let Ok(server) = TcpStream::connect(&state.target).await else { return };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let talk = Mutex::default();
    let cuts = state.valves.borrow().cuts;
    let (requests, replies) = (state.clone(), state.clone());
    tokio::select! {
        _ = pump(Direction::Request, client_reads, server_writes, (&talk, requests)) => {}
        _ = pump(Direction::Reply, server_reads, client_writes, (&talk, replies)) => {}
        _ = state.valves.wait_for(|valves| valves.cuts > cuts) => {}
    }
}

async fn pump(
    direction: Direction,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    (talk, mut state): (&Mutex<Talk>, Wire),
) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut chunk).await?;
        drop(state.valves.wait_for(|valves| !valves.is_paused).await);
        if count == 0 {
            return Ok(());
        }
        let verdict = lock(&state.rules).judge(direction, &chunk[..count], &mut lock(talk));
        to.write_all(&chunk[..verdict.unwrap_or(count)]).await?;
        if verdict.is_some() {
            return Ok(());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_a_url_changes() {
        for (url, address, proxied) in [
            ("postgres://u:p@h:5/db", "h:5", "postgres://u:p@127.0.0.1:{port}/db?sslmode=disable"),
            ("mysql://u:p@h:5/db?a=b", "h:5", "mysql://u:p@127.0.0.1:{port}/db?a=b&ssl-mode=DISABLED"),
            ("mongodb://h:5/db?replicaSet=rs0", "h:5", "mongodb://127.0.0.1:{port}/db?directConnection=true"),
            ("redis://h:5/3", "h:5", "redis://127.0.0.1:{port}/3"),
        ] {
            assert_eq!(split(&StoreUrl::new(url)), (address.to_owned(), proxied.to_owned()));
        }
    }
}
