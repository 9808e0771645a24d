//! What the driver and the server say, in dunlin's words.

use std::time::Duration;

use dunlin_core::{Error, ErrorKind, Result, Span, StoreUrl};
use redis::{ErrorKind as Kind, RedisError};

use crate::net::Net;

/// What a server calls an error: its first word.
pub(crate) fn code(error: &RedisError) -> &str {
    error.code().unwrap_or_default()
}

/// The server's sentence, without the driver's words around it.
pub(crate) fn sentence(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (None | Some("ERR"), Some(detail)) => detail.to_owned(),
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, None) => error.to_string(),
    }
}

/// The sentence of an error that reached us through a script, without the script's whereabouts.
pub(crate) fn plain(sentence: &str) -> &str {
    let end =
        ["script: ", ", on @", " called from script"].iter().filter_map(|mark| sentence.find(mark)).min();
    sentence[..end.unwrap_or(sentence.len())].trim_end_matches([' ', ',']).trim_start_matches("ERR ")
}

/// Why dunlin's own doings failed.
pub(crate) fn own(error: &RedisError, doing: &str, url: &StoreUrl) -> Error {
    let said = url.scrub(&sentence(error));
    let (kind, temporary, help) = judge(error);
    let mut own = Error::new(kind, format!("{doing}: {}", plain(&said)));
    own.temporary = temporary;
    own.help = help.map(str::to_owned);
    own.caused_by(url.scrub(&error.to_string()))
}

/// Why a server said no to one of dunlin's own requests, in the words of its reply.
pub(crate) fn said(said: &str, doing: &str, url: &StoreUrl) -> Error {
    let said = url.scrub(said);
    let (kind, temporary, help) = judge_code(said.split(' ').next().unwrap_or_default(), &said);
    let mut error = Error::new(kind, format!("{doing}: {}", plain(&said)));
    error.temporary = temporary;
    error.help = help.map(str::to_owned);
    error
}

/// The same for dunlin's own keys, where a value of another type is a history that dunlin did not write.
pub(crate) fn own_state(error: &RedisError, doing: &str, net: &Net) -> Error {
    let own = own(error, doing, &net.door().url);
    if code(error) != "WRONGTYPE" {
        return own;
    }
    let message = format!("{doing}: one of dunlin's own keys holds another type of value");
    Error::new(ErrorKind::Integrity, message)
        .help("rename that key, or choose another `prefix` for this store")
}

/// Why a command of a migration failed.
pub(crate) fn of_command(error: &RedisError, text: &str, span: Option<Span>, url: &StoreUrl) -> Error {
    let own = own(error, "the command failed", url);
    let is_refused = matches!(error.kind(), Kind::Server(_) | Kind::Extension) && !own.temporary;
    if is_refused && own.kind != ErrorKind::Unsupported {
        return refused(&sentence(error), text, span, url);
    }
    own.at(span).with("statement", url.scrub(text))
}

/// A command that the server refused, in the server's words.
pub(crate) fn refused(said: &str, text: &str, span: Option<Span>, url: &StoreUrl) -> Error {
    let said = url.scrub(said);
    let first = said.split(' ').next().unwrap_or_default();
    let (kind, temporary, help) = judge_code(first, &said);
    // Whatever the server says no to, it is this command that it said no to.
    let kind = if kind == ErrorKind::Connect || kind == ErrorKind::Unsupported {
        kind
    } else {
        ErrorKind::Statement
    };
    let mut error = Error::new(kind, plain(&said).to_owned()).at(span).with("statement", url.scrub(text));
    error.temporary = temporary;
    error.help = help.map(str::to_owned);
    error
}

/// The lock is not ours any more.
pub(crate) fn lost() -> Error {
    Error::new(
        ErrorKind::LeaseLost,
        "the migration lock was taken over by another run while this one was stopped or cut off",
    )
    .help("nothing was written after that; `dunlin status` shows where things stand")
}

/// Nobody answered in time.
pub(crate) fn timed_out(doing: &str, after: Duration) -> Error {
    Error::new(ErrorKind::Connect, format!("{doing}: no answer within {after:?}"))
        .help("is the server up, and does the port lead to it?")
        .temporary()
}

/// Puts a limit on how long a server may stay silent.
pub(crate) async fn within<T>(
    limit: Duration,
    doing: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(timed_out(doing, limit)))
}

