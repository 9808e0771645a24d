//! Ops that go through keys. Each says which names it is about with a pattern; how it goes through them is the business
//! of `chunk`, and what it does to each of them that of `moves/task.rs`.

mod about;
pub(crate) mod call;
pub(crate) mod decode;
mod form;
pub(crate) mod look;
pub(crate) mod render;
pub(crate) mod run;
mod settle;
pub(crate) mod task;
pub(crate) mod texts;

use dunlin_core::Span;

pub(crate) use form::{Differing, Encoding, Form, Pair, Shape};

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

/// What an op is beside what it does: where it stands, and to the change it is a part of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Life {
    /// Under which the names are remembered that were there before; the way back has the same. Empty for none.
    pub tag: String,
    /// Which keys the change is about; none where it stands alone.
    pub touches: Vec<String>,
    /// Whether it is the way back from another op.
    pub is_back: bool,
    /// Whether what it removes is there in the other shape.
    pub gives_back: bool,
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
    /// them in type, value and TTL, compared and deleted in one. As the way back from a copy it deletes those that differ
    /// as well, which were listed as what would be lost.
    Delete {
        /// Which keys.
        keys: Pattern,
        /// Their copies.
        if_same_as: Option<Pattern>,
        /// Whether those that differ are deleted as well.
        is_copy: bool,
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
    /// `rename_hash_field = { keys, from, to, existing = "fail" | "skip" | "replace" }`: renames a field of hashes, each
    /// in one instant.
    RenameField {
        /// Which hashes.
        keys: Pattern,
        /// The field.
        from: String,
        /// Its new name.
        to: String,
        /// What becomes of hashes that have both.
        existing: Existing,
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

/// An op that looks at keys, for `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// `none = { keys }`: no key matches.
    None {
        /// Which keys.
        keys: Pattern,
    },
    /// `same = { from, to, sample = 1000 }`: every key has another one with the same type, value and TTL. With
    /// `wins = "old" | "new"` it is [`Look::InStep`].
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
        /// Only those are meant that are both there and not the same, and were not there before: those are remembered under
        /// this tag.
        loss: Option<String>,
    },
}
