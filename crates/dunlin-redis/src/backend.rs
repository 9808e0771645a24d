//! The backend itself: what users write for Redis, and how a store is reached.

use std::sync::Arc;

use dunlin_core::{
    AnyOp, AnyStore, Backend, Diagnostic, Field, Native, Part, Phase, Result, Source, Target, async_trait,
};

use crate::store::Store;
use crate::{address, change, decode, file};

/// Redis and Valkey, from version 6 on.
///
/// # Files
///
/// A `.redis` file holds commands as they are typed into redis-cli, one a line, under `# Up`, `# Down`, `# Verify` and
/// `# Contract` and `# Contract Down`; without such comments all of it is up. Commands between `MULTI` and `EXEC` run as one. A command
/// that has no place in a migration (`KEYS`, `FLUSHALL`, `BLPOP` …) is refused unless the line before it, or its own
/// end, says `# dunlin: allow(keys): reason`. Where there is no way back the file says so:
/// `# dunlin: irreversible: reason`, or `# dunlin: no-op: reason`.
///
/// A verify command must find nothing: a reply other than nil, 0, empty or `none` is a violation.
///
/// # Exactly once
///
/// A command, its record and its journal line are written by one script, so they happen together or not at all; a
/// script given to `EVAL` is run inside it. In a cluster the script runs where the command's keys are and remembers
/// there what it did until the history, in its own slot, says so too. A block that fails in the middle stops there, and
/// is continued there.
///
/// Servers take some commands from clients only (`EVALSHA`, `FCALL`, `FUNCTION`, `SCRIPT`, `CONFIG`, those that block).
/// The intent is recorded before these and the end after. If a run is cut off in between, the next one sends those
/// again that do no harm twice, and else stops and asks.
///
/// # Changes
///
/// Each is a whole change without downtime. Old and new shape live side by side until contract.
///
/// | Change | Keys | Does |
/// |---|---|---|
/// | `rename_keys` | `from`, `to`; `wins` | copies keys to their new names, and in the end removes the old ones |
/// | `change_encoding` | `from`, `to`, `into = "hash"` or `"string"`; `otherwise = "skip"`, `wins`, `keep` | writes JSON objects that are strings as hashes of other names, or the other way round, and in the end removes the old ones |
/// | `rename_hash_field` | `keys`, `from`, `to`; `wins` | gives hashes the field under both names, and in the end removes the old one |
/// | `set_ttl` | `keys`, `ttl` (`"7d"`, `"none"`); `only = "missing"`, `keep` | lets keys end, or stay; done after `up` |
/// | `delete_keys` | `keys`; `keep` | in the end takes keys away into the archive |
///
/// **Which side is right.** There are no triggers, and nothing in a Redis tells which of two keys was written last. So what
/// is only there in the old shape is made anew in the new one at any time, and what is there in both and differs is up to
/// `wins`. Without it such keys are listed by `verify`, and nothing is removed as long as there are any; that suits families
/// that are not written meanwhile. `wins = "old"` says that until contract the old application writes: whatever differs is
/// written over with the old value. `wins = "new"` says that the new one does, and the old value is written over. New
/// applications then read the shape that wins first and the other one if it is not there. Where both write the same keys, let
/// the new application write both shapes until contract. A key that is deleted in one shape only comes back from the other:
/// delete both.
///
/// **Contract.** First the new shape is caught up, pass by pass, until there is nothing left to do, and at most five times;
/// then it is compared once more, in every store, and whoever holds the lock brings in step what was written that very
/// moment; then every old key is removed by a command that looks again whether both are in step (value, type, and TTL but for
/// two seconds), and what is not is brought in step first. What cannot be is listed and stays. If somebody reads or writes
/// such keys just then (`OBJECT IDLETIME`, a second in which dunlin touches none; up to 2000 keys of each server), contract
/// says so and removes nothing; servers with an LFU policy cannot tell, and what replicas are asked is not seen.
///
/// **The way back.** Before contract the new shape is removed; what is only there is given the old shape first, and what
/// differs is the old one's, and listed as what would be lost, unless the new one wins. After contract the old shape is made
/// anew of the new one, with what was written since; what is there already stays. Names of the new shape of `rename_keys`
/// that were there before are remembered, in `{dunlin}:before:<tag>`, and left alone on the way back; with the other changes
/// whatever has the new shape is taken for the change's.
///
/// **The archive** has what the new shape does not lead back to, in the slot it came from: the strings of `change_encoding`
/// that would not come back letter by letter (numbers are texts in a hash), under `{dunlin-<slot>}:archive:<tag>:<key>`; the
/// keys of `delete_keys`, which are only renamed, under `{dunlin-<slot>}:archive:<tag>:<end>:<key>`; and for `set_ttl` when
/// each key was to end. It keeps them for `keep`, 30 days if nothing is said, and `dunlin purge` empties it. `set_ttl` gives
/// ends back to keys that still have the one it gave them; one that was written anew has lost it. Keys that ended are gone,
/// and keys that were told to stay (`ttl = "none"`) go on staying: an end that comes back too late would delete what was
/// written since. A hash that becomes a string loses the ends of its fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct Redis;

const TEMPLATE: &str = "\
# Up
# One command a line, as in redis-cli: SET greeting \"hello world\"


# Down
# What takes the commands above back, or a line such as: # dunlin: irreversible: the old values are gone

";

#[async_trait]
impl Backend for Redis {
    fn name(&self) -> &'static str {
        "Redis"
    }

    fn schemes(&self) -> &'static [&'static str] {
        address::SCHEMES
    }

    fn extension(&self) -> &'static str {
        "redis"
    }

    fn ops(&self) -> &'static [&'static str] {
        &decode::OPS
    }

    fn read(&self, file: &Source, down: Option<&Source>) -> Native {
        file::read(file, down)
    }

    fn decode(&self, phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
        decode::decode(phase, field)
    }

    fn changes(&self) -> &'static [&'static str] {
        &change::CHANGES
    }

    fn unfold(&self, change: &Field<'_>) -> Result<Vec<Part>, Vec<Diagnostic>> {
        change::unfold(change)
    }

    fn template(&self) -> &'static str {
        TEMPLATE
    }

    async fn connect(&self, target: &Target) -> Result<AnyStore> {
        Ok(Arc::new(Store::connect(target).await?))
    }
}
