//! What a way back would stumble over in the rows is said before any of it runs, and where to mend it.

use super::super::{Bench, says};
use super::shape;
use dunlin_testkit::Kind;

over!([postgres, mysql, sqlite] rows_that_a_rule_would_not_take_are_named_before_a_way_back);

async fn rows_that_a_rule_would_not_take_are_named_before_a_way_back(kind: Kind) {
    let bench = Bench::new(kind).await;
    bench
        .db
        .sql(
            "create table par (id integer primary key); insert into par values (1), (2); \
             create table users (id integer primary key, p integer, s varchar(9) not null, e varchar(9), a integer, b integer, \
             constraint less check (a < b), constraint one unique (e), constraint of_par foreign key (p) references par (id)); \
             create unique index two on users (b); insert into users values (1, 1, 'a', 'e', 1, 2), (2, 2, 'b', 'f', 3, 4)",
        )
        .await;
    let cases = [
        (
            "drop_column = { table = 'users', column = 's' }",
            "insert into users (id) values (3)",
            "have no `s`",
        ),
        (
            "drop_column = { table = 'users', column = 'p' }",
            "delete from par where id = 2",
            "point at none of `par`",
        ),
        (
            "drop_column = { table = 'users', column = 'a' }",
            "update users set b = 0 where id = 1",
            "break the check",
        ),
        (
            "drop_column = { table = 'users', column = 'e', down = \"'x'\" }",
            "insert into users (id, s) values (3, 'c'), (4, 'd')",
            "hold the same",
        ),
        (
            "drop_index = { table = 'users', name = 'two' }",
            "update users set b = 4 where id = 1",
            "hold the same",
        ),
    ];
    let mends = [
        "delete from users where id = 3",
        "insert into par values (2)",
        "update users set b = 2 where id = 1",
        "delete from users where id > 3",
        "update users set b = 2 where id = 1",
    ];
    for ((change, write, words), mend) in cases.into_iter().zip(mends) {
        let before = shape(&bench).await;
        bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\n{change}\n"));
        bench.run("up --contract").expect_code(0);
        bench.db.sql(write).await;
        let after = shape(&bench).await;
        let run = bench.run("down --allow-data-loss");
        assert_eq!(run.code, Some(1), "{change}\n{run}");
        says(&run, &[words, "nothing was changed"]);
        assert_eq!(shape(&bench).await, after, "{change}");
        bench.db.sql(mend).await;
        bench.run("down --allow-data-loss").expect_code(0);
        assert_eq!(shape(&bench).await, before, "{change}");
    }
}
