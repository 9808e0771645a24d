//! `dunlin baseline`

use insta::assert_snapshot;

use super::shop::shop;

#[test]
fn what_ran_before_is_taken_as_done_in_every_store() {
    let case = shop();
    assert_snapshot!(case.said("baseline 1 --reason \"made by hand\""), @r#"
    exit 0
    ---- stdout
    store  migration  before  now
    app  1_users  pending  done (baseline)
    audit  1_users  pending  done (baseline)
    "#);
    assert_snapshot!(case.said("baseline 1 --reason again"), @r#"
    exit 0
    ---- stdout
    nothing to do: every migration up to 1 is recorded already
    "#);
    assert_snapshot!(case.said("status"), @r#"
    exit 0
    ---- stdout
    version  name  app  audit
    1  users  done (baseline)  done (baseline)
    2  orders  pending  ·
    1 pending; `dunlin up` applies it
    "#);
    assert_snapshot!(case.said("up"), @r#"
    exit 0
    ---- stdout
    1 migration, 1 step, TOOK
    ---- stderr
    ↑ app 2_orders expand: create table orders (TOOK)
    "#);
}

#[test]
fn a_record_that_is_there_stays_as_it_is() {
    let case = shop();
    case.done("up --to 1 --store app");
    assert_snapshot!(case.said("baseline 2 --reason \"made by hand\" --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.baseline/1","ok":true,"data":{"run":"RUN","recorded":[{"store":"app","version":"2","slug":"orders","before":"pending","now":"done (baseline)"},{"store":"audit","version":"1","slug":"users","before":"pending","now":"done (baseline)"}]},"diagnostics":[]}
    "#);
    assert_snapshot!(case.said("status"), @r#"
    exit 0
    ---- stdout
    version  name  app  audit
    1  users  done  done (baseline)
    2  orders  done (baseline)  ·
    nothing is pending
    "#);
}

#[test]
fn a_version_that_does_not_exist_is_refused_and_a_reason_is_wanted() {
    let case = shop();
    assert_snapshot!(case.said("baseline 9 --reason x"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: there is no migration 9
      = help: `dunlin status` lists them; nothing was changed

    `dunlin explain unknown-version` says more
    "#);
    assert!(case.run("baseline 1").starts_with("exit 2\n"));
    assert!(!case.path().join("app.db").exists());
}

#[test]
fn it_has_no_way_back() {
    let case = shop();
    case.done("baseline 2 --reason \"made by hand\"");
    assert_snapshot!(case.said("down --allow-data-loss"), @r#"
    exit 1
    ---- stderr
    error[irreversible]: there is no way back:
      2_orders in `app`: `baseline` took it as done; dunlin did not run it
      = help: nothing was changed. Two ways out: go forward with a new migration that reverses it, or undo it by hand and record that: `dunlin mark 2 undone --reason …`

    `dunlin explain irreversible` says more
    "#);
}
