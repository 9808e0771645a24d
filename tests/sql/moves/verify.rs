//! Comparing: what is listed is exactly what is wrong.

use dunlin_testkit::Kind;
use dunlin_testkit::fault::When;

use super::super::{Bench, says};
use super::{SMALL, run, series};

over!([postgres, mysql, sqlite]
    what_a_writer_left_out_is_listed_and_repaired_by_a_second_pass,
    rows_that_differ_are_listed_with_both_values,
    two_tables_are_compared_key_by_key,
    tables_of_which_one_goes_further_are_compared_in_small_parts,
    tables_whose_keys_do_not_match_are_refused,
    a_sample_sees_what_is_wrong_everywhere,
    a_sample_is_of_as_many_rows_as_were_asked_for,
    a_verify_that_is_killed_goes_on_and_finds_the_same,
    steps_that_look_are_for_verify_alone,
    nothing_that_a_verify_step_is_made_of_can_write,
);

async fn users(bench: &Bench, count: u32) {
    let text = if bench.db.kind == Kind::Mysql { "varchar(60)" } else { "text" };
    let name = if bench.db.kind == Kind::Mysql { "concat('f', i)" } else { "'f' || i" };
    bench
        .db
        .sql(&format!(
            "create table users (id integer primary key, first {text}, full_name {text}); insert into users (id, first) select i, {name} from {}",
            series(bench.db.kind, count)
        ))
        .await;
}

const FILL: &str = "[[backfill]]\nstore = \"app\"\nupdate = { table = \"users\", set = { full_name = \"upper(first)\" }, where = \"full_name is null\" }\n";
const NONE: &str =
    "[[verify]]\nstore = \"app\"\nnone = { table = \"users\", where = \"full_name is null\" }\n";
const SAME: &str = "[[verify]]\nstore = \"app\"\nsame = { table = \"users\", expr = \"full_name\", as = \"upper(first)\" }\n";

async fn what_a_writer_left_out_is_listed_and_repaired_by_a_second_pass(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 12_000).await;
    bench.write("1_fill.toml", FILL);
    bench.up();
    // An old version of the application writes as it always did.
    bench.db.sql("insert into users (id, first) values (0, 'a'), (12345, 'b'); update users set full_name = null where id = 6789").await;
    bench.write("2_check.toml", &(NONE.to_owned() + SAME));
    let found = bench.run("up").expect_code(14);
    says(&found, &["id = 0", "id = 6789", "id = 12345"]);
    assert!(!found.stderr.contains("id = 1\n") && !found.stdout.contains("id = 1\n"), "{found}");
    bench.write("3_again.toml", &(FILL.to_owned() + NONE + SAME));
    bench.write("2_check.toml", "[[expand]]\nstore = \"app\"\nsql = \"select 1\"\n");
    bench.up();
}

async fn rows_that_differ_are_listed_with_both_values(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 7000).await;
    bench.write("1_fill.toml", FILL);
    bench.up();
    bench.db.sql("update users set full_name = 'wrong' where id = 5555; update users set full_name = null where id in (3, 6999)").await;
    bench.write("2_check.toml", SAME);
    let found = bench.run("up").expect_code(14);
    says(&found, &["id = 3", "id = 5555", "wrong", "F5555", "id = 6999", "NULL"]);
    // More than can be shown are counted.
    bench.db.sql("update users set full_name = 'wrong' where id > 100").await;
    let found = bench.run("up").expect_code(14);
    says(&found, &["6,881 more"]);
    bench.db.sql("update users set full_name = upper(first)").await;
    bench.up();
}

async fn two_tables_are_compared_key_by_key(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 7000).await;
    let text = if kind == Kind::Mysql { "varchar(60)" } else { "text" };
    bench.db.sql(&format!("create table people (person integer primary key, name {text}); insert into people select id, first from users")).await;
    bench.write(
        "1_check.toml",
        "[[verify]]\nstore = \"app\"\nsame = { table = \"users\", expr = \"first\", with = { table = \"people\", expr = \"name\" } }\n",
    );
    bench
        .db
        .sql("delete from people where person = 77; delete from users where id = 5001; update people set name = 'x' where person = 6000; \
              insert into people values (0, 'zero'), (7001, 'last'); update users set first = null where id = 2; update people set name = null where person = 2")
        .await;
    let found = bench.run("up").expect_code(14);
    says(
        &found,
        &[
            "id = 77",
            "(no such row)",
            "id = 5001",
            "id = 6000",
            "f6000",
            "people: x",
            "id = 0",
            "zero",
            "id = 7001",
        ],
    );
    let listed = found.stderr.matches("id = ").count().max(found.stdout.matches("id = ").count());
    assert_eq!(listed, 5, "{found}");
    bench
        .db
        .sql("delete from people where person in (0, 7001, 5001); update people set name = 'f6000' where person = 6000; insert into people values (77, 'f77')")
        .await;
    bench.up();
}

