//! What each op does, and its way back.

use dunlin_testkit::scratch;

use super::changes::losses;
use super::{COPY, SAME, ask, count, down, everywhere, fill, must_up, named, project, step};

#[tokio::test]
async fn copies_have_type_value_and_ttl_of_their_keys_and_go_again() {
    for (project, scratch) in everywhere().await {
        fill(&scratch, 1500).await;
        let project = project(&scratch.url, &[COPY, SAME]);
        must_up(&project).await;
        assert_eq!((count(&scratch, "user_*").await, count(&scratch, "user:*:profile").await), (1500, 1500));
        for key in ["user_5", "user_30"] {
            let copy = format!("user:{}:profile", &key[5..]);
            let ends: (i64, i64) =
                (ask(&scratch, &["PEXPIRETIME", key]).await, ask(&scratch, &["PEXPIRETIME", &copy]).await);
            assert!(ends.0 > 0 && ends.0 == ends.1, "{key}: {ends:?}");
        }
        assert_eq!(losses(&project).await, [""; 0]);
        // What was written to a copy is said to be lost. One that has no key any more is nobody's to delete.
        ask::<()>(&scratch, &["SET", "user:11:profile", "new"]).await;
        ask::<()>(&scratch, &["DEL", "user_12"]).await;
        let lost = losses(&project).await;
        assert!(lost.len() == 1 && lost[0].contains("user:11:profile"), "{lost:?}");
        let notes = down(&project).await;
        assert_eq!(count(&scratch, "user:*:profile").await, 1);
        assert_eq!(count(&scratch, "user_*").await, 1499);
        assert!(notes.iter().any(|note| note.contains("user:12:profile")), "{notes:?}");
    }
}

#[tokio::test]
async fn renamed_keys_keep_all_and_go_back() {
    for (project, scratch) in everywhere().await {
        fill(&scratch, 1200).await;
        let ends: i64 = ask(&scratch, &["PEXPIRETIME", "user_10"]).await;
        let project = project(
            &scratch.url,
            &[("contract", "rename_keys = { from = \"user_{id}\", to = \"user:{id}:profile\" }")],
        );
        must_up(&project).await;
        assert_eq!((count(&scratch, "user_*").await, count(&scratch, "user:*:profile").await), (0, 1200));
        assert_eq!(ask::<i64>(&scratch, &["PEXPIRETIME", "user:10:profile"]).await, ends);
        down(&project).await;
        assert_eq!((count(&scratch, "user_*").await, count(&scratch, "user:*:profile").await), (1200, 0));
        assert_eq!(ask::<i64>(&scratch, &["PEXPIRETIME", "user_10"]).await, ends);
    }
}

#[tokio::test]
async fn names_with_blanks_globs_and_any_bytes_are_moved_as_they_are() {
    let scratch = scratch::redis().await;
    let names: [&[u8]; 6] = [b"u[1] a*b?", b"u[1] \xff\x00\r\n", b"u[1] {x}", b"u1 y", b"u[1]", b"u[1] \\"];
    let mut connection = scratch.redis().await;
    for name in names {
        redis::cmd("SET").arg(name).arg(name).exec_async(&mut connection).await.unwrap();
    }
    step(&scratch.url, "contract", "rename_keys = { from = \"u[1] {rest}\", to = \"v:{rest}\" }").await;
    let value = async |name: &[u8]| -> Option<Vec<u8>> {
        redis::cmd("GET").arg(name).query_async(&mut scratch.redis().await).await.unwrap()
    };
    for rest in [&b"a*b?"[..], b"\xff\x00\r\n", b"{x}", b"\\"] {
        let old = [b"u[1] ", rest].concat();
        assert_eq!(value(&[b"v:", rest].concat()).await, Some(old.clone()));
        assert_eq!(value(&old).await, None);
    }
    assert!(value(b"u1 y").await.is_some() && value(b"u[1]").await.is_some(), "they do not match");
}

#[tokio::test]
async fn keys_are_deleted_and_with_a_copy_only_where_it_is_the_same() {
    for (project, scratch) in everywhere().await {
        fill(&scratch, 600).await;
        must_up(&project(&scratch.url, &[COPY])).await;
        ask::<()>(&scratch, &["SET", "user_7", "written late"]).await;
        ask::<()>(&scratch, &["DEL", "user:8:profile"]).await;
        ask::<()>(&scratch, &["PERSIST", "user_10"]).await;
        let delete = "delete_keys = { keys = \"user_{id}\", if_same_as = \"user:{id}:profile\" }\nirreversible = \"gone\"";
        let notes = must_up(&project(&scratch.url, &[("contract", delete)])).await;
        assert_eq!(count(&scratch, "user_*").await, 3, "{notes:?}");
        for key in ["user_7", "user_8", "user_10"] {
            assert!(notes.iter().any(|note| note.contains(key)), "{key}: {notes:?}");
        }
    }
}

#[tokio::test]
async fn plain_deletes_leave_everything_else() {
    for (project, scratch) in everywhere().await {
        fill(&scratch, 700).await;
        ask::<()>(&scratch, &["SET", "user_1:x", "1"]).await;
        must_up(&project(
            &scratch.url,
            &[("contract", "delete_keys = { keys = \"user_{id}\" }\nirreversible = \"gone\"")],
        ))
        .await;
        assert_eq!(count(&scratch, "user_*").await, 1);
    }
}

