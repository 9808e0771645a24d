use dunlin_core::Op as _;

use super::*;
use crate::dialect::Dialect::{MySql, Postgres, Sqlite};

fn expr(text: &str) -> Expr {
    Expr { text: text.into(), canonical: text.into(), span: None }
}

fn update(dialect: Dialect, key: &[&str]) -> Move {
    let key = (!key.is_empty()).then(|| key.iter().map(|name| (*name).to_owned()).collect());
    let table = Name { schema: None, name: "users".to_owned() };
    let rows = Rows { table, filter: Some(expr("b is null -- not yet")), key };
    Move { dialect, verb: Verb::Update { set: vec![("b".to_owned(), expr("a"))] }, rows, is_silent: false }
}

fn shown(dialect: Dialect, key: &[&str]) -> Vec<String> {
    update(dialect, key).preview().into_iter().map(|line| line.text).collect()
}

#[test]
fn a_plan_shows_what_is_sent_with_the_places_of_values() {
    assert_eq!(
        shown(Sqlite, &["id"]),
        [
            r#"select "id" from "users" where "id" > :after and "id" <= :until order by "id" limit 1 offset :rows_less_one"#,
            "update \"users\" set \"b\" = (a) where \"id\" > :after and \"id\" <= :until and (b is null -- not yet\n)",
        ]
    );
    let lines = update(Postgres, &[]).preview();
    assert_eq!(lines[0].note.as_deref(), Some("in chunks over the key of users, about 30 ms each"));
}

#[test]
fn a_comparison_of_rows_is_written_out_for_mysql_led_by_a_range() {
    let statements = shown(MySql, &["a", "b"]);
    let range = "`a` >= :after_a and (`a` > :after_a or (`a` = :after_a and `b` > :after_b)) \
                 and `a` <= :until_a and (`a` < :until_a or (`a` = :until_a and `b` <= :until_b))";
    assert!(statements[1].contains(range), "{}", statements[1]);
    let both = shown(Postgres, &["a", "b"]);
    assert!(both[0].contains(r#"("a", "b") > (:after_a, :after_b)"#), "{}", both[0]);
}

#[test]
fn what_is_hashed_stays_as_it_is() {
    assert_eq!(
        update(Postgres, &["id"]).canonical(),
        "update 1 .users\nwhere b is null -- not yet\nkey id\nb = a"
    );
    let delete = Move { verb: Verb::Delete, ..update(Sqlite, &[]) };
    assert_eq!(delete.canonical(), "delete 1 .users\nwhere b is null -- not yet");
    assert_eq!(delete.removes(), ["the rows of users where b is null -- not yet"]);
}
