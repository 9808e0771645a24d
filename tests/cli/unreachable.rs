//! Stores that cannot be reached, and passwords that must not be seen.

use insta::assert_snapshot;

use super::Case;

/// The same password as it stands in a url, and as it is.
const SPELLINGS: [&str; 2] = ["s%40cret%2Fword", "s@cret/word"];

fn case(scheme: &str) -> Case {
    let url = format!("{scheme}://ann:{}@127.0.0.1:1/shop", SPELLINGS[0]);
    Case::new()
        .variable("DATABASE_URL", &url)
        .file("migrations/1_users.sql", "create table users (id int);\n")
}

#[test]
fn the_way_out_is_said() {
    assert_snapshot!(case("postgres").said("up"), @r#"
    exit 20
    ---- stderr
    error[cannot-connect]: cannot connect: Connection refused (os error 111)
      = url: postgres://ann:***@127.0.0.1:1/shop
      = store: app
      = help: is the server running there? `--wait 30s` waits for one that is starting, `dunlin doctor` looks at every store

    `dunlin explain cannot-connect` says more
    "#);
}

#[test]
fn a_password_is_never_printed() {
    let commands = [
        "status",
        "plan",
        "history",
        "history 1",
        "check",
        "lock status",
        "up",
        "contract 1",
        "down",
        "redo",
        "doctor",
        "baseline 1 --reason x",
        "mark 1 done --reason x",
        "lock release -y",
    ];
    for scheme in ["postgres", "mysql"] {
        let case = case(scheme);
        for command in commands {
            for form in ["", "-v", "--json", "-v --json"] {
                let said = case.run(&format!("{command} {form}"));
                assert!(said.starts_with("exit 20\n"), "{command}: {said}");
                let shown = SPELLINGS.iter().any(|spelling| said.contains(spelling));
                assert!(!shown && !said.contains("cret"), "{command}: {said}");
            }
        }
    }
}

#[test]
fn a_server_that_is_still_starting_is_waited_for() {
    let began = std::time::Instant::now();
    assert!(case("postgres").run("status --wait 700ms").starts_with("exit 20\n"));
    assert!(began.elapsed() >= std::time::Duration::from_millis(700));
}