#[tokio::test]
async fn keys_get_an_end_and_lose_it() {
    let scratch = scratch::redis().await;
    fill(&scratch, 300).await;
    let expire =
        "expire_keys = { keys = \"user_{id}\", ttl = \"1h\", only = \"missing\" }\nno_op = \"stays\"";
    step(&scratch.url, "backfill", expire).await;
    let left: i64 = ask(&scratch, &["PTTL", "user_1"]).await;
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    assert!(ask::<i64>(&scratch, &["PTTL", "user_5"]).await > 80_000_000, "it had one");
    let scratch = scratch::redis().await;
    fill(&scratch, 300).await;
    step(&scratch.url, "backfill", "expire_keys = { keys = \"user_{id}\", ttl = \"none\" }\nno_op = \"x\"")
        .await;
    assert_eq!(ask::<i64>(&scratch, &["PTTL", "user_5"]).await, -1);
}

#[tokio::test]
async fn json_becomes_hashes_and_hashes_json_and_both_go_back() {
    for (project, scratch) in everywhere().await {
        for number in 0..500 {
            let key = format!("user_{number}");
            ask::<()>(&scratch, &["SET", &key, &format!("{{\"name\":\"n {number}\",\"age\":{number}.50}}")])
                .await;
        }
        ask::<()>(&scratch, &["PEXPIRE", "user_3", "90000000"]).await;
        let project = project(
            &scratch.url,
            &[
                ("backfill", "string_to_hash = { from = \"user_{id}\", to = \"user:{id}\" }"),
                ("backfill", "hash_to_string = { from = \"user:{id}\", to = \"json:{id}\" }"),
            ],
        );
        must_up(&project).await;
        assert_eq!(ask::<Vec<String>>(&scratch, &["HMGET", "user:7", "name", "age"]).await, ["n 7", "7.50"]);
        assert_eq!(ask::<String>(&scratch, &["GET", "json:7"]).await, r#"{"age":"7.50","name":"n 7"}"#);
        let left: i64 = ask(&scratch, &["PTTL", "json:3"]).await;
        assert!((89_000_000..=90_000_000).contains(&left), "{left}");
        ask::<()>(&scratch, &["HSET", "user:9", "age", "10"]).await;
        down(&project).await;
        assert_eq!(count(&scratch, "user_*").await, 500);
        assert_eq!(
            (count(&scratch, "json:*").await, count(&scratch, "user:*").await),
            (1, 1),
            "9 was written to"
        );
    }
}

#[tokio::test]
async fn what_is_no_object_is_listed_and_nothing_is_written_or_it_is_passed_by() {
    let scratch = scratch::redis().await;
    for (key, text) in [("user_1", r#"{"a":1}"#), ("user_2", "plain"), ("user_3", r#"{"a":{"b":1}}"#)] {
        ask::<()>(&scratch, &["SET", key, text]).await;
    }
    let convert = "string_to_hash = { from = \"user_{id}\", to = \"user:{id}\" }";
    let said = super::failure(&project(&scratch.url, &[("backfill", convert)])).await;
    assert!(said.contains("2 keys cannot be converted") && said.contains("user_3"), "{said}");
    assert_eq!(count(&scratch, "user:*").await, 0);
    let lenient = convert.replace(" }", ", otherwise = \"skip\" }");
    let notes = step(&scratch.url, "backfill", &lenient).await;
    assert_eq!(count(&scratch, "user:*").await, 1);
    assert!(notes.iter().any(|note| note.contains("2 keys were passed by")), "{notes:?}");
}

#[tokio::test]
async fn what_forbade_a_step_may_be_passed_by_in_the_same_step_or_it_is_taken_back() {
    let scratch = scratch::redis().await;
    fill(&scratch, 1200).await;
    ask::<()>(&scratch, &["SET", "user:7:profile", "taken"]).await;
    let of = |copy: &str| named("1_copy.toml", &scratch.url, &[("backfill", copy)]);
    let said = super::failure(&of(COPY.1)).await;
    assert!(said.contains("existing = \\\"skip\\\""), "{said}");
    // Nothing was written, so that nothing is looked for on the way back.
    down(&of(COPY.1)).await;
    super::failure(&of(COPY.1)).await;
    must_up(&of(&COPY.1.replace(" }", ", existing = \"skip\" }"))).await;
    assert_eq!(count(&scratch, "user:*:profile").await, 1200);
    assert_eq!(ask::<String>(&scratch, &["GET", "user:7:profile"]).await, "taken");
}

#[tokio::test]
async fn a_field_is_renamed_where_it_is_and_back() {
    let scratch = scratch::redis().await;
    fill(&scratch, 1200).await;
    ask::<()>(&scratch, &["HSET", "user_6", "mail", "x", "name", "y"]).await;
    let project = project(
        &scratch.url,
        &[(
            "backfill",
            "rename_hash_field = { keys = \"user_{id}\", from = \"name\", to = \"mail\", existing = \"skip\" }",
        )],
    );
    let notes = must_up(&project).await;
    assert_eq!(
        ask::<Vec<Option<String>>>(&scratch, &["HMGET", "user_12", "name", "mail"]).await,
        [None, Some("n12".to_owned())]
    );
    assert!(notes.iter().any(|note| note.contains("user_6")), "{notes:?}");
    down(&project).await;
    assert_eq!(
        ask::<Vec<Option<String>>>(&scratch, &["HMGET", "user_12", "name", "mail"]).await,
        [Some("n12".to_owned()), None]
    );
}

#[tokio::test]
async fn a_pattern_that_matches_nothing_is_said() {
    let scratch = scratch::redis().await;
    let notes = step(&scratch.url, COPY.0, COPY.1).await;
    assert!(notes.iter().any(|note| note == "no key matches user_{id}"), "{notes:?}");
}
