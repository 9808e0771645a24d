//! The way to the server: sockets, TLS, connections that are cut, slots that move.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dunlin_core::{Backend, ErrorKind, State, StoreUrl, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::server::Server;
use super::support::{Kind, Scratch, Step, apply, fresh, lock, scratch, version};
use crate::{Redis, slot};

#[tokio::test]
async fn a_socket_leads_to_the_same_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis.sock");
    let server = Server::start(&[&format!("unixsocket {}", path.display())]).await;
    let scratch = server.scratch();
    apply(&scratch, "1", "SET ~a 1").await.unwrap();
    for scheme in ["redis+unix", "unix"] {
        let url = StoreUrl::new(format!("{scheme}://{}?db=0", path.display()));
        let store = Redis.connect(&Target { url, ..scratch.target() }).await.unwrap();
        assert_eq!(store.history().await.unwrap().records.len(), 1);
    }
}

/// Makes a key and a certificate that signs itself.
fn certificate(folder: &std::path::Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn tls_trusts_whom_it_is_told_to_trust() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let tls_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let options = [
        format!("tls-port {tls_port}"),
        format!("tls-cert-file {cert}"),
        format!("tls-key-file {key}"),
        "tls-auth-clients no".to_owned(),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let server = Server::start(&options).await;
    let scratch = server.scratch();
    apply(&scratch, "1", "SET ~a 1").await.unwrap();
    let connect = |url: String| {
        let target = Target { url: StoreUrl::new(url), ..scratch.target() };
        async move { Redis.connect(&target).await }
    };
    let store = connect(format!("rediss://localhost:{tls_port}?cacert={cert}")).await.unwrap();
    assert_eq!(store.history().await.unwrap().records.len(), 1);
    let error = connect(format!("rediss://localhost:{tls_port}")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Connect && !error.temporary, "{error:?}");
    let error = connect(format!("rediss://localhost:{tls_port}?cacert=/no/such/file")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Config && error.message.contains("/no/such/file"), "{error:?}");
}

/// Passes everything on until the k-th script of the client; that one still reaches the server, and nothing comes back.
async fn cutting_proxy(server: String, at: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(pass(client, upstream, seen.clone(), at));
        }
    });
    port
}

async fn pass(mut client: TcpStream, mut upstream: TcpStream, seen: Arc<AtomicUsize>, at: usize) {
    let (mut request, mut reply) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(count @ 1..) = read else { return };
                let is_script = request[..count].windows(4).any(|word| word == b"EVAL");
                if upstream.write_all(&request[..count]).await.is_err() { return }
                if is_script && seen.fetch_add(1, Ordering::SeqCst) + 1 == at {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return;
                }
            }
            read = upstream.read(&mut reply) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&reply[..count]).await.is_err() { return }
            }
        }
    }
}

#[tokio::test]
async fn wherever_the_connection_is_cut_every_command_takes_effect_exactly_once() {
    let lines =
        "INCR ~n\nMULTI\nINCR ~n\nINCR ~n\nEXEC\nEVAL \"return redis.call('INCR', KEYS[1])\" 1 ~n\nINCR ~n";
    let mut was_cut = 0;
    for at in 1..=12 {
        let scratch = scratch(Kind::Single);
        let host = scratch.url.expose().split_once("://").unwrap().1.to_owned();
        let port = cutting_proxy(host, at).await;
        let url = StoreUrl::new(format!("redis://127.0.0.1:{port}"));
        let target = Target { url, lease: Duration::from_millis(300), ..scratch.target() };
        let store = Redis.connect(&target).await.unwrap();
        if let Ok(dunlin_core::Attempt::Taken(mut session)) = store.try_lock(&super::support::me("r1")).await
        {
            if let Err(error) = Step::up(scratch.op(lines), fresh("1")).run(&mut session).await {
                assert!(error.kind == ErrorKind::Connect && !error.temporary, "{error:?}");
                was_cut += 1;
            }
            drop(session.release().await);
        }
        let record = apply_if_needed(&scratch, lines).await;
        assert_eq!((scratch.text("n").await.as_deref(), record), (Some("5"), State::Done), "cut at {at}");
    }
    assert!(was_cut >= 4, "{was_cut}");
}

