//! Redis URLs: `redis://user:password@host:port/db`, `rediss://` and `valkey(s)://` alike, `redis+cluster://h1:p1,h2:p2`,
//! `redis+unix:///path?db=0`. Read here and not by the driver, so that a password needs no escaping the driver asks
//! for, and so that no message ever quotes one.

use std::path::PathBuf;

use dunlin_core::{Error, ErrorKind, Result, StoreUrl, suggest};

/// The schemes, in the words of URLs.
pub(crate) const SCHEMES: &[&str] = &[
    "redis",
    "rediss",
    "valkey",
    "valkeys",
    "redis+cluster",
    "rediss+cluster",
    "valkey+cluster",
    "valkeys+cluster",
    "redis+unix",
    "valkey+unix",
    "unix",
];

const PORT: u16 = 6379;

/// Query parameters; those of TLS are called as redis-cli calls them.
const PARAMETERS: [&str; 7] = ["db", "user", "pass", "password", "cacert", "cert", "key"];

/// A URL taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) place: Place,
    pub(crate) is_cluster: bool,
    pub(crate) db: i64,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) tls: Option<Tls>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Hosts(Vec<(String, u16)>),
    Socket(PathBuf),
}

/// Files for TLS; without an authority, the well-known ones are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) authority: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("place", &self.place).field("db", &self.db).finish_non_exhaustive()
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
        .help("a Redis URL looks like redis://user:password@host:6379/0, redis+cluster://host:6379,host:6380 or redis+unix:///run/redis.sock?db=0")
}

/// Takes a URL apart.
pub(crate) fn parse(url: &StoreUrl) -> Result<Address> {
    let scheme = url.scheme();
    let text = url.expose();
    let rest = text.split_once("://").map(|(_, rest)| rest).ok_or_else(|| bad("the URL has no `://`"))?;
    let (before, query) = split_query(rest);
    check_query(query)?;
    let (login, place) =
        before.rsplit_once('@').map_or((None, before), |(login, place)| (Some(login), place));
    let login =
        login.map(|login| login.split_once(':').map_or((login, None), |(user, pass)| (user, Some(pass))));
    let parameter = |name: &str| query_value(query, name).filter(|value| !value.is_empty()).map(decode);
    let some = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(decode);
    let is_cluster = scheme.ends_with("+cluster");
    let is_socket = scheme == "unix" || scheme.ends_with("+unix");
    let is_tls = scheme.starts_with("rediss") || scheme.starts_with("valkeys");
    let file = |name: &str| parameter(name).map(PathBuf::from);
    let (place, path_db) = if is_socket { (socket(place)?, None) } else { hosts(place, is_cluster)? };
    let db = parameter("db").or(path_db);
    let db = db.as_deref().unwrap_or("0").parse().map_err(|_| bad("the database in the URL is no number"))?;
    if is_cluster && db != 0 {
        return Err(bad("a Redis cluster has database 0 only"));
    }
    let tls = Tls { authority: file("cacert"), certificate: file("cert"), key: file("key") };
    if !is_tls && tls != Tls::default() {
        return Err(
            bad("`cacert`, `cert` and `key` need TLS, and the URL's scheme has none").help("write rediss://")
        );
    }
    Ok(Address {
        place,
        is_cluster,
        db,
        user: some(login.map(|(user, _)| user)).or_else(|| parameter("user")),
        password: some(login.and_then(|(_, pass)| pass))
            .or_else(|| parameter("password"))
            .or_else(|| parameter("pass")),
        tls: is_tls.then_some(tls),
    })
}

/// A password may hold an unescaped `?`; the last `@` before the query decides, as in [`StoreUrl`].
fn split_query(rest: &str) -> (&str, &str) {
    match rest.split_once('?') {
        Some((before, after)) if before.contains('@') || !after.contains('@') => (before, after),
        Some(_) => {
            let at = rest.rfind('@').unwrap_or(0);
            let question = rest[at..].find('?');
            question.map_or((rest, ""), |question| (&rest[..at + question], &rest[at + question + 1..]))
        }
        None => (rest, ""),
    }
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    pairs(query).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn check_query(query: &str) -> Result<()> {
    let unknown =
        pairs(query).find(|(key, _)| !PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(key)));
    unknown.map_or(Ok(()), |(key, _)| {
        Err(bad(format!("unknown parameter `{key}` in the URL")).help(suggest::help(key, PARAMETERS)))
    })
}

