//! Files, read.

mod commands;
mod faults;

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
