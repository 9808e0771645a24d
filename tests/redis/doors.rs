//! The ways to a server, each gone by the connections that move data: a login, a socket, TLS with a certificate of our own.

use std::path::Path;
use std::process::Command;

use dunlin::StoreUrl;
use dunlin_testkit::private::{self, Private};
use dunlin_testkit::scratch;
use tempfile::TempDir;

use super::{COPY, SAME, failure, must_up, project, values};

/// Moves keys of all types by this URL, and counts the copies by another one.
async fn moves_by(url: &str, (server, login): (&Private, &StoreUrl)) {
    let mut connection = scratch::redis_connection(login).await.unwrap();
    values(600).exec_async(&mut connection).await.unwrap();
    must_up(&project(&StoreUrl::new(url), &[COPY, SAME])).await;
    let copies: Vec<String> = redis::cmd("KEYS").arg("user:*").query_async(&mut connection).await.unwrap();
    assert_eq!(copies.len(), 600, "{}", server.url);
    // Whoever moves gives its connection a name: it was such a one that went by this way.
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    assert!(stats.contains("cmdstat_client|setname:"), "{stats}");
}

#[tokio::test]
async fn a_password_alone_or_a_user_with_one_opens_every_connection() {
    let server = private::redis(&["--requirepass", "s3cret/@"]).await;
    let alone = StoreUrl::new(format!("redis://:s3cret%2F%40@127.0.0.1:{}/0", server.port()));
    moves_by(alone.expose(), (&server, &alone)).await;
    let mut connection = scratch::redis_connection(&alone).await.unwrap();
    let words = ["SETUSER", "mover", "on", ">pw", "~*", "&*", "+@all"];
    redis::cmd("ACL").arg(&words).exec_async(&mut connection).await.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
    moves_by(server.url_as("mover", "pw").expose(), (&server, &alone)).await;
    let said = failure(&project(&server.url_as("mover", "wr0ng"), &[COPY])).await;
    assert!(said.contains("kind: Access") && !said.contains("wr0ng"), "{said}");
}

#[tokio::test]
async fn another_database_is_the_one_that_is_moved_in() {
    let server = private::redis(&[]).await;
    let third = StoreUrl::new(format!("redis://127.0.0.1:{}/3", server.port()));
    moves_by(third.expose(), (&server, &third)).await;
    let mut connection = scratch::redis_connection(&server.url).await.unwrap();
    assert_eq!(redis::cmd("DBSIZE").query_async::<i64>(&mut connection).await.unwrap(), 0);
}

#[tokio::test]
async fn a_socket_with_a_login_leads_there() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("redis.sock").display().to_string();
    let server = private::redis(&["--unixsocket", &path, "--requirepass", "pw"]).await;
    let login = StoreUrl::new(format!("redis://:pw@127.0.0.1:{}/0", server.port()));
    moves_by(&format!("redis+unix://{path}?db=0&pass=pw"), (&server, &login)).await;
    let said = failure(&project(&StoreUrl::new(format!("redis+unix://{path}x?db=0")), &[COPY])).await;
    assert!(said.contains("Connect"), "{said}");
}

/// A key and a certificate that signs itself.
fn certificate(folder: &Path, name: &str) -> (String, String) {
    let [key, cert] =
        ["key", "cert"].map(|kind| folder.join(format!("{name}-{kind}.pem")).display().to_string());
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    let made = Command::new("openssl")
        .args(words.split_whitespace())
        .args(["-keyout", &key, "-out", &cert])
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (key, cert)
}

#[tokio::test]
async fn tls_with_a_certificate_of_ones_own_leads_there_and_without_does_not() {
    let folder = TempDir::new().unwrap();
    let (server_key, server_cert) = certificate(folder.path(), "server");
    let (key, cert) = certificate(folder.path(), "mover");
    let port = private::free_port().to_string();
    // The server takes in only whom it knows.
    let files = ["--tls-port", &port, "--tls-cert-file", &server_cert, "--tls-key-file", &server_key];
    let server = private::redis(&[&files[..], &["--tls-ca-cert-file", &cert]].concat()).await;
    let url = format!("rediss://localhost:{port}/0?cacert={server_cert}");
    moves_by(&format!("{url}&cert={cert}&key={key}"), (&server, &server.url)).await;
    let said = failure(&project(&StoreUrl::new(url), &[COPY])).await;
    assert!(said.contains("Connect"), "{said}");
    let stranger = format!("rediss://localhost:{port}/0?cacert={cert}&cert={cert}&key={key}");
    let said = failure(&project(&StoreUrl::new(stranger), &[COPY])).await;
    assert!(said.contains("Connect") && said.contains("certificate"), "{said}");
}
