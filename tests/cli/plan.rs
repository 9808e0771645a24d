//! `dunlin plan`, and `up --plan`

use insta::assert_snapshot;

use super::shop::{BROKEN, shop, stall};

#[test]
fn statements_stand_under_their_migrations() {
    let case = shop();
    assert_snapshot!(case.said("plan"), @r#"
    exit 0
    ---- stdout
    1_users
      ↑ app · expand
        create table users (id integer primary key, email text)
        insert into users (email) values ('a@x')
      ↑ audit · expand
        create table log (line text)

    2_orders
      ↑ app · expand
        create table orders (id integer primary key)
    "#);
    case.done("up");
    assert_snapshot!(case.said("plan"), @r#"
    exit 0
    ---- stdout
    nothing to do
    "#);
    assert_snapshot!(case.said("plan --down 2"), @r#"
    exit 0
    ---- stdout
    2_orders
      ↓ app · expand
        drop table orders
        takes away table orders

    1_users
      ↓ audit · expand
        drop table log
        takes away table log
      ↓ app · expand
        drop table users
        takes away table users
    "#);
}

#[test]
fn programs_get_the_place_of_every_statement() {
    assert_snapshot!(stall().said("plan --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.plan/1","ok":true,"data":{"fingerprint":"SUM","steps":[{"version":"1","slug":"users","store":"app","phase":"expand","direction":"up","index":0,"begun":false,"statements":[{"text":"create table users (id integer primary key)","note":null,"file":"migrations/1_users.sql","line":2}],"takes_away":[],"irreversible":false}],"foreseen":[]},"diagnostics":[]}
    "#);
}

#[test]
fn the_exit_code_tells_what_is_pending_when_asked() {
    let case = stall();
    assert!(case.run("plan --exit-code").starts_with("exit 10\n"));
    case.done("up");
    assert!(case.run("plan --exit-code").starts_with("exit 0\n"));
}

#[test]
fn a_version_that_does_not_exist_is_refused() {
    assert_snapshot!(stall().said("plan --to 7"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: there is no migration 7
      = help: `dunlin status` lists them; nothing was changed

    `dunlin explain unknown-version` says more
    "#);
}

#[test]
fn a_reviewed_plan_runs_once_and_then_has_nothing_to_do() {
    let case = shop();
    case.done("plan --out plan.json");
    assert_snapshot!(case.said("up --plan plan.json"), @r#"
    exit 0
    ---- stdout
    2 migrations, 3 steps, TOOK
    ---- stderr
    ↑ app 1_users expand: create table users … and 1 more (TOOK, 1 row)
    ↑ audit 1_users expand: create table log (TOOK)
    ↑ app 2_orders expand: create table orders (TOOK)
    "#);
    assert_snapshot!(case.said("up --plan plan.json"), @r#"
    exit 0
    ---- stdout
    nothing to do
    "#);
}

#[test]
fn a_plan_that_broke_off_can_be_gone_on_with() {
    let case = shop();
    case.done("plan --out plan.json");
    case.done("up --to 1");
    assert_snapshot!(case.said("up --plan plan.json"), @r#"
    exit 0
    ---- stdout
    1 migration, 1 step, TOOK
    ---- stderr
    ↑ app 2_orders expand: create table orders (TOOK)
    "#);
}

#[test]
fn a_plan_is_stale_once_a_file_was_edited_or_came_in() {
    let case = stall();
    case.done("plan --out plan.json");
    let case = case.file("migrations/2_b.sql", "create table b (id int);\n");
    assert_snapshot!(case.said("up --plan plan.json"), @r#"
    exit 13
    ---- stderr
    error[stale-plan]: the plan is not what would run now: files or histories changed since
      = help: nothing was changed; make and review a new one: `dunlin plan --out FILE`

    `dunlin explain stale-plan` says more
    "#);
    assert!(!case.path().join("app.db").exists());
    std::fs::remove_file(case.path().join("migrations/2_b.sql")).unwrap();
    let case = case.file("migrations/1_users.sql", BROKEN);
    assert!(case.run("up --plan plan.json").starts_with("exit 13\n"));
}

#[test]
fn a_file_that_is_no_plan_is_refused() {
    let case = stall().file("plan.json", "{}");
    assert_snapshot!(case.said("up --plan plan.json"), @r#"
    exit 2
    ---- stderr
    error[bad-plan]: `plan.json` is not a plan that this dunlin wrote
      = help: make one with `dunlin plan --out FILE`

    `dunlin explain bad-plan` says more
    "#);
}
