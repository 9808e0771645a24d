//! `dunlin mark`

use insta::assert_snapshot;

use super::shop::{shop, stall};

#[test]
fn a_person_knows_better_in_all_stores() {
    let case = shop();
    assert_snapshot!(case.said("mark 1 done --reason \"run by hand\""), @r#"
    exit 0
    ---- stdout
    store  migration  before  now
    app  1_users  pending  done (marked)
    audit  1_users  pending  done (marked)
    "#);
    assert_snapshot!(case.said("mark 1 done --reason \"run by hand\""), @r#"
    exit 0
    ---- stdout
    nothing to do: the history says so already
    "#);
    assert_snapshot!(case.said("mark 1 undone --store audit --reason \"not there\" --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.mark/1","ok":true,"data":{"run":"RUN","recorded":[{"store":"audit","version":"1","slug":"users","before":"done (marked)","now":"undone"}]},"diagnostics":[]}
    "#);
    assert_snapshot!(case.said("mark 1 undone --store audit --reason \"not there\""), @r#"
    exit 0
    ---- stdout
    nothing to do: the history says so already
    "#);
    assert_snapshot!(case.said("status -v"), @r#"
    exit 0
    ---- stdout
    version  name  app  audit
    1  users  done (marked)  pending
    2  orders  pending  ·
    1_users in app: done AT by ann on HOST, 0 rows; run by hand
    1_users in audit: undone AT by ann on HOST, 0 rows; not there
    2 pending; `dunlin up` applies them
    ---- stderr
    configuration: dunlin.toml
    migrations: migrations
    store app: sqlite:app.db?create=true
    store audit: sqlite:audit.db?create=true
    "#);
}

#[test]
fn an_edited_file_is_accepted_as_it_is_now() {
    let case = stall();
    case.done("up");
    let case =
        case.file("migrations/1_users.sql", "create table users (id integer primary key, name text);\n");
    assert!(case.run("up").starts_with("exit 13\n"));
    assert_snapshot!(case.said("mark 1 done --reason \"all stores have it\""), @r#"
    exit 0
    ---- stdout
    store  migration  before  now
    app  1_users  done  done (marked)
    "#);
    case.done("check");
    assert!(case.run("history 1 --text").contains("name text"));
}

#[test]
fn the_stored_text_stays_where_the_file_is_gone() {
    let case = stall();
    case.done("up");
    std::fs::remove_file(case.path().join("migrations/1_users.sql")).unwrap();
    assert_snapshot!(case.said("mark 1 undone --reason \"dropped by hand\""), @r#"
    exit 0
    ---- stdout
    store  migration  before  now
    app  1_users  done  undone
    "#);
    assert!(case.run("history 1 --text").contains("create table users"));
    case.done("check");
}

#[test]
fn what_cannot_be_marked_is_refused() {
    let case = shop();
    assert_snapshot!(case.said("mark 9 done --reason x"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: there is neither a file nor a record of 9
      = help: `dunlin status` lists what there is; nothing was changed

    `dunlin explain unknown-version` says more
    "#);
    assert_snapshot!(case.said("mark 2 done --reason x --store audit"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: 2_orders does not touch `audit`
      = help: `dunlin status` lists what there is; nothing was changed

    `dunlin explain unknown-version` says more
    "#);
    case.done("up");
    assert_snapshot!(case.said("mark 2 statement-done --reason x"), @r#"
    exit 2
    ---- stderr
    error[bad-config]: 2_orders has no statement whose outcome is unknown
      = store: app
      = help: `dunlin up` goes on by itself

    `dunlin explain bad-config` says more
    "#);
}
