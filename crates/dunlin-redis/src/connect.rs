//! Opening connections, and what a server says of itself when greeted.

use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use dunlin_core::{Error, Result, StoreUrl};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    TlsCertificates, Value, cmd,
};

use crate::address::{Address, Place, Tls};
use crate::error;

/// How connections to one store are opened.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) address: Address,
    pub(crate) url: StoreUrl,
    pub(crate) timeout: Duration,
}

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// `redis` or `valkey`, and its version.
    pub(crate) server: String,
    pub(crate) version: String,
    /// `standalone`, `cluster` or `sentinel`.
    pub(crate) mode: String,
    /// `master` or `replica`.
    pub(crate) role: String,
}

impl Greeting {
    /// Whether a connection can read keys without their looking used, from Redis 7.2 on.
    pub(crate) fn can_leave_untouched(&self) -> bool {
        let mut parts = self.version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) >= (7, 2)
    }
}

const DOING: &str = "cannot connect";

impl Door {
    /// The places given in the URL.
    pub(crate) fn places(&self) -> Vec<Place> {
        match &self.address.place {
            Place::Hosts(hosts) => hosts.iter().map(|host| Place::Hosts(vec![host.clone()])).collect(),
            Place::Socket(_) => vec![self.address.place.clone()],
        }
    }

    /// Opens a connection to one place and greets the server.
    pub(crate) async fn open(&self, place: &Place) -> Result<(MultiplexedConnection, Greeting)> {
        error::within(self.timeout, DOING, async {
            let client = self.client(place).map_err(|failure| error::own(&failure, DOING, &self.url))?;
            // Commands of a migration may take long; only connecting has a limit.
            let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
            let opened = client.get_multiplexed_async_connection_with_config(&config).await;
            let mut conn = opened.map_err(|failure| self.refused(&failure, place))?;
            let greeting = greet(&mut conn).await.map_err(|failure| self.refused(&failure, place))?;
            Ok((conn, greeting))
        })
        .await
        .map_err(|error| error.with("server", shown(place)))
    }

    fn refused(&self, failure: &redis::RedisError, place: &Place) -> Error {
        let error = error::own(failure, &format!("cannot connect to {}", shown(place)), &self.url);
        // Nothing was asked of it yet, so trying again harms nothing.
        let is_passing =
            failure.kind() == redis::ErrorKind::Io && !failure.to_string().contains("certificate");
        if is_passing { error.temporary() } else { error }
    }

    fn client(&self, place: &Place) -> redis::RedisResult<Client> {
        let addr = match place {
            Place::Hosts(hosts) => {
                let (host, port) = hosts.first().cloned().unwrap_or_else(|| ("127.0.0.1".to_owned(), 6379));
                match &self.address.tls {
                    Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
                    None => ConnectionAddr::Tcp(host, port),
                }
            }
            Place::Socket(path) => ConnectionAddr::Unix(path.clone()),
        };
        let mut login = RedisConnectionInfo::default()
            .set_db(self.address.db)
            .set_lib_name("dunlin", env!("CARGO_PKG_VERSION"));
        if let Some(user) = &self.address.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.address.password {
            login = login.set_password(password);
        }
        let settings = TcpSettings::default().set_nodelay(true);
        let info = addr.into_connection_info()?.set_redis_settings(login).set_tcp_settings(settings);
        match &self.address.tls {
            Some(tls) => {
                static PROVIDER: Once = Once::new();
                PROVIDER.call_once(|| {
                    // Whoever installed one before us is as good.
                    drop(rustls::crypto::ring::default_provider().install_default());
                });
                Client::build_with_tls(info, certificates(tls)?)
            }
            None => Client::open(info),
        }
    }
}

fn certificates(tls: &Tls) -> redis::RedisResult<TlsCertificates> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            redis::RedisError::from((
                redis::ErrorKind::InvalidClientConfig,
                "cannot read a file for TLS",
                format!("{}: {error}", path.display()),
            ))
        })
    };
    let client_tls = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
        }
        (None, None) => None,
        _ => {
            return Err((redis::ErrorKind::InvalidClientConfig, "`cert` and `key` go together").into());
        }
    };
    Ok(TlsCertificates { client_tls, root_cert: tls.authority.as_deref().map(read).transpose()? })
}

/// A place for people.
pub(crate) fn shown(place: &Place) -> String {
    match place {
        Place::Hosts(hosts) => {
            hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect::<Vec<_>>().join(",")
        }
        Place::Socket(path) => path.display().to_string(),
    }
}

/// `HELLO` without a version changes nothing, needs no right, and answers with what we must know.
async fn greet(conn: &mut MultiplexedConnection) -> redis::RedisResult<Greeting> {
    // One that still reads its file answers questions about itself, and nothing else.
    match cmd("PING").query_async::<Value>(conn).await {
        Err(failure) if failure.code() == Some("LOADING") => return Err(failure),
        _ => {}
    }
    let reply: Value = match cmd("HELLO").query_async(conn).await {
        Ok(reply) => reply,
        // Before Redis 6, and behind some proxies, nobody knows the word.
        Err(failure) if error::sentence(&failure).contains("unknown command") => {
            return Ok(Greeting::default());
        }
        Err(failure) => return Err(failure),
    };
    let facts: Vec<Value> = redis::from_redis_value(reply)?;
    let fact = |name: &str| {
        let pair = facts.chunks_exact(2).find(|pair| text(&pair[0]).as_deref() == Some(name));
        pair.and_then(|pair| text(&pair[1])).unwrap_or_default()
    };
    Ok(Greeting { server: fact("server"), version: fact("version"), mode: fact("mode"), role: fact("role") })
}

/// The text of a reply, where it is one.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Okay => Some("OK".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_can_be_left_untouched_from_a_version_on() {
        for (version, wanted) in
            [("", false), ("6.2.7", false), ("7.0.15", false), ("7.2.0", true), ("8.0.3", true)]
        {
            let greeting = Greeting { version: version.to_owned(), ..Greeting::default() };
            assert_eq!(greeting.can_leave_untouched(), wanted, "{version}");
        }
    }
}
