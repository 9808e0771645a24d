//! Changes of what keys hold: fields and encodings, both applications at every station.

use dunlin::Phase;
use dunlin_testkit::scratch::Scratch;

use super::super::{ask, send};
use super::{Picture, assert_same, change, down, losses, picture, scratches, set, up_before, up_to};

const FIELD: &str =
    "rename_hash_field = { keys = \"user:{id}\", from = \"mail\", to = \"email\", wins = \"old\" }";

/// The value of a field in every hash.
async fn values(scratch: &Scratch, field: &str) -> Vec<Option<String>> {
    let mut all = Vec::new();
    for id in 0..60 {
        all.push(ask(scratch, &["HGET", &format!("user:{id}"), field]).await);
    }
    all
}

#[tokio::test]
async fn a_renamed_field_lives_through_all_stations() {
    for scratch in scratches().await {
        let mut pipe = redis::pipe();
        for id in 0..60 {
            pipe.cmd("HSET").arg(format!("user:{id}")).arg("mail").arg(format!("m{id}")).arg("x").arg(id);
        }
        pipe.cmd("SET").arg("user:text").arg("no hash");
        pipe.cmd("EXPIRE").arg("user:7").arg(80_000);
        send(&scratch, &pipe).await;
        let before = picture(&scratch).await;
        let project = change(&scratch.url, FIELD);
        up_to(&project, Some(Phase::Verify)).await;
        assert_eq!(values(&scratch, "mail").await, values(&scratch, "email").await);
        down(&project).await;
        assert_same(&picture(&scratch).await, &before, "down");
        up_to(&project, Some(Phase::Verify)).await;
        ask::<()>(&scratch, &["HSET", "user:3", "mail", "old 3"]).await;
        up_to(&project, Some(Phase::Contract)).await;
        ask::<()>(&scratch, &["HSET", "user:4", "mail", "old 4"]).await;
        ask::<()>(&scratch, &["HSET", "user:5", "email", "overruled"]).await;
        let wanted = values(&scratch, "mail").await;
        up_to(&project, None).await;
        assert_eq!(values(&scratch, "email").await, wanted);
        assert!(values(&scratch, "mail").await.iter().all(Option::is_none));
        ask::<()>(&scratch, &["HSET", "user:6", "email", "new 6"]).await;
        ask::<()>(&scratch, &["HSET", "user:8", "mail", "late 8"]).await;
        let mut wanted = values(&scratch, "email").await;
        wanted[8] = Some("late 8".to_owned());
        down(&project).await;
        assert_eq!(values(&scratch, "mail").await, wanted);
        assert!(values(&scratch, "email").await.iter().all(Option::is_none));
        up_to(&project, None).await;
        assert_eq!(values(&scratch, "email").await, wanted);
    }
}

#[tokio::test]
async fn fields_that_differ_are_listed_where_nobody_wins() {
    for scratch in scratches().await {
        let mut pipe = redis::pipe();
        for id in 0..60 {
            pipe.cmd("HSET").arg(format!("user:{id}")).arg("mail").arg(id);
        }
        pipe.cmd("HSET").arg("user:9").arg("email").arg("another");
        send(&scratch, &pipe).await;
        let before = picture(&scratch).await;
        let project = change(&scratch.url, &FIELD.replace(", wins = \"old\"", ""));
        let said = format!("{:?}", up_before(&project, None).await.unwrap_err());
        assert!(said.contains("mail is 9, email is another"), "{said}");
        assert_eq!(losses(&project).await, ["user:9: email is another, mail is 9"]);
        ask::<()>(&scratch, &["HDEL", "user:9", "email"]).await;
        up_to(&project, None).await;
        down(&project).await;
        let mut wanted: Picture = before;
        wanted.insert("user:9".to_owned(), ("hash mail=9".to_owned(), -1));
        assert_same(&picture(&scratch).await, &wanted, "down");
    }
}

const ENCODING: &str =
    "change_encoding = { from = \"user:{id}\", to = \"person:{id}\", into = \"hash\", wins = \"old\" }";

fn json(id: u32, name: &str) -> String {
    format!("{{\"name\": \"{name}\",\"age\":{id}}}")
}

async fn encoded(scratch: &Scratch) -> Vec<Option<(String, String)>> {
    let mut all = Vec::new();
    for id in 0..40 {
        let fields: [Option<String>; 2] =
            ask(scratch, &["HMGET", &format!("person:{id}"), "name", "age"]).await;
        let [name, age] = fields;
        all.push(name.zip(age));
    }
    all
}

