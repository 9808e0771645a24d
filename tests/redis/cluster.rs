//! Keys of a cluster: in one slot and across slots, while slots move and primaries fail.

use dunlin_testkit::scratch;

use super::{COPY, PACES, SAME, ask, count, down, failure, fill, must_up, project, step, usual};

#[tokio::test]
async fn copies_across_slots_are_the_same_and_go_again() {
    for project in PACES {
        let scratch = scratch::redis_cluster().await;
        fill(&scratch, 900).await;
        let project = project(&scratch.url, &[COPY, SAME]);
        must_up(&project).await;
        assert_eq!(count(&scratch, "user:*:profile").await, 900);
        let ends: (i64, i64) = (
            ask(&scratch, &["PEXPIRETIME", "user_10"]).await,
            ask(&scratch, &["PEXPIRETIME", "user:10:profile"]).await,
        );
        assert!(ends.0 > 0 && ends.0 == ends.1, "{ends:?}");
        ask::<()>(&scratch, &["SET", "user:11:profile", "new"]).await;
        let notes = down(&project).await;
        assert_eq!(count(&scratch, "user:*:profile").await, 0, "{notes:?}");
        assert_eq!(count(&scratch, "user_*").await, 900);
    }
}

#[tokio::test]
async fn a_hash_met_late_among_strings_mixes_nothing_up() {
    let scratch = scratch::redis_cluster().await;
    let mut connection = scratch.cluster().await;
    for number in 0..6000 {
        let mut set = redis::cmd("SET");
        let () = set.arg(format!("user_{number}")).arg(number).query_async(&mut connection).await.unwrap();
    }
    // Each node asks for lengths as long as it has met nothing else, and most meet these with much under way.
    for number in 6000..6020 {
        ask::<()>(&scratch, &["HSET", &format!("user_{number}"), "name", "x"]).await;
    }
    must_up(&usual(&scratch.url, &[COPY])).await;
    assert_eq!(count(&scratch, "user:*:profile").await, 6020);
    for number in 0..6000 {
        let mut get = redis::cmd("GET");
        let value = get.arg(format!("user:{number}:profile")).query_async(&mut connection).await;
        assert_eq!(value, Ok(Some(number)), "{number}");
    }
}

#[tokio::test]
async fn keys_of_one_slot_are_renamed_in_it_and_back() {
    for project in PACES {
        let scratch = scratch::redis_cluster().await;
        for number in 0..500 {
            ask::<()>(&scratch, &["SET", &format!("user_{{{number}}}"), "x"]).await;
        }
        let rename = "rename_keys = { from = \"user_{{{id}}}\", to = \"user:{{{id}}}:profile\" }";
        let project = project(&scratch.url, &[("contract", rename)]);
        must_up(&project).await;
        assert_eq!((count(&scratch, "user_*").await, count(&scratch, "user:*:profile").await), (0, 500));
        down(&project).await;
        assert_eq!((count(&scratch, "user_*").await, count(&scratch, "user:*:profile").await), (500, 0));
    }
}

