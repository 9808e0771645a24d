use super::*;

#[test]
fn quotes_and_triggers() {
    each_is_one(
        Sqlite,
        &[
            "SELECT ';', \"a;\", `b;`, [c;], 'it''s;', x'00'",
            "SELECT 1 /* ; /* */ -- ;\n + 2",
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO b VALUES (new.id); END",
            "CREATE TEMP TRIGGER IF NOT EXISTS t AFTER UPDATE OF x ON a WHEN new.x > 1 BEGIN\n SELECT CASE WHEN 1 THEN 2 END;\n UPDATE a SET x = CASE x WHEN 1 THEN 2 END;\n SELECT RAISE(ABORT, 'no; END;');\nEND",
            "CREATE TABLE trigger_log (\"begin\" int, \"end\" int)",
        ],
    );
}

#[test]
fn a_backslash_is_a_letter() {
    assert_eq!(statements(Sqlite, r"SELECT 'a\'; SELECT 2;"), [r"SELECT 'a\'", "SELECT 2"]);
}

#[test]
fn a_rebuild_keeps_its_pragmas_and_transaction() {
    let text = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE n(a);\nEND TRANSACTION;\nPRAGMA foreign_keys=ON;";
    assert_eq!(statements(Sqlite, text).len(), 5);
}
