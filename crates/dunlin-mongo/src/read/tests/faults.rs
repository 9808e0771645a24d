//! What cannot be recorded, and where it is said.

use super::*;

const FAULTS: &[(&str, &str)] = &[
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
    ("db.dropDatabase()", "1:1 js-unrecordable [db.dropDatabase()] dropDatabase is refused in a migration"),
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
    ("import x from './helper.js'\ndb.a.drop()", "1:8 js-syntax [x] Unexpected identifier 'x'"),
    (
        "import { MongoClient } from 'mongodb';\nexport async function up(db) {}",
        "1:29 js-syntax ['mongodb'] Could not find export 'MongoClient' in module 'mongodb'",
    ),
    (
        "import x from \"./x.js\";\nexport async function up(db) {}",
        "1:15 js-error [\"./x.js\"] `import \"./x.js\"` is refused: a migration stands on its own",
    ),
    (
        "const x = await import('foo');",
        "1:24 js-error ['foo'] `import 'foo'` is refused: a migration stands on its own",
    ),
    ("\nnothing.here()", "2:1 js-error [nothing.here()] ReferenceError: nothing is not defined"),
    ("\n  throw new Error('stop')", "2:9 js-error [new Error('stop')] stop"),
    ("throw 'stop'", "1:1 js-error [throw 'stop'] stop"),
    ("// Verify\ndb.a.drop()", "2:1 js-unrecordable [db.a.drop()] a verify section only looks; this writes"),
    (
        "// Verify\ndb.a.find({}).forEach(print)",
        "2:1 js-unrecordable [db.a.find({})] what `find` finds is not known while the migration is being read",
    ),
    (
        "f(() => {\n// Down\n})",
        "2:1 marker-inside-code [// Down] this marks the down section inside open brackets",
    ),
    ("// Up\n// Up\n", "2:1 duplicate-section [// Up] a second up section"),
    ("db.a.drop()\n// Up\n", "1:1 code-before-section [db.a.drop()] there is code before the first section"),
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
];

#[test]
fn what_cannot_be_recorded_is_said_at_its_place() {
    for (text, expected) in FAULTS {
        assert_eq!(faults(text).first().map(String::as_str), Some(*expected), "{text}");
    }
}
