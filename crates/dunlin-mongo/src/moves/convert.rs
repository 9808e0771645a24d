//! `convert = { collection, field, to, on_error?, into?, filter? }`: another type for a field, and no value is lost by it.
//!
//! `$convert` refuses what it cannot read and is silent about what it cuts off: 3.9 becomes 3, the text `"false"` becomes
//! true. So a value counts as convertible only if it is the same afterwards: converted back, it must be what it was.
//! `null` and a missing field stay as they are. So does what has the type already.

use bson::{Bson, Document, bson, doc};

use crate::chunk::{binary, both, index};

/// The change of a field's type.
#[derive(Debug, Clone, PartialEq)]
pub struct Convert {
    /// The field, dotted where it is nested.
    pub field: String,
    /// The type it gets.
    pub to: Type,
    /// What becomes of values that cannot be converted without loss.
    pub on_error: OnError,
}

/// What becomes of values that cannot be converted without loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnError {
    /// They are counted and listed before anything is written, and nothing is.
    Fail,
    /// They stay as they are.
    Keep,
    /// They become null.
    Null,
    /// Their documents are moved into this collection.
    Quarantine(String),
}

/// A type that `$convert` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// Floating point.
    Double,
    /// 34 decimal digits.
    Decimal,
    /// Text.
    String,
    /// `true` or `false`.
    Bool,
    /// Milliseconds since 1970.
    Date,
    /// 12 bytes.
    ObjectId,
}

impl Type {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Int,
        Self::Long,
        Self::Double,
        Self::Decimal,
        Self::String,
        Self::Bool,
        Self::Date,
        Self::ObjectId,
    ];

    /// Its alias.
    pub fn word(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Long => "long",
            Self::Double => "double",
            Self::Decimal => "decimal",
            Self::String => "string",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::ObjectId => "objectId",
        }
    }
}

impl Convert {
    fn path(&self) -> String {
        format!("${}", self.field)
    }

    /// Whether a value is to be converted at all.
    pub(crate) fn is_due(&self) -> Bson {
        let stays = ["missing", "null", "undefined", self.to.word()];
        bson!({ "$not": [{ "$in": [{ "$type": self.path() }, stays.as_slice()] }] })
    }

    /// An expression over the value `$$v` and what became of it, `$$c`.
    fn judged(&self, verdict: Bson) -> Bson {
        // No conversion leads to a document.
        let no = bson!({ "$literal": {} });
        let converted = bson!({ "$convert": { "input": "$$v", "to": self.to.word(), "onError": no, "onNull": Bson::Null } });
        bson!({ "$let": { "vars": { "v": self.path() }, "in": { "$let": { "vars": { "c": converted }, "in": verdict } } } })
    }

    /// Whether `$$c` is less than `$$v` was.
    fn is_loss(&self) -> Bson {
        if self.to == Type::String {
            return Bson::Boolean(false);
        }
        let of_text = match self.to {
            // Any text is true, `"false"` too.
            Type::Bool => Bson::Boolean(true),
            Type::Double => is_cut_off(),
            _ => Bson::Boolean(false),
        };
        let back = bson!({ "$convert": {
            "input": "$$c", "to": { "$type": "$$v" }, "onError": { "$literal": {} }, "onNull": Bson::Null,
        } });
        bson!({ "$cond": [{ "$eq": [{ "$type": "$$v" }, "string"] }, of_text, { "$ne": [back, "$$v"] }] })
    }

    /// Whether the field can be converted without loss, where it is due.
    pub(crate) fn is_convertible(&self) -> Bson {
        let is_read = bson!({ "$ne": [{ "$type": "$$c" }, "object"] });
        self.judged(bson!({ "$and": [is_read, { "$not": [self.is_loss()] }] }))
    }

