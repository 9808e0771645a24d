//! `dunlin down` and `dunlin redo`

use insta::assert_snapshot;

use super::shop::{shop, stall};

#[test]
fn what_would_be_lost_is_said_and_nothing_happens() {
    let case = shop();
    case.done("up");
    assert_snapshot!(case.said("down 2"), @r#"
    exit 3
    ---- stderr
    error[data-loss]: this takes away, with the data in it:
      table orders in `app`
      table log in `audit`
      table users in `app`
      = help: nothing was changed; say `--allow-data-loss` if that is meant (`--yes` is not enough)

    `dunlin explain data-loss` says more
    "#);
    assert!(case.run("down 2 --yes").starts_with("exit 3\n"));
    assert!(case.run("redo --yes").starts_with("exit 3\n"));
    assert!(case.said("status").contains("nothing is pending"));
}

#[test]
fn it_goes_back_the_way_that_was_written() {
    let case = shop();
    case.done("up");
    assert_snapshot!(case.said("down --to 1 --allow-data-loss"), @r#"
    exit 0
    ---- stdout
    1 step undone, TOOK
    ---- stderr
    ↓ app 2_orders expand: drop table orders (TOOK)
    "#);
    assert_snapshot!(case.said("down --to 0 --allow-data-loss"), @r#"
    exit 0
    ---- stdout
    2 steps undone, TOOK
    ---- stderr
    ↓ audit 1_users expand: drop table log (TOOK)
    ↓ app 1_users expand: drop table users (TOOK)
    "#);
    assert_snapshot!(case.said("down"), @r#"
    exit 0
    ---- stdout
    nothing to undo
    "#);
    assert_snapshot!(case.said("down --to 7"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: there is no migration 7
      = help: `dunlin status` lists them; nothing was changed

    `dunlin explain unknown-version` says more
    "#);
}

#[test]
fn a_migration_without_its_file_goes_back_by_the_stored_text() {
    let case = stall();
    case.done("up");
    std::fs::remove_file(case.path().join("migrations/1_users.sql")).unwrap();
    assert_snapshot!(case.said("down --dry-run"), @r#"
    exit 0
    ---- stdout
    1_users
      ↓ app · expand
        drop table users
        takes away table users
    ---- stderr
    note: 1_users goes back by the text that was kept when it ran: there is no file of it
    "#);
    assert_snapshot!(case.said("down --allow-data-loss"), @r#"
    exit 0
    ---- stdout
    1 step undone, TOOK
    ---- stderr
    ↓ app 1_users expand: drop table users (TOOK)
    note: 1_users goes back by the text that was kept when it ran: there is no file of it
    "#);
}

#[test]
fn without_a_way_back_the_ways_out_are_listed() {
    let case = stall().file("migrations/2_b.sql", "create table b (id int);\n");
    case.done("up");
    assert_snapshot!(case.said("down --allow-data-loss"), @r#"
    exit 1
    ---- stderr
    error[irreversible]: there is no way back:
      2_b in `app`: nothing to undo is written here
      = help: nothing was changed. Three ways out: write the way back into the file, as its Down section or the step's `undo` (the file of an applied migration may gain one), go forward with a new migration that reverses it, or undo it by hand and record that: `dunlin mark 2 undone --reason …`

    `dunlin explain irreversible` says more
    "#);
}

#[test]
fn redo_undoes_and_applies_again() {
    let case = stall();
    case.done("up");
    assert_snapshot!(case.said("redo --allow-data-loss"), @r#"
    exit 0
    ---- stdout
    1 step undone and applied again, TOOK
    ---- stderr
    ↓ app 1_users expand: drop table users (TOOK)
    ↑ app 1_users expand: create table users (TOOK)
    "#);
}
