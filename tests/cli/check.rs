//! `dunlin check`

use insta::assert_snapshot;

use super::shop::{shop, stall};

#[test]
fn what_is_pending_is_no_fault() {
    let case = shop();
    assert_snapshot!(case.said("check"), @r#"
    exit 0
    ---- stdout
    2 migrations, 3 steps, 2 stores: the files are sound and their histories agree; 2 pending
    "#);
    case.done("up");
    assert_snapshot!(case.said("check"), @r#"
    exit 0
    ---- stdout
    2 migrations, 3 steps, 2 stores: the files are sound and their histories agree; nothing is pending
    "#);
    assert_snapshot!(case.said("check --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.check/1","ok":true,"data":{"migrations":2,"steps":3,"stores":2,"pending":0,"findings":[]},"diagnostics":[]}
    "#);
}

#[test]
fn offline_needs_no_store() {
    let case = stall().variable("DATABASE_URL", "postgres://127.0.0.1:1/none");
    assert_snapshot!(case.said("check --offline"), @r#"
    exit 0
    ---- stdout
    1 migration, 1 step: the files are sound
    "#);
}

#[test]
fn every_fault_of_every_file_is_shown() {
    let case = stall()
        .file("migrations/01_people.sql", "create table people (id int);\n")
        .file("migrations/2_open.sql", "insert into users values ('it);\n")
        .file("migrations/notes.sql", "select 1;\n");
    assert_snapshot!(case.said("check --offline"), @r#"
    exit 13
    ---- stderr
    error[unknown-file]: `notes.sql` is no name of a migration
     --> migrations/notes.sql:1:1
      |
    1 | select 1;
      | ^ this file
      = help: a migration is called `<version>_<slug>[.<store>].<ext>`; move other files away

    error[duplicate-version]: `01_people` and `1_users` have the same version
     --> migrations/1_users.sql:1:1
      |
    1 | -- Up
      | ^ this file
      = help: give one of them a version of its own; `dunlin new` makes a fresh one

    error[unterminated-string]: a string that does not end
     --> migrations/2_open.sql:1:27
      |
    1 | insert into users values ('it);
      |                           ^ begins here
      = help: close it with `'`

    `dunlin explain CODE` says more about each
    "#);
}

#[test]
fn what_needs_what_does_not_exist_is_a_fault() {
    let case = stall().file(
        "migrations/2_b.toml",
        "needs = [\"7\"]\n[[expand]]\nstore = \"app\"\nsql = \"create table b (id int)\"\nundo = { sql = \"drop table b\" }\n",
    );
    assert_snapshot!(case.said("check --offline"), @r#"
    exit 13
    ---- stderr
    error[needs-missing]: 2_b needs 7, which does not exist
      = help: bring that migration in, or correct `needs`

    `dunlin explain needs-missing` says more
    "#);
}

#[test]
fn histories_are_held_against_files() {
    let case = shop();
    case.done("up");
    let case = case.file("migrations/2_orders.app.sql", "create table orders (id int);\n");
    std::fs::rename(
        case.path().join("migrations/1_users.audit.sql"),
        case.path().join("migrations/3_users.audit.sql"),
    )
    .unwrap();
    assert_snapshot!(case.said("check"), @r#"
    exit 13
    ---- stderr
    error[edited]: 1_users was edited after it ran: its step 1 is gone (`audit`)
      = help: put the file back as it was (`dunlin history 1 --text` shows it) and write the change as a new migration; or accept the file as it is now: `dunlin mark 1 done --reason …`

    error[edited]: 2_orders was edited after it ran: its step 1 is not the one that ran (`app`)
      = help: put the file back as it was (`dunlin history 2 --text` shows it) and write the change as a new migration; or accept the file as it is now: `dunlin mark 2 done --reason …`

    `dunlin explain edited` says more
    "#);
    assert_snapshot!(case.said("check --quiet --json --edited warn"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.check/1","ok":true,"data":{"migrations":3,"steps":3,"stores":2,"pending":1,"findings":[{"code":"edited","version":"1","slug":"users","store":"audit","refused":false},{"code":"edited","version":"2","slug":"orders","store":"app","refused":false}]},"diagnostics":[{"code":"edited","severity":"warning","message":"1_users was edited after it ran: its step 1 is gone (`audit`)","file":null,"line":null,"column":null,"end_line":null,"end_column":null,"labels":[],"help":"put the file back as it was (`dunlin history 1 --text` shows it) and write the change as a new migration; or accept the file as it is now: `dunlin mark 1 done --reason …`","causes":[],"facts":{}},{"code":"edited","severity":"warning","message":"2_orders was edited after it ran: its step 1 is not the one that ran (`app`)","file":null,"line":null,"column":null,"end_line":null,"end_column":null,"labels":[],"help":"put the file back as it was (`dunlin history 2 --text` shows it) and write the change as a new migration; or accept the file as it is now: `dunlin mark 2 done --reason …`","causes":[],"facts":{}}]}
    "#);
}

/// Each advice, followed.
#[test]
fn names_of_other_tools_and_endings_in_capitals_are_told_what_to_become() {
    let case = stall();
    for (name, told) in [
        ("2_a.SQL", "rename it to `2_a.sql`"),
        ("2_a.up.Sql", "rename it to `2_a.up.sql`"),
        ("V2__a.SQL", "rename it to `2_a.sql`"),
        ("V2_1__Add x.sql", "rename it to `2001_add_x.sql`"),
        ("2_notes.txt", "end in `.sql`, `.toml`; move the file away"),
        ("notes.txt", "move other files away"),
    ] {
        let path = case.path().join("migrations").join(name);
        std::fs::write(&path, "create table a (id int);\n").unwrap();
        let said = case.run("check --offline");
        assert!(said.starts_with("exit 13\n") && said.contains(told), "{name}: {said}");
        std::fs::remove_file(&path).unwrap();
    }
    let case = case.file("migrations/2001_add_x.sql", "create table a (id int);\n");
    case.done("check --offline");
}
