//! `dunlin doctor`

use insta::assert_snapshot;

use super::shop::{BROKEN, shop};

/// The version of SQLite is not ours.
fn without_library(said: &str) -> String {
    let is_ours = |line: &&str| !line.trim_start().starts_with("library");
    said.lines().filter(is_ours).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn settings_and_stores_are_listed() {
    let case = shop();
    case.done("up --store app");
    assert_snapshot!(without_library(&case.said("doctor")), @r#"
    exit 0
    ---- stdout
    configuration  dunlin.toml
    migrations  2 migrations in `migrations`

    app
      kind  SQLite
      url  sqlite:app.db?create=true
      journal mode  delete
      foreign keys  on
      integrity  ok
      may create tables  yes
      migration lock by  lease

    audit
      kind  SQLite
      url  sqlite:audit.db?create=true
      file  does not exist yet; the first `dunlin up` creates it
    "#);
}

#[test]
fn one_store_that_cannot_be_reached_does_not_hide_the_other() {
    let case = shop();
    case.done("up");
    let config =
        case.text("dunlin.toml").replace("sqlite:app.db?create=true", "postgres://u:s%20cret@127.0.0.1:1/d");
    let case = case.file("dunlin.toml", &config);
    assert_snapshot!(without_library(&case.said("doctor")), @r#"
    exit 20
    ---- stdout
    configuration  dunlin.toml
    migrations  2 migrations in `migrations`

    app
      kind  PostgreSQL
      url  postgres://u:***@127.0.0.1:1/d
      state  cannot connect: Connection refused (os error 111)

    audit
      kind  SQLite
      url  sqlite:audit.db?create=true
      journal mode  delete
      foreign keys  on
      integrity  ok
      may create tables  yes
      migration lock by  lease
    ---- stderr
    warning[password-in-config]: a password stands in the configuration
     --> dunlin.toml:2:21
      |
    2 | url = "postgres://u:********@127.0.0.1:1/d"
      |                     ^^^^^^^^ readable by everybody who has the file
      = help: take it from the environment (`${DATABASE_URL}`) or from a file (`file:/run/secrets/…`)

    error[cannot-connect]: cannot connect: Connection refused (os error 111)
      = url: postgres://u:***@127.0.0.1:1/d
      = store: app

    `dunlin explain CODE` says more about each
    "#);
    let said = case.said("doctor --json");
    assert!(said.contains("\"reached\":false") && said.contains("\"reached\":true"), "{said}");
}

#[test]
fn faults_of_files_are_counted() {
    let case = shop().file("migrations/x.sql", BROKEN);
    let said = case.said("doctor --store audit");
    assert!(said.contains("1 fault in `migrations`; `dunlin check --offline` shows them"), "{said}");
}
