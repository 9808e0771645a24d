use dunlin_core::{Phase, SourceMap};

use super::*;

fn native(text: &str) -> (SourceMap, Native) {
    let mut map = SourceMap::default();
    let source = map.add("a.js", text);
    let native = read(&source, None);
    (map, native)
}

fn section(text: &str) -> Section {
    let (_, native) = native(text);
    assert_eq!(native.diagnostics, [], "{text}");
    native.sections.into_iter().next().unwrap()
}

fn canonical(text: &str) -> String {
    section(text).op.canonical()
}

/// `line:column code: message` of every diagnostic, and what is underlined.
fn faults(text: &str) -> Vec<String> {
    let (map, native) = native(text);
    let show = |diagnostic: &Diagnostic| {
        let span = diagnostic.span().unwrap();
        let location = map.locate(span).unwrap();
        let underlined = map.get(span.file).unwrap().slice(span);
        format!(
            "{}:{} {} [{underlined}] {}",
            location.line, location.column, diagnostic.code, diagnostic.message
        )
    };
    native.diagnostics.iter().map(show).collect()
}

#[test]
fn shell_text_is_recorded_as_the_commands_it_would_send() {
    for (text, expected) in [
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
    ] {
        assert_eq!(canonical(text), format!("{expected}\n"), "{text}");
    }
}

#[test]
fn every_type_of_the_shell_is_known() {
    for (value, expected) in [
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
    ] {
        let text = format!("db.a.insertOne({{v: {value}}})");
        assert_eq!(
            canonical(&text),
            format!("{{\"insert\":\"a\",\"documents\":[{{\"v\":{expected}}}]}}\n"),
            "{value}"
        );
    }
}

#[test]
fn modules_of_every_kind_are_read() {
    let expected = "{\"update\":\"users\",\"updates\":[{\"q\":{},\"u\":{\"$set\":{\"a\":{\"$numberInt\":\"1\"}}},\"multi\":true}]}\n";
    for text in [
        "module.exports = {\n  // Up\n  async up(db, client) { await db.collection('users').updateMany({}, { $set: { a: 1 } }); },\n  async down(db) { await db.collection('users').drop(); },\n};",
        "exports.up = async (db) => db.collection('users').updateMany({}, { $set: { a: 1 } });\nexports.down = (db) => db.dropCollection('users');",
        "export const up = async (db) => { await db.collection('users').updateMany({}, { $set: { a: 1 } }); };\nexport const down = async (db) => { await db.collection('users').drop(); };",
        "import { ObjectId } from 'mongodb';\nexport async function up(db, client) {\n  await client.db().collection('users').updateMany({}, { $set: { a: 1 } });\n}\nexport async function down(db) { await db.collection('users').drop(); }",
        "export default { async up(db) { await db.collection('users').updateMany({}, { $set: { a: 1 } }); }, async down(db) { await db.collection('users').drop(); } };",
        "const { ObjectId, Long } = require('mongodb');\nclass M { constructor() { this.name = 'users'; } async up(db) { await db.collection(this.name).updateMany({}, { $set: { a: 1 } }); } async down(db) { await db.collection(this.name).drop() } }\nmodule.exports = new M();",
    ] {
        let section = section(text);
        assert_eq!(section.op.canonical(), expected, "{text}");
        let Undo::Op(down) = section.undo else { panic!("{text}") };
        assert_eq!(down.canonical(), "{\"drop\":\"users\"}\n", "{text}");
    }
}

