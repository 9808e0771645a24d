//! The names of dunlin's own keys. All of them live in one slot, so that one script can change them together.

use crate::pattern::Pattern;
use crate::slot;

/// The keys: four that every script of a session takes, and that of the followers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) lock: String,
    pub(crate) history: String,
    pub(crate) journal: String,
    pub(crate) files: String,
    pub(crate) follow: String,
    prefix: String,
}

impl Keys {
    /// With what the names start with, where several applications share a server.
    pub(crate) fn new(prefix: Option<&str>) -> Self {
        let prefix = prefix.unwrap_or_default();
        let name = |what: &str| format!("{{{prefix}dunlin}}:{what}");
        Self {
            lock: name("lock"),
            history: name("history"),
            journal: name("journal"),
            files: name("files"),
            follow: name("follow"),
            prefix: prefix.to_owned(),
        }
    }

    /// In the order in which the scripts take them.
    pub(crate) fn all(&self) -> [&str; 4] {
        [&self.lock, &self.history, &self.journal, &self.files]
    }

    /// What the names of all of dunlin's keys begin with.
    pub(crate) fn own(&self) -> [Vec<u8>; 2] {
        [format!("{{{}dunlin}}:", self.prefix), format!("{{{}dunlin-", self.prefix)].map(String::into_bytes)
    }

    /// A key in a slot for a value that is not whole yet.
    pub(crate) fn draft(&self, slot: u16, key: &[u8]) -> String {
        let tag = format!("{}dunlin-", self.prefix);
        let sum = dunlin_core::Checksum::of([key]).to_string();
        format!("{{{tag}{}}}:draft:{sum}", slot::digits(&tag, slot))
    }

    /// What the names of an archive begin with in a slot.
    pub(crate) fn archive(&self, slot: u16, tag: &str) -> String {
        let own = format!("{}dunlin-", self.prefix);
        format!("{{{own}{}}}:archive:{tag}:", slot::digits(&own, slot))
    }

    /// All names of an archive, or of every one: the slot, the tag of every one, and what follows.
    pub(crate) fn archives(&self, tag: Option<&str>) -> Pattern {
        let tag = tag.unwrap_or("{tag}");
        let text = format!("{{{{{}dunlin-{{slot}}}}}}:archive:{tag}:{{rest*}}", self.prefix);
        Pattern::parse(&text).expect("a prefix has no braces")
    }

    /// What was there before a step made names like it.
    pub(crate) fn before(&self, tag: &str) -> String {
        format!("{{{}dunlin}}:before:{tag}", self.prefix)
    }

    /// The slot they live in.
    pub(crate) fn slot(&self) -> u16 {
        slot::of(self.lock.as_bytes())
    }

    /// The key in another slot that remembers what ran there.
    pub(crate) fn fence(&self, slot: u16) -> String {
        let tag = format!("{}dunlin-", self.prefix);
        format!("{{{tag}{}}}:fence", slot::digits(&tag, slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_share_a_slot_and_fences_have_theirs() {
        let keys = Keys::new(Some("app:"));
        assert_eq!(keys.history, "{app:dunlin}:history");
        assert!(keys.all().iter().all(|key| slot::of(key.as_bytes()) == keys.slot()));
        assert_eq!(slot::of(keys.fence(77).as_bytes()), 77);
        assert!(keys.fence(77).starts_with("{app:dunlin-"));
        assert_eq!(Keys::new(None).lock, "{dunlin}:lock");
    }
}
