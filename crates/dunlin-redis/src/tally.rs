//! What an op came past on its way through keys, kept in its checkpoint.

use dunlin_core::Violation;
use serde::{Deserialize, Serialize};

use crate::pairs::{Unlike, Verdict};
use crate::quote;

/// How many keys are listed.
pub(crate) const LISTED: usize = 20;
/// How much of a value is shown.
const SHOWN: usize = 200;

/// Counts, and the first of those keys that a person must look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tally {
    /// Keys come past.
    pub(crate) seen: u64,
    /// Keys changed.
    pub(crate) done: u64,
    /// Keys of which what should be done was done before.
    pub(crate) same: u64,
    /// Keys that were left as they are on purpose.
    pub(crate) kept: u64,
    /// Keys, or ends of keys, that the archive has until it does not keep them any longer.
    #[serde(skip_serializing_if = "super::moves::run::is_none")]
    pub(crate) aside: u64,
    /// Keys that went while they were come past.
    pub(crate) gone: u64,
    /// What is listed.
    pub(crate) listed: Vec<Violation>,
    /// How much more of that there is.
    pub(crate) unlisted: u64,
    /// Keys too big for one go, quoted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) big: Vec<String>,
    /// Whether slots moved while it was going on.
    pub(crate) is_torn: bool,
}

impl Tally {
    /// What stays of it when the same keys are come past again.
    pub(crate) fn again(&self) -> Self {
        Self { seen: self.seen, done: self.done, aside: self.aside, ..Self::default() }
    }

    /// Lists a key with what is wrong with it.
    pub(crate) fn list(&mut self, key: &[u8], values: impl Into<Option<String>>) {
        if self.listed.len() < LISTED {
            let values = values.into().map(|values| shorten(&values));
            self.listed.push(Violation { record: quote::quote(key), values });
        } else {
            self.unlisted += 1;
        }
    }

    /// Counts what came of a comparison; two keys that are not the same are for whoever knows what that means.
    pub(crate) fn count(&mut self, verdict: Verdict) -> Option<Unlike> {
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Dropped => self.done += 1,
            Verdict::NoOne => self.gone += 1,
            Verdict::Torn => self.is_torn = true,
            Verdict::Unlike(unlike) => return Some(unlike),
        }
        None
    }

    /// How many are listed or would be.
    pub(crate) fn troubles(&self) -> u64 {
        self.unlisted + u64::try_from(self.listed.len()).unwrap_or(u64::MAX)
    }

    /// Adds what another lane came past.
    pub(crate) fn add(&mut self, other: Self) {
        self.seen += other.seen;
        self.done += other.done;
        self.same += other.same;
        self.kept += other.kept;
        self.gone += other.gone;
        self.aside += other.aside;
        self.unlisted += other.unlisted;
        self.is_torn |= other.is_torn;
        self.big.extend(other.big);
        for found in other.listed {
            if self.listed.len() < LISTED { self.listed.push(found) } else { self.unlisted += 1 }
        }
    }

    /// What is listed, for people.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.listed.iter().map(ToString::to_string).collect();
        let more = if self.unlisted == 0 { String::new() } else { format!(", and {} more", self.unlisted) };
        format!("{}{more}", names.join(", "))
    }
}

/// A value as it is shown.
pub(crate) fn shorten(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        text.to_owned()
    } else {
        text.chars().take(SHOWN).chain(['…']).collect()
    }
}
