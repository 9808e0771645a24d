//! The two shapes in which a change keeps the same thing, and what becomes of them where they differ.

use crate::pattern::Pattern;

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

/// What a value is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A hash.
    Hash,
    /// A string of JSON.
    Text,
}
