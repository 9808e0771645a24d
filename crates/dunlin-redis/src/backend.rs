//! The backend itself: what users write for Redis, and how a store is reached.

use std::sync::Arc;

use dunlin_core::{
    AnyOp, AnyStore, Backend, Diagnostic, Field, Native, Phase, Result, Source, Target, async_trait,
};

use crate::store::Store;
use crate::{address, decode, file};

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

    fn template(&self) -> &'static str {
        TEMPLATE
    }

    async fn connect(&self, target: &Target) -> Result<AnyStore> {
        Ok(Arc::new(Store::connect(target).await?))
    }
}
