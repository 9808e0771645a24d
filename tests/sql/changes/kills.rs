//! Kills at every place of a change's life: what runs after goes on, or back, as if nothing had been.

use dunlin_testkit::Kind;
use dunlin_testkit::fault::{When, stride};
use dunlin_testkit::proxy::{Loss, Proxy, Trigger};

use super::super::Bench;
use super::super::moves::run;
use super::shape;

over!([postgres, mysql, sqlite]
    a_change_killed_at_any_call_comes_to_its_end_and_back,
    a_change_killed_at_any_call_can_turn_round,
);
over!([postgres, mysql] a_change_cut_at_any_request_comes_to_its_end_and_back);

/// As fast as it goes.
const PACE: &str = "250 1000000000 1";

const OLD: &str = "select id, email, age from users order by id";

/// A table with what hangs on a column, and two changes of it in one migration.
async fn prepared(kind: Kind) -> (Bench, Vec<String>, Vec<Vec<Option<String>>>) {
    let bench = Bench::new(kind).await;
    let columns = "email varchar(40) not null, age varchar(9) default '7', constraint users_email unique (email), constraint teams_of foreign key (email) references teams (name)";
    bench.db.sql(&format!("create table teams (name varchar(40) primary key); insert into teams values ('a'), ('b'), ('c'); create table users (id integer primary key, {columns}); create index users_age on users (age); insert into users values (1, 'a', '5'), (2, 'b', null)")).await;
    let (int, text) = if kind == Kind::Mysql { ("signed", "char") } else { ("integer", "varchar(9)") };
    bench.write("1_change.toml", &format!("[[change]]\nstore = 'app'\nrename_column = {{ table = 'users', from = 'email', to = 'mail' }}\n[[change]]\nstore = 'app'\nchange_type = {{ table = 'users', column = 'age', type = 'integer', up = 'cast(age as {int})', down = 'cast(age as {text})' }}\n"));
    let (shape, rows) = (shape(&bench).await, bench.db.rows(OLD).await);
    (bench, shape, rows)
}

async fn a_change_killed_at_any_call_comes_to_its_end_and_back(kind: Kind) {
    let (bench, before, rows) = prepared(kind).await;
    run(&bench, "contract", PACE, None).expect_code(0);
    let after = shape(&bench).await;
    run(&bench, "down", PACE, None).expect_code(0);
    assert_eq!(shape(&bench).await, before);
    for at in (1..).step_by(if kind == Kind::Mysql { stride(3) } else { 1 }) {
        let mut is_whole = true;
        for (direction, wanted) in [("contract", &after), ("down", &before)] {
            for when in When::ALL.into_iter().skip(at % 2).step_by(stride(2)) {
                let killed = run(&bench, direction, PACE, Some((at, when)));
                if killed.signal.is_some() {
                    is_whole = false;
                    run(&bench, direction, PACE, None).expect_code(0);
                } else {
                    killed.expect_code(0);
                }
                let found = shape(&bench).await;
                let other: Vec<_> = found.iter().filter(|line| !wanted.contains(line)).collect();
                assert_eq!(&found, wanted, "{direction}, killed {when} call {at}: {other:#?}");
            }
        }
        assert_eq!(bench.db.rows(OLD).await, rows, "killed at call {at}");
        if is_whole {
            assert!(at > 12, "it died at {at} calls only");
            break;
        }
    }
}

async fn a_change_killed_at_any_call_can_turn_round(kind: Kind) {
    let (bench, before, rows) = prepared(kind).await;
    for at in (1..).step_by(if kind == Kind::Mysql { stride(2) } else { 1 }) {
        let killed = run(&bench, "contract", PACE, Some((at, When::After)));
        run(&bench, "down", PACE, None).expect_code(0);
        assert_eq!(shape(&bench).await, before, "turned round after call {at}");
        assert_eq!(bench.db.rows(OLD).await, rows, "turned round after call {at}");
        if killed.signal.is_none() {
            break;
        }
    }
}

async fn a_change_cut_at_any_request_comes_to_its_end_and_back(kind: Kind) {
    let (bench, before, rows) = prepared(kind).await;
    bench.run("up --contract").expect_code(0);
    let after = shape(&bench).await;
    bench.run("down --allow-data-loss").expect_code(0);
    let proxy = Proxy::before(&bench.db.url);
    for at in (0..).step_by(stride(if kind == Kind::Mysql { 23 } else { 11 })) {
        let mut is_whole = true;
        for (line, wanted) in [("up --contract", &after), ("down --to 0 --allow-data-loss", &before)] {
            let cuts = proxy.cuts();
            proxy.cut_at(Trigger::next().later(at), if at % 2 == 0 { Loss::Request } else { Loss::Reply });
            let run = bench.run(&format!("{line} --url {}", proxy.url.expose()));
            assert!(matches!(run.code, Some(0 | 20)), "{line}, cut at request {at}: {run}");
            if proxy.cuts() > cuts {
                is_whole = false;
                bench.run(line).expect_code(0);
            }
            assert_eq!(&shape(&bench).await, wanted, "{line}, cut at request {at}\n{run}");
        }
        assert_eq!(bench.db.rows(OLD).await, rows, "cut at request {at}");
        if is_whole {
            assert!(at > 20, "it was cut at {at} requests only");
            break;
        }
    }
}
