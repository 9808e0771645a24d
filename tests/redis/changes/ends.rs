//! Keys that end, and keys that go, with what the archive has of them.

use dunlin::Phase;
use dunlin_core::Attempt;
use dunlin_testkit::Kind;

use super::super::{STORE, ask, count, fill};
use super::gone::refusal;
use super::{assert_same, change, down, picture, scratches, set, up_before, up_to};

#[tokio::test]
async fn deleted_keys_are_in_the_archive_until_they_are_brought_back_or_purged() {
    for scratch in scratches().await {
        fill(&scratch, 90).await;
        ask::<()>(&scratch, &["PEXPIRE", "user_12", "50000"]).await;
        set(&scratch, "other", "stays").await;
        let before = picture(&scratch).await;
        let project = change(&scratch.url, "delete_keys = { keys = \"user_{id}\", keep = \"7d\" }");
        up_to(&project, Some(Phase::Contract)).await;
        assert_same(&picture(&scratch).await, &before, "before contract");
        up_to(&project, None).await;
        let keys: Vec<String> = picture(&scratch).await.into_keys().collect();
        assert_eq!(keys, ["other"]);
        let store = project.connect(&[]).await.unwrap().remove(&STORE.into()).unwrap();
        let archives = store.archives().await.unwrap();
        assert_eq!(archives.len(), 1, "{archives:?}");
        assert!(
            archives[0].what.starts_with("archive of 90 keys") && archives[0].expires.is_some(),
            "{archives:?}"
        );
        for key in ["user_1", "user_12"] {
            let name = format!("{{dunlin-*:archive:*:{key}");
            assert_eq!(count(&scratch, &name).await, 1, "{key}");
        }
        // Somebody made one of them anew.
        set(&scratch, "user_5", "anew").await;
        down(&project).await;
        let mut wanted = before.clone();
        wanted.insert("user_5".to_owned(), ("string anew".to_owned(), -1));
        assert_same(&picture(&scratch).await, &wanted, "brought back");

        up_to(&project, None).await;
        let archives = store.archives().await.unwrap();
        let me = dunlin_core::Holder {
            who: "a".into(),
            host: "b".into(),
            pid: 1,
            process: "".into(),
            run: dunlin_core::RunId("r".into()),
            token: 0,
            since: None,
            expires: None,
        };
        let Attempt::Taken(mut session) = store.try_lock(&me).await.unwrap() else { panic!("it is held") };
        let wrong = dunlin_core::Archive { name: "user_*".to_owned(), ..archives[0].clone() };
        assert!(session.purge(&wrong).await.is_err());
        session.purge(&archives[0]).await.unwrap();
        session.purge(&archives[0]).await.unwrap();
        session.release().await.unwrap();
        assert!(store.archives().await.unwrap().is_empty());
        assert_eq!(count(&scratch, "*:archive:*").await, 0);
        let said = refusal(&project).await;
        assert!(said.contains("was purged by"), "{said}");
    }
}

#[tokio::test]
async fn keys_get_the_ends_back_that_they_had() {
    for scratch in scratches().await {
        fill(&scratch, 60).await;
        let before = picture(&scratch).await;
        let project = change(&scratch.url, "set_ttl = { keys = \"user_{id}\", ttl = \"7d\" }");
        up_to(&project, None).await;
        let left: i64 = ask(&scratch, &["TTL", "user_10"]).await;
        assert!((600_000..=604_800).contains(&left), "{left}");
        ask::<()>(&scratch, &["SET", "user_11", "anew", "EX", "1000"]).await;
        let anew = picture(&scratch).await.remove("user_11").unwrap();
        down(&project).await;
        let mut wanted = before;
        wanted.insert("user_11".to_owned(), anew);
        assert_same(&picture(&scratch).await, &wanted, "down");
        if scratch.kind == Kind::Redis {
            assert_eq!(count(&scratch, "*:archive:*").await, 0);
        }
        let missing =
            change(&scratch.url, "set_ttl = { keys = \"user_{id}\", ttl = \"7d\", only = \"missing\" }");
        up_to(&missing, None).await;
        let left: i64 = ask(&scratch, &["TTL", "user_10"]).await;
        assert!(left < 90_000, "it had one: {left}");
        down(&missing).await;
        assert_same(&picture(&scratch).await, &wanted, "down again");
        let never = change(&scratch.url, "set_ttl = { keys = \"user_{id}\", ttl = \"none\" }");
        up_to(&never, None).await;
        assert!(picture(&scratch).await.values().all(|(_, ends)| *ends == -1));
        down(&never).await;
        assert_same(&picture(&scratch).await, &wanted, "down from for ever");
    }
}

#[tokio::test]
async fn a_key_without_an_end_is_found() {
    let [scratch, _] = scratches().await;
    fill(&scratch, 60).await;
    let project = change(&scratch.url, "set_ttl = { keys = \"user_{id}\", ttl = \"7d\" }");
    up_to(&project, Some(Phase::Verify)).await;
    set(&scratch, "user_3", "without").await;
    let said = format!("{:?}", up_before(&project, None).await.unwrap_err());
    assert!(said.contains("does not end"), "{said}");
}