    /// What the field becomes, with `odd` for what cannot be converted without loss.
    pub(crate) fn value(&self, odd: Bson) -> Bson {
        let nothing = Bson::Null;
        let converted = bson!({ "$convert": {
            "input": self.path(), "to": self.to.word(), "onError": nothing.clone(), "onNull": nothing,
        } });
        let due = bson!({ "$cond": [self.is_convertible(), converted, odd] });
        bson!({ "$cond": [self.is_due(), due, self.path()] })
    }

    fn due(&self, range: &Document, and: Bson) -> Document {
        both(range.clone(), &doc! { "$expr": { "$and": [self.is_due(), and] } })
    }

    fn odd(&self, range: &Document) -> Document {
        self.due(range, bson!({ "$not": [self.is_convertible()] }))
    }

    /// The updates of a range; what is quarantined is moved apart.
    pub(super) fn commands(&self, collection: &str, range: &Document) -> Vec<Document> {
        let set = |value: Bson| bson!([{ "$set": { self.field.clone(): value } }]);
        let converted = bson!({ "$convert": { "input": self.path(), "to": self.to.word() } });
        let good = self.due(range, self.is_convertible());
        let update = |q: Document, u: Bson| binary(doc! { "q": q, "u": u, "multi": true, "hint": index() });
        let mut updates = vec![update(good, set(converted))];
        if self.on_error == OnError::Null {
            let nothing = set(bson!({ "$literal": Bson::Null }));
            updates.push(update(self.odd(range), nothing));
        }
        vec![doc! { "update": collection, "updates": updates }]
    }

    /// All that is sent for a range.
    pub(super) fn preview(&self, collection: &str, range: &Document) -> Vec<Document> {
        let mut commands = Vec::new();
        if let OnError::Quarantine(into) = &self.on_error {
            commands.push(self.whole(collection, range));
            commands.push(doc! { "insert": into, "documents": ["<each>"] });
            commands
                .push(doc! { "delete": collection, "deletes": [{ "q": { "_id": "<each>" }, "limit": 1 }] });
        }
        commands.extend(self.commands(collection, range));
        commands
    }

    /// The whole documents of a range that cannot be converted.
    pub(crate) fn whole(&self, collection: &str, range: &Document) -> Document {
        binary(doc! { "find": collection, "filter": self.odd(range), "hint": index() })
    }

    /// The keys and values of a range that cannot be converted, and what would become of them.
    pub(crate) fn survey(&self, collection: &str, range: &Document) -> Document {
        let becomes =
            self.judged(bson!({ "$cond": [{ "$eq": [{ "$type": "$$c" }, "object"] }, "$$REMOVE", "$$c"] }));
        let shown = doc! { "_id": 1, "value": self.path(), "becomes": becomes };
        let pipeline = vec![doc! { "$match": self.odd(range) }, doc! { "$project": shown }];
        binary(doc! { "aggregate": collection, "pipeline": pipeline, "cursor": {}, "hint": index() })
    }

    pub(super) fn canonical(&self) -> Document {
        let mut document = doc! { "field": &self.field, "to": self.to.word() };
        match &self.on_error {
            OnError::Fail => document.insert("on_error", "fail"),
            OnError::Keep => document.insert("on_error", "keep"),
            OnError::Null => document.insert("on_error", "null"),
            OnError::Quarantine(into) => document.insert("on_error", doc! { "quarantine": into }),
        };
        document
    }
}

/// Whether the text `$$v` has digits that the double `$$c` has not. A whole number must be hit exactly; of others no
/// double has more than 17 digits to tell, and a sign, a zero and a point.
fn is_cut_off() -> Bson {
    let nothing = Bson::Null;
    let exact = bson!({ "$convert": { "input": "$$v", "to": "decimal", "onError": nothing.clone(), "onNull": nothing } });
    let is_whole = bson!({ "$eq": [exact.clone(), { "$trunc": exact.clone() }] });
    let is_long = bson!({ "$gt": [{ "$strLenBytes": "$$v" }, 20] });
    bson!({ "$and": [{ "$ne": [exact, "$$c"] }, { "$or": [is_whole, is_long] }] })
}
