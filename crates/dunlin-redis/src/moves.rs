//! Ops that go through keys. Each says which names it is about with a pattern; how it goes through them is the business
//! of `chunk`, and what it does to each of them that of `moves/task.rs`.

pub(crate) mod call;
pub(crate) mod decode;
pub(crate) mod look;
mod render;
pub(crate) mod run;
mod settle;
pub(crate) mod task;
pub(crate) mod texts;

use dunlin_core::Span;

use crate::pattern::Pattern;

/// An op that changes keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// What it does.
    pub what: What,
    /// Where it was written.
    pub span: Option<Span>,
    /// Its part in a change.
    pub life: Life,
}

/// What an op is to the change it is a part of; nothing where it stands alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Life {
    /// Which keys the change is about.
    pub touches: Vec<String>,
    /// What finds the keys that would lose something.
    pub loses: Option<Look>,
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
    /// Brings what is there in two shapes in step, over and over until nothing is left to do; a part of changes only.
    Align {
        /// Which shapes.
        form: Form,
        /// What becomes of what is not the same in both.
        differing: Differing,
        /// Whether the first shape is removed, each as soon as it is in step.
        is_drop: bool,
    },
    /// Takes keys away, and keeps them in the archive for a while; a part of changes only.
    Archive {
        /// Which keys.
        keys: Pattern,
        /// Whose archive it is.
        tag: String,
        /// For how many milliseconds.
        keep: u64,
    },
    /// `expire_keys` that remembers in the archive when keys were to end; a part of changes only.
    End {
        /// Which keys.
        keys: Pattern,
        /// After how many milliseconds; never if none.
        ttl: Option<u64>,
        /// Whether keys that have a TTL keep it.
        is_only_missing: bool,
        /// Whose archive it is.
        tag: String,
        /// For how many milliseconds.
        keep: u64,
    },
    /// Brings back what is in the archive, where nothing is there; a part of changes only.
    Restore {
        /// Which keys were taken away or changed.
        keys: Pattern,
        /// Whose archive it is.
        tag: String,
        /// What it has of them.
        kept: Kept,
    },
}

/// What an archive has of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All of them.
    Keys,
    /// When they were to end.
    Ends,
}

/// The two shapes in which a change keeps the same thing; it goes through the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// The same value under two names.
    Name(Pair),
    /// The same value in two fields of a hash.
    Field {
        /// Which hashes.
        keys: Pattern,
        /// The first field.
        from: String,
        /// The second.
        to: String,
    },
    /// A JSON object that is a string, and a hash of another name.
    Encoding(Encoding),
}

/// A string and a hash, or the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// From which name to which.
    pub pair: Pair,
    /// What the second is.
    pub into: Shape,
    /// Whether what cannot be converted is passed by.
    pub is_lenient: bool,
    /// Whose archive has the strings that a hash does not lead back to, letter by letter.
    pub tag: String,
    /// For how many milliseconds.
    pub keep: u64,
}

impl Encoding {
    /// What the first is.
    pub(crate) fn back(&self) -> Shape {
        if self.into == Shape::Hash { Shape::Text } else { Shape::Hash }
    }
}

impl Form {
    /// The keys of the first shape.
    pub(crate) fn keys(&self) -> &Pattern {
        match self {
            Self::Name(pair) => &pair.from,
            Self::Field { keys, .. } => keys,
            Self::Encoding(encoding) => &encoding.pair.from,
        }
    }

    /// The keys of the second.
    pub(crate) fn others(&self) -> Option<&Pattern> {
        match self {
            Self::Name(pair) => Some(&pair.to),
            Self::Encoding(encoding) => Some(&encoding.pair.to),
            Self::Field { .. } => None,
        }
    }

    /// The same, gone through from the other side.
    pub(crate) fn turned(&self) -> Self {
        match self {
            Self::Name(pair) => Self::Name(pair.turned()),
            Self::Field { keys, from, to } => {
                Self::Field { keys: keys.clone(), from: to.clone(), to: from.clone() }
            }
            Self::Encoding(encoding) => Self::Encoding(Encoding {
                pair: encoding.pair.turned(),
                into: encoding.back(),
                ..encoding.clone()
            }),
        }
    }
}

/// What becomes of two shapes that are both there and not the same. Where only the first is there, the second is made of
/// it in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differing {
    /// They are listed, and stay as they are.
    Stop,
    /// The second is made anew of the first.
    First,
    /// The first is made anew of the second.
    Second,
    /// They stay as they are, and that is all right.
    Stay,
}

/// Names, and those made of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Which keys.
    pub from: Pattern,
    /// The other name of each.
    pub to: Pattern,
}

impl Pair {
    /// From the other names to the first ones.
    pub(crate) fn turned(&self) -> Self {
        Self { from: self.to.clone(), to: self.from.clone() }
    }
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
    /// Every key ends, or none does; a part of changes only.
    Ends {
        /// Which keys.
        keys: Pattern,
        /// Whether they end.
        end: bool,
    },
    /// What is there in the first shape of a change is there in the second, and the same; a part of changes only.
    InStep {
        /// Which shapes.
        form: Form,
        /// What whoever holds the lock does with those that are not in step, before it says so.
        differing: Differing,
        /// Whether only those are meant that are both there and not the same.
        is_loss: bool,
    },
}

impl What {
    /// The keys it goes through.
    pub(crate) fn keys(&self) -> &Pattern {
        match self {
            Self::Rename { pair, .. } | Self::Copy { pair, .. } | Self::Convert { pair, .. } => &pair.from,
            Self::Delete { keys, .. }
            | Self::Expire { keys, .. }
            | Self::RenameField { keys, .. }
            | Self::Archive { keys, .. }
            | Self::End { keys, .. }
            | Self::Restore { keys, .. } => keys,
            Self::Align { form, .. } => form.keys(),
        }
    }

    /// The other name of each, where it has one.
    pub(crate) fn others(&self) -> Option<&Pattern> {
        match self {
            Self::Rename { pair, .. } | Self::Copy { pair, .. } | Self::Convert { pair, .. } => {
                Some(&pair.to)
            }
            Self::Delete { if_same_as, .. } => if_same_as.as_ref(),
            Self::Expire { .. }
            | Self::RenameField { .. }
            | Self::Archive { .. }
            | Self::End { .. }
            | Self::Restore { .. } => None,
            Self::Align { form, .. } => form.others(),
        }
    }
}

impl Look {
    /// The keys it goes through.
    pub(crate) fn keys(&self) -> &Pattern {
        match self {
            Self::None { keys } | Self::Ends { keys, .. } => keys,
            Self::Same { pair, .. } => &pair.from,
            Self::InStep { form, .. } => form.keys(),
        }
    }

    /// The other name of each, where it has one.
    pub(crate) fn others(&self) -> Option<&Pattern> {
        match self {
            Self::None { .. } | Self::Ends { .. } => None,
            Self::Same { pair, .. } => Some(&pair.to),
            Self::InStep { form, .. } => form.others(),
        }
    }
}
