//! What is known of the commands by name: how many arguments, whether they write, how they run. Unknown names are commands of modules or of newer servers, and pass.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::refuse;

/// What a command does to keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Only looks.
    Reads,
    /// Changes what it names.
    Writes,
    /// The same, and its reply counts the keys it changed.
    Counts,
    /// Speaks to the server, not to keys.
    Other,
}

/// A command by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// How many words, the name included; negative: at least so many.
    pub(crate) arity: i32,
    pub(crate) effect: Effect,
}

// Names and arities as `COMMAND` of Redis 7.0 tells them, with those of later releases and of Valkey added.
const READS: &str = "BITCOUNT:-2 BITFIELD_RO:-2 BITPOS:-3 DBSIZE:1 DIGEST:2 DUMP:2 EVALSHA_RO:-3 EVAL_RO:-3 EXISTS:-2 \
    EXPIRETIME:2 FCALL_RO:-3 GEODIST:-4 GEOHASH:-2 GEOPOS:-2 GEORADIUSBYMEMBER_RO:-5 GEORADIUS_RO:-6 \
    GEOSEARCH:-7 GET:2 GETBIT:3 GETRANGE:4 HEXISTS:3 HEXPIRETIME:-5 HGET:3 HGETALL:2 HKEYS:2 HLEN:2 \
    HMGET:-3 HPEXPIRETIME:-5 HPTTL:-5 HRANDFIELD:-2 HSCAN:-3 HSTRLEN:3 HTTL:-5 HVALS:2 KEYS:2 LCS:-3 \
    LINDEX:3 LLEN:2 LOLWUT:-1 LPOS:-3 LRANGE:4 MGET:-2 PEXPIRETIME:2 PFCOUNT:-2 PTTL:2 RANDOMKEY:1 \
    SCAN:-2 SCARD:2 SDIFF:-2 SINTER:-2 SINTERCARD:-3 SISMEMBER:3 SMEMBERS:2 SMISMEMBER:-3 SORT_RO:-2 \
    SRANDMEMBER:-2 SSCAN:-3 STRLEN:2 SUBSTR:4 SUNION:-2 TOUCH:-2 TTL:2 TYPE:2 VSIM:-4 XLEN:2 XPENDING:-3 \
    XRANGE:-4 XREAD:-4 XREVRANGE:-4 ZCARD:2 ZCOUNT:4 ZDIFF:-3 ZINTER:-3 ZINTERCARD:-3 ZLEXCOUNT:4 \
    ZMSCORE:-3 ZRANDMEMBER:-2 ZRANGE:-4 ZRANGEBYLEX:-4 ZRANGEBYSCORE:-4 ZRANK:3 ZREVRANGE:-4 \
    ZREVRANGEBYLEX:-4 ZREVRANGEBYSCORE:-4 ZREVRANK:3 ZSCAN:-3 ZSCORE:3 ZUNION:-3";
const WRITES: &str = "APPEND:3 BITFIELD:-2 BITOP:-4 BLMOVE:6 BLMPOP:-5 BLPOP:-3 BRPOP:-3 BRPOPLPUSH:4 BZMPOP:-5 \
    BZPOPMAX:-3 BZPOPMIN:-3 DECR:2 DECRBY:3 FLUSHALL:-1 FLUSHDB:-1 GEOADD:-5 GEORADIUS:-6 \
    GEORADIUSBYMEMBER:-5 GEOSEARCHSTORE:-8 GETDEL:2 GETEX:-2 GETSET:3 HDEL:-3 HEXPIRE:-6 HEXPIREAT:-6 \
    HGETDEL:-5 HGETEX:-5 HINCRBY:4 HINCRBYFLOAT:4 HMSET:-4 HPERSIST:-5 HPEXPIRE:-6 HPEXPIREAT:-6 HSET:-4 \
    HSETEX:-6 INCR:2 INCRBY:3 INCRBYFLOAT:3 LINSERT:5 LMOVE:5 LMPOP:-4 LPOP:-2 LPUSH:-3 LPUSHX:-3 LREM:4 \
    LSET:4 LTRIM:4 MIGRATE:-6 MSET:-3 MSETEX:-4 PFADD:-2 PFMERGE:-2 PSETEX:4 RENAME:3 RESTORE:-4 RPOP:-2 \
    RPOPLPUSH:3 RPUSH:-3 RPUSHX:-3 SADD:-3 SDIFFSTORE:-3 SET:-3 SETBIT:4 SETEX:4 SETRANGE:4 \
    SINTERSTORE:-3 SMOVE:4 SORT:-2 SPOP:-2 SREM:-3 SUNIONSTORE:-3 SWAPDB:3 VADD:-5 VREM:3 XACK:-4 \
    XACKDEL:-6 XADD:-5 XAUTOCLAIM:-6 XCLAIM:-6 XDEL:-3 XDELEX:-5 XREADGROUP:-7 XSETID:-3 XTRIM:-4 \
    ZADD:-4 ZDIFFSTORE:-4 ZINCRBY:4 ZINTERSTORE:-4 ZMPOP:-4 ZPOPMAX:-2 ZPOPMIN:-2 ZRANGESTORE:-5 ZREM:-3 \
    ZREMRANGEBYLEX:4 ZREMRANGEBYRANK:4 ZREMRANGEBYSCORE:4 ZUNIONSTORE:-4";
