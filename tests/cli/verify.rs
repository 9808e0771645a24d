//! `dunlin verify`

use insta::assert_snapshot;

use super::Case;
use super::shop::stall;

const RENAME: &str = r#"
[[expand]]
store = "app"
sql = "create table people (id integer primary key, email text, email_address text)"

[[backfill]]
store = "app"
sql = "insert into people values (1, 'ada', 'ada'), (2, 'bob', 'bob')"
no_op = "the table goes"

[[verify]]
store = "app"
sql = "select id, email from people where email is not email_address"

[[contract]]
store = "app"
sql = "alter table people drop column email"
irreversible = "a test"
"#;

fn case() -> Case {
    stall().file("migrations/2_rename.toml", RENAME)
}

#[test]
fn what_waits_for_its_contract_is_asked_again() {
    let case = case();
    assert_snapshot!(case.said("verify"), @"
    exit 0
    ---- stdout
    nothing to verify: no migration waits for its contract
    ");
    case.done("up");
    assert_snapshot!(case.said("verify"), @"
    exit 0
    ---- stdout
    1 step verified, TOOK
    ---- stderr
    ↑ app 2_rename verify: select id,email from people where (TOOK)
    ");
    // The old application goes on writing.
    let case = case.file("migrations/3_late.sql", "update people set email = 'carol' where id = 2");
    case.done("up");
    assert_snapshot!(case.said("verify 2"), @"
    exit 14
    ---- stdout
    1 of 1 step found what must not be there, TOOK
    ---- stderr
    error[verify-failed]: 2_rename in `app`: a verify step found what must not be there:
    id=2 email=carol
      --> migrations/2_rename.toml:11:1
       |
    11 | [[verify]]
       | ^^^^^^^^^^ this step
      = help: nothing was removed: the old shape still holds; correct the data or the step, then run this again

    `dunlin explain verify-failed` says more
    ");
    assert_snapshot!(case.said("verify --json"), @r#"
    exit 14
    ---- stdout
    {"schema":"dunlin.event/1","event":"started","store":"app","version":"2","slug":"rename","phase":"verify","direction":"up","summary":"select id,email from people where","resumed":false}
    {"schema":"dunlin.verify/1","ok":false,"data":{"steps":[{"version":"2","slug":"rename","store":"app","summary":"select id,email from people where","compared":0,"violations":[{"record":"id=2 email=carol"}],"violations_unlisted":0}]},"diagnostics":[{"code":"verify-failed","severity":"error","message":"2_rename in `app`: a verify step found what must not be there:\nid=2 email=carol","file":"migrations/2_rename.toml","line":11,"column":1,"end_line":11,"end_column":11,"labels":[{"file":"migrations/2_rename.toml","line":11,"column":1,"end_line":11,"end_column":11,"message":"this step"}],"help":"nothing was removed: the old shape still holds; correct the data or the step, then run this again","causes":[],"facts":{}}]}
    ---- stderr
    error[verify-failed]: 2_rename in `app`: a verify step found what must not be there:
    id=2 email=carol
      --> migrations/2_rename.toml:11:1
       |
    11 | [[verify]]
       | ^^^^^^^^^^ this step
      = help: nothing was removed: the old shape still holds; correct the data or the step, then run this again

    `dunlin explain verify-failed` says more
    "#);
}

#[test]
fn contract_asks_again_and_wants_a_yes() {
    let case = case();
    case.done("up");
    let case = case.file("migrations/3_late.sql", "update people set email = 'carol' where id = 2");
    case.done("up");
    assert_snapshot!(case.said("contract 2"), @"
    exit 3
    ---- stderr
    error[not-confirmed]: contract removes the old shape of 2_rename
      = help: nothing was changed; `--dry-run` shows what goes, `--yes` says that it may

    `dunlin explain not-confirmed` says more
    ");
    assert_snapshot!(case.said("contract 2 --yes"), @"
    exit 14
    ---- stderr
    app 2_rename: takes away column people.email, with no way back: a test
    error[verify-failed]: 2_rename in `app`: a verify step found what must not be there:
    id=2 email=carol
      --> migrations/2_rename.toml:11:1
       |
    11 | [[verify]]
       | ^^^^^^^^^^ this step
      = help: nothing was removed: the old shape still holds; correct the data or the step, then run this again

    `dunlin explain verify-failed` says more
    ");
    let case = case.file("migrations/4_mended.sql", "update people set email_address = email");
    case.done("up");
    assert_snapshot!(case.said("contract 2 --yes"), @"
    exit 0
    ---- stdout
    1 migration, 1 step, TOOK
    ---- stderr
    app 2_rename: takes away column people.email, with no way back: a test
    ↑ app 2_rename verify: select id,email from people where (TOOK)
    ↑ app 2_rename contract: alter table people drop column (TOOK)
    ");
    assert_snapshot!(case.said("verify"), @"
    exit 0
    ---- stdout
    nothing to verify: no migration waits for its contract
    ");
}

#[test]
fn what_cannot_be_verified_says_why() {
    let case = case();
    assert_snapshot!(case.said("verify 1"), @"
    exit 1
    ---- stderr
    error[cannot-verify]: 1_users has no verify steps
      = help: write a `[[verify]]` step, or `-- Verify` in a SQL file

    `dunlin explain cannot-verify` says more
    ");
    assert_snapshot!(case.said("verify 2"), @"
    exit 1
    ---- stderr
    error[cannot-verify]: 2_rename is not so far: steps before its verify are still to run
      = help: run `dunlin up` first

    `dunlin explain cannot-verify` says more
    ");
    case.done("up --contract");
    assert_snapshot!(case.said("verify 2"), @"
    exit 1
    ---- stderr
    error[cannot-verify]: 2_rename is contracted: what it was compared with is gone
      = help: nothing is left to verify

    `dunlin explain cannot-verify` says more
    ");
}

#[test]
fn a_verify_step_that_asks_the_wrong_question_may_be_corrected_at_any_time() {
    let case = case();
    case.done("up");
    let case = case.file("migrations/3_late.sql", "update people set email = 'carol' where id = 2");
    case.done("up");
    assert!(case.run("verify").starts_with("exit 14\n"));
    let case = case.file(
        "migrations/2_rename.toml",
        &RENAME.replace("email_address\"\n\n[[contract]]", "email_address and id < 2\"\n\n[[contract]]"),
    );
    case.done("verify");
    case.done("contract 2 --yes");
}

#[test]
fn an_edit_between_expand_and_contract_is_taken_back_before_it_is_applied() {
    let case = case();
    case.done("up");
    let edited = RENAME.replace("email_address text", "email_address text default 'x'");
    let case = case.file("migrations/2_rename.toml", &edited);
    let refused = case.run("up");
    assert!(refused.starts_with("exit 13\n"), "{refused}");
    assert!(refused.contains("between its expand and its contract"), "{refused}");
    assert!(refused.contains("or take it back with `dunlin down`"), "{refused}");
    let refused = case.run("mark 2 done --reason x");
    assert!(refused.starts_with("exit 2\n"), "{refused}");
    assert!(refused.contains("its old shape is still there, beside the new one"), "{refused}");
    let case = case.file("migrations/2_rename.toml", RENAME);
    case.done("contract 2 --yes");
}
