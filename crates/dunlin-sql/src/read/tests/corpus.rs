//! Files as other programs and people write them. The dumps are what `pg_dump` and `mariadb-dump` wrote of a schema made
//! to be hard to split; their statements, sent one by one, give back the same dump.

use super::*;

/// Where each section of a file begins to be units: how many statements in each, with `!` if alone.
fn units(native: &Native) -> Vec<String> {
    let unit = |unit: &crate::op::Unit| {
        format!("{}{}", unit.statements.len(), if unit.alone.is_some() { "!" } else { "" })
    };
    let section = |section: &Section| own(&section.op).units.iter().map(unit).collect::<Vec<_>>().join(" ");
    native.sections.iter().map(section).collect()
}

fn codes(native: &Native) -> Vec<&'static str> {
    native.diagnostics.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_pg_dump_is_one_transaction() {
    let native = native(Postgres, include_str!("corpus/pg_dump.sql"));
    assert_eq!(native.diagnostics, []);
    assert_eq!(units(&native), ["27"]);
    let op = own(&native.sections[0].op);
    let data: Vec<&str> =
        op.statements().filter_map(|next| next.copy_data.as_ref().map(|data| &***data)).collect();
    assert_eq!(data[0].lines().count(), 3);
    assert_eq!(op.statements().filter(|next| next.text.contains(';')).count(), 7);
}

#[test]
fn a_mysqldump_goes_statement_by_statement() {
    let native = native(MySql, include_str!("corpus/mysqldump.sql"));
    assert_eq!(codes(&native), ["table-lock", "table-lock"]);
    let op = own(&native.sections[0].op);
    assert_eq!(op.statements().count(), 110);
    let trigger = op.statements().find(|next| next.text.contains("TRIGGER")).unwrap();
    assert!(trigger.text.starts_with("/*!50003 CREATE*/") && trigger.text.ends_with("END \n*/"));
    let routine = op.statements().find(|next| next.text.contains("PROCEDURE `tidy`(")).unwrap();
    assert!(routine.text.ends_with("END LOOP;\nEND"));
}

#[test]
fn programs_without_delimiter_lines_are_found() {
    let native = native(MySql, include_str!("corpus/mysql_programs.sql"));
    assert_eq!(native.diagnostics, []);
    assert_eq!(units(&native), ["1! 1! 1 1! 1! 1! 1! 1!"]);
}

#[test]
fn a_rebuild_keeps_foreign_keys_off_both_ways() {
    let native = native(Sqlite, include_str!("corpus/sqlite_rebuild.sql"));
    assert_eq!(native.diagnostics, []);
    assert_eq!(units(&native), ["6"]);
    assert_eq!(own(&native.sections[0].op).foreign_keys, crate::op::ForeignKeys::Off);
    let Undo::Op(down) = &native.sections[0].undo else { panic!("no way back") };
    assert_eq!((own(down).foreign_keys, own(down).statements().count()), (crate::op::ForeignKeys::Off, 7));
}

#[test]
fn a_rebuild_with_its_own_pragmas_runs_as_written() {
    let native = native(Sqlite, include_str!("corpus/sqlite_prisma.sql"));
    assert_eq!(native.diagnostics, []);
    assert_eq!(units(&native), ["1 1! 5 1! 1"]);
    assert_eq!(own(&native.sections[0].op).foreign_keys, crate::op::ForeignKeys::AsWritten);
}

#[test]
fn a_dbmate_file_without_transaction_keeps_its_own_one() {
    let native = native(Postgres, include_str!("corpus/postgres_dbmate.sql"));
    assert_eq!(native.diagnostics, []);
    assert_eq!(units(&native), ["1! 1! 1! 1! 1! 2 1!"]);
    let Undo::Op(down) = &native.sections[0].undo else { panic!("no way back") };
    assert_eq!(own(down).units.len(), 1);
}

#[test]
fn line_ends_do_not_matter() {
    for (dialect, text) in [
        (Postgres, include_str!("corpus/pg_dump.sql")),
        (MySql, include_str!("corpus/mysqldump.sql")),
        (Sqlite, include_str!("corpus/sqlite_rebuild.sql")),
    ] {
        let windows = native(dialect, &format!("\u{feff}{}", text.replace('\n', "\r\n")));
        let unix = native(dialect, text);
        assert_eq!(windows.diagnostics.len(), unix.diagnostics.len());
        for (one, other) in windows.sections.iter().zip(&unix.sections) {
            assert_eq!(one.op.canonical(), other.op.canonical());
        }
    }
}
