//! What a step takes away that nothing brings back: said by `plan`, said by `up` before it runs, refused by `down`.

use dunlin_testkit::scratch::{self, Scratch};

use super::Case;

/// A migration of one step that takes something away, and what.
const STEPS: [(&str, &str, &str); 7] = [
    ("sqlite", "delete = { table = \"users\", where = \"id < 9\" }", "the rows of users where id < 9"),
    ("mongo", "delete_many = { collection = \"users\", filter = {} }", "documents of users"),
    (
        "mongo",
        "convert = { collection = \"users\", field = \"n\", to = \"int\", on_error = \"null\" }",
        "values of n that are no int, in users",
    ),
    (
        "mongo",
        "merge_into = { from = \"users\", into = \"people\", existing = \"replace\" }",
        "documents of people that have the _id of one that is merged",
    ),
    ("redis", "delete_keys = { keys = \"user_{id}\" }", "keys user_{id}"),
    (
        "redis",
        "rename_keys = { from = \"user_{id}\", to = \"user:{id}\", existing = \"replace\" }",
        "what keys user:{id} hold where they exist",
    ),
    (
        "redis",
        "copy_keys = { from = \"user_{id}\", to = \"user:{id}\", existing = \"replace\" }",
        "what keys user:{id} hold where they exist",
    ),
];

async fn scratch_of(kind: &str) -> Scratch {
    let scratch = match kind {
        "mongo" => scratch::mongo().await,
        "redis" => scratch::redis().await,
        _ => scratch::sqlite().await,
    };
    match kind {
        "sqlite" => {
            scratch.rows("create table users (id integer primary key)").await;
        }
        "redis" => {
            scratch.redis_command::<redis::Value>("set user_1 a").await;
        }
        _ => {}
    }
    scratch
}

fn case(scratch: &Scratch, step: &str) -> Case {
    let config = format!("[stores.app]\nurl = \"{}\"\n", scratch.url.expose());
    Case::new()
        .file("dunlin.toml", &config)
        .file("migrations/1_a.toml", &format!("[[backfill]]\nstore = \"app\"\n{step}\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_way_back_is_said_before_it_runs_and_refused_after() {
    for (kind, step, gone) in STEPS {
        let scratch = scratch_of(kind).await;
        let case = case(&scratch, step);
        let words = format!("takes away {gone}, with no way back");
        let plan = case.run("plan");
        assert!(plan.contains(&words), "{plan}");
        let plan = case.run("plan --json");
        assert!(plan.contains("\"irreversible\":true"), "{plan}");
        let up = case.run("up --json");
        let at =
            |word: &str| up.find(&format!("\"event\":\"{word}\"")).unwrap_or_else(|| panic!("{word}: {up}"));
        assert!(at("irreversible") < at("started") && up.contains(gone), "{up}");
        let down = case.run("down --allow-data-loss");
        assert!(down.starts_with("exit 1\n"), "{down}");
        let words = format!("1_a in `app`: it took away {gone}, and nothing to undo is written here");
        assert!(down.contains(&words) && down.contains("Three ways out"), "{down}");
        let case = case.file(
            "migrations/1_a.toml",
            &format!("[[backfill]]\nstore = \"app\"\n{step}\nno_op = \"rubbish\"\n"),
        );
        let plan = case.run("plan --down 1");
        assert!(plan.contains("nothing to undo"), "{plan}");
        case.done("down");
        let up = case.run("up");
        let (said, ran) = (up.find("with no way back: rubbish"), up.find("↑ app 1_a"));
        assert!(said.is_some() && said < ran, "{up}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_way_back_is_not_said_to_have_none() {
    let scratch = scratch_of("sqlite").await;
    let step = "delete = { table = \"users\", where = \"id < 9\" }\nundo = { sql = \"insert into users values (1)\" }";
    let case = case(&scratch, step);
    let plan = case.run("plan");
    assert!(plan.contains("takes away the rows of users where id < 9\n"), "{plan}");
    assert!(case.run("plan --json").contains("\"irreversible\":false"));
    assert!(!case.run("up").contains("no way back"));
}

/// Each of the ways out that `down` names, gone.
#[test]
fn a_mark_without_steps_has_three_ways_out_and_a_baseline_two() {
    let case = super::shop::stall();
    case.done("mark 1 done --reason x");
    let text = case.text("migrations/1_users.sql");
    case.done("mark 1 undone --reason x");
    std::fs::remove_file(case.path().join("migrations/1_users.sql")).unwrap();
    case.done("mark 1 done --reason \"by hand\"");
    let down = case.run("down --allow-data-loss");
    assert!(down.contains("`dunlin mark 1 done --reason …`") && down.contains("Three ways out"), "{down}");
    let case = case.file("migrations/1_users.sql", &text.replace("drop table", "drop table if exists"));
    case.done("mark 1 done --reason \"its file is back\"");
    case.done("down --allow-data-loss");

    case.done("baseline 1 --reason \"made by hand\"");
    let down = case.run("down --allow-data-loss");
    assert!(down.contains("Two ways out") && !down.contains("Down section"), "{down}");
    case.done("mark 1 undone --reason \"undone by hand\"");
    assert!(case.run("status").contains("pending"));
}
