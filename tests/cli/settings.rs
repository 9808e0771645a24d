//! `dunlin.toml`, and what is said about a wrong one.

use insta::assert_snapshot;

use super::Case;

#[test]
fn every_fault_is_shown_at_once_and_no_password() {
    let case = Case::new().file(
        "dunlin.toml",
        "[stores.app]\r\nurl = \"postgres://shop:s3cret@db/shop\"\r\n\tlese = \"30s\"\r\n[stores.cache]\r\n\
         url = \"redis://:${PASSWORD}@h\"\r\nlock_timeout = \"soon\"\r\n[stores.日本]\r\nurl = \"sqlit:a.db\"\r\n",
    );
    assert_snapshot!(case.run("status"), @r#"
    exit 2
    ---- stderr
    warning[password-in-config]: a password stands in the configuration
     --> dunlin.toml:2:24
      |
    2 | url = "postgres://shop:******@db/shop"
      |                        ^^^^^^ readable by everybody who has the file
      = help: take it from the environment (`${DATABASE_URL}`) or from a file (`file:/run/secrets/…`)

    error[unknown-key]: unknown key `lese`
     --> dunlin.toml:3:2
      |
    3 |     lese = "30s"
      |     ^^^^ not known here
      = help: did you mean `lease`?

    error[unset-variable]: the environment variable `PASSWORD` is not set
     --> dunlin.toml:5:17
      |
    5 | url = "redis://:${PASSWORD}@h"
      |                 ^^^^^^^^^^^ not set
      = help: set it, write it into `.env`, or give it a default: `${PASSWORD:-…}`

    error[wrong-value]: a duration is expected here
     --> dunlin.toml:6:16
      |
    6 | lock_timeout = "soon"
      |                ^^^^^^ not a duration
      = help: a duration is a number with its unit: `500ms`, `30s`, `5m`, `1h30m`

    error[bad-toml]: invalid unquoted key, expected letters, numbers, `-`, `_`
     --> dunlin.toml:7:9
      |
    7 | [stores.日本]
      |         ^^^^ here

    error[unknown-scheme]: the url of `日本` has the scheme `sqlit`, which no kind of store answers to
     --> dunlin.toml:8:7
      |
    8 | url = "sqlit:a.db"
      |       ^^^^^^^^^^^^ this url
      = help: did you mean `sqlite`?

    `dunlin explain CODE` says more about each
    "#);
}

#[test]
fn faults_are_json_with_the_same_shape() {
    let case = Case::new().file("dunlin.toml", "[stores.app]\nurl = \"${NOPE}\"\n");
    assert_snapshot!(case.run("status --json"), @r#"
    exit 2
    ---- stdout
    {"schema":"dunlin.status/1","ok":false,"data":null,"diagnostics":[{"code":"unset-variable","severity":"error","message":"the environment variable `NOPE` is not set","file":"dunlin.toml","line":2,"column":8,"end_line":2,"end_column":15,"labels":[{"file":"dunlin.toml","line":2,"column":8,"end_line":2,"end_column":15,"message":"not set"}],"help":"set it, write it into `.env`, or give it a default: `${NOPE:-…}`","causes":[],"facts":{}}]}
    ---- stderr
    error[unset-variable]: the environment variable `NOPE` is not set
     --> dunlin.toml:2:8
      |
    2 | url = "${NOPE}"
      |        ^^^^^^^ not set
      = help: set it, write it into `.env`, or give it a default: `${NOPE:-…}`

    `dunlin explain unset-variable` says more
    "#);
}

#[test]
fn broken_toml_is_shown_at_its_place() {
    let case = Case::new().file("dunlin.toml", "[stores.app]\nurl = \"sqlite:a.db\nlock = auto\n");
    assert_snapshot!(case.run("plan"), @r#"
    exit 2
    ---- stderr
    error[bad-toml]: invalid basic string, expected `"`
     --> dunlin.toml:2:19
      |
    2 | url = "sqlite:a.db
      |                   ^ here

    error[bad-toml]: string values must be quoted, expected literal string
     --> dunlin.toml:3:8
      |
    3 | lock = auto
      |        ^^^^ here

    `dunlin explain bad-toml` says more
    "#);
}

#[test]
fn passwords_of_the_environment_appear_nowhere() {
    for (name, value) in
        [("DATABASE_URL", "oracle://u:s3cret@h/d"), ("MONGODB_URL", "u:s3cret@h"), ("REDIS_URL", "s3cret")]
    {
        let case = Case::new().variable(name, value);
        for line in ["status", "status --json", "status --verbose"] {
            let said = case.run(line);
            assert!(
                said.starts_with("exit 2\n") && said.contains(name) && !said.contains("s3cret"),
                "{said}"
            );
        }
    }
}

#[test]
fn without_anything_to_work_on_the_ways_out_are_listed() {
    assert_snapshot!(Case::new().run("up"), @r#"
    exit 2
    ---- stderr
    error[no-config]: there is no dunlin.toml here or above, and no url is given
      = help: `dunlin init` writes one; or set DATABASE_URL, MONGODB_URL or REDIS_URL; or give `--url`

    `dunlin explain no-config` says more
    "#);
}

#[test]
fn a_misspelt_environment_is_refused() {
    let case = Case::new()
        .file("dunlin.toml", "[stores.app]\nurl = \"sqlite:a.db\"\n[env.production]\nlock_wait = \"1h\"\n");
    assert_snapshot!(case.run("up --env prodction"), @r#"
    exit 2
    ---- stderr
    error[unknown-env]: no environment is called `prodction`
      = help: did you mean `production`?

    `dunlin explain unknown-env` says more
    "#);
}
