//! What a plan shows of a change is what will run, the later steps included, and the way back.

use super::super::{Bench, says};
use super::shape;
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite]
    later_steps_are_drawn_for_what_earlier_ones_make,
    what_cannot_be_foreseen_is_marked,
    a_plan_that_was_looked_at_is_the_one_that_runs,
);

fn change(text: &str) -> String {
    format!("[[change]]\nstore = 'app'\n{text}\n")
}

async fn users(kind: Kind) -> Bench {
    let bench = Bench::new(kind).await;
    let columns = "id integer primary key, email varchar(40) not null, age varchar(9) default '7'";
    bench.db.sql(&format!("create table users ({columns}); create index users_email on users (email); insert into users values (1, 'a', '5')")).await;
    bench
}

const RENAME: &str = "rename_column = { table = 'users', from = 'email', to = 'mail' }";

async fn later_steps_are_drawn_for_what_earlier_ones_make(kind: Kind) {
    let bench = users(kind).await;
    let before = shape(&bench).await;
    bench.write("1_change.toml", &change(RENAME));
    let plan = bench.run("plan --contract");
    let (finish, aside): (&str, &str) = match kind {
        Kind::Postgres => (
            r#"create index concurrently "users_mail" on "users" using btree ("mail")"#,
            r#"rename column "email" to "dunlin_archive_1_1_email""#,
        ),
        Kind::Mysql => {
            ("add index `users_mail` (`mail`)", "change `email` `dunlin_archive_1_1_email` varchar(40) null")
        }
        _ => (
            r#"create index "users_mail" on "users" ("mail")"#,
            r#"rename column "email" to "dunlin_archive_1_1_email""#,
        ),
    };
    says(&plan, &[finish, aside, "drop trigger"]);
    assert!(
        !plan.stdout.contains("as far as is known") && !plan.stdout.contains("hang on the table"),
        "{plan}"
    );
    assert_eq!(shape(&bench).await, before, "it only looks");

    bench.run("up --contract").expect_code(0);
    let back = bench.run("down --dry-run").expect_code(0);
    let again = match kind {
        // What was NOT NULL is so again, which only the journal knows.
        Kind::Postgres => r#"alter column "email" set not null"#,
        Kind::Mysql => "`email` varchar(40) not null",
        _ => r#"rename column "dunlin_archive_1_1_email" to "email""#,
    };
    says(&back, &[again]);
    assert!(!back.stdout.contains("hang on the table"), "{back}");
    bench.run("down").expect_code(0);
    assert_eq!(shape(&bench).await, before);

    bench.write("1_change.toml", &change("drop_index = { table = 'users', name = 'users_email' }"));
    bench.run("up --contract").expect_code(0);
    let index = match kind {
        Kind::Postgres => r#"create index concurrently "users_email" on "users" using btree (email)"#,
        Kind::Mysql => "add index `users_email` (`email`)",
        _ => r#"create index "users_email" on "users" ("#,
    };
    says(&bench.run("down --dry-run").expect_code(0), &[index]);
}

async fn what_cannot_be_foreseen_is_marked(kind: Kind) {
    let bench = users(kind).await;
    bench.write(
        "1_a.sql",
        "-- Up\nalter table users add column extra integer;\n-- Down\nalter table users drop column extra;\n",
    );
    bench.write("2_b.toml", &change("rename_column = { table = 'users', from = 'extra', to = 'more' }"));
    let plan = bench.run("plan");
    says(&plan, &["add column"]);
    assert!(plan.stdout.contains("more") && !plan.stdout.contains("would be refused"), "{plan}");
    bench.write(
        "1_a.sql",
        "-- Up\ncreate table teams (id integer primary key, name varchar(9));\n-- Down\ndrop table teams;\n",
    );
    bench.write("2_b.toml", &change("rename_column = { table = 'teams', from = 'name', to = 'title' }"));
    says(&bench.run("plan"), &["as far as is known now", "teams"]);
    bench.remove("1_a.sql");
    bench.write("2_b.toml", &change("add_column = { table = 'users', column = 'age', type = 'integer' }"));
    says(&bench.run("plan"), &["would be refused: `users` has a column `age` already"]);
    bench.remove("2_b.toml");
    bench.write("3_c.toml", &change(RENAME));
    bench.up();
}

/// Every statement of the plan is one that runs: after it, the plan of the same steps is empty of changes.
async fn a_plan_that_was_looked_at_is_the_one_that_runs(kind: Kind) {
    let bench = users(kind).await;
    let (int, text) = if kind == Kind::Mysql { ("signed", "char") } else { ("integer", "varchar(9)") };
    let changes = change(RENAME)
        + &change(&format!(
            "change_type = {{ table = 'users', column = 'age', type = 'integer', up = 'cast(age as {int})', down = 'cast(age as {text})' }}"
        ))
        + &change("add_check = { table = 'users', name = 'grown', check = 'id > 0' }")
        + &change("add_unique = { table = 'users', columns = 'mail' }");
    bench.write("1_change.toml", &changes);
    let whole = bench.run("plan --contract");
    assert!(
        !whole.stdout.contains("as far as is known") && !whole.stdout.contains("hang on the table"),
        "{whole}"
    );
    bench.up();
    // What is left is what was said of it before the first half ran.
    let rest = bench.run("plan --contract");
    for line in rest.stdout.lines().filter(|line| line.starts_with("    ")) {
        // The server spells some types its own way, once it has them.
        let line = line.replace("int(11)", "integer");
        assert!(whole.stdout.contains(&line), "{line:?} was not foreseen\n{whole}\n{rest}");
    }
    bench.run("up --contract").expect_code(0);
    bench.run("down").expect_code(0);
}