fn socket(place: &str) -> Result<Place> {
    if !place.starts_with('/') {
        return Err(bad("the URL of a socket needs its whole path"));
    }
    Ok(Place::Socket(decode(place).into()))
}

fn hosts(place: &str, is_cluster: bool) -> Result<(Place, Option<String>)> {
    let (list, path) =
        place.split_once('/').map_or((place, ""), |(list, path)| (list, path.trim_end_matches('/')));
    let hosts: Vec<(String, u16)> = list.split(',').map(host).collect::<Result<_>>()?;
    if hosts.len() > 1 && !is_cluster {
        return Err(
            bad("several hosts in the URL of a single server").help("a cluster's scheme is redis+cluster")
        );
    }
    Ok((Place::Hosts(hosts), (!path.is_empty()).then(|| path.to_owned())))
}

fn host(text: &str) -> Result<(String, u16)> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map_or(Ok(PORT), str::parse);
    let port = port.map_err(|_| bad(format!("the port of `{name}` in the URL is no port")))?;
    let name = if name.is_empty() { "127.0.0.1" } else { name };
    Ok((decode(name), port))
}

/// Percent-decodes; what is no valid escape stays.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        parse(&StoreUrl::new(url)).unwrap()
    }

    fn hosts_of(url: &str) -> Vec<(String, u16)> {
        match address(url).place {
            Place::Hosts(hosts) => hosts,
            Place::Socket(path) => panic!("a socket: {}", path.display()),
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let full = address("redis://ann:p%40ss@db.example:7000/3");
        assert_eq!((full.user.as_deref(), full.password.as_deref(), full.db), (Some("ann"), Some("p@ss"), 3));
        assert_eq!(hosts_of("redis://ann:p%40ss@db.example:7000/3"), [("db.example".to_owned(), 7000)]);
        assert_eq!(hosts_of("redis://"), [("127.0.0.1".to_owned(), 6379)]);
        assert_eq!(hosts_of("valkey://[::1]:7"), [("::1".to_owned(), 7)]);
        assert_eq!(hosts_of("rediss+cluster://:p@a:1,b"), [("a".to_owned(), 1), ("b".to_owned(), 6379)]);
        assert!(address("rediss+cluster://a").tls.is_some() && address("rediss+cluster://a").is_cluster);
        assert_eq!(address("redis://h?db=4").db, 4);
    }

    #[test]
    fn sockets_have_a_path_and_parameters() {
        let socket = address("redis+unix:///run/re%20dis.sock?db=2&pass=x");
        assert_eq!(socket.place, Place::Socket("/run/re dis.sock".into()));
        assert_eq!((socket.db, socket.password.as_deref()), (2, Some("x")));
    }

    #[test]
    fn passwords_need_no_escaping() {
        for (url, password) in [
            ("redis://:a/b#c@h", "a/b#c"),
            ("redis://:a?b@h/1", "a?b"),
            ("redis://:a@b@h", "a@b"),
            ("redis://:a%zz@h", "a%zz"),
        ] {
            assert_eq!(address(url).password.as_deref(), Some(password), "{url}");
        }
    }

    #[test]
    fn bad_urls_say_why_and_never_the_password() {
        for (url, message) in [
            ("redis://:s3cret@h:x", "no port"),
            ("redis://:s3cret@h/x", "no number"),
            ("redis://:s3cret@a,b", "several hosts"),
            ("redis+cluster://:s3cret@a/1", "database 0"),
            ("redis+unix://run/x?pass=s3cret", "whole path"),
            ("redis://h?dbb=1&password=s3cret", "unknown parameter `dbb`"),
            ("redis://h?cacert=/x", "need TLS"),
        ] {
            let error = parse(&StoreUrl::new(url)).unwrap_err();
            assert!(error.message.contains(message), "{url}: {error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{url}");
        }
    }
}
