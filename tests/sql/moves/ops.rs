//! What each op does, and what it takes back.

use dunlin_testkit::Kind;

use super::super::{Bench, says};
use super::{SMALL, run, series};

over!([postgres, mysql, sqlite]
    every_fault_of_a_step_is_said_at_once_where_it_stands,
    assignments_are_split_where_an_expression_ends,
    rows_are_made_in_another_table_and_deleted_on_the_way_back,
    a_row_that_exists_stops_the_copy_and_is_named_or_is_left_alone,
    a_plan_shows_the_statements_of_a_chunk,
    a_step_may_be_edited_half_way_as_long_as_it_goes_the_same_course,
    an_empty_table_is_gone_through_at_once,
);

/// A table `users` of so many rows, and an empty one, `people`.
async fn users(bench: &Bench, count: u32) {
    let text = if bench.db.kind == Kind::Mysql { "varchar(60)" } else { "text" };
    let names =
        if bench.db.kind == Kind::Mysql { "concat('f', i), concat('l', i)" } else { "'f' || i, 'l' || i" };
    bench
        .db
        .sql(&format!(
            "create table users (id integer primary key, first {text}, last {text}, full_name {text}); \
             insert into users (id, first, last) select i, {names} from {}; \
             create table people (person integer primary key, name {text})",
            series(bench.db.kind, count)
        ))
        .await;
}

/// First and last name as one.
fn both(kind: Kind) -> &'static str {
    if kind == Kind::Mysql { "concat(first, ' ', last)" } else { "first || ' ' || last" }
}

fn copy(kind: Kind, more: &str) -> String {
    format!(
        "[[backfill]]\nstore = \"app\"\ninsert_select = {{ from = \"users\", into = \"people\", values = {{ person = \"id\", name = \"{}\" }}, \
         where = \"id % 2 = 0\"{more} }}\nundo = {{ delete = {{ table = \"people\", where = \"true\" }} }}\n",
        both(kind)
    )
}

async fn rows_are_made_in_another_table_and_deleted_on_the_way_back(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 1500).await;
    bench.write("1_people.toml", &copy(kind, ""));
    for _ in 0..2 {
        run(&bench, "up", SMALL, None).expect_code(0);
        assert_eq!(bench.db.number("select count(*) from people where person % 2 = 0").await, 750);
        let name = bench.db.value("select name from people where person = 1234").await;
        assert_eq!(name.as_deref(), Some("f1234 l1234"));
        assert_eq!(bench.db.number("select rows_changed from dunlin_history").await, 750);
        run(&bench, "down", SMALL, None).expect_code(0);
        assert_eq!(bench.db.number("select count(*) from people").await, 0);
    }
}

async fn a_row_that_exists_stops_the_copy_and_is_named_or_is_left_alone(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 1500).await;
    bench.db.sql("insert into people values (1200, 'kept')").await;
    bench.write("1_people.toml", &copy(kind, ""));
    let stopped = bench.run("up").expect_code(1);
    says(&stopped, &["id = 1200"]);
    let copied = bench.db.number("select count(*) from people").await;
    assert!(copied < 751, "{copied}");
    bench.run("down --yes --allow-data-loss").expect_code(0);
    bench.db.sql("insert into people values (1200, 'kept')").await;
    bench.write("1_people.toml", &copy(kind, ", existing = \"skip\""));
    bench.up();
    assert_eq!(bench.db.number("select count(*) from people").await, 750);
    assert_eq!(bench.db.value("select name from people where person = 1200").await.as_deref(), Some("kept"));
}

async fn a_plan_shows_the_statements_of_a_chunk(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 10).await;
    bench.write("1_people.toml", &copy(kind, ", key = \"id\""));
    let plan = bench.run("plan --sql");
    let plan = if plan.code == Some(2) { bench.run("plan -v") } else { plan };
    says(&plan, &["insert into", ":after", "in chunks over users.id"]);
}

async fn a_step_may_be_edited_half_way_as_long_as_it_goes_the_same_course(kind: Kind) {
    let bench = Bench::new(kind).await;
    super::counters(&bench, 1300).await;
    bench.db.sql("create table other (id integer primary key, n integer)").await;
    run(&bench, "up", SMALL, Some((9, dunlin_testkit::fault::When::After)));
    let moved = bench.db.number("select sum(n) from t").await;
    assert!(moved > 0 && moved < 1300, "{moved}");
    bench.write("1_count.toml", &super::COUNT.replace("\"t\"", "\"other\""));
    says(&bench.run("up").expect_code(13), &["edited-halfway", "goes another course"]);
    assert_eq!(bench.db.number("select sum(n) from t").await, moved);
    let edited = super::COUNT.replace("\"n + 1\" }", "\"n + 2\" }, where = \"id <> 1299\"");
    bench.write("1_count.toml", &edited);
    says(&bench.up(), &["edited half-way", "come past with its former text"]);
    let sum = moved + 2 * (1300 - moved - 1);
    assert_eq!(
        bench.db.number("select sum(n) from t").await,
        sum,
        "each row once, with one text or the other"
    );
}

