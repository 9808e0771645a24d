//! Commands that have no place in a migration: those that break dunlin's own connection, and those that pass only with
//! a reason.

use crate::command::{heads, upper};

/// Why a command has no place in a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) why: &'static str,
    /// Whether a reason given in the file lets it pass.
    pub(crate) is_negotiable: bool,
}

/// Whether a command is refused.
pub(crate) fn refusal(args: &[Vec<u8>]) -> Option<Refusal> {
    let (name, second) = heads(args);
    let never = |why| Some(Refusal { why, is_negotiable: false });
    let unless = |why| Some(Refusal { why, is_negotiable: true });
    let blocks = "blocks until something else happens";
    let interferes = "interferes with the running server";
    match name.as_str() {
        "SELECT" | "AUTH" | "HELLO" | "RESET" | "QUIT" | "ASKING" | "READONLY" | "READWRITE" => {
            never("changes the connection that dunlin itself uses")
        }
        "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" | "SUNSUBSCRIBE"
        | "MONITOR" | "SYNC" | "PSYNC" | "REPLCONF" => {
            never("turns the connection into a stream that never ends")
        }
        "WATCH" | "UNWATCH" => never("watches nothing: every command already runs under the migration lock"),
        "BLPOP" | "BRPOP" | "BLMOVE" | "BRPOPLPUSH" | "BLMPOP" | "BZPOPMIN" | "BZPOPMAX" | "BZMPOP"
        | "WAIT" | "WAITAOF" => unless(blocks),
        "XREAD" | "XREADGROUP" if args.iter().any(|arg| upper(arg) == "BLOCK") => unless(blocks),
        "KEYS" => unless("walks over all keys and stops the server meanwhile"),
        "FLUSHALL" | "FLUSHDB" => unless("deletes every key there is"),
        "SHUTDOWN" | "FAILOVER" | "REPLICAOF" | "SLAVEOF" | "MODULE" | "SAVE" | "DEBUG" => unless(interferes),
        "CONFIG" | "ACL" if !is_question(&name, &second) => {
            unless("changes the server, which belongs to whoever operates it")
        }
        "CLUSTER" if !is_question(&name, &second) => unless("changes the shape of the cluster"),
        "SWAPDB" | "MOVE" | "MIGRATE" => unless("reaches into another database"),
        "CLIENT" if second == "KILL" => unless(interferes),
        "CLIENT"
            if !matches!(
                second.as_str(),
                "LIST" | "INFO" | "ID" | "GETNAME" | "HELP" | "UNPAUSE" | "UNBLOCK"
            ) =>
        {
            never("changes the connection that dunlin itself uses")
        }
        "SCRIPT" | "FUNCTION" if matches!(second.as_str(), "KILL" | "DEBUG") => unless(interferes),
        _ => None,
    }
}

/// Whether a command of many faces only asks.
pub(crate) fn is_question(name: &str, second: &str) -> bool {
    match name {
        "CONFIG" => matches!(second, "GET" | "HELP"),
        "ACL" => {
            matches!(second, "CAT" | "GETUSER" | "LIST" | "USERS" | "WHOAMI" | "HELP" | "DRYRUN" | "GENPASS")
        }
        _ => !matches!(
            second,
            "ADDSLOTS"
                | "ADDSLOTSRANGE"
                | "BUMPEPOCH"
                | "DELSLOTS"
                | "DELSLOTSRANGE"
                | "FAILOVER"
                | "FLUSHSLOTS"
                | "FORGET"
                | "MEET"
                | "REPLICATE"
                | "RESET"
                | "SAVECONFIG"
                | "SET-CONFIG-EPOCH"
                | "SETSLOT"
                | "MIGRATE"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn dangerous_commands_are_refused_and_some_whatever_is_said() {
        for line in [
            "keys *",
            "FLUSHALL",
            "CONFIG SET a b",
            "BLPOP a 0",
            "XREAD block 0 STREAMS a 0",
            "SCRIPT KILL",
            "SWAPDB 0 1",
        ] {
            assert!(refusal(&args(line)).is_some_and(|refusal| refusal.is_negotiable), "{line}");
        }
        for line in ["SELECT 1", "auth x", "CLIENT REPLY OFF", "MONITOR", "SUBSCRIBE a", "WATCH a"] {
            assert!(refusal(&args(line)).is_some_and(|refusal| !refusal.is_negotiable), "{line}");
        }
        for line in [
            "SET a 1",
            "CONFIG GET a",
            "XREAD STREAMS a 0",
            "SCRIPT LOAD x",
            "CLUSTER KEYSLOT a",
            "FT.CREATE i",
        ] {
            assert_eq!(refusal(&args(line)), None, "{line}");
        }
    }
}
