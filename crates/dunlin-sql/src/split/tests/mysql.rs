use super::*;

#[test]
fn quotes_and_comments() {
    each_is_one(
        MySql,
        &[
            r#"INSERT INTO `a;b` VALUES ('it\'s;', "x\";", 'a''b;', _utf8mb4'c;')"#,
            "SELECT 1 # a;\n + 2 -- b;\n + 3--4",
            "SELECT /*+ MAX_EXECUTION_TIME(1) ; */ 1",
            "SELECT /* ' ; \" */ 1",
            "INSERT INTO t VALUES (\\N)",
        ],
    );
}

#[test]
fn conditional_comments_are_statements() {
    let text = "/*!40101 SET NAMES utf8mb4 */;\n/*M!999999\\- enable the sandbox mode */ \n/*M!100616 SET NOTE_VERBOSITY=0 */;\n/*!50001 CREATE VIEW v AS SELECT ';' */;";
    let split = split(MySql, text, Markers::Seen);
    joined(text, &split);
    let kinds = |kind| split.pieces.iter().filter(|piece| piece.kind == kind).count();
    assert_eq!(kinds(PieceKind::Statement), 3);
    assert_eq!(kinds(PieceKind::Comment), 1);
    assert_eq!(split.faults, []);
}

#[test]
fn programs_end_without_a_delimiter_line() {
    each_is_one(
        MySql,
        &[
            "CREATE PROCEDURE p() SELECT 1",
            "CREATE DEFINER=`root`@`localhost` PROCEDURE p(IN a INT, OUT b VARCHAR(10))\n  COMMENT 'x;' SQL SECURITY INVOKER\nBEGIN\n  DECLARE done INT DEFAULT 0;\n  DECLARE c CURSOR FOR SELECT id FROM t FOR UPDATE;\n  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = IF(1, 1, 0);\n  DECLARE EXIT HANDLER FOR SQLEXCEPTION, SQLSTATE '23000' BEGIN ROLLBACK; END;\n  START TRANSACTION;\n  lbl: LOOP\n    FETCH c INTO a;\n    IF (done) THEN LEAVE lbl; ELSEIF a > 1 THEN SET b = REPEAT('x', 3); ELSE SET b = IF(a, 'y', 'z'); END IF;\n    CASE a WHEN 1 THEN SELECT CASE WHEN b THEN 1 ELSE 2 END; ELSE BEGIN END; END CASE;\n    WHILE a > 0 DO SET a = a - 1; END WHILE;\n    REPEAT SET a = a + 1; UNTIL a > CASE WHEN b THEN 1 END END REPEAT;\n  END LOOP lbl;\n  IF EXISTS (SELECT 1 FROM t) THEN DO SLEEP(IF(a, 1, 2)); END IF;\n  COMMIT;\nEND",
            "CREATE FUNCTION IF NOT EXISTS f(a INT) RETURNS VARCHAR(20) CHARACTER SET utf8mb4 DETERMINISTIC RETURN IF(a, 'x', 'y')",
            "CREATE FUNCTION f(a SET('x','y')) RETURNS SET('x','y') NO SQL\nIF a THEN RETURN 1; ELSE RETURN 2; END IF",
            "CREATE FUNCTION f() RETURNS INT RETURN CASE WHEN 1 THEN 2 END",
            "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.end = IF(NEW.x, 1, 2)",
            "CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW FOLLOWS `if` BEGIN SET NEW.y = 1; END",
            "CREATE TRIGGER t AFTER DELETE ON a FOR EACH ROW PRECEDES u IF OLD.x THEN CALL p(); END IF",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01' COMMENT 'do; it' DO BEGIN DELETE FROM t WHERE end < NOW(); CALL p(); END",
            "ALTER DEFINER = CURRENT_USER() EVENT e ON SCHEDULE EVERY 1 HOUR DO DELETE FROM t",
            "BEGIN NOT ATOMIC DECLARE a INT; IF a THEN SELECT 1; END IF; END",
            "IF @x THEN SELECT 1; END IF",
            "FOR i IN 1..3 DO INSERT INTO t VALUES (i); END FOR",
            "CREATE PROCEDURE p() `outer`: BEGIN inner_one: WHILE 1 DO LEAVE `outer`; END WHILE inner_one; END `outer`",
            "CREATE FUNCTION metaphon RETURNS STRING SONAME 'udf.so'",
        ],
    );
}

#[test]
fn ordinary_statements_are_not_mistaken_for_programs() {
    each_is_one(
        MySql,
        &[
            "CREATE TABLE t (`begin` INT, event INT, delimiter VARCHAR(3))",
            "CREATE TABLE IF NOT EXISTS t (id INT)",
            "CREATE TABLE t (\n  a INT,\n  delimiter VARCHAR(3)\n)",
            "ALTER TABLE t DROP TRIGGER_NAME",
            "DROP PROCEDURE IF EXISTS p",
            "BEGIN",
            "SELECT IF(a, b, c), CASE WHEN 1 THEN 2 END, REPEAT('x', 2)",
            "CREATE DEFINER=root@localhost SQL SECURITY DEFINER VIEW v AS SELECT 1",
        ],
    );
}

#[test]
fn delimiters_are_followed() {
    let program = "CREATE PROCEDURE p()\nBEGIN\n  SELECT 1;\nEND";
    for delimiter in ["//", "$$", ";;", "d//", "|", "%%", "###"] {
        let text = format!(
            "SELECT 0;\nDELIMITER {delimiter}\n{program}{delimiter}\n{program};\n{delimiter}\nDROP TABLE a; DROP TABLE b{delimiter}\ndelimiter ;\nSELECT 2;"
        );
        assert_eq!(
            statements(MySql, &text),
            ["SELECT 0", program, program, "DROP TABLE a", "DROP TABLE b", "SELECT 2"],
            "{delimiter}"
        );
    }
}

#[test]
fn a_delimiter_line_ends_what_came_before() {
    let text = "DELIMITER $$\r\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.b = 1; END\r\nDELIMITER ;\r\nSELECT 1";
    let expected = "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.b = 1; END";
    assert_eq!(statements(MySql, text), [expected, "SELECT 1"]);
}

#[test]
fn a_delimiter_inside_quotes_is_text() {
    let text = "DELIMITER //\nSELECT 'http://x', `a//b`//\n/* // */ SELECT 2 -- //\n//\n";
    assert_eq!(statements(MySql, text), ["SELECT 'http://x', `a//b`", "SELECT 2"]);
}

#[test]
fn dumped_triggers_are_one_statement() {
    let text = "DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN\n  SET NEW.x = 1;\nEND */;;\nDELIMITER ;\n";
    assert_eq!(statements(MySql, text).len(), 1);
}
