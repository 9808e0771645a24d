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

/// A store is retired half-way: its steps leave the file, and nothing is left to do in the other one.
#[test]
fn a_migration_whose_last_steps_left_its_file_is_done_by_up() {
    let step = |phase: &str, store: &str, sql: &str| {
        format!("[[{phase}]]\nstore = \"{store}\"\nsql = \"{sql}\"\nno_op = \"a test\"\n")
    };
    let app = step("expand", "app", "create table t (id int)");
    let rest = step("backfill", "app", "insert into nowhere values (1)");
    let text = format!("{app}{}{rest}", step("expand", "audit", "create table t2 (id int)"));
    let case = shop().file("migrations/3_t.toml", &text);
    let up = case.run("up");
    assert!(up.starts_with("exit 22\n") && up.contains("no such table: nowhere"), "{up}");
    let config = "[stores.app]\nurl = \"sqlite:app.db?create=true\"\n";
    let case = case.file("dunlin.toml", config);
    let said = case.run("status");
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert!(said.contains("gone for good, take its steps out of the file"), "{said}");
    assert!(said.contains("gone for good, remove the file"), "{said}");
    std::fs::remove_file(case.path().join("migrations/1_users.audit.sql")).unwrap();
    let case = case.file("migrations/3_t.toml", &app);
    assert!(case.run("status").contains("1 pending; `dunlin up` applies it"));
    assert!(case.run("plan").contains("complete, since its file ends here now"));
    assert!(case.run("up").contains("↑ app 3_t expand: complete, since its file ends here now"));
    let said = case.run("status");
    assert!(said.contains("3        t       done") && said.contains("nothing is pending"), "{said}");
    assert!(case.run("up").contains("nothing to do"));
    case.done("down");
}

#[test]
fn a_lost_file_that_is_half_applied_is_counted_by_the_text_that_was_kept() {
    let steps = "[[expand]]\nstore = \"app\"\nsql = \"create table a (id int)\"\n\
                 [[backfill]]\nstore = \"app\"\nsql = \"insert into nowhere values (1)\"\n";
    let case = Case::new()
        .file("dunlin.toml", "[stores.app]\nurl = \"sqlite:app.db?create=true\"\n")
        .file("migrations/1_a.toml", steps);
    assert!(case.run("up").starts_with("exit 1\n"));
    assert!(case.run("status").contains("1_a in app: 1 of 2 steps complete"));
    std::fs::remove_file(case.path().join("migrations/1_a.toml")).unwrap();
    let said = case.run("status");
    assert!(said.contains("1_a in app: 1 of 2 steps complete"), "{said}");
}
