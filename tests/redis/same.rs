//! What `none` and `same` find.

use dunlin_testkit::scratch;

use super::{COPY, SAME, ask, failure, fill, must_up, project};

#[tokio::test]
async fn every_difference_is_found_and_nothing_else() {
    let scratch = scratch::redis().await;
    fill(&scratch, 1000).await;
    must_up(&project(&scratch.url, &[COPY])).await;
    for words in [
        &["DEL", "user:1:profile"][..],
        &["SET", "user:2:profile", "x"],
        &["HSET", "user:6:profile", "age", "7"],
        &["RPUSH", "user:7:profile", "c"],
        &["SREM", "user:8:profile", "x"],
        &["ZADD", "user:9:profile", "2", "m"],
        &["XADD", "user:4:profile", "2-1", "f", "1"],
        &["SET", "user:11:profile", "value of 12"],
        &["PEXPIRE", "user:20:profile", "86410020"],
    ] {
        ask::<()>(&scratch, words).await;
    }
    let said = failure(&project(&scratch.url, &[SAME])).await;
    for (key, what) in [
        ("user_1", "missing"),
        ("user_2", "type"),
        ("user_6", "value"),
        ("user_7", "value"),
        ("user_8", "value"),
        ("user_9", "value"),
        ("user_4", "value"),
        ("user_11", "value of 12"),
        ("user_20", "TTL"),
    ] {
        let found = said.split("Violation {").find(|found| found.contains(&format!("\"{key}\"")));
        assert!(found.is_some_and(|found| found.contains(what)), "{key} {what}: {said}");
    }
    assert_eq!(said.matches("Violation {").count(), 9, "{said}");
}

#[tokio::test]
async fn another_encoding_is_the_same_value() {
    let scratch = scratch::redis().await;
    let mut pipe = redis::pipe();
    // Tables grow in the order of writes, and list what they hold by it.
    for number in 0..400 {
        pipe.cmd("HSET").arg("user_1").arg(number).arg("v");
        pipe.cmd("HSET").arg("user:1:profile").arg(399 - number).arg("v");
        pipe.cmd("SADD").arg("user_2").arg(format!("m{number}"));
        pipe.cmd("SADD").arg("user:2:profile").arg(format!("m{}", 399 - number));
    }
    pipe.cmd("HDEL").arg("user_1").arg((200..400).collect::<Vec<_>>());
    pipe.cmd("HDEL").arg("user:1:profile").arg((200..400).collect::<Vec<_>>());
    pipe.cmd("HSET").arg("user_3").arg("f").arg("x".repeat(100)).arg("g").arg("1");
    pipe.cmd("HSET").arg("user_3").arg("f").arg("y");
    pipe.cmd("HSET").arg("user:3:profile").arg("g").arg("1").arg("f").arg("y");
    super::send(&scratch, &pipe).await;
    let dumps: (Vec<u8>, Vec<u8>) =
        (ask(&scratch, &["DUMP", "user_2"]).await, ask(&scratch, &["DUMP", "user:2:profile"]).await);
    assert_ne!(dumps.0, dumps.1, "or this tests nothing");
    must_up(&project(&scratch.url, &[SAME])).await;
}

#[tokio::test]
async fn none_lists_what_is_left_and_a_sample_looks_at_a_part() {
    let scratch = scratch::redis().await;
    fill(&scratch, 2000).await;
    let said = failure(&project(&scratch.url, &[("verify", "none = { keys = \"user_{id}\" }")])).await;
    assert_eq!(said.matches("Violation {").count(), 20, "{said}");
    assert!(said.contains("1980"), "{said}");
    let sampled = SAME.1.replace(" }", ", sample = 100 }");
    let said = failure(&project(&scratch.url, &[("verify", &sampled)])).await;
    let unlisted = said
        .split("unlisted: ")
        .nth(1)
        .and_then(|rest| rest.split(&[',', ' ', '}'][..]).next().unwrap().parse::<u64>().ok());
    assert!(unlisted.is_some_and(|unlisted| (30..200).contains(&unlisted)), "{said}");
}

#[tokio::test]
async fn a_login_that_only_reads_may_compare() {
    let scratch = scratch::redis().await;
    fill(&scratch, 300).await;
    must_up(&project(&scratch.url, &[COPY])).await;
    ask::<()>(&scratch, &["SET", "user:11:profile", "x"]).await;
    let user = format!("reader{}", std::process::id());
    ask::<()>(
        &scratch,
        &["ACL", "SETUSER", &user, "on", ">pw", "~*", "-@all", "+@read", "+info", "+select", "+hello"],
    )
    .await;
    let project = project(&scratch.url_as(&user, "pw"), &[SAME]);
    let store = project.connect(&[]).await.unwrap().into_values().next().unwrap();
    let loaded = project.load();
    let op = loaded.migrations.values().next().unwrap().steps()[0].op.clone();
    let (pace, mut from) = (dunlin_core::Pace::default(), None);
    let found = loop {
        let check = dunlin_core::Check { op: &*op, from: from.as_ref(), pace: &pace };
        match store.verify(&check).await.unwrap() {
            dunlin_core::Checked::Partly(checkpoint) => from = Some(checkpoint),
            dunlin_core::Checked::Wholly { violations, scanned, .. } => break (violations, scanned),
        }
    };
    ask::<()>(&scratch, &["ACL", "DELUSER", &user]).await;
    assert_eq!(found.0.iter().map(|found| found.record.as_str()).collect::<Vec<_>>(), ["user_11"]);
    assert_eq!(found.1, 300);
}