const COUNTS: &str = "COPY:-3 DEL:-2 DELEX:-2 DELIFEQ:3 EXPIRE:-3 EXPIREAT:-3 HSETNX:4 MOVE:3 MSETNX:-3 PERSIST:2 \
    PEXPIRE:-3 PEXPIREAT:-3 RENAMENX:3 SETNX:3 UNLINK:-2";
const OTHERS: &str = "ACL:-2 AUTH:-2 BGREWRITEAOF:1 BGSAVE:-1 CLIENT:-2 CLUSTER:-2 COMMAND:-1 CONFIG:-2 DEBUG:-2 DISCARD:1 \
    ECHO:2 EVAL:-3 EVALSHA:-3 EXEC:1 FAILOVER:-1 FCALL:-3 FUNCTION:-2 HELLO:-1 INFO:-1 LASTSAVE:1 \
    LATENCY:-2 MEMORY:-2 MODULE:-2 MONITOR:1 MULTI:1 OBJECT:-2 PING:-1 PSUBSCRIBE:-2 PUBLISH:3 PUBSUB:-2 \
    PUNSUBSCRIBE:-1 QUIT:-1 READONLY:1 READWRITE:1 REPLICAOF:3 RESET:1 ROLE:1 SAVE:1 SCRIPT:-2 SELECT:2 \
    SHUTDOWN:-1 SLAVEOF:3 SLOWLOG:-2 SPUBLISH:3 SSUBSCRIBE:-2 SUBSCRIBE:-2 SUNSUBSCRIBE:-1 TIME:1 \
    UNSUBSCRIBE:-1 UNWATCH:1 WAIT:3 WAITAOF:4 WATCH:-2 XGROUP:-2 XINFO:-2";

static KNOWN: LazyLock<BTreeMap<&'static str, Known>> = LazyLock::new(|| {
    let lists =
        [(READS, Effect::Reads), (WRITES, Effect::Writes), (COUNTS, Effect::Counts), (OTHERS, Effect::Other)];
    let entry = |word: &'static str, effect| {
        let (name, arity) = word.split_once(':').expect("the lists above are names with arities");
        (name, Known { arity: arity.parse().expect("arities are numbers"), effect })
    };
    lists
        .into_iter()
        .flat_map(|(list, effect)| list.split_ascii_whitespace().map(move |word| entry(word, effect)))
        .collect()
});

/// The command of an upper-case name.
pub(crate) fn known(name: &str) -> Option<Known> {
    KNOWN.get(name).copied()
}

/// All names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    KNOWN.keys().copied()
}

/// A word in upper case, as far as it is text.
pub(crate) fn upper(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_uppercase()
}

/// The upper-case name and second word of a command.
pub(crate) fn heads(args: &[Vec<u8>]) -> (String, String) {
    let head = |index: usize| args.get(index).map(|word| upper(word)).unwrap_or_default();
    (head(0), head(1))
}