type Judgement = (ErrorKind, bool, Option<&'static str>);

fn judge(error: &RedisError) -> Judgement {
    match error.kind() {
        Kind::AuthenticationFailed => (ErrorKind::Access, false, Some("check user and password in the URL")),
        Kind::InvalidClientConfig | Kind::RESP3NotSupported => (ErrorKind::Config, false, None),
        Kind::Io if error.is_connection_refusal() => {
            (ErrorKind::Connect, true, Some("is the server up, and does the port lead to it?"))
        }
        Kind::Io if error.is_timeout() => {
            (ErrorKind::Connect, true, Some("is the server up, and does the port lead to it?"))
        }
        Kind::Io if error.to_string().contains("certificate") => (
            ErrorKind::Connect,
            false,
            Some("name the authority that signed it: rediss://…?cacert=/path/to/ca.pem"),
        ),
        // A connection that broke under a request: whether the request took effect is for the next run to find out.
        Kind::Io => (ErrorKind::Connect, false, Some("run it again: it continues from what is recorded")),
        Kind::Parse => {
            (ErrorKind::Connect, false, Some("whoever answers there does not speak the Redis protocol"))
        }
        Kind::ClusterConnectionNotFound => (ErrorKind::Connect, true, None),
        Kind::Server(_) | Kind::Extension => judge_code(code(error), &sentence(error)),
        _ => (ErrorKind::Unexpected, false, None),
    }
}

/// What an error code of the server means: the codes of `server.c` and `cluster.c`, and of the ACL checks.
fn judge_code(code: &str, said: &str) -> Judgement {
    match code {
        "NOAUTH" | "WRONGPASS" => (ErrorKind::Access, false, Some("check user and password in the URL")),
        "NOPERM" => (
            ErrorKind::Access,
            false,
            Some("the login needs more rights: dunlin's keys, EVAL, and what the migration does"),
        ),
        "DENIED" => (ErrorKind::Access, false, Some("the server is in protected mode: set a password there")),
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK" | "BUSY" | "NOREPLICAS" => {
            (ErrorKind::Connect, true, None)
        }
        "READONLY" => {
            (ErrorKind::Unsupported, false, Some("this server is a replica; connect to its primary"))
        }
        "MISCONF" => (
            ErrorKind::Statement,
            false,
            Some("the server cannot save to its disk and refuses writes until it can"),
        ),
        "OOM" => (
            ErrorKind::Statement,
            false,
            Some("the server is at its `maxmemory`; nothing of this command took effect"),
        ),
        "WRONGTYPE" => (
            ErrorKind::Statement,
            false,
            Some(
                "the key holds another type of value than the command expects: correct the command, or the key",
            ),
        ),
        "CROSSSLOT" => (
            ErrorKind::Unsupported,
            false,
            Some("keys used together need the same hash tag: {user:1}:a, {user:1}:b"),
        ),
        "EXECABORT" => (ErrorKind::Statement, false, None),
        _ if said.contains("max number of clients") => (ErrorKind::Connect, true, None),
        _ if said.contains("AUTH") && said.contains("without any password") => {
            (ErrorKind::Access, false, Some("the server wants no password; take it out of the URL"))
        }
        _ if said.contains("DB index is out of range") => {
            (ErrorKind::Config, false, Some("the database in the URL does not exist"))
        }
        _ => (ErrorKind::Statement, false, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whereabouts_of_scripts_are_dropped() {
        for (said, plain_text) in [
            (
                "ERR Unknown Redis command called from script script: 8d3, on @user_script:1.",
                "Unknown Redis command",
            ),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            (
                "ERR value is not an integer or out of range script: 8d3, on @user_script:1.",
                "value is not an integer or out of range",
            ),
        ] {
            assert_eq!(plain(said), plain_text);
        }
    }

    #[test]
    fn codes_are_judged() {
        let url = StoreUrl::new("redis://:s3cret@h");
        let error = refused("LOADING Redis is loading s3cret", "AUTH s3cret", None, &url);
        assert!(
            error.temporary && error.kind == ErrorKind::Connect && !format!("{error:?}").contains("s3cret")
        );
        assert_eq!(refused("NOPERM no", "SET a 1", None, &url).kind, ErrorKind::Statement);
        assert_eq!(refused("READONLY You can't write", "SET a 1", None, &url).kind, ErrorKind::Unsupported);
    }
}