async fn an_empty_table_is_gone_through_at_once(kind: Kind) {
    let bench = Bench::new(kind).await;
    users(&bench, 0).await;
    let verify = "[[verify]]\nstore = \"app\"\nnone = { table = \"people\", where = \"name is null\" }\n\
                  [[verify]]\nstore = \"app\"\nsame = { table = \"people\", expr = \"name\", as = \"name\", sample = 10 }\n";
    bench.write("1_people.toml", &(copy(kind, "") + verify));
    bench.up();
    assert_eq!(bench.states().await, ["1 done"]);
}

async fn every_fault_of_a_step_is_said_at_once_where_it_stands(kind: Kind) {
    let bench = Bench::new(kind).await;
    let text = "[[backfill]]\nstore = \"app\"\nupdate = { table = \"a b\", set = { n = \"(1\", \"x.y\" = \"2\" }, wher = \"true\" }\n\
                [[backfill]]\nstore = \"app\"\ndelete = { table = \"t\" }\n\
                [[backfill]]\nstore = \"app\"\nupdate = { table = \"t\", set = \"n = 1; drop table t\" }\n\
                [[backfill]]\nstore = \"app\"\nupdate = { table = \"t\", set = \"id = 1, n 2\", key = \"id\" }\n\
                [[backfill]]\nstore = \"app\"\nupdate = { table = \"t\", set = { id = \"1\" }, key = \"id\" }\n\
                [[backfill]]\nstore = \"app\"\ninsert_select = { from = \"t\", into = \"u\", values = {}, existing = \"overwrite\" }\n\
                [[backfill]]\nstore = \"app\"\ndelete = { table = \"dunlin_history\", where = \"true\" }\n";
    bench.write("1_faults.toml", text);
    let run = bench.run("check");
    assert_ne!(run.code, Some(0), "{run}");
    let said = [
        "bad-sql-name",
        "a parenthesis is not closed",
        "unknown key `wher`",
        "`where`",
        "missing-key",
        "`where = \"true\"`",
        "a statement ends here",
        "bad-assignment",
        "key-changes",
        "empty-step",
        "own-tables",
        "\"skip\"",
        "1_faults.toml:9:",
    ];
    says(&run, &said);
}

async fn assignments_are_split_where_an_expression_ends(kind: Kind) {
    let bench = Bench::new(kind).await;
    let text = if kind == Kind::Mysql { "varchar(60)" } else { "text" };
    bench.db.sql(&format!("create table t (id integer primary key, a {text}, b integer, c {text}); insert into t (id) values (1), (2)")).await;
    let set = "a = coalesce(c, 'x, y = (') /* , c = 1 */, b = (select max(2) where 1 = 1), c = case when id = 1 then 'one' else 'more' end -- all";
    let set = if kind == Kind::Mysql { set.replace(" where 1 = 1", "") } else { set.to_owned() };
    bench.write(
        "1_t.toml",
        &format!("[[backfill]]\nstore = \"app\"\nupdate = {{ table = \"t\", set = \"{set}\" }}\n"),
    );
    bench.up();
    let rows = bench.db.rows("select a, b, c from t order by id").await;
    let row = |c: &str| ["x, y = (", "2", c].map(|text| Some(text.to_owned())).to_vec();
    assert_eq!(rows, [row("one"), row("more")]);
}

/// What looks may be corrected after it ran. What ran and wrote may not be one that looks by now.
#[tokio::test]
async fn a_step_that_wrote_is_edited_where_one_that_looks_takes_its_place() {
    let bench = Bench::new(Kind::Sqlite).await;
    let look =
        |id: u32| format!("[[verify]]\nstore = \"app\"\nnone = \"select id from t where id > {id}\"\n");
    bench.write("0_t.sql", "create table t (id integer primary key, n integer not null default 0);\ninsert into t (id) values (1);");
    let write = "[[backfill]]\nstore = \"app\"\nupdate = { table = \"t\", set = { n = \"n + 1\" } }\n";
    bench.write("1_a.toml", &format!("{write}{}", look(7)));
    bench.up();
    bench.write("1_a.toml", &format!("{write}{}", look(8)));
    for line in ["status", "check", "plan", "up"] {
        says(&bench.run(line).expect_code(0), &["warning[reformatted]"]);
    }
    bench.write("1_a.toml", &format!("{}{}", look(6), look(7)));
    for line in ["status --exit-code", "check", "plan", "up", "up --dry-run"] {
        let run = bench.run(line).expect_code(13);
        says(&run, &["error[edited]: 1_a was edited after it ran: its step 1 is not the one that ran"]);
    }
    bench.run("mark 1 done --reason kept").expect_code(0);
    bench.up();
    bench.write("1_a.toml", &format!("{}{}", look(6), look(9)));
    says(&bench.up(), &["warning[reformatted]"]);
}