/// Whether a command changes nothing, as far as its name tells.
pub(crate) fn effect(args: &[Vec<u8>]) -> Effect {
    let (name, second) = heads(args);
    match (name.as_str(), second.as_str()) {
        ("XGROUP" | "FUNCTION" | "SCRIPT" | "EVAL" | "EVALSHA" | "FCALL", _) => Effect::Writes,
        ("XINFO" | "OBJECT" | "PUBSUB" | "TIME" | "ECHO" | "PING" | "INFO" | "MEMORY" | "COMMAND", _) => {
            Effect::Reads
        }
        ("CONFIG" | "ACL" | "CLUSTER", second) if refuse::is_question(&name, second) => Effect::Reads,
        (name, _) => known(name).map_or(Effect::Writes, |known| known.effect),
    }
}

/// Whether a server takes this command from a client only and not from a script, so that its effect and the history
/// cannot be written as one.
pub(crate) fn is_apart(args: &[Vec<u8>]) -> bool {
    let (name, _) = heads(args);
    let is_blocking = name.starts_with('B') && name.contains("POP") || name == "BLMOVE";
    let speaks_to_server = matches!(
        name.as_str(),
        "EVALSHA"
            | "EVALSHA_RO"
            | "EVAL_RO"
            | "FCALL"
            | "FCALL_RO"
            | "WAIT"
            | "WAITAOF"
            | "SCRIPT"
            | "FUNCTION"
            | "CONFIG"
            | "ACL"
            | "CLIENT"
            | "CLUSTER"
            | "DEBUG"
            | "MODULE"
            | "SAVE"
            | "BGSAVE"
            | "BGREWRITEAOF"
            | "FAILOVER"
            | "REPLICAOF"
            | "SLAVEOF"
            | "SHUTDOWN"
            | "ROLE"
            | "SLOWLOG"
            | "LATENCY"
    );
    is_blocking
        || speaks_to_server
        || (name == "EVAL" && args.get(1).is_some_and(|text| text.starts_with(b"#!")))
}

/// Whether sending a command twice leaves what sending it once leaves. Asked only of those that run apart, writes with
/// too many arguments for a script among them.
pub(crate) fn is_repeatable(args: &[Vec<u8>]) -> bool {
    let (name, second) = heads(args);
    match name.as_str() {
        "FUNCTION" => {
            matches!(second.as_str(), "LIST" | "DUMP" | "STATS" | "FLUSH") || has_word(args, "REPLACE")
        }
        // Such a command has no options left to look for but between the key and the first score.
        "ZADD" => {
            !args.iter().take(6).any(|arg| matches!(upper(arg).as_str(), "INCR" | "NX" | "XX" | "GT" | "LT"))
        }
        "SCRIPT" | "CONFIG" | "ACL" | "CLIENT" | "CLUSTER" | "WAIT" | "WAITAOF" | "SAVE" | "BGSAVE"
        | "BGREWRITEAOF" | "SLOWLOG" | "LATENCY" | "ROLE" | "REPLICAOF" | "SLAVEOF" | "EVAL_RO"
        | "EVALSHA_RO" | "FCALL_RO" | "MSET" | "HSET" | "HMSET" | "SADD" | "SREM" | "DEL" | "UNLINK"
        | "HDEL" | "ZREM" | "PFADD" | "GEOADD" | "XDEL" => true,
        _ => false,
    }
}

/// Whether a command of a cluster belongs on every primary.
pub(crate) fn is_everywhere(args: &[Vec<u8>]) -> bool {
    let (name, _) = heads(args);
    matches!(
        name.as_str(),
        "SCRIPT"
            | "FUNCTION"
            | "CONFIG"
            | "ACL"
            | "FLUSHALL"
            | "FLUSHDB"
            | "KEYS"
            | "SAVE"
            | "BGSAVE"
            | "BGREWRITEAOF"
            | "WAIT"
            | "WAITAOF"
            | "MODULE"
            | "LATENCY"
            | "SLOWLOG"
            | "DBSIZE"
    )
}

fn has_word(args: &[Vec<u8>], word: &str) -> bool {
    args.iter().any(|arg| upper(arg) == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn effects_are_known() {
        assert_eq!(effect(&args("GET a")), Effect::Reads);
        assert_eq!(effect(&args("del a")), Effect::Counts);
        assert_eq!(effect(&args("XGROUP CREATE s g 0")), Effect::Writes);
        assert_eq!(effect(&args("JSON.SET a $ 1")), Effect::Writes);
        assert_eq!(known("SET").map(|known| known.arity), Some(-3));
    }
}
