//! The scripts that the server runs for us, each a prelude and a text of its own.

use std::sync::LazyLock;

use redis::Script;

const PRELUDE: &str = include_str!("lua/prelude.lua");
const STATE: &str = include_str!("lua/state.lua");
const RUN: &str = include_str!("lua/run.lua");

fn script(parts: &[&str]) -> Text {
    let text = parts.join("\n");
    Text { sha: Script::new(&text).get_hash().to_owned(), text }
}

/// A script and the name by which a server remembers it.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) sha: String,
    pub(crate) text: String,
}

/// Takes the lock.
pub(crate) static LOCK: LazyLock<Text> =
    LazyLock::new(|| script(&[PRELUDE, STATE, include_str!("lua/lock.lua")]));
/// Renews its lease.
pub(crate) static RENEW: LazyLock<Text> =
    LazyLock::new(|| script(&[PRELUDE, STATE, include_str!("lua/renew.lua")]));
/// Gives it back, or takes it away.
pub(crate) static LEAVE: LazyLock<Text> =
    LazyLock::new(|| script(&[PRELUDE, STATE, include_str!("lua/leave.lua")]));
/// Says whether connections write outside of scripts.
pub(crate) static MOVERS: LazyLock<Text> =
    LazyLock::new(|| script(&[PRELUDE, STATE, include_str!("lua/movers.lua")]));
/// Writes where a follower stands, and says whether it may go on.
pub(crate) static FOLLOW: LazyLock<Text> =
    LazyLock::new(|| script(&[PRELUDE, include_str!("lua/follow.lua")]));
/// Compares keys with one another, and may delete what has its equal.
pub(crate) static SAME: LazyLock<Text> = LazyLock::new(|| script(&[include_str!("lua/same.lua")]));
/// Deletes a key that did not change.
pub(crate) static DROP: LazyLock<Text> = LazyLock::new(|| script(&[include_str!("lua/drop.lua")]));
/// Renames a field.
pub(crate) static FIELD: LazyLock<Text> = LazyLock::new(|| script(&[include_str!("lua/field.lua")]));
/// Writes what was made of a key.
pub(crate) static CONVERT: LazyLock<Text> = LazyLock::new(|| script(&[include_str!("lua/convert.lua")]));
/// Brings two fields in step.
pub(crate) static ALIGN_FIELD: LazyLock<Text> =
    LazyLock::new(|| script(&[include_str!("lua/align_field.lua")]));
/// Takes keys away into the archive.
pub(crate) static ARCHIVE: LazyLock<Text> = LazyLock::new(|| script(&[include_str!("lua/archive.lua")]));
/// Brings them back.
pub(crate) static RESTORE: LazyLock<Text> = LazyLock::new(|| script(&[include_str!("lua/restore.lua")]));
/// Lets keys end, and remembers when they were to.
pub(crate) static END: LazyLock<Text> = LazyLock::new(|| script(&[include_str!("lua/end.lua")]));
/// Gives them their ends back.
pub(crate) static UNEND: LazyLock<Text> = LazyLock::new(|| script(&[include_str!("lua/unend.lua")]));
/// Runs commands and records it.
pub(crate) static STEP: LazyLock<Text> =
    LazyLock::new(|| script(&[PRELUDE, STATE, RUN, include_str!("lua/step.lua")]));
/// Runs commands in another slot than that of the records.
pub(crate) static FENCED: LazyLock<Text> =
    LazyLock::new(|| script(&[PRELUDE, RUN, include_str!("lua/fenced.lua")]));
/// Shuts such a slot to earlier holders of the lock.
pub(crate) static FENCE: LazyLock<Text> = LazyLock::new(|| script(&[include_str!("lua/fence.lua")]));
