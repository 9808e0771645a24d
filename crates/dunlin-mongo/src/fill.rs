//! Values that are only known when a step runs: `new Date()`, `ObjectId()`, `UUID()`, and the ids of documents inserted
//! without one. A script records a placeholder, which is also what is hashed, so that reading a file twice gives the
//! same text. When the step begins, one seed decides all of them; it is kept in the checkpoint, so that a step that is
//! continued elsewhere goes on with the same values.

use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, DateTime, Document, doc};
use dunlin_core::Checksum;
use serde::{Deserialize, Serialize};

/// The key that marks a placeholder.
const MARK: &str = "$dunlin";

/// The time of the run.
pub(crate) fn now() -> Document {
    doc! { MARK: "now" }
}

/// A new id, the same wherever the number is the same.
pub(crate) fn object_id(number: u32) -> Document {
    doc! { MARK: "objectId", "n": i64::from(number) }
}

/// A new UUID, the same wherever the number is the same.
pub(crate) fn uuid(number: u32) -> Document {
    doc! { MARK: "uuid", "n": i64::from(number) }
}

/// A bound of a chunk, which is only known when its turn comes. Shown, never sent.
pub(crate) fn bound(which: &str) -> Document {
    doc! { MARK: which }
}

/// The placeholder a document is, as what a person would write.
pub(crate) fn written(document: &Document) -> Option<&'static str> {
    match document.get_str(MARK).ok()? {
        "now" => Some("new Date()"),
        "objectId" => Some("ObjectId()"),
        "uuid" => Some("UUID()"),
        "from" => Some("<from>"),
        "to" => Some("<to>"),
        _ => None,
    }
}

/// Whether a command has anything to fill: a placeholder, or a document to insert.
pub(crate) fn is_needed(command: &Document) -> bool {
    command.contains_key("insert") || has_placeholder(command)
}

/// Whether a value of a step is only known when it runs.
pub(crate) fn has_placeholder(document: &Document) -> bool {
    document.contains_key(MARK) || document.values().any(holds_placeholder)
}

fn holds_placeholder(value: &Bson) -> bool {
    match value {
        Bson::Document(inner) => has_placeholder(inner),
        Bson::Array(items) => items.iter().any(holds_placeholder),
        _ => false,
    }
}

/// What decides the values of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seed {
    /// Milliseconds since 1970.
    now: i64,
    /// Random digits.
    salt: String,
}

impl Seed {
    /// A new one, at this time of the server's.
    pub(crate) fn new(now: i64) -> Self {
        let salt = Checksum::of([ObjectId::new().bytes().as_slice(), ObjectId::new().bytes().as_slice()]);
        Self { now, salt: salt.to_string() }
    }

    fn bytes(&self, kind: &str, number: &str) -> [u8; 16] {
        Checksum::of([&self.salt, kind, number]).bytes()
    }

    fn object_id(&self, kind: &str, number: &str) -> Bson {
        let mut id = [0; 12];
        let seconds = u32::try_from(self.now / 1000).unwrap_or(u32::MAX);
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        id[4..].copy_from_slice(&self.bytes(kind, number)[..8]);
        Bson::ObjectId(ObjectId::from_bytes(id))
    }

    fn value(&self, kind: &str, number: &str) -> Option<Bson> {
        match kind {
            "now" => Some(Bson::DateTime(DateTime::from_millis(self.now))),
            "objectId" => Some(self.object_id("placeholder", number)),
            "uuid" => {
                let mut bytes = self.bytes("uuid", number);
                // RFC 9562: version 4, variant 10.
                bytes[6] = bytes[6] & 0x0f | 0x40;
                bytes[8] = bytes[8] & 0x3f | 0x80;
                Some(Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: bytes.to_vec() }))
            }
            _ => None,
        }
    }

    fn filled(&self, value: &Bson) -> Bson {
        match value {
            Bson::Document(inner) => {
                let number = inner.get_i64("n").map(|number| number.to_string()).unwrap_or_default();
                let kind = inner.get_str(MARK).ok();
                kind.and_then(|kind| self.value(kind, &number))
                    .unwrap_or_else(|| Bson::Document(self.document(inner)))
            }
            Bson::Array(items) => Bson::Array(items.iter().map(|item| self.filled(item)).collect()),
            other => other.clone(),
        }
    }

    /// The document with its placeholders filled.
    pub(crate) fn document(&self, document: &Document) -> Document {
        document.iter().map(|(key, value)| (key.clone(), self.filled(value))).collect()
    }

    /// The command with its placeholders filled and, for an insert, with an id in every document. `place` tells one
    /// command of the step from another.
    pub(crate) fn fill(&self, command: &Document, place: usize) -> Document {
        let mut filled = self.document(command);
        if !filled.contains_key("insert") {
            return filled;
        }
        if let Ok(documents) = filled.get_array_mut("documents") {
            for (at, document) in documents.iter_mut().enumerate() {
                let Bson::Document(document) = document else { continue };
                if !document.contains_key("_id") {
                    let id = self.object_id("insert", &format!("{place} {at}"));
                    let rest = std::mem::take(document);
                    document.insert("_id", id);
                    document.extend(rest);
                }
            }
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_values() {
        let seed = Seed::new(1_700_000_000_000);
        let command = doc! { "insert": "a", "documents": [
            { "at": now(), "ref": object_id(0), "list": [uuid(1)] }, { "_id": object_id(0) }, { "_id": 7 },
        ] };
        let filled = seed.fill(&command, 0);
        assert_eq!(filled, seed.fill(&command, 0));
        let documents = filled.get_array("documents").unwrap();
        let first = documents[0].as_document().unwrap();
        assert_eq!(first.keys().next().unwrap(), "_id");
        assert_eq!(first.get_datetime("at").unwrap().timestamp_millis(), 1_700_000_000_000);
        assert_eq!(
            first.get_object_id("ref").unwrap(),
            documents[1].as_document().unwrap().get_object_id("_id").unwrap()
        );
        assert_ne!(first.get("_id"), first.get("ref"));
        assert_ne!(filled, seed.fill(&command, 1));
        assert_ne!(filled, Seed::new(1_700_000_000_000).fill(&command, 0));
    }
}
