//! What is shown is read back by the engine that records scripts.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Timestamp, bson, doc};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::op::Op;
use crate::op::render;
use crate::read::read;

/// The document that a script records which inserts what is shown.
fn recorded(document: &Document) -> Document {
    let mut map = dunlin_core::SourceMap::default();
    let insert = crate::op::Command::new(doc! { "insert": "a", "documents": [document.clone()] });
    let source = map.add("a.js", render::command(&insert));
    let native = read(&source, None);
    assert_eq!(native.diagnostics, [], "{}", render::command(&insert));
    let op = native.sections[0].op.kind::<Op>().unwrap();
    op.commands[0].document.get_array("documents").unwrap()[0].as_document().unwrap().clone()
}

/// Equal to the bit: `-0.0` is not `0.0`, and `NaN` is `NaN`.
fn same(one: &Document, other: &Document) -> bool {
    crate::extended::canonical(one) == crate::extended::canonical(other)
}

fn numbers() -> impl Strategy<Value = Bson> {
    let whole = any::<i32>().prop_map(|whole| Bson::Double(f64::from(whole)));
    let digits = "-?(0|[1-9][0-9]{0,9}|[1-9]\\.[0-9]{1,5}E[+-]?[0-9]{1,3}|NaN|Infinity)";
    prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<f64>().prop_map(Bson::Double),
        whole,
        prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::NAN), Just(-0.0), Just(3e9)]
            .prop_map(Bson::Double),
        digits.prop_map(|digits| Bson::Decimal128(digits.parse::<Decimal128>().unwrap())),
    ]
}

fn leaves() -> impl Strategy<Value = Bson> {
    let code = |(code, name): (String, String)| {
        let scope = doc! { name: 1, "x": { "y": [2.0] } };
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope })
    };
    let bytes = (0_u8..=255, vec(any::<u8>(), 0..20))
        .prop_map(|(subtype, bytes)| Bson::Binary(Binary { subtype: BinarySubtype::from(subtype), bytes }));
    let options = prop_oneof![Just(""), Just("i"), Just("m"), Just("im"), Just("s"), Just("x"), Just("imsx")];
    let pattern = prop_oneof!["[^\0]{0,12}", "[a-z^$.*+\\\\/?()]{0,8}", "\\^?[a-z.]{1,5}[*+]?\\$?"];
    let regex = (pattern, options).prop_map(|(pattern, options)| {
        let [pattern, options] = [pattern.as_str(), options].map(|text| text.try_into().unwrap());
        Bson::RegularExpression(Regex { pattern, options })
    });
    prop_oneof![
        3 => numbers(),
        1 => any::<bool>().prop_map(Bson::Boolean),
        1 => prop_oneof![Just(Bson::Null), Just(Bson::MinKey), Just(Bson::MaxKey)],
        2 => any::<String>().prop_map(Bson::String),
        1 => any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
        1 => (-8_640_000_000_000_000_i64..=8_640_000_000_000_000)
            .prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
        1 => (0_i64..4_000_000_000_000).prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
        1 => bytes,
        1 => any::<[u8; 16]>().prop_map(|bytes| Bson::from(bson::Uuid::from_bytes(bytes))),
        2 => regex,
        1 => any::<(u32, u32)>()
            .prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        1 => any::<String>().prop_map(Bson::JavaScriptCode),
        1 => (any::<String>(), "[a-w]{1,5}").prop_map(code),
        1 => any::<String>().prop_map(Bson::Symbol),
    ]
}

fn documents() -> impl Strategy<Value = Document> {
    // Integers as names come first in JavaScript, wherever they are written.
    let name = prop_oneof![
        "[a-zA-Z_é²][a-zA-Z0-9_. é²\"'-]{0,8}",
        Just("__proto__".to_owned()),
        Just("constructor".to_owned())
    ];
    let value = leaves().prop_recursive(3, 24, 4, move |inner| {
        let name = "[a-z_]{1,4}";
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Bson::Array),
            btree_map(name, inner, 0..4).prop_map(|map| Bson::Document(map.into_iter().collect())),
        ]
    });
    btree_map(name, value, 0..5).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn what_is_shown_is_what_is_recorded(document in documents()) {
        prop_assert!(same(&recorded(&document), &document), "{}", inline(&Bson::Document(document)));
    }
}

#[test]
fn types_are_shown_as_what_they_are() {
    for (value, text) in [
        (bson!(3.0), "Double(3)"),
        (bson!(-3.5), "-3.5"),
        (bson!(-0.0), "-0.0"),
        (bson!(1e300), "1e300"),
        (bson!(3e9), "3000000000.0"),
        (bson!(f64::NEG_INFINITY), "-Infinity"),
        (Bson::Symbol("a".to_owned()), "BSONSymbol(\"a\")"),
    ] {
        assert_eq!(inline(&value), text);
    }
    for (pattern, options, text) in [
        ("^a.*b$", "i", "/^a.*b$/i"),
        ("a/b", "", "BSONRegExp(\"a/b\")"),
        ("", "", "BSONRegExp(\"\")"),
        ("a", "s", "BSONRegExp(\"a\", \"s\")"),
        ("(?i)a", "", "BSONRegExp(\"(?i)a\")"),
    ] {
        let [pattern, options] = [pattern, options].map(|text| text.try_into().unwrap());
        assert_eq!(inline(&Bson::RegularExpression(Regex { pattern, options })), text);
    }
}
