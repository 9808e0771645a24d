//! The names of things: migrations, stores, runs, checksums.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The number of a migration: a UTC timestamp or any zero-padded number. Ordered by value, so `9` comes before `10`
/// and `007` is the same migration as `7`.
#[derive(Debug, Clone)]
pub struct Version {
    text: Arc<str>,
    /// The largest there is where it is larger.
    value: u64,
}

impl Version {
    /// Digits only; anything else is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| Self { text: text.into(), value: text.parse().unwrap_or(u64::MAX) })
    }

    /// As the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn significant(&self) -> &str {
        self.text.trim_start_matches('0')
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_text = || {
            let (left, right) = (self.significant(), other.significant());
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        };
        let is_large = self.value == u64::MAX;
        self.value.cmp(&other.value).then_with(|| if is_large { by_text() } else { Ordering::Equal })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A migration's name: its version, and words for people. The version alone decides identity and order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MigrationId {
    /// The number.
    pub version: Version,
    /// The words, as in the file name.
    pub slug: Arc<str>,
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.slug.is_empty() {
            f.pad(self.version.as_str())
        } else {
            f.pad(&format!("{}_{}", self.version, self.slug))
        }
    }
}

/// The name the user gave a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreName(pub Arc<str>);

impl From<&str> for StoreName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl StoreName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One invocation, the same in every store it touches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(pub Arc<str>);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The first 128 bits of a SHA-256; in hex where it is shown or stored. Stored in histories: what is hashed must not change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checksum([u8; 16]);

impl Checksum {
    /// Of several parts, each with its length, so that moving a boundary changes the sum.
    pub fn of<I: AsRef<[u8]>>(parts: impl IntoIterator<Item = I>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.as_ref().len() as u64).to_le_bytes());
            hash.update(part.as_ref());
        }
        let mut sum = [0; 16];
        sum.copy_from_slice(&hash.finalize()[..16]);
        Self(sum)
    }

    /// The bits themselves.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// As it is shown and stored; anything else is no sum.
    pub fn parse(text: &str) -> Option<Self> {
        let is_sum = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let bits = is_sum.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self(bits.to_be_bytes()))
    }

    /// Of a text in which neither a byte order mark nor the kind of line ending counts.
    pub fn of_text(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.contains('\r') { Self::of([text.replace("\r\n", "\n")]) } else { Self::of([text]) }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:032x}", u128::from_be_bytes(self.0)))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_value() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("9") < version("10"));
        assert_eq!(version("007"), version("7"));
        assert!(version("0001") < version("20261121090000"));
        let huge = "1".repeat(30);
        assert!(version("18446744073709551615") < version("18446744073709551616"));
        assert!(version("18446744073709551616") < version(&huge));
        assert_eq!(version(&huge), version(&format!("00{huge}")));
        assert!(Version::parse("1a").is_none() && Version::parse("").is_none());
    }

    #[test]
    fn checksums_ignore_line_endings_and_see_boundaries() {
        assert_eq!(Checksum::of_text("\u{feff}a\r\nb"), Checksum::of_text("a\nb"));
        assert_ne!(Checksum::of(["ab", "c"]), Checksum::of(["a", "bc"]));
    }

    #[test]
    fn checksums_read_back() {
        let sum = Checksum::of(["a"]);
        assert_eq!(Checksum::parse(&sum.to_string()), Some(sum));
        assert_eq!(Checksum([0; 16]).to_string(), "0".repeat(32));
        for no_sum in ["", "1", &"+".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert_eq!(Checksum::parse(no_sum), None, "{no_sum}");
        }
    }
}
