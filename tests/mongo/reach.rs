//! Servers that cannot be reached, logins that are wrong, URLs that say too little.

use std::time::{Duration, Instant};

use dunlin::{Error, ErrorKind, Project, StoreName, StoreUrl, Target};
use dunlin_testkit::{private, scratch};

async fn connect(url: &str) -> Error {
    let target = Target { connect_timeout: Duration::from_secs(1), ..Target::new("app", StoreUrl::new(url)) };
    let project = Project::default().target(target).unwrap();
    project.connect(&[StoreName::from("app")]).await.map(drop).unwrap_err()
}

#[tokio::test]
async fn a_dead_host_is_said_in_time() {
    for url in ["mongodb://127.0.0.1:1/app", "mongodb://u:geheim@127.0.0.1:1,127.0.0.1:2/app?replicaSet=rs0"]
    {
        let began = Instant::now();
        let error = connect(url).await;
        assert_eq!(error.kind, ErrorKind::Connect, "{error}");
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_no_secret_told() {
    let server = private::mongod().await;
    let url = server.url_as("u", "g%25hei%2Fm%401");
    let error = connect(url.expose()).await;
    assert_eq!(error.kind, ErrorKind::Access, "{error:?}");
    let said = format!("{error:?} {error}");
    assert!(!said.contains("g%hei") && !said.contains("hei%2F"), "{said}");
}

#[tokio::test]
async fn a_url_needs_a_database_and_must_be_one() {
    let scratch = scratch::mongo().await;
    let (base, _) = scratch.url.expose().rsplit_once('/').unwrap();
    let error = connect(&format!("{base}/")).await;
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.help.unwrap().contains("mongodb://host/app"));
    assert_eq!(connect("mongodb://").await.kind, ErrorKind::Config);
    assert_eq!(connect("mongodb://h/app?nonsense=true&w=-5").await.kind, ErrorKind::Config);
}
