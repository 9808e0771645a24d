//! Ops that go through keys. Each says which names it is about with a pattern; how it goes through them is the business
//! of `chunk`, and what it does to each of them that of `moves/task.rs`.

pub(crate) mod decode;
pub(crate) mod look;
mod render;
pub(crate) mod run;
mod settle;
pub(crate) mod task;

use dunlin_core::Span;

use crate::pattern::Pattern;

/// An op that changes keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// What it does.
    pub what: What,
    /// Where it was written.
    pub span: Option<Span>,
}

/// What an op does to each of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// `rename_keys = { from, to, existing = "fail" | "skip" | "replace" }`: gives keys another name. In one instant
    /// where both names are in one slot; else copies, compares and deletes key by key.
    Rename {
        /// From which name to which.
        pair: Pair,
        /// What becomes of names that are taken.
        existing: Existing,
    },
    /// `copy_keys = { from, to, existing = "fail" | "skip" | "replace", big = "slices" | "at_once" }`: gives what keys
    /// hold to other names as well, with its TTL.
    Copy {
        /// From which name to which.
        pair: Pair,
        /// What becomes of names that are taken.
        existing: Existing,
        /// Whether keys too big to be copied at once are, all the same.
        is_at_once: bool,
    },
    /// `delete_keys = { keys, if_same_as }`: deletes keys; with `if_same_as` only those whose copy of that name equals
    /// them in type, value and TTL, compared and deleted in one.
    Delete {
        /// Which keys.
        keys: Pattern,
        /// Their copies.
        if_same_as: Option<Pattern>,
    },
    /// `expire_keys = { keys, ttl = "7d" | "none", only = "missing" }`: lets keys end, each so long after it was come
    /// past, or takes their end away; `only = "missing"` passes by keys that have a TTL.
    Expire {
        /// Which keys.
        keys: Pattern,
        /// After how many milliseconds; never if none.
        ttl: Option<u64>,
        /// Whether keys that have a TTL keep it.
        is_only_missing: bool,
    },
    /// `string_to_hash` and `hash_to_string = { from, to, otherwise = "fail" | "skip" }`: writes a JSON object that is a
    /// string as a hash of another name, field by field, or the other way round. Fields are texts: what is a text in
    /// JSON stays as it is, numbers and booleans become theirs. What is no object of such values is `otherwise`.
    Convert {
        /// From which name to which.
        pair: Pair,
        /// Into what.
        into: Shape,
        /// Whether what cannot be converted is passed by; else nothing is written.
        is_lenient: bool,
        /// Whether it deletes what it would have written.
        is_back: bool,
    },
    /// `rename_hash_field = { keys, from, to }`: renames a field of hashes, each in one instant. A hash that has both is
    /// left as it is.
    RenameField {
        /// Which hashes.
        keys: Pattern,
        /// The field.
        from: String,
        /// Its new name.
        to: String,
    },
}

/// Names, and those made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Which keys.
    pub from: Pattern,
    /// The other name of each.
    pub to: Pattern,
}

/// What becomes of a name that is taken by another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is written at all.
    Fail,
    /// It stays.
    Skip,
    /// It is written over.
    Replace,
}

/// What a value is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A hash.
    Hash,
    /// A string of JSON.
    Text,
}

/// An op that looks at keys, for `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// `none = { keys }`: no key matches.
    None {
        /// Which keys.
        keys: Pattern,
    },
    /// `same = { from, to, sample = 1000 }`: every key has another one with the same type, value and TTL.
    Same {
        /// Which keys, and what they are compared with.
        pair: Pair,
        /// How many to look at, spread over all; all of them if none.
        sample: Option<u64>,
    },
}

impl What {
    /// The keys it goes through.
    pub(crate) fn keys(&self) -> &Pattern {
        match self {
            Self::Rename { pair, .. } | Self::Copy { pair, .. } | Self::Convert { pair, .. } => &pair.from,
            Self::Delete { keys, .. } | Self::Expire { keys, .. } | Self::RenameField { keys, .. } => keys,
        }
    }

    /// The other name of each, where it has one.
    pub(crate) fn others(&self) -> Option<&Pattern> {
        match self {
            Self::Rename { pair, .. } | Self::Copy { pair, .. } | Self::Convert { pair, .. } => {
                Some(&pair.to)
            }
            Self::Delete { if_same_as, .. } => if_same_as.as_ref(),
            Self::Expire { .. } | Self::RenameField { .. } => None,
        }
    }
}

impl Look {
    /// The keys it goes through.
    pub(crate) fn keys(&self) -> &Pattern {
        match self {
            Self::None { keys } => keys,
            Self::Same { pair, .. } => &pair.from,
        }
    }

    /// The other name of each, where it has one.
    pub(crate) fn others(&self) -> Option<&Pattern> {
        match self {
            Self::None { .. } => None,
            Self::Same { pair, .. } => Some(&pair.to),
        }
    }
}