async fn tables_of_which_one_goes_further_are_compared_in_small_parts(kind: Kind) {
    let bench = Bench::new(kind).await;
    let wide = if kind == Kind::Mysql { "bigint unsigned" } else { "bigint" };
    let big = 5_000_000_000_i64;
    // One has three rows, the other one thousands after each of the last two.
    bench
        .db
        .sql(&format!(
            "create table few (id integer primary key, n integer); create table many (id {wide} not null primary key, n integer); \
             insert into few values (1, 1), (6000, 1), (2000000000, 1); insert into many values (1, 1), (6000, 1), (2000000000, 1); \
             insert into many select i + 6000, 1 from {}; insert into many select i + {big}, 1 from {}",
            series(kind, 4000),
            series(kind, 9000),
        ))
        .await;
    let same = "[[verify]]\nstore = \"app\"\nsame = { table = \"few\", expr = \"n\", with = { table = \"many\", expr = \"n\" } }\n";
    bench.write("1_check.toml", same);
    let found = bench.run("up --json").expect_code(14);
    says(&found, &["id = 6001", "\"violations_unlisted\":12980"]);
    bench.db.sql(&format!("delete from many where id > {big} or id between 6001 and 10000")).await;
    bench.up();
    // Nothing on one side at all.
    bench.db.sql("delete from few").await;
    bench.write("2_check.toml", same);
    says(&bench.run("up").expect_code(14), &["id = 6000", "(no such row)"]);
}

async fn tables_whose_keys_do_not_match_are_refused(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench
        .db
        .sql("create table a (id integer primary key, n integer); create table b (x integer not null, y integer not null, n integer, primary key (x, y))")
        .await;
    bench.write(
        "1_check.toml",
        "[[verify]]\nstore = \"app\"\nsame = { table = \"a\", expr = \"n\", with = { table = \"b\", expr = \"n\", key = [\"x\", \"y\"] } }\n"
    );
    let run = bench.run("up");
    says(&run, &["a by id", "b by x, y", "`key`"]);
    assert_ne!(run.code, Some(0));
}

async fn a_sample_sees_what_is_wrong_everywhere(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 5000).await;
    bench.write("1_check.toml", &SAME.replace(" }", ", sample = 40 }"));
    let found = bench.run("up").expect_code(14);
    says(&found, &["NULL"]);
    bench.db.sql("update users set full_name = upper(first)").await;
    bench.up();
}

async fn a_sample_is_of_as_many_rows_as_were_asked_for(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 1003).await;
    bench.db.sql("delete from users where id % 7 = 3; update users set full_name = '?'").await;
    let rows = bench.db.number("select count(*) from users where id > 500").await;
    let other = ", with = { table = \"users\", expr = \"first\" }";
    for (number, (more, expected)) in [
        (", sample = 37 }".to_owned(), 37),
        (", sample = 600 }".to_owned(), 600),
        (", where = \"id > 500\", sample = 90 }".to_owned(), 90),
        (", where = \"id > 500\", sample = 5000 }".to_owned(), rows),
        (format!("{other}, sample = 41 }}"), 41),
        (", where = \"id > 5000\", sample = 5 }".to_owned(), 0),
    ]
    .into_iter()
    .enumerate()
    {
        let text = if more.contains("with") {
            SAME.replace(", as = \"upper(first)\"", "").replace(" }", &more)
        } else {
            SAME.replace(" }", &more)
        };
        bench.write("1_check.toml", &text);
        // By the way of a run that goes on where another one stopped, too.
        let pace = ["", SMALL][number % 2];
        let run = if pace.is_empty() {
            bench.run("up --json")
        } else {
            super::run(&bench, "up", pace, None);
            bench.run("up --json")
        };
        let listed = run.stdout.matches("\"record\"").count();
        let unlisted = run.stdout.split("\"violations_unlisted\":").nth(1);
        let unlisted = unlisted.and_then(|rest| {
            rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<usize>().ok()
        });
        let all = listed + unlisted.unwrap_or_default();
        assert_eq!(i64::try_from(all).unwrap(), expected, "{text}\n{run}");
    }
    // Spread over all of them: the last one is among them.
    let last = bench.db.number("select max(id) from users").await;
    bench.db.sql(&format!("update users set full_name = upper(first) where id <> {last}")).await;
    bench.write("2_check.toml", &SAME.replace(" }", ", sample = 600 }"));
    says(&bench.run("up").expect_code(14), &[&format!("id = {last}")]);
}

