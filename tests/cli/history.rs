//! `dunlin history`

use insta::assert_snapshot;

use super::shop::{BROKEN, shop, stall};

#[test]
fn the_newest_is_first_and_all_stores_are_merged() {
    let case = shop().file("migrations/3_broken.audit.sql", BROKEN);
    assert_snapshot!(case.said("history"), @r#"
    exit 0
    ---- stdout
    nothing ran yet
    "#);
    case.run("up");
    assert_snapshot!(case.said("history -n 2"), @r#"
    exit 0
    ---- stdout
    when  store  migration  what  by  rows  took
    AT  audit  3_broken  expand, step 1 failed: near "tabel": syntax error  ann@HOST
    AT  app  2_orders  done  ann@HOST  TOOK
    "#);
    case.done("down --to 1 --allow-data-loss");
    assert_snapshot!(case.said("history --store app"), @r#"
    exit 0
    ---- stdout
    when  store  migration  what  by  rows  took
    AT  app  2_orders  undone  ann@HOST
    AT  app  2_orders  expand, step 1 done  ann@HOST
    AT  app  1_users  done  ann@HOST  1  TOOK
    "#);
}

#[test]
fn a_migration_has_its_record_and_its_journal() {
    let case = stall().file("migrations/2_broken.sql", BROKEN);
    case.run("up");
    assert_snapshot!(case.said("history 1"), @r#"
    exit 0
    ---- stdout
    1_users in app
      state  done, 1 step complete
      origin  run
      started  AT
      finished  AT
      took  TOOK
      rows  0
      by  ann@HOST
      run  RUN
      tool  dunlin VERSION
      text  SUM
      steps  SUM
      journal
        AT  step-done  expand 1  ann@HOST
    "#);
    assert_snapshot!(case.said("history 2"), @r#"
    exit 0
    ---- stdout
    2_broken in app
      nothing of it is recorded as done
      journal
        AT  failed  expand 1: near "tabel": syntax error  ann@HOST
    "#);
    assert_snapshot!(case.said("history 3"), @r#"
    exit 2
    ---- stderr
    error[unknown-version]: no store remembers a migration 3
      = help: `dunlin history` lists what ran, `dunlin status` what is pending

    `dunlin explain unknown-version` says more
    "#);
}

#[test]
fn programs_get_the_same() {
    let case = stall();
    case.done("up");
    assert_snapshot!(case.said("history --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.history/1","ok":true,"data":{"events":[{"at":"AT","store":"app","version":"1","slug":"users","event":"step-done","phase":"expand","step":1,"detail":null,"who":"ann","host":"HOST","run":"RUN","tool":"dunlin VERSION","outcome":"done","rows":0,"took_ms":N}]},"diagnostics":[]}
    "#);
    assert_snapshot!(case.said("history 1 --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.history/1","ok":true,"data":{"version":"1","stores":[{"store":"app","record":{"slug":"users","state":"done","phase":"expand","origin":"run","started":"AT","finished":"AT","took_ms":N,"rows":0,"text_sum":"SUM","step_sums":["SUM"],"checkpoint":null,"who":"ann","host":"HOST","run":"RUN","tool":"dunlin VERSION","note":null},"journal":[{"at":"AT","store":"app","version":"1","slug":"users","event":"step-done","phase":"expand","step":1,"detail":null,"who":"ann","host":"HOST","run":"RUN","tool":"dunlin VERSION"}]}]},"diagnostics":[]}
    "#);
}

#[test]
fn the_text_that_ran_is_printed_exactly_without_the_file() {
    let case = shop();
    case.done("up");
    let text = case.text("migrations/2_orders.app.sql");
    std::fs::remove_dir_all(case.path().join("migrations")).unwrap();
    let output = case.output("history 2 --text");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    assert_snapshot!(case.said("history 1 --text"), @r#"
    exit 0
    ---- stdout
    -- 1_users.app.sql, as it ran in app
    -- Up
    create table users (id integer primary key, email text);
    insert into users (email) values ('a@x');
    -- Down
    drop table users;
    -- 1_users.audit.sql, as it ran in audit
    -- Up
    create table log (line text);
    -- Down
    drop table log;
    "#);
    assert_snapshot!(case.said("history 2 --text --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.history/1","ok":true,"data":{"version":"2","files":[{"stores":["app"],"name":"2_orders.app.sql","text":"-- Up\ncreate table orders (id integer primary key);\n-- Down\ndrop table orders;\n"}]},"diagnostics":[]}
    "#);
}
