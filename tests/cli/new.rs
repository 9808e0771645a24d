//! `dunlin new`

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;

use insta::assert_snapshot;

use super::Case;

const THREE: &str = "[stores.app]\nurl = \"postgres://h/d\"\n[stores.catalog]\nurl = \"mongodb://h/d\"\n\
                     [stores.cache]\nurl = \"redis://h\"\n";

#[test]
fn one_store_gets_its_own_kind_of_file() {
    let case = Case::new().file("dunlin.toml", "[stores.app]\nurl = \"sqlite:a.db\"\n");
    assert_snapshot!(case.run("new \"Add users, quickly!\""), @r#"
    exit 0
    ---- stdout
    migrations/TIME_add_users_quickly.sql
    ---- stderr
    note: made the directory `migrations`
    "#);
    let names: Vec<_> = fs::read_dir(case.path().join("migrations")).unwrap().flatten().collect();
    let text = fs::read_to_string(names[0].path()).unwrap();
    assert!(text.contains("-- Up\n") && text.contains("-- Down\n"), "{text}");
}

#[test]
fn several_stores_get_one_toml_or_a_file_each() {
    let case = Case::new().file("dunlin.toml", THREE);
    assert_snapshot!(case.run("new rename email"), @r#"
    exit 0
    ---- stdout
    migrations/TIME_rename_email.toml
    ---- stderr
    note: made the directory `migrations`
    "#);
    assert_snapshot!(case.run("new rename email --store app --store cache"), @r#"
    exit 0
    ---- stdout
    migrations/TIME_rename_email.sql
    migrations/TIME_rename_email.redis
    "#);
    assert_snapshot!(case.run("new rename email --ext js --json"), @r#"
    exit 0
    ---- stdout
    {"schema":"dunlin.new/1","ok":true,"data":{"version":"TIME","slug":"rename_email","files":[{"path":"migrations/TIME_rename_email.js","stores":["catalog"]}]},"diagnostics":[]}
    "#);
    assert_snapshot!(case.run("new rename email --ext jss"), @r#"
    exit 2
    ---- stderr
    error[unknown-extension]: no chosen store takes `.jss` files
      = help: did you mean `js`?

    `dunlin explain unknown-extension` says more
    "#);
}

#[test]
fn files_of_stores_of_one_kind_carry_the_stores_name() {
    let case = Case::new()
        .file("dunlin.toml", "[stores.a]\nurl = \"sqlite:a.db\"\n[stores.b]\nurl = \"sqlite:b.db\"\n");
    assert_snapshot!(case.run("new x --store b --sequential"), @r#"
    exit 0
    ---- stdout
    migrations/0001_x.b.sql
    ---- stderr
    note: made the directory `migrations`
    "#);
}

#[test]
fn sequential_versions_follow_the_files_that_are_there() {
    let case = Case::new()
        .file("dunlin.toml", "[stores.a]\nurl = \"sqlite:a.db\"\n")
        .file("migrations/00009_x.sql", "");
    assert_snapshot!(case.run("new y --sequential"), @r#"
    exit 0
    ---- stdout
    migrations/00010_y.sql
    "#);
    assert_snapshot!(case.run("new y --sequential --migrations elsewhere"), @r#"
    exit 0
    ---- stdout
    elsewhere/0001_y.sql
    ---- stderr
    note: made the directory `elsewhere`
    "#);
}

#[test]
fn where_the_kind_of_a_store_is_unknown_the_extension_decides() {
    let case = Case::new().file("dunlin.toml", "[stores.app]\nurl = \"${DATABASE_URL}\"\n");
    assert_snapshot!(case.run("new x"), @r#"
    exit 2
    ---- stderr
    error[unset-variable]: the environment variable `DATABASE_URL` is not set
     --> dunlin.toml:2:8
      |
    2 | url = "${DATABASE_URL}"
      |        ^^^^^^^^^^^^^^^ not set
      = help: set it, write it into `.env`, or give it a default: `${DATABASE_URL:-…}`

    `dunlin explain unset-variable` says more
    "#);
    assert!(case.run("new x --ext sql --quiet").ends_with("migrations/TIME_x.sql\n"));
    assert_snapshot!(case.run("new y --ext toml"), @r#"
    exit 0
    ---- stdout
    migrations/TIME_y.toml
    "#);
}

#[test]
fn a_name_must_say_something() {
    let case = Case::new().variable("DATABASE_URL", "sqlite:a.db");
    assert_snapshot!(case.run("new \" - \""), @r#"
    exit 2
    ---- stderr
    error[bad-name]: ` - ` has no letter and no digit
      = help: say what it does in a few words: `dunlin new add users`

    `dunlin explain bad-name` says more
    "#);
    assert!(!case.path().join("migrations").exists());
}

#[test]
fn many_at_once_never_write_over_one_another() {
    let case = Case::new().variable("DATABASE_URL", "sqlite:a.db");
    let start = || case.command("new same name --quiet").stdout(Stdio::null()).spawn().unwrap();
    let children: Vec<_> = (0..10).map(|_| start()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let names: BTreeSet<String> = fs::read_dir(case.path().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 10, "{names:?}");
    assert!(names.iter().all(|name| name.ends_with("_same_name.sql") && !name.starts_with('.')), "{names:?}");
}