#[tokio::test]
async fn keys_are_renamed_across_slots_without_losing_what_is_written_meanwhile() {
    let scratch = scratch::redis_cluster().await;
    fill(&scratch, 600).await;
    let url = scratch.url.clone();
    let rename = "rename_keys = { from = \"user_{id}\", to = \"user:{id}:profile\" }";
    let renaming = tokio::spawn(async move { step(&url, "contract", rename).await });
    // A writer that adds to whichever name there is: nothing it added may be lost.
    let mut added = 0;
    let mut connection = scratch.cluster().await;
    while !renaming.is_finished() {
        let length: i64 =
            redis::cmd("RPUSHX").arg("user_1").arg("more").query_async(&mut connection).await.unwrap();
        added += i64::from(length > 0);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    renaming.await.unwrap();
    let length: i64 = ask(&scratch, &["LLEN", "user:1:profile"]).await;
    assert_eq!((length, count(&scratch, "user_*").await), (3 + added, 0));
}

#[tokio::test]
async fn taken_names_and_differences_are_found_across_slots() {
    let scratch = scratch::redis_cluster().await;
    fill(&scratch, 300).await;
    ask::<()>(&scratch, &["SET", "user:5:profile", "x"]).await;
    let said = failure(&project(&scratch.url, &[COPY])).await;
    assert!(said.contains("1 name is taken") && said.contains("user:5:profile"), "{said}");
    assert_eq!(count(&scratch, "user:*:profile").await, 1);
    ask::<()>(&scratch, &["DEL", "user:5:profile"]).await;
    must_up(&project(&scratch.url, &[COPY])).await;
    ask::<()>(&scratch, &["DEL", "user:7:profile"]).await;
    ask::<()>(&scratch, &["SET", "user:11:profile", "y"]).await;
    let said = failure(&project(&scratch.url, &[SAME])).await;
    assert_eq!(said.matches("Violation {").count(), 2, "{said}");
    let delete =
        "delete_keys = { keys = \"user_{id}\", if_same_as = \"user:{id}:profile\" }\nirreversible = \"x\"";
    step(&scratch.url, "contract", delete).await;
    assert_eq!(count(&scratch, "user_*").await, 2);
}

#[tokio::test]
async fn fields_are_renamed_in_every_slot() {
    let scratch = scratch::redis_cluster().await;
    fill(&scratch, 300).await;
    step(
        &scratch.url,
        "backfill",
        "rename_hash_field = { keys = \"user_{id}\", from = \"name\", to = \"mail\" }",
    )
    .await;
    for number in (0..300).step_by(6) {
        let mail: String = ask(&scratch, &["HGET", &format!("user_{number}"), "mail"]).await;
        assert_eq!(mail, format!("n{number}"));
    }
}

#[tokio::test]
async fn json_becomes_hashes_in_other_slots_and_goes_back() {
    let scratch = scratch::redis_cluster().await;
    let mut pipe = redis::pipe();
    for number in 0..300 {
        let text = format!("{{\"name\":\"n{number}\",\"age\":{number}}}");
        let command = pipe.cmd("SET").arg(format!("user_{number}")).arg(text);
        if number % 5 == 0 {
            command.arg("PX").arg(80_000_000);
        }
    }
    super::send(&scratch, &pipe).await;
    let hashes = "string_to_hash = { from = \"user_{id}\", to = \"person:{id}\" }";
    let there = project(&scratch.url, &[("backfill", hashes)]);
    let notes = must_up(&there).await;
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(count(&scratch, "person:*").await, 300);
    let name: String = ask(&scratch, &["HGET", "person:7", "name"]).await;
    let left: [i64; 2] =
        [ask(&scratch, &["PTTL", "person:5"]).await, ask(&scratch, &["PTTL", "person:7"]).await];
    assert!(name == "n7" && (79_000_000..=80_000_000).contains(&left[0]) && left[1] == -1, "{name} {left:?}");
    // What somebody changed is not taken back.
    ask::<()>(&scratch, &["HSET", "person:9", "name", "another"]).await;
    super::down(&there).await;
    assert_eq!((count(&scratch, "person:*").await, count(&scratch, "user_*").await), (1, 300));
    ask::<()>(&scratch, &["DEL", "person:9"]).await;
    must_up(&project(&scratch.url, &[("backfill", hashes)])).await;
    let texts = "hash_to_string = { from = \"person:{id}\", to = \"text:{id}\" }";
    must_up(&project(&scratch.url, &[("backfill", texts)])).await;
    let text: String = ask(&scratch, &["GET", "text:7"]).await;
    assert_eq!((count(&scratch, "text:*").await, text.as_str()), (300, "{\"age\":\"7\",\"name\":\"n7\"}"));
}
