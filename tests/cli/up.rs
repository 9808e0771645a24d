//! `dunlin up`

use insta::assert_snapshot;

use super::shop::{BROKEN, shop, stall};

#[test]
fn each_step_has_a_line_and_a_second_run_does_nothing() {
    let case = shop();
    assert_snapshot!(case.said("up"), @r#"
    exit 0
    ---- stdout
    2 migrations, 3 steps, TOOK
    ---- stderr
    ↑ app 1_users expand: create table users … and 1 more (TOOK, 1 row)
    ↑ audit 1_users expand: create table log (TOOK)
    ↑ app 2_orders expand: create table orders (TOOK)
    "#);
    assert_snapshot!(case.said("up"), @r#"
    exit 0
    ---- stdout
    nothing to do
    "#);
}

#[test]
fn verbose_shows_the_settings_and_each_statement_before_it_runs() {
    assert_snapshot!(stall().said("up -v"), @r#"
    exit 0
    ---- stdout
    1 migration, 1 step, TOOK
    ---- stderr
    migrations: migrations
    store app: sqlite:app.db?create=true
    app 1_users expand
        create table users (id integer primary key)
    ↑ app 1_users expand: create table users (TOOK)
    "#);
    assert_snapshot!(stall().said("up --quiet"), @r#"
    exit 0
    ---- stdout
    1 migration, 1 step, TOOK
    "#);
}

#[test]
fn programs_get_a_line_for_each_event_and_the_answer_last() {
    assert_snapshot!(stall().said("up --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.event/1","event":"started","store":"app","version":"1","slug":"users","phase":"expand","direction":"up","summary":"create table users","resumed":false}
    {"schema":"dunlin.event/1","event":"finished","store":"app","version":"1","slug":"users","phase":"expand","direction":"up","summary":"create table users","rows":0,"compared":0,"elapsed_ms":N}
    {"schema":"dunlin.up/1","ok":true,"data":{"run":"RUN","outcome":"complete","completed":[{"version":"1","slug":"users","store":"app","phase":"expand","direction":"up"}],"violations":[],"violations_unlisted":0,"remaining":[]},"diagnostics":[]}
    "#);
}

#[test]
fn a_statement_that_fails_is_shown_at_its_place() {
    let case = stall().file("migrations/2_broken.sql", BROKEN);
    assert_snapshot!(case.said("up"), @r#"
    exit 1
    ---- stderr
    ↑ app 1_users expand: create table users (TOOK)
    error[statement-failed]: near "tabel": syntax error
     --> migrations/2_broken.sql:3:8
      |
    3 | create tabel broken (id int);
      |        ^^^^^
      = code: 1
      = left behind: nothing of it stayed: the transaction was rolled back
      = store: app
      = migration: 2_broken
      = help: correct the file, then run `dunlin up` again: it continues where this run stopped

    `dunlin explain statement-failed` says more
    "#);
    assert_snapshot!(case.said("status"), @r#"
    exit 0
    ---- stdout
    version  name  app
    1  users  done
    2  broken  pending
    1 pending; `dunlin up` applies it
    "#);
    let case = case.file("migrations/2_broken.sql", "create table fixed (id int);\n");
    assert_snapshot!(case.said("up"), @r#"
    exit 0
    ---- stdout
    1 migration, 1 step, TOOK
    ---- stderr
    ↑ app 2_broken expand: create table fixed (TOOK)
    "#);
}

#[test]
fn a_failure_is_json_with_what_was_done_before() {
    let case = stall().file("migrations/2_broken.sql", BROKEN);
    assert_snapshot!(case.said("up --json"), @r#"
    exit 1
    ---- stdout
    {"schema":"dunlin.event/1","event":"started","store":"app","version":"1","slug":"users","phase":"expand","direction":"up","summary":"create table users","resumed":false}
    {"schema":"dunlin.event/1","event":"finished","store":"app","version":"1","slug":"users","phase":"expand","direction":"up","summary":"create table users","rows":0,"compared":0,"elapsed_ms":N}
    {"schema":"dunlin.event/1","event":"started","store":"app","version":"2","slug":"broken","phase":"expand","direction":"up","summary":"create table fine … and 1 more","resumed":false}
    {"schema":"dunlin.up/1","ok":false,"data":{"run":"RUN","outcome":"failed","completed":[{"version":"1","slug":"users","store":"app","phase":"expand","direction":"up"}],"violations":[],"violations_unlisted":0,"remaining":[{"version":"2","slug":"broken","store":"app","phase":"expand","direction":"up"}]},"diagnostics":[{"code":"statement-failed","severity":"error","message":"near \"tabel\": syntax error","file":"migrations/2_broken.sql","line":3,"column":8,"end_line":3,"end_column":13,"labels":[],"help":"correct the file, then run `dunlin up` again: it continues where this run stopped","causes":[],"facts":{"code":"1","left behind":"nothing of it stayed: the transaction was rolled back","store":"app","migration":"2_broken"}}]}
    ---- stderr
    error[statement-failed]: near "tabel": syntax error
     --> migrations/2_broken.sql:3:8
      |
    3 | create tabel broken (id int);
      |        ^^^^^
      = code: 1
      = left behind: nothing of it stayed: the transaction was rolled back
      = store: app
      = migration: 2_broken
      = help: correct the file, then run `dunlin up` again: it continues where this run stopped

    `dunlin explain statement-failed` says more
    "#);
}

#[test]
fn a_migration_that_is_done_in_one_store_only_is_done_in_part() {
    let case = shop().file("migrations/1_users.audit.sql", BROKEN);
    assert_snapshot!(case.said("up"), @r#"
    exit 22
    ---- stderr
    ↑ app 1_users expand: create table users … and 1 more (TOOK, 1 row)
    error[statement-failed]: near "tabel": syntax error
     --> migrations/1_users.audit.sql:3:8
      |
    3 | create tabel broken (id int);
      |        ^^^^^
      = code: 1
      = left behind: nothing of it stayed: the transaction was rolled back
      = store: audit
      = migration: 1_users
      = steps of it are done in: app
      = help: correct the file, then run `dunlin up` again: it continues where this run stopped

    `dunlin explain statement-failed` says more
    "#);
}

#[test]
fn a_verify_section_that_finds_something_stops_the_migration() {
    let case = stall().file(
        "migrations/2_copy.sql",
        "-- Up\ncreate table copy (id int);\ninsert into copy values (1), (2);\n-- Verify\nselect id from copy where id > 1;\n-- Down\ndrop table copy;\n",
    );
    assert_snapshot!(case.said("up"), @"
    exit 14
    ---- stderr
    ↑ app 1_users expand: create table users (TOOK)
    ↑ app 2_copy expand: create table copy … and 1 more (TOOK, 2 rows)
    error[verify-failed]: 2_copy in `app`: a verify step found what must not be there:
    id=2
     --> migrations/2_copy.sql:4:1
      |
    4 | -- Verify
      | ^^^^^^^^^ this step
      = help: nothing was removed: the old shape still holds; correct the data or the step, then run this again

    `dunlin explain verify-failed` says more
    ");
    assert_snapshot!(case.said("status"), @r#"
    exit 0
    ---- stdout
    version  name  app
    1  users  done
    2  copy  applying
    2_copy in app: 1 of 2 steps complete; begun AT by ann on HOST
    1 pending; `dunlin up` applies it
    "#);
}

#[test]
fn files_that_disagree_with_the_history_stop_it() {
    let case = stall().file("migrations/3_c.sql", "create table c (id int);\n");
    case.done("up");
    let case = case
        .file("migrations/2_late.sql", "create table late (id int);\n")
        .file("migrations/1_users.sql", "create table people (id int);\n");
    std::fs::remove_file(case.path().join("migrations/3_c.sql")).unwrap();
    assert_snapshot!(case.said("up"), @r#"
    exit 13
    ---- stderr
    error[edited]: 1_users was edited after it ran: its step 1 is not the one that ran (`app`)
      = help: put the file back as it was (`dunlin history 1 --text` shows it) and write the change as a new migration; or accept the file as it is now: `dunlin mark 1 done --reason …`

    error[out-of-order]: 2_late comes before 3_c, which already ran in `app`
      = help: give it a new version (`dunlin new NAME` finds the next one), or let it run late: `--out-of-order apply`

    error[missing]: 3_c ran, and there is no file of it (`app`)
      = help: bring the file back (`dunlin history 3 --text` prints it), undo it from the stored text with `dunlin down`, or set `missing = "warn"` under [policy]

    `dunlin explain CODE` says more about each
    "#);
    assert_snapshot!(case.said("up --edited warn --missing warn --out-of-order apply"), @r#"
    exit 0
    ---- stdout
    1 migration, 1 step, TOOK
    ---- stderr
    ↑ app 2_late expand: create table late (TOOK)
    warning[edited]: 1_users was edited after it ran: its step 1 is not the one that ran (`app`)
      = help: put the file back as it was (`dunlin history 1 --text` shows it) and write the change as a new migration; or accept the file as it is now: `dunlin mark 1 done --reason …`

    warning[missing]: 3_c ran, and there is no file of it (`app`)
      = help: bring the file back (`dunlin history 3 --text` prints it), undo it from the stored text with `dunlin down`, or set `missing = "warn"` under [policy]

    `dunlin explain CODE` says more about each
    "#);
}

#[test]
fn two_files_of_one_version_are_refused() {
    let case = stall().file("migrations/01_people.sql", "create table people (id int);\n");
    assert_snapshot!(case.said("up"), @r#"
    exit 13
    ---- stderr
    error[duplicate-version]: `01_people` and `1_users` have the same version
     --> migrations/1_users.sql:1:1
      |
    1 | -- Up
      | ^ this file
      = help: give one of them a version of its own; `dunlin new` makes a fresh one

    `dunlin explain duplicate-version` says more
    "#);
}

#[test]
fn without_a_directory_it_says_which_one_it_wants() {
    let case = stall();
    assert_snapshot!(case.said("up --migrations elsewhere"), @r#"
    exit 2
    ---- stderr
    error[bad-config]: there is no directory `elsewhere`
      = help: `dunlin new NAME` makes it with a first migration; `--migrations DIR` names another

    `dunlin explain bad-config` says more
    "#);
}

#[test]
fn contract_waits_for_every_store() {
    assert_snapshot!(shop().said("contract 1"), @r#"
    exit 1
    ---- stderr
    error[not-expanded]: 1_users is not expanded and verified yet in `app`, `audit`
      = help: `dunlin up` goes that far; contract comes after it. Nothing was changed

    `dunlin explain not-expanded` says more
    "#);
    let case = shop();
    case.done("up");
    assert_snapshot!(case.said("contract 1"), @r#"
    exit 0
    ---- stdout
    nothing to do
    "#);
    assert_snapshot!(case.said("contract 9"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: there is no migration 9
      = help: `dunlin status` lists them; nothing was changed

    `dunlin explain unknown-version` says more
    "#);
}

#[test]
fn all_or_nothing_takes_every_store_back() {
    let case = shop().file(
        "migrations/3_audit.toml",
        "[[expand]]\nstore = \"app\"\nsql = \"create table a (id integer primary key)\"\nundo = \"drop table a\"\n\
         [[backfill]]\nstore = \"audit\"\nsql = \"insert into nowhere values (1)\"\nno_op = \"a test\"\n",
    );
    assert_snapshot!(case.said("up --atomic"), @r#"
    exit 1
    ---- stderr
    ↑ app 1_users expand: create table users … and 1 more (TOOK, 1 row)
    ↑ audit 1_users expand: create table log (TOOK)
    ↑ app 2_orders expand: create table orders (TOOK)
    ↑ app 3_audit expand: create table a (TOOK)
    takes everything of this run back
    ↓ app 3_audit expand: drop table a (TOOK)
    ↓ app 2_orders expand: drop table orders (TOOK)
    ↓ audit 1_users expand: drop table log (TOOK)
    ↓ app 1_users expand: drop table users (TOOK)
    error[statement-failed]: no such table: nowhere
     --> migrations/3_audit.toml:7:20
      |
    7 | sql = "insert into nowhere values (1)"
      |                    ^^^^^^^
      = code: 1
      = left behind: nothing of it stayed: the transaction was rolled back
      = store: audit
      = migration: 3_audit
      = help: correct the file, then run `dunlin up` again: it begins anew

    warning[taken-back]: taken back in every store: 4 steps undone, TOOK

    `dunlin explain CODE` says more about each
    "#);
    assert_snapshot!(case.said("status"), @"
    exit 0
    ---- stdout
    version  name  app  audit
    1  users  pending  pending
    2  orders  pending  ·
    3  audit  pending  pending
    3 pending; `dunlin up` applies them
    ");
    let case = case
        .file("migrations/3_audit.toml", "[[expand]]\nstore = \"app\"\nsql = \"create table a (id int)\"\n");
    assert_snapshot!(case.said("up --atomic"), @"
    exit 1
    ---- stderr
    error[irreversible]: there is no way back:
      3_audit in `app`: nothing to undo is written here
      = help: nothing was changed. Three ways out: write the way back into the file, as its Down section or the step's `undo` (the file of an applied migration may gain one), go forward with a new migration that reverses it, or undo it by hand and record that: `dunlin mark 3 undone --reason …`

    `dunlin explain irreversible` says more
    ");
    case.done("up");
    assert_snapshot!(case.said("up --atomic"), @"
    exit 0
    ---- stdout
    nothing to do
    ");
}
