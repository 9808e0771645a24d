//! Statements that fail: where the fault is in the user's own file, what stayed, what to run next.

use dunlin_testkit::Kind;

use super::{Bench, says};

over!([postgres, mysql, sqlite]
    a_syntax_error_is_shown_in_our_file_and_the_corrected_file_goes_on,
    a_fault_in_a_later_file_leaves_the_earlier_ones,
    a_fault_in_a_toml_step_is_shown_there,
    a_unique_violation_is_shown_and_the_rows_are_undone,
    a_foreign_key_violation_is_shown,
    an_unknown_table_is_pointed_at,
    a_fault_after_letters_of_many_bytes_is_pointed_at,
);
over!([postgres] copied_rows_arrive, a_bad_copied_row_is_shown, a_fault_inside_a_function_says_where);

async fn a_syntax_error_is_shown_in_our_file_and_the_corrected_file_goes_on(kind: Kind) {
    let bench = Bench::new(kind).await;
    let text = "-- Up\ncreate table a (id integer primary key);\ncreate table b (\n  id integer primary key,\n  n integr not nul\n);\ncreate table c (id integer primary key);\n";
    // SQLite takes any word for a type, and an unknown constraint is no fault either: this is one everywhere.
    let text = text.replace("n integr not nul", "n integer not not null");
    bench.write("1_tables.sql", &text);
    let run = bench.run("up").expect_code(1);
    says(&run, &["migrations/1_tables.sql:5:17", "dunlin up", "left behind"]);
    let is_kept = kind == Kind::Mysql;
    let stayed = if is_kept { "the statement before it stayed" } else { "nothing of it stayed" };
    says(&run, &[stayed]);
    let exists = bench.db.connect().await.rows("select count(*) from a").await.is_ok();
    assert_eq!(exists, is_kept);
    // A second run says the same and changes nothing.
    let again = bench.run("up").expect_code(1);
    says(&again, &["migrations/1_tables.sql:5:17", stayed]);
    bench.write("1_tables.sql", &text.replace("not not", "not"));
    bench.up();
    for table in ["a", "b", "c"] {
        assert_eq!(bench.db.number(&format!("select count(*) from {table}")).await, 0);
    }
    assert_eq!(bench.states().await, ["1 done"]);
    says(&bench.up(), &["nothing to do"]);
}

async fn a_fault_in_a_later_file_leaves_the_earlier_ones(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id integer primary key);");
    bench.write("2_b.sql", "create table b (id integer primary key);\nselect * frm b;\n");
    bench.write("3_c.sql", "create table c (id integer primary key);");
    let run = bench.run("up").expect_code(1);
    says(&run, &["migrations/2_b.sql:2:1"]);
    assert!(bench.db.connect().await.rows("select * from c").await.is_err());
    assert_eq!(bench.states().await[0], "1 done");
    bench.write("2_b.sql", "create table b (id integer primary key);\nselect * from b;\n");
    bench.up();
    assert_eq!(bench.states().await, ["1 done", "2 done", "3 done"]);
}

async fn a_fault_in_a_toml_step_is_shown_there(kind: Kind) {
    let bench = Bench::new(kind).await;
    let text = "summary = \"rows\"\n\n[[expand]]\nstore = \"app\"\nsql = '''\ncreate table a (id integer primary key);\n'''\nundo = 'drop table a'\n\n[[expand]]\nstore = \"app\"\nsql = 'insert into aa values (1)'\n";
    bench.write("1_a.toml", text);
    let run = bench.run("up").expect_code(1);
    says(&run, &["migrations/1_a.toml:12:"]);
    bench.write("1_a.toml", &text.replace("aa", "a"));
    bench.up();
    assert_eq!(bench.db.number("select count(*) from a").await, 1);
}

async fn a_unique_violation_is_shown_and_the_rows_are_undone(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "create table a (id integer primary key, n integer not null);");
    bench.write("2_b.sql", "insert into a values (1, 1);\ninsert into a values (2, 2), (1, 3);\n");
    let run = bench.run("up").expect_code(1);
    says(&run, &["migrations/2_b.sql:2:1", "nothing of it stayed"]);
    assert_eq!(bench.db.number("select count(*) from a").await, 0);
    bench.write("2_b.sql", "insert into a values (1, 1);\ninsert into a values (2, 2), (3, 3);\n");
    bench.up();
    assert_eq!(bench.db.number("select sum(n) from a").await, 6);
}

async fn a_foreign_key_violation_is_shown(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write(
        "1_a.sql",
        "create table a (id integer primary key);\n\
         create table b (id integer primary key, a integer not null, foreign key (a) references a (id));",
    );
    bench.write("2_b.sql", "insert into b values (1, 7);\n");
    let run = bench.run("up").expect_code(1);
    says(&run, &["migrations/2_b.sql:1:1", "nothing of it stayed"]);
    bench.write("2_b.sql", "insert into a values (7);\ninsert into b values (1, 7);\n");
    bench.up();
}

async fn an_unknown_table_is_pointed_at(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "-- Up\nupdate\n  nowhere set n = 1;\n");
    let place = if kind == Kind::Mysql { "migrations/1_a.sql:2:1" } else { "migrations/1_a.sql:3:3" };
    says(&bench.run("up").expect_code(1), &[place]);
}

async fn a_fault_after_letters_of_many_bytes_is_pointed_at(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "/* ünïcödé 日本語 */ select 'äöü日本' frm frm nowhere where;\n");
    says(&bench.run("up").expect_code(1), &["migrations/1_a.sql:1:38"]);
}

async fn copied_rows_arrive(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write(
        "1_a.sql",
        "create table a (id int primary key, name text);\nCOPY a (id, name) FROM stdin;\n1\tone; 'x'\n2\t\\N\n\\.\ninsert into a values (3, 'three');\n",
    );
    bench.up();
    assert_eq!(
        bench.db.value("select string_agg(coalesce(name, '-'), ',' order by id) from a").await.unwrap(),
        "one; 'x',-,three"
    );
}

async fn a_bad_copied_row_is_shown(kind: Kind) {
    let bench = Bench::new(kind).await;
    let text = "create table a (id int primary key, name text);\nCOPY a FROM stdin;\n1\tone\nx\ttwo\n\\.\n";
    bench.write("1_a.sql", text);
    let run = bench.run("up").expect_code(1);
    says(&run, &["migrations/1_a.sql:2:1", "COPY a, line 2"]);
    bench.write("1_a.sql", &text.replace("x\t", "2\t"));
    bench.up();
    assert_eq!(bench.db.number("select count(*) from a").await, 2);
}

async fn a_fault_inside_a_function_says_where(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench.write("1_a.sql", "do $$\nbegin\n  perform 1 / 0;\nend $$;\n");
    says(&bench.run("up").expect_code(1), &["migrations/1_a.sql:1:1", "division by zero", "PL/pgSQL"]);
}
