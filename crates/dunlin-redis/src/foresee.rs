//! What a cluster would refuse on its way, looked at before anything runs: commands whose keys live in several slots.

use dunlin_core::{Ahead, ErrorKind, Result};

use crate::op::{Command, Op};
use crate::place;
use crate::store::Store;

/// Commands with one key. No server needs to be asked where they run.
const SINGLE: &[&str] = &[
    "APPEND",
    "DECR",
    "DECRBY",
    "EXPIRE",
    "EXPIREAT",
    "GET",
    "GETDEL",
    "GETEX",
    "GETSET",
    "HDEL",
    "HINCRBY",
    "HMSET",
    "HSET",
    "HSETNX",
    "INCR",
    "INCRBY",
    "LPUSH",
    "LREM",
    "LSET",
    "LTRIM",
    "PERSIST",
    "PEXPIRE",
    "PEXPIREAT",
    "PSETEX",
    "RPUSH",
    "SADD",
    "SET",
    "SETEX",
    "SETNX",
    "SETRANGE",
    "SREM",
    "XADD",
    "XTRIM",
    "ZADD",
    "ZINCRBY",
    "ZREM",
];

/// Refuses commands that would be refused where they run, and none that the servers may know by then.
pub(crate) async fn foresee(store: &Store, now: &[Ahead<'_>], later: &[Ahead<'_>]) -> Result<()> {
    if !store.net.is_cluster() {
        return Ok(());
    }
    for op in now.iter().chain(later).filter_map(|step| step.op.kind::<Op>()) {
        let mut at = 0;
        while at < op.commands.len() {
            let unit = op.unit(at);
            at = unit.end;
            let unit = &op.commands[unit];
            if is_in_one_slot(unit) {
                continue;
            }
            match place::of(store, unit).await {
                Err(error) if error.kind == ErrorKind::Unsupported || error.kind == ErrorKind::Connect => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn is_in_one_slot(unit: &[Command]) -> bool {
    let [command] = unit else { return false };
    command.args.len() < 3 || SINGLE.contains(&command.name().as_str())
}
