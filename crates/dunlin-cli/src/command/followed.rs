//! What `status` says of those who follow.

use dunlin_core::{Activity, Followed};
use serde_json::{Value, json};

use super::when::Moment;
use crate::render::words::{grouped, span};

/// A line for people.
pub(super) fn line(one: &Followed) -> String {
    let ago = || match one.silent {
        Some(silent) => format!("for {}", span(silent)),
        None => format!("since {}", Moment(one.at)),
    };
    let (who, again) =
        (format!("{}@{}", one.who, one.host), format!("`dunlin follow {}` goes on", one.version));
    let mended = format!("{} mended", grouped(one.mended));
    match one.activity {
        Activity::Stopped => format!("not followed {}, {mended} by {who}; {again}", ago()),
        _ if !one.is_alive() => format!("the follower of {who} is silent {}, {mended}; {again}", ago()),
        Activity::Pass => format!("{who} begins to follow and goes through everything once, {mended}"),
        Activity::Live => format!("followed by {who}, lag {}, {mended}", span(one.lag)),
    }
}

/// The same for programs.
pub(super) fn data(one: &Followed) -> Value {
    json!({
        "alive": one.is_alive(),
        "activity": one.activity.word(),
        "who": &*one.who,
        "host": &*one.host,
        "at": Moment(one.at).to_string(),
        "silent_ms": one.silent.map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
        "lag_ms": u64::try_from(one.lag.as_millis()).unwrap_or(u64::MAX),
        "heard": one.heard,
        "mended": one.mended,
    })
}