#[tokio::test]
async fn strings_of_json_become_hashes_and_come_back_letter_by_letter() {
    for scratch in scratches().await {
        for id in 0..40 {
            set(&scratch, &format!("user:{id}"), &json(id, &format!("n{id}"))).await;
        }
        ask::<()>(&scratch, &["EXPIRE", "user:7", "80000"]).await;
        let before = picture(&scratch).await;
        let project = change(&scratch.url, ENCODING);
        up_to(&project, Some(Phase::Verify)).await;
        assert_eq!(encoded(&scratch).await[5], Some(("n5".to_owned(), "5".to_owned())));
        down(&project).await;
        assert_same(&picture(&scratch).await, &before, "down");
        up_to(&project, Some(Phase::Verify)).await;
        set(&scratch, "user:3", &json(3, "old")).await;
        up_to(&project, Some(Phase::Contract)).await;
        set(&scratch, "user:4", &json(4, "old")).await;
        ask::<()>(&scratch, &["HSET", "person:5", "name", "overruled"]).await;
        let before = picture(&scratch).await;
        up_to(&project, None).await;
        let all = encoded(&scratch).await;
        assert_eq!(all[3], Some(("old".to_owned(), "3".to_owned())));
        assert_eq!(all[4], Some(("old".to_owned(), "4".to_owned())));
        assert_eq!(all[5], Some(("n5".to_owned(), "5".to_owned())));
        assert!(picture(&scratch).await.keys().all(|key| key.starts_with("person:")));
        let left: i64 = ask(&scratch, &["TTL", "person:7"]).await;
        assert!((79_000..=80_000).contains(&left), "{left}");
        // One that was written since is made of what it is now, the others are what they were.
        ask::<()>(&scratch, &["HSET", "person:6", "name", "new"]).await;
        ask::<()>(&scratch, &["HSET", "person:60", "name", "new"]).await;
        down(&project).await;
        let mut wanted: Picture = before.into_iter().filter(|(key, _)| key.starts_with("user:")).collect();
        wanted.insert("user:6".to_owned(), ("string {\"age\":\"6\",\"name\":\"new\"}".to_owned(), -1));
        wanted.insert("user:60".to_owned(), ("string {\"name\":\"new\"}".to_owned(), -1));
        assert_same(&picture(&scratch).await, &wanted, "rebuilt");
        up_to(&project, None).await;
        down(&project).await;
        assert_same(&picture(&scratch).await, &wanted, "there and back again");
    }
}

#[tokio::test]
async fn hashes_become_strings_and_come_back() {
    for scratch in scratches().await {
        let mut pipe = redis::pipe();
        for id in 0..40 {
            pipe.cmd("HSET").arg(format!("person:{id}")).arg("name").arg(format!("n{id}")).arg("age").arg(id);
        }
        send(&scratch, &pipe).await;
        let before = picture(&scratch).await;
        let text = "change_encoding = { from = \"person:{id}\", to = \"text:{id}\", into = \"string\", wins = \"new\" }";
        let project = change(&scratch.url, text);
        up_to(&project, Some(Phase::Contract)).await;
        set(&scratch, "text:5", "{\"name\":\"new\"}").await;
        up_to(&project, None).await;
        assert_eq!(ask::<String>(&scratch, &["GET", "text:5"]).await, "{\"name\":\"new\"}");
        assert!(picture(&scratch).await.keys().all(|key| key.starts_with("text:")));
        down(&project).await;
        let mut wanted = before;
        wanted.insert("person:5".to_owned(), ("hash name=new".to_owned(), -1));
        assert_same(&picture(&scratch).await, &wanted, "rebuilt");
    }
}

#[tokio::test]
async fn what_is_no_object_stops_the_change_or_is_passed_by() {
    for scratch in scratches().await {
        set(&scratch, "user:1", &json(1, "a")).await;
        set(&scratch, "user:2", "no object").await;
        let before = picture(&scratch).await;
        let said = format!("{:?}", up_before(&change(&scratch.url, ENCODING), None).await.unwrap_err());
        assert!(said.contains("1 key cannot be converted"), "{said}");
        assert_same(&picture(&scratch).await, &before, "refused");
        let lenient = change(&scratch.url, &ENCODING.replace("wins", "otherwise = \"skip\", wins"));
        up_to(&lenient, None).await;
        let keys: Vec<String> = picture(&scratch).await.into_keys().collect();
        assert_eq!(keys, ["person:1", "user:2"]);
        down(&lenient).await;
        assert_same(&picture(&scratch).await, &before, "down");
    }
}
