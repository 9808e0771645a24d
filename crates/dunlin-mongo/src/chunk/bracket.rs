//! `_id`s, and the types they are ordered by.

use bson::{Bson, Document, doc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::extended;
use crate::op::render;

/// The brackets an `_id` can be in, in the order of BSON: name, type numbers, and whether ranges divide them. The others
/// hold a document or two.
pub(super) const BRACKETS: [(&str, &[i32], bool); 15] = [
    ("minKey", &[-1], false),
    ("undefined", &[6], false),
    ("null", &[10], false),
    ("number", &[1, 16, 18, 19], true),
    ("string", &[2, 14], true),
    ("object", &[3], true),
    ("binData", &[5], true),
    ("objectId", &[7], true),
    ("bool", &[8], false),
    ("date", &[9], true),
    ("timestamp", &[17], true),
    ("dbPointer", &[12], false),
    ("javascript", &[13], false),
    ("javascriptWithScope", &[15], false),
    ("maxKey", &[127], false),
];

/// An `_id`. Kept as canonical Extended JSON, so that no type is lost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key(pub(crate) Bson);

impl Key {
    /// As people see it.
    pub(crate) fn text(&self) -> String {
        match &self.0 {
            Bson::String(text) => text.clone(),
            Bson::ObjectId(id) => id.to_hex(),
            other => render::inline(other),
        }
    }

    fn is_nan(&self) -> bool {
        match &self.0 {
            Bson::Double(number) => number.is_nan(),
            Bson::Decimal128(number) => number.to_string() == "NaN",
            _ => false,
        }
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = extended::canonical(&doc! { "k": self.0.clone() });
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let json = serde_json::from_str(&text).map_err(D::Error::custom)?;
        match extended::unwrap(extended::from_json(json)).map_err(D::Error::custom)? {
            Bson::Document(mut document) => document.remove("k").map(Self),
            _ => None,
        }
        .ok_or_else(|| D::Error::custom("no key"))
    }
}

/// A type of `_id`s, or several that are ordered together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bracket {
    pub(super) kind: String,
    /// The last one there is; none where the bracket is gone through as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<Key>,
}

impl Bracket {
    pub(super) fn types(&self) -> Vec<i32> {
        let known = BRACKETS.iter().find(|(kind, ..)| *kind == self.kind);
        known.map(|(_, types, _)| types.to_vec()).unwrap_or_default()
    }

    /// What finds the `field`s of this bracket after one and up to another.
    pub(super) fn range(&self, field: &str, after: Option<&Key>, to: Option<&Key>) -> Document {
        let condition = match (after, to) {
            // Nothing is greater than NaN, or less, and it comes before all other numbers.
            (Some(after), Some(to)) if after.is_nan() => {
                doc! { "$type": self.types(), "$ne": after.0.clone(), "$not": { "$gt": to.0.clone() } }
            }
            (Some(after), Some(to)) => doc! { "$gt": after.0.clone(), "$lte": to.0.clone() },
            (Some(after), None) => doc! { "$gt": after.0.clone() },
            (None, Some(to)) => doc! { "$type": self.types(), "$not": { "$gt": to.0.clone() } },
            (None, None) => doc! { "$type": self.types() },
        };
        doc! { field: condition }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_types() {
        for key in [
            Bson::Int32(1),
            Bson::Int64(1),
            Bson::Double(1.0),
            Bson::String("{\"$oid\": 1}".to_owned()),
            Bson::MaxKey,
            bson::bson!({ "a": { "b": 1_i64 } }),
        ] {
            let text = serde_json::to_string(&Key(key.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Key>(&text).unwrap().0, key, "{text}");
        }
    }
}
