//! `dunlin init`

use insta::assert_snapshot;

use super::Case;

#[test]
fn it_writes_a_configuration_that_can_be_used_as_it_is() {
    let case = Case::new();
    assert_snapshot!(case.run("init"), @r#"
    exit 0
    ---- stdout
    dunlin.toml
    migrations/
    ---- stderr
    note: next: say in the file where your stores are, then `dunlin new add users`
    "#);
    assert_snapshot!(case.run("new add users"), @r#"
    exit 0
    ---- stdout
    migrations/TIME_add_users.sql
    "#);
}

#[test]
fn every_commented_setting_is_a_real_one() {
    let case = Case::new();
    case.run("init");
    let uncommented: String = case
        .text("dunlin.toml")
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.starts_with('[')
                    || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) =>
            {
                rest
            }
            _ => line,
        })
        .filter(|line| !line.starts_with("url = \"env:"))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(uncommented.matches("\n[").count() >= 6, "{uncommented}");
    std::fs::write(case.path().join("dunlin.toml"), uncommented).unwrap();
    let said = case.run("new x --store app");
    assert!(said.starts_with("exit 0"), "{said}");
    // `schema` stands there for PostgreSQL; everything else holds for the stores as they are.
    let said = case.run("check --offline");
    let faults =
        said.lines().filter(|line| line.starts_with("error[") && !line.starts_with("error[unsupported]"));
    assert_eq!(
        faults.collect::<Vec<_>>(),
        ["error[setting-unsupported]: `schema` is for PostgreSQL, and this store is SQLite"]
    );
}

#[test]
fn it_does_not_write_over_a_file_unless_told() {
    let case = Case::new().file("dunlin.toml", "# mine\n");
    assert_snapshot!(case.run("init"), @r#"
    exit 2
    ---- stderr
    error[file-exists]: `dunlin.toml` is already there
      = help: `--force` replaces it; nothing was written

    `dunlin explain file-exists` says more
    "#);
    assert_eq!(case.text("dunlin.toml"), "# mine\n");
    assert_snapshot!(case.run("init --force --quiet"), @r#"
    exit 0
    ---- stdout
    dunlin.toml
    migrations/
    "#);
    assert!(case.text("dunlin.toml").contains("[stores.app]"));
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    assert_snapshot!(Case::new().run("init -c no/dunlin.toml --json"), @r#"
    exit 1
    ---- stdout
    {"schema":"dunlin.init/1","ok":false,"data":null,"diagnostics":[{"code":"cannot-write","severity":"error","message":"cannot write `no/dunlin.toml`: No such file or directory (os error 2)","file":null,"line":null,"column":null,"end_line":null,"end_column":null,"labels":[],"help":null,"causes":[],"facts":{}}]}
    ---- stderr
    error[cannot-write]: cannot write `no/dunlin.toml`: No such file or directory (os error 2)

    `dunlin explain cannot-write` says more
    "#);
}