#[test]
fn a_transaction_of_the_script_stays_together() {
    let text = "module.exports = { async up(db, client) {
        const session = client.startSession();
        try {
            await session.withTransaction(async () => {
                await db.collection('a').updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session });
                await db.collection('b').insertOne({ _id: 1 }, { session });
            });
        } finally { await session.endSession(); }
        await db.collection('c').drop();
    } }";
    let op = section(text).op;
    let op = op.own::<Op>().unwrap();
    assert_eq!(op.units().iter().map(|unit| unit.len()).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn sections_know_their_phase_and_their_way_back() {
    let (_, native) = native(
        "// == UP ==\ndb.a.drop()\n// verify\ndb.a.find({x: 1})\n//Contract:\ndb.b.drop()\n// Contract Down\ndb.createCollection('b')\n// Down\ndb.c.drop()\n",
    );
    assert_eq!(native.diagnostics, []);
    let phases: Vec<Phase> = native.sections.iter().map(|section| section.phase).collect();
    assert_eq!(phases, [Phase::Expand, Phase::Verify, Phase::Contract]);
    assert!(matches!(&native.sections[0].undo, Undo::Op(op) if op.canonical() == "{\"drop\":\"c\"}\n"));
    assert_eq!(
        native.sections[1].op.canonical(),
        "{\"find\":\"a\",\"filter\":{\"x\":{\"$numberInt\":\"1\"}}}\n"
    );
    assert!(matches!(&native.sections[2].undo, Undo::Op(op) if op.canonical() == "{\"create\":\"b\"}\n"));
    assert!(native.sections.iter().all(|section| section.op.removes().len() <= 1));
    assert_eq!(native.sections[2].op.removes(), ["collection b"]);
    assert!(matches!(section("db.a.drop()\n").undo, Undo::Unwritten));
    assert!(matches!(section("// Up\ndb.a.drop()\n// Down\n// later\n").undo, Undo::Unwritten));
    let reason = |text: &str| match section(text).undo {
        Undo::Irreversible { reason } | Undo::Nothing { reason } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason("// Up\ndb.a.drop()\n// Down\n// dunlin: irreversible: the data is gone\n"),
        "the data is gone"
    );
    assert_eq!(reason("// Up\ndb.a.drop()\n// Down\n// dunlin: no-op: nobody minds\n"), "nobody minds");
    assert_eq!(
        reason(
            "module.exports = { async up(db) { await db.dropCollection('a') }, async down() { throw new Error('the data is gone') } }"
        ),
        "the data is gone"
    );
    let empty = section("// Up\n// nothing yet\n");
    assert!(empty.op.is_empty());
}

#[test]
fn a_pair_is_read_as_one() {
    let mut map = SourceMap::default();
    let (up, down) = (map.add("1.up.js", "db.a.drop()"), map.add("1.down.js", "db.b.drop()"));
    let native = read(&up, Some(&down));
    assert_eq!(native.diagnostics, []);
    assert!(matches!(&native.sections[0].undo, Undo::Op(op) if op.canonical() == "{\"drop\":\"b\"}\n"));
    let down = map.add("2.down.js", "// dunlin: irreversible: gone\n");
    assert!(matches!(read(&up, Some(&down)).sections[0].undo, Undo::Irreversible { .. }));
}

#[test]
fn what_cannot_be_recorded_is_said_at_its_place() {
    for (text, expected) in [
        (
            "\n  db.users.find({a: 1}).forEach(u => db.users.updateOne({_id: u._id}, {$set: {a: 1}}))",
            "2:3 js-unrecordable [db.users.find({a: 1})] `find` reads from the server, and what a migration does must not depend on what it reads",
        ),
        (
            "// Up\nlet é = 1;\nif (db.users.countDocuments({}) > 0) db.users.drop()",
            "3:5 js-unrecordable [db.users.countDocuments({})] `countDocuments` reads from the server, and what a migration does must not depend on what it reads",
        ),
        (
            "const r = db.a.updateMany({}, {$set: {a: 1}});\nprint(r);\ndb.b.insertOne({n: r.modifiedCount})",
            "3:20 js-unrecordable [r.modifiedCount] the result of a write (`modifiedCount`) is not known while the migration is being read",
        ),
        (
            "db.users.updateMny({}, {})",
            "1:1 js-unrecordable [db.users.updateMny({}, {})] a collection has no method `updateMny`",
        ),
        (
            "db.createColection('a')",
            "1:1 js-unrecordable [db.createColection('a')] the database has no method `createColection`",
        ),
        (
            "db.a.updateOne({}, {$set: {a: 1}}, {upsrt: true})",
            "1:1 js-unrecordable [db.a.updateOne({}, {$set: {a: 1}}, {upsrt: true})] unknown option `upsrt`",
        ),
        (
            "db.a.updateMany({}, {a: 1})",
            "1:1 js-unrecordable [db.a.updateMany({}, {a: 1})] the update has no operators",
        ),
        (
            "db.dropDatabase()",
            "1:1 js-unrecordable [db.dropDatabase()] dropDatabase is refused in a migration",
        ),
        (
            "db.runCommand({dropDatabase: 1})",
            "1:1 refused-command [db.runCommand({dropDatabase: 1})] `dropDatabase` is refused in a migration",
        ),
        (
            "db.dunlin_history.deleteMany({})",
            "1:1 refused-command [db.dunlin_history.deleteMany({})] `dunlin_history` belongs to dunlin",
        ),
        (
            "const fs = require('fs')",
            "1:12 js-unrecordable [require('fs')] `require(\"fs\")` is refused: a migration stands on its own",
        ),
        (
            "db.a.insertOne({n: Math.random()})",
            "1:20 js-unrecordable [Math.random()] a random number differs from run to run",
        ),
        (
            "db.a.insertOne({n: Date.now()})",
            "1:20 js-unrecordable [Date.now()] the time of the run is not known before the migration runs",
        ),
        (
            "db.a.insertOne({n: new Date().getTime()})",
            "1:20 js-unrecordable [new Date().getTime()] the time of the run is not known before the migration runs",
        ),
        (
            "db.a.insertOne({n: process.env.X})",
            "1:20 js-unrecordable [process.env.X] a migration must not depend on the process that runs it",
        ),
        (
            "setTimeout(() => 1, 5)",
            "1:1 js-unrecordable [setTimeout(() => 1, 5)] there is no event loop while a migration is read",
        ),
        (
            "db.a.insertOne({f: () => 1})",
            "1:1 js-value [db.a.insertOne({f: () => 1})] a function is no value that can be stored",
        ),
        (
            "const a = {}; a.a = a; db.a.insertOne(a)",
            "1:24 js-value [db.a.insertOne(a)] this is nested deeper than 100 levels, or contains itself",
        ),
        ("// Up\nlet a = ;\n", "2:9 js-syntax [;] unexpected token in expression: ';'"),
        ("// Up\nlet a = 1;\n// Down\ndb.a.drop(;", "4:11 js-syntax [;] unexpected token in expression: ';'"),
        ("use other\ndb.a.drop()", "1:5 js-syntax [other] expecting ';'"),
        ("\nnothing.here()", "2:1 js-error [nothing.here()] ReferenceError: nothing is not defined"),
        ("\n  throw new Error('stop')", "2:9 js-error [new Error('stop')] stop"),
        ("throw 'stop'", "1:1 js-error [throw 'stop'] stop"),
        (
            "// Verify\ndb.a.drop()",
            "2:1 js-unrecordable [db.a.drop()] a verify section only looks; this writes",
        ),
        (
            "// Verify\ndb.a.find({}).forEach(print)",
            "2:1 js-unrecordable [db.a.find({})] what `find` finds is not known while the migration is being read",
        ),
        (
            "f(() => {\n// Down\n})",
            "2:1 marker-inside-code [// Down] this marks the down section inside open brackets",
        ),
        ("// Up\n// Up\n", "2:1 duplicate-section [// Up] a second up section"),
        (
            "db.a.drop()\n// Up\n",
            "1:1 code-before-section [db.a.drop()] there is code before the first section",
        ),
        (
            "// dunlin: irreversibel: x\n",
            "1:1 unknown-directive [// dunlin: irreversibel: x] unknown directive `irreversibel`",
        ),
        ("// dunlin: no-op\n", "1:1 missing-reason [// dunlin: no-op] `no-op` needs a reason"),
        ("module.exports = { down() {} }", "1:1 no-up-function [] the module exports no `up` function"),
        (
            "await new Promise(() => {})",
            "1:1 js-error [await new Promise(() => {})] this waits for something that never happens",
        ),
    ] {
        assert_eq!(faults(text).first().map(String::as_str), Some(expected), "{text}");
    }
}

#[test]
fn a_fault_is_reported_even_when_the_script_catches_it() {
    assert_eq!(faults("try { db.a.find() } catch (error) { error.message }").len(), 1);
}

#[test]
fn endless_loops_and_endless_memory_end() {
    let found = faults("for (;;) {}");
    assert!(found[0].contains("js-timeout"), "{found:?}");
    let found = faults("let a = 'x'; for (;;) a += a;");
    assert!(found[0].contains("js-error") || found[0].contains("js-timeout"), "{found:?}");
    let found = faults("const f = () => f() + 1; f()");
    assert!(found[0].contains("stack"), "{found:?}");
    assert_eq!(canonical("db.a.drop()"), "{\"drop\":\"a\"}\n");
}

#[test]
fn scripts_do_not_see_what_others_left() {
    canonical("leak = 1; Array.prototype.push = null; db.a.drop()");
    canonical("leak = 1; db.a.drop()");
    assert_eq!(
        canonical("const a = []; a.push(typeof leak); db.a.insertOne({a})"),
        "{\"insert\":\"a\",\"documents\":[{\"a\":[\"undefined\"]}]}\n"
    );
}

#[test]
fn a_thousand_small_files_are_read_quickly() {
    let text = "// Up\ndb.createCollection('users');\ndb.users.createIndex({ email: 1 }, { unique: true });\n// Down\ndb.users.drop();\n";
    canonical(text);
    let start = std::time::Instant::now();
    for _ in 0..1000 {
        canonical(text);
    }
    let spent = start.elapsed();
    // Ten times what it takes in a debug build, for a machine that does other things meanwhile.
    assert!(spent.as_millis() < 4000, "{spent:?}");
}
