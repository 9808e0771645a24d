//! What is recorded of what people write.

use super::*;

const COMMANDS: &[(&str, &str)] = &[
    (
        "db.users.insertOne({a: 1, b: 2.5, c: 'x', d: null})",
        r#"{"insert":"users","documents":[{"a":{"$numberInt":"1"},"b":{"$numberDouble":"2.5"},"c":"x","d":null}]}"#,
    ),
    (
        "db.users.insertMany([{a: 1}, {a: 2}], {ordered: false})",
        r#"{"insert":"users","documents":[{"a":{"$numberInt":"1"}},{"a":{"$numberInt":"2"}}],"ordered":false}"#,
    ),
    (
        "db.users.updateMany({}, [{$set: {full: {$concat: ['$a', '$b']}}}])",
        r#"{"update":"users","updates":[{"q":{},"u":[{"$set":{"full":{"$concat":["$a","$b"]}}}],"multi":true}]}"#,
    ),
    (
        "db.u.updateOne({_id: 1}, {$set: {'a.$[x].b': 1}}, {arrayFilters: [{'x.c': 1}], upsert: true, hint: {_id: 1}, collation: {locale: 'en'}})",
        r#"{"update":"u","updates":[{"q":{"_id":{"$numberInt":"1"}},"u":{"$set":{"a.$[x].b":{"$numberInt":"1"}}},"upsert":true,"collation":{"locale":"en"},"arrayFilters":[{"x.c":{"$numberInt":"1"}}],"hint":{"_id":{"$numberInt":"1"}}}]}"#,
    ),
    (
        "db.u.replaceOne({_id: 1}, {a: true})",
        r#"{"update":"u","updates":[{"q":{"_id":{"$numberInt":"1"}},"u":{"a":true}}]}"#,
    ),
    (
        "db.u.deleteMany({a: /^x/i})",
        r#"{"delete":"u","deletes":[{"q":{"a":{"$regularExpression":{"pattern":"^x","options":"i"}}},"limit":{"$numberInt":"0"}}]}"#,
    ),
    (
        "db.u.createIndex({a: 1, b: -1}, {unique: true, background: true})",
        r#"{"createIndexes":"u","indexes":[{"key":{"a":{"$numberInt":"1"},"b":{"$numberInt":"-1"}},"name":"a_1_b_-1","unique":true}]}"#,
    ),
    (
        "db.u.createIndexes([{a: 1}, {b: 'text'}])",
        r#"{"createIndexes":"u","indexes":[{"key":{"a":{"$numberInt":"1"}},"name":"a_1"},{"key":{"b":"text"},"name":"b_text"}]}"#,
    ),
    (
        "db.u.createIndexes([{key: {a: 1}, name: 'mine', sparse: true}])",
        r#"{"createIndexes":"u","indexes":[{"key":{"a":{"$numberInt":"1"}},"name":"mine","sparse":true}]}"#,
    ),
    (
        "db.createCollection('u', {validator: {$jsonSchema: {bsonType: 'object'}}, validationAction: 'warn'})",
        r#"{"create":"u","validator":{"$jsonSchema":{"bsonType":"object"}},"validationAction":"warn"}"#,
    ),
    (
        "db.createView('v', 'u', [{$match: {a: 1}}])",
        r#"{"create":"v","viewOn":"u","pipeline":[{"$match":{"a":{"$numberInt":"1"}}}]}"#,
    ),
    (
        "db['a.b'].drop(); db.a.b.drop(); db.getCollection('a-b').dropIndex('x')",
        "{\"drop\":\"a.b\"}\n{\"drop\":\"a.b\"}\n{\"dropIndexes\":\"a-b\",\"index\":\"x\"}",
    ),
    ("db.a.renameCollection('b', true)", r#"{"renameCollection":"a","to":"b","dropTarget":true}"#),
    (
        "db.runCommand({collMod: 'u', validationLevel: 'moderate'}); db.adminCommand({setParameter: 1, x: 2})",
        "{\"collMod\":\"u\",\"validationLevel\":\"moderate\"}\n@admin {\"setParameter\":{\"$numberInt\":\"1\"},\"x\":{\"$numberInt\":\"2\"}}",
    ),
    ("db = db.getSiblingDB('other'); db.a.drop()", r#"@other {"drop":"a"}"#),
    ("var db = db.getSiblingDB('other'); db.a.drop()", r#"@other {"drop":"a"}"#),
    (
        "db.a.aggregate([{$match: {}}, {$out: 'b'}])",
        r#"{"aggregate":"a","pipeline":[{"$match":{}},{"$out":"b"}],"cursor":{}}"#,
    ),
    (
        "db.a.findOneAndUpdate({_id: 1}, {$inc: {n: 1}}, {returnDocument: 'after'})",
        r#"{"findAndModify":"a","query":{"_id":{"$numberInt":"1"}},"update":{"$inc":{"n":{"$numberInt":"1"}}}}"#,
    ),
    (
        "['a', 'b'].forEach(n => db[n].createIndex('x'))",
        "{\"createIndexes\":\"a\",\"indexes\":[{\"key\":{\"x\":{\"$numberInt\":\"1\"}},\"name\":\"x_1\"}]}\n{\"createIndexes\":\"b\",\"indexes\":[{\"key\":{\"x\":{\"$numberInt\":\"1\"}},\"name\":\"x_1\"}]}",
    ),
    (
        "const o = {a: 1}; db.a.insertOne(o); o.a = 2; db.a.insertOne(o)",
        "{\"insert\":\"a\",\"documents\":[{\"a\":{\"$numberInt\":\"1\"}}]}\n{\"insert\":\"a\",\"documents\":[{\"a\":{\"$numberInt\":\"2\"}}]}",
    ),
    (
        "const bulk = db.a.initializeOrderedBulkOp(); bulk.insert({a: 1}); bulk.find({a: 1}).upsert().updateOne({$set: {b: 1}}); bulk.execute()",
        "{\"insert\":\"a\",\"documents\":[{\"a\":{\"$numberInt\":\"1\"}}]}\n{\"update\":\"a\",\"updates\":[{\"q\":{\"a\":{\"$numberInt\":\"1\"}},\"u\":{\"$set\":{\"b\":{\"$numberInt\":\"1\"}}},\"upsert\":true}]}",
    ),
];

#[test]
fn shell_text_is_recorded_as_the_commands_it_would_send() {
    for (text, expected) in COMMANDS {
        assert_eq!(canonical(text), format!("{expected}\n"), "{text}");
    }
}

const VALUES: &[(&str, &str)] = &[
    ("ObjectId('64B1f0f0f0f0f0f0f0f0f0f0')", r#"{"$oid":"64b1f0f0f0f0f0f0f0f0f0f0"}"#),
    ("new ObjectId('64b1f0f0f0f0f0f0f0f0f0f0')", r#"{"$oid":"64b1f0f0f0f0f0f0f0f0f0f0"}"#),
    ("ISODate('2026-11-21T09:00:00Z')", r#"{"$date":{"$numberLong":"1795251600000"}}"#),
    ("ISODate('2026-11-21 09:00')", r#"{"$date":{"$numberLong":"1795251600000"}}"#),
    ("new Date('2026-11-21T10:00:00+01:00')", r#"{"$date":{"$numberLong":"1795251600000"}}"#),
    ("new Date(2026, 10, 21, 9)", r#"{"$date":{"$numberLong":"1795251600000"}}"#),
    ("NumberLong('9007199254740993')", r#"{"$numberLong":"9007199254740993"}"#),
    ("Long.fromString('5')", r#"{"$numberLong":"5"}"#),
    ("12345678901n", r#"{"$numberLong":"12345678901"}"#),
    ("NumberInt('5')", r#"{"$numberInt":"5"}"#),
    ("12345678901", r#"{"$numberDouble":"12345678901.0"}"#),
    ("new Double(1)", r#"{"$numberDouble":"1.0"}"#),
    ("-0", r#"{"$numberDouble":"-0.0"}"#),
    ("NumberDecimal('1.10')", r#"{"$numberDecimal":"1.10"}"#),
    ("Decimal128.fromString('1.10')", r#"{"$numberDecimal":"1.10"}"#),
    (
        "UUID('00112233-4455-6677-8899-aabbccddeeff')",
        r#"{"$binary":{"base64":"ABEiM0RVZneImaq7zN3u/w==","subType":"04"}}"#,
    ),
    ("BinData(0, 'aGVsbG8=')", r#"{"$binary":{"base64":"aGVsbG8=","subType":"00"}}"#),
    ("HexData(5, 'ff00')", r#"{"$binary":{"base64":"/wA=","subType":"05"}}"#),
    ("Timestamp(5, 1)", r#"{"$timestamp":{"t":5,"i":1}}"#),
    ("Timestamp({t: 5, i: 1})", r#"{"$timestamp":{"t":5,"i":1}}"#),
    ("[MinKey, new MaxKey()]", r#"[{"$minKey":1},{"$maxKey":1}]"#),
    ("DBRef('users', 1)", r#"{"$ref":"users","$id":{"$numberInt":"1"}}"#),
    ("new DBRef('users', 1)", r#"{"$ref":"users","$id":{"$numberInt":"1"}}"#),
    ("EJSON.parse('{\"$numberLong\": \"7\"}')", r#"{"$numberLong":"7"}"#),
    ("new Map([['b', 1], ['a', 2]])", r#"{"b":{"$numberInt":"1"},"a":{"$numberInt":"2"}}"#),
    ("undefined", "null"),
    ("new Date()", r#"{"$dunlin":"now"}"#),
    (
        "[ObjectId(), new ObjectId()]",
        r#"[{"$dunlin":"objectId","n":{"$numberLong":"0"}},{"$dunlin":"objectId","n":{"$numberLong":"1"}}]"#,
    ),
    ("`a${1 + 1}`", "\"a2\""),
];

#[test]
fn every_type_of_the_shell_is_known() {
    for (value, expected) in VALUES {
        let text = format!("db.a.insertOne({{v: {value}}})");
        assert_eq!(
            canonical(&text),
            format!("{{\"insert\":\"a\",\"documents\":[{{\"v\":{expected}}}]}}\n"),
            "{value}"
        );
    }
}
