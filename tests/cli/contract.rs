//! `dunlin contract`, and what waits for it.

use insta::assert_snapshot;

use super::Case;
use super::shop::stall;

/// A table of texts.
fn notes() -> Case {
    stall().file(
        "migrations/2_notes.sql",
        "-- Up\ncreate table notes (id integer primary key, body text);\ninsert into notes values (1, 'a');\n-- Down\ndrop table notes;\n",
    )
}

const RENAME: &str =
    "[[change]]\nstore = \"app\"\nrename_column = { table = \"notes\", from = \"body\", to = \"text\" }\n";

#[test]
fn what_is_removed_although_in_use_needs_a_reason() {
    let case = notes().file("migrations/3_rename.toml", RENAME);
    case.done("up");
    assert_snapshot!(case.said("contract 3 --yes --force"), @"
    exit 2
    ---- stderr
    error: the following required arguments were not provided:
      --reason <TEXT>

    Usage: dunlin contract --force --reason <TEXT> --yes <VERSION>

    For more information, try '--help'.
    ");
    assert_snapshot!(case.said("contract 3 --yes --reason why"), @"
    exit 2
    ---- stderr
    error: the following required arguments were not provided:
      --force

    Usage: dunlin contract --reason <TEXT> --force --yes <VERSION>

    For more information, try '--help'.
    ");
}

#[test]
fn a_second_change_of_the_same_column_waits_for_the_contract_of_the_first() {
    let second = "[[change]]\nstore = \"app\"\nset_default = { table = \"notes\", column = \"text\", default = \"'-'\" }\n";
    let case = notes().file("migrations/3_rename.toml", RENAME).file("migrations/4_default.toml", second);
    assert_snapshot!(case.said("up"), @"
    exit 10
    ---- stdout
    3 migrations, 6 steps, TOOK
    ---- stderr
    ↑ app 1_users expand: create table users (TOOK)
    ↑ app 2_notes expand: create table notes … and 1 more (TOOK, 1 row)
    ↑ app 3_rename expand: add notes.text beside body (TOOK)
    ↑ app 3_rename backfill: update notes set text (TOOK, 1 row)
    ↑ app 3_rename backfill: complete notes.text beside body (TOOK)
    ↑ app 3_rename verify: compare notes.text beside body (TOOK, 1 compared)
    note: 4_default waits for the contract of 3_rename, which has notes.text in hand: `dunlin contract 3`
    ");
    assert_snapshot!(case.said("up"), @"
    exit 10
    ---- stdout
    nothing could be done
    ---- stderr
    note: 4_default waits for the contract of 3_rename, which has notes.text in hand: `dunlin contract 3`
    ");
    assert_snapshot!(case.said("plan"), @"
    exit 0
    ---- stdout
    nothing to do
    ---- stderr
    note: 4_default waits for the contract of 3_rename, which has notes.text in hand: `dunlin contract 3`
    ");
    case.done("contract 3 --yes");
    assert_snapshot!(case.said("up"), @"
    exit 0
    ---- stdout
    1 migration, 1 step, TOOK
    ---- stderr
    ↑ app 4_default expand: default of notes.text (TOOK, 1 row)
    ");
}

#[test]
fn rows_that_the_way_back_cannot_hold_are_listed_first() {
    let change = "[[change]]\nstore = \"app\"\n[change.transform]\ntable = \"notes\"\nup = { size = { type = \"integer\", as = \"length(body)\" } }\ndown = { body = \"substr('xxxxx', 1, size)\" }\n";
    let written = "-- Up\ninsert into notes (size) values (9), (5);\n-- Down\n-- dunlin: no-op: what was written stays\n";
    let case = notes().file("migrations/3_size.toml", change);
    case.done("up");
    case.done("contract 3 --yes");
    let case = case.file("migrations/4_written.sql", written);
    case.done("up");
    assert_snapshot!(case.said("down 2"), @"
    exit 3
    ---- stderr
    error[data-loss]: this takes away, with the data in it:
      what was written to id = 2 in `app`
      = help: nothing was changed; say `--allow-data-loss` if that is meant (`--yes` is not enough)

    `dunlin explain data-loss` says more
    ");
    assert_snapshot!(case.said("down 2 --yes"), @"
    exit 3
    ---- stderr
    error[data-loss]: this takes away, with the data in it:
      what was written to id = 2 in `app`
      = help: nothing was changed; say `--allow-data-loss` if that is meant (`--yes` is not enough)

    `dunlin explain data-loss` says more
    ");
    assert_snapshot!(case.said("down 2 --allow-data-loss"), @"
    exit 0
    ---- stdout
    8 steps undone, TOOK
    ---- stderr
    ↓ app 4_written expand: nothing to undo (TOOK)
    ↓ app 3_size contract: sync again notes.size beside body (TOOK)
    ↓ app 3_size contract: update notes set dunlin_archive_3_1_body (TOOK, 2 rows)
    ↓ app 3_size contract: bring back notes.body (TOOK)
    ↓ app 3_size verify: nothing to undo (TOOK)
    ↓ app 3_size backfill: nothing to undo (TOOK)
    ↓ app 3_size backfill: nothing to undo (TOOK)
    ↓ app 3_size expand: remove notes.size beside body (TOOK)
    ");
}