async fn apply_if_needed(scratch: &Scratch, lines: &str) -> State {
    let store = scratch.store().await;
    let mut session = lock(&store).await;
    let mut step = Step::up(scratch.op(lines), fresh("1")).resume(&store).await;
    if step.now.state == State::Applying {
        step.run(&mut session).await.unwrap();
    }
    session.release().await.unwrap();
    store.history().await.unwrap().records[&version("1")].state
}

#[tokio::test]
async fn a_slot_that_moves_in_the_middle_is_followed() {
    let scratch = scratch(Kind::Cluster);
    let key = scratch.key("n");
    let number = slot::of(key.as_bytes());
    let store = scratch.store().await;
    let mut session = lock(&store).await;
    let mut step = Step::up(scratch.op("INCR ~n\nINCR ~n\nINCR ~n\nINCR ~n"), fresh("1"));
    step.once(&mut session).await.unwrap();
    step.once(&mut session).await.unwrap();
    let moving = Moving::begin(&scratch, number).await;
    // Nothing moved yet: the old owner still answers.
    step.once(&mut session).await.unwrap();
    moving.carry().await;
    // All keys moved, the slot did not: the old owner sends us on with ASK.
    step.once(&mut session).await.unwrap();
    moving.end().await;
    // Now it answers MOVED.
    step.run(&mut session).await.unwrap();
    session.release().await.unwrap();
    assert_eq!(scratch.text("n").await.as_deref(), Some("4"));
    let back = Moving::begin(&scratch, number).await;
    back.carry().await;
    back.end().await;
}

/// A slot on its way from one server to another.
struct Moving {
    number: u16,
    from: Node,
    to: Node,
}

struct Node {
    id: String,
    host: String,
    port: u16,
}

impl Node {
    async fn send<T: redis::FromRedisValue>(&self, line: &str) -> T {
        let client = redis::Client::open(format!("redis://{}:{}", self.host, self.port)).unwrap();
        let mut conn = client.get_multiplexed_async_connection().await.unwrap();
        let mut request = redis::Cmd::new();
        line.split(' ').for_each(|word| {
            request.arg(word);
        });
        request.query_async(&mut conn).await.unwrap()
    }
}

type Range = (u16, u16, (String, u16, String, redis::Value));

impl Moving {
    async fn begin(scratch: &Scratch, number: u16) -> Self {
        let any: Vec<Range> = scratch.send("CLUSTER SLOTS").await.unwrap();
        let node =
            |(_, _, (host, port, id, _)): &Range| Node { id: id.clone(), host: host.clone(), port: *port };
        let owns = |range: &&Range| (range.0..=range.1).contains(&number);
        let from = node(any.iter().find(owns).unwrap());
        let to = node(any.iter().find(|range| !owns(range) && range.2.2 != from.id).unwrap());
        to.send::<()>(&format!("CLUSTER SETSLOT {number} IMPORTING {}", from.id)).await;
        from.send::<()>(&format!("CLUSTER SETSLOT {number} MIGRATING {}", to.id)).await;
        Self { number, from, to }
    }

    async fn carry(&self) {
        let keys: Vec<String> = self.from.send(&format!("CLUSTER GETKEYSINSLOT {} 100", self.number)).await;
        let (host, port) = (&self.to.host, self.to.port);
        self.from.send::<()>(&format!("MIGRATE {host} {port}  0 5000 KEYS {}", keys.join(" "))).await;
    }

    async fn end(self) {
        let line = format!("CLUSTER SETSLOT {} NODE {}", self.number, self.to.id);
        self.to.send::<()>(&line).await;
        self.from.send::<()>(&line).await;
    }
}
