//! `dunlin status`

use insta::assert_snapshot;

use super::Case;
use super::shop::{shop, stall};

#[test]
fn every_store_has_a_column() {
    let case = shop();
    assert_snapshot!(case.said("status"), @r#"
    exit 0
    ---- stdout
    version  name  app  audit
    1  users  pending  pending
    2  orders  pending  ·
    2 pending; `dunlin up` applies them
    "#);
    case.done("up --to 1");
    assert_snapshot!(case.said("status"), @r#"
    exit 0
    ---- stdout
    version  name  app  audit
    1  users  done  done
    2  orders  pending  ·
    1 pending; `dunlin up` applies it
    "#);
    assert_snapshot!(case.said("status --store app"), @r#"
    exit 0
    ---- stdout
    version  name  app
    1  users  done
    2  orders  pending
    1 pending; `dunlin up` applies it
    "#);
}

#[test]
fn verbose_says_when_and_by_whom() {
    let case = stall();
    case.done("up");
    assert_snapshot!(case.said("status -v"), @r#"
    exit 0
    ---- stdout
    version  name  app
    1  users  done
    1_users in app: done AT by ann on HOST, 0 rows
    nothing is pending
    ---- stderr
    migrations: migrations
    store app: sqlite:app.db?create=true
    "#);
}

#[test]
fn programs_get_every_fact() {
    let case = stall();
    case.done("up");
    assert_snapshot!(case.said("status --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.status/1","ok":true,"data":{"pending":0,"migrations":[{"version":"1","slug":"users","summary":"","has_file":true,"pending":false,"stores":{"app":{"state":"done","steps":1,"steps_complete":1,"checkpoint":null,"progress":null,"origin":"run","rows":0,"started":"AT","finished":"AT","run":"RUN","note":null}}}]},"diagnostics":[]}
    "#);
}

#[test]
fn the_exit_code_tells_what_is_pending_or_amiss_when_asked() {
    let case = stall();
    assert!(case.run("status").starts_with("exit 0\n"));
    assert!(case.run("status --exit-code").starts_with("exit 10\n"));
    case.done("up");
    assert!(case.run("status --exit-code").starts_with("exit 0\n"));
    let case = case.file("migrations/1_users.sql", "create table people (id int);\n");
    assert!(case.run("status").starts_with("exit 0\n"));
    assert!(case.run("status --exit-code").starts_with("exit 13\n"));
}

#[test]
fn what_stops_up_is_said() {
    let case = stall().file("migrations/3_c.sql", "create table c (id int);\n");
    case.done("up");
    let case = case.file("migrations/2_b.sql", "create table b (id int);\n");
    assert_snapshot!(case.said("status"), @r#"
    exit 0
    ---- stdout
    version  name  app
    1  users  done
    2  b  pending
    3  c  done
    1 pending; `dunlin up` refuses, for the reasons given
    ---- stderr
    error[out-of-order]: 2_b comes before 3_c, which already ran in `app`
      = help: give it a new version (`dunlin new NAME` finds the next one), or let it run late: `--out-of-order apply`

    `dunlin explain out-of-order` says more
    "#);
}

#[test]
fn nothing_is_created_by_looking() {
    let case = stall();
    case.done("status");
    case.done("plan");
    case.done("history");
    case.done("check");
    case.done("lock status");
    case.done("doctor");
    assert!(!case.path().join("app.db").exists());
}

#[test]
fn a_store_that_may_only_be_read_is_enough() {
    let case = stall();
    case.done("up");
    for line in ["status", "plan", "history", "check", "lock status", "doctor", "up"] {
        case.done(&format!("{line} --url sqlite:app.db?mode=ro"));
    }
}

#[test]
fn without_migrations_the_next_step_is_said() {
    let case = Case::new().variable("DATABASE_URL", "sqlite:app.db?create=true");
    assert_snapshot!(case.said("status"), @r#"
    exit 2
    ---- stderr
    error[bad-config]: there is no directory `migrations`
      = help: `dunlin new NAME` makes it with a first migration; `--migrations DIR` names another

    `dunlin explain bad-config` says more
    "#);
    std::fs::create_dir(case.path().join("migrations")).unwrap();
    assert_snapshot!(case.said("status"), @r#"
    exit 0
    ---- stdout
    no migrations yet; `dunlin new NAME` writes the first one
    "#);
}