async fn a_verify_that_is_killed_goes_on_and_finds_the_same(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 1300).await;
    bench.db.sql("update users set full_name = upper(first) where id not in (5, 700, 1299)").await;
    bench.write("0_first.sql", "select 1;");
    bench.up();
    bench.write("1_check.toml", SAME);
    let mut kept = 0;
    for at in 1.. {
        let killed = run(&bench, "up", SMALL, Some((at, When::After)));
        kept += bench.db.number("select count(*) from dunlin_history where checkpoint like '%found%'").await;
        if killed.signal.is_none() {
            break;
        }
    }
    assert!(kept > 3, "a position was kept {kept} times only");
    let found = bench.run("up").expect_code(14);
    says(&found, &["id = 5", "id = 700", "id = 1299"]);
}

async fn steps_that_look_are_for_verify_alone(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 1).await;
    bench.write("1_a.toml", &(SAME.replace("verify", "backfill") + &FILL.replace("backfill", "verify")));
    let refused = bench.run("check");
    says(&refused, &["read-outside-verify", "verify-writes"]);
    // The query that finds nothing, as a text.
    bench.write("1_a.toml", "[[verify]]\nstore = \"app\"\nnone = \"select id from users where id > 1\"\n");
    bench.up();
}

async fn nothing_that_a_verify_step_is_made_of_can_write(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 30).await;
    let function = match kind {
        Kind::Postgres => {
            "create function bad(x integer) returns boolean language sql as $$ delete from users where id = x; select true $$"
        }
        Kind::Mysql => {
            "create function bad(x integer) returns integer modifies sql data begin insert into log values (x); return 1; end"
        }
        _ => "select 1",
    };
    bench.db.sql("create table log (id integer)").await;
    bench.db.sql(function).await;
    let of_function: &[&str] =
        &["none = { table = \"users\", where = \"bad(id)\" }", "sql = \"select bad(id) from users\""];
    let steps = match kind {
        Kind::Postgres => &[
            "none = \"with x as (delete from users where id < 10 returning id) select id from x where false\"",
            "sql = \"explain analyze delete from users\"",
            "none = \"select id into spare from users\"",
            of_function[0],
        ],
        Kind::Mysql => of_function,
        _ => &[
            "none = \"with x as (select 1) delete from users where id < 10\"",
            "sql = \"pragma user_version = 7\"",
        ],
    };
    for step in steps {
        bench.write("1_check.toml", &format!("[[verify]]\nstore = \"app\"\n{step}\n"));
        let refused = bench.run("up").expect_code(1);
        says(&refused, &["a verify step would write, where it may only look", "1_check.toml:"]);
    }
    assert_eq!(bench.db.number("select count(*) from users").await, 30);
    assert_eq!(bench.db.number("select count(*) from log").await, 0);
    // What comes after it in the same run writes as ever; of what was found, some is shown and all is counted.
    bench
        .write("1_check.toml", "[[verify]]\nstore = \"app\"\nnone = \"select id from users where id < 0\"\n");
    bench.write("2_fill.toml", FILL);
    bench.up();
    assert_eq!(bench.db.number("select count(*) from users where full_name is null").await, 0);
    bench.write("3_check.toml", "[[verify]]\nstore = \"app\"\nnone = \"select id from users\"\n");
    says(&bench.run("up").expect_code(14), &["10 more"]);
}
