//! A file on its way to be read. What was read once is shared with whoever keeps it: of thousands of files nothing is
//! there twice.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use dunlin_core::StoredFile;

/// A file before it is understood.
#[derive(Debug, Clone)]
pub struct File {
    /// Its name, without a directory.
    pub name: Name,
    /// What errors call it: the path as the user would open it.
    pub shown: Name,
    /// What it holds.
    pub content: Content,
}

impl File {
    /// A file that was put into the binary.
    pub const fn embedded(name: &'static str, bytes: &'static [u8]) -> Self {
        Self { name: Name::Embedded(name), shown: Name::Embedded(name), content: Content::Embedded(bytes) }
    }

    /// A file as a history kept it.
    pub fn stored(file: &StoredFile) -> Self {
        Self {
            name: Name::Shared(file.name.clone()),
            shown: format!("{} (as applied)", file.name).into(),
            content: Content::Text(file.text.clone()),
        }
    }
}

/// A name.
#[derive(Debug, Clone)]
pub enum Name {
    /// Inside the binary.
    Embedded(&'static str),
    /// Shared with whoever keeps it.
    Shared(Arc<str>),
}

impl Name {
    /// For whoever keeps it.
    pub fn shared(&self) -> Arc<str> {
        match self {
            Self::Embedded(name) => (*name).into(),
            Self::Shared(name) => name.clone(),
        }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Embedded(name) => name,
            Self::Shared(name) => name,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl<T: Into<Arc<str>>> From<T> for Name {
    fn from(name: T) -> Self {
        Self::Shared(name.into())
    }
}

/// What a file holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// Bytes inside the binary.
    Embedded(&'static [u8]),
    /// A text, shared with whoever keeps it.
    Text(Arc<str>),
    /// Bytes that are no text.
    Bytes(Arc<[u8]>),
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes)
            .map_or_else(|error| Self::Bytes(error.into_bytes().into()), |text| Self::Text(text.into()))
    }
}

impl Content {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Embedded(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// As a text, in which signs stand for the bytes that are none.
    pub(super) fn text(&self) -> Arc<str> {
        match self {
            Self::Text(text) => text.clone(),
            _ => String::from_utf8_lossy(self.bytes()).into(),
        }
    }
}
