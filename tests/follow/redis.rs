//! Redis: keyspace notifications.

use std::num::NonZeroU32;
use std::time::Duration;

use dunlin::{Doing, Goal, Pace, StoreUrl};
use dunlin_engine::follow::{End, Manner};
use dunlin_testkit::private;
use dunlin_testkit::scratch::redis_connection;
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue};

use super::{Following, alone, closes, contract, down, ended, is_followable, paced, project, soon, up};

const NAMES: &str = "rename_keys = { from = \"u:{id}\", to = \"user:{id}\", wins = \"old\" }";
const ON: [&str; 2] = ["--notify-keyspace-events", "AK"];

/// An application.
struct Client(MultiplexedConnection);

impl Client {
    async fn of(url: &StoreUrl) -> Self {
        Self(redis_connection(url).await.unwrap())
    }

    async fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        Cmd::new().arg(words).query_async(&mut self.0).await.unwrap()
    }

    async fn get(&mut self, key: &str) -> Option<String> {
        self.ask(&["GET", key]).await
    }

    async fn fill(&mut self, ids: std::ops::Range<u32>) {
        for id in ids {
            self.ask::<()>(&["SET", &format!("u:{id}"), &format!("v{id}")]).await;
        }
    }

    async fn has(&mut self, glob: &str) -> usize {
        self.ask::<Vec<String>>(&["KEYS", glob]).await.len()
    }
}

#[tokio::test]
async fn what_the_old_shape_writes_is_there_in_the_new_one_at_once() {
    let rows: [(&str, &[&str], &[&str], &str); 6] = [
        (NAMES, &["SET", "u:1", "a"], &["GET", "user:1"], "a"),
        (NAMES, &["RPUSH", "u:l", "a"], &["LPOP", "user:l"], "a"),
        (NAMES, &["ZADD", "u:z", "1", "a"], &["ZPOPMIN", "user:z"], "a"),
        (
            "change_encoding = { from = \"u:{id}\", to = \"user:{id}\", into = \"hash\", wins = \"old\" }",
            &["SET", "u:1", "{\"name\":\"a\"}"],
            &["HGET", "user:1", "name"],
            "a",
        ),
        (
            "change_encoding = { from = \"u:{id}\", to = \"user:{id}\", into = \"string\", wins = \"old\" }",
            &["HSET", "u:1", "name", "a"],
            &["GET", "user:1"],
            "{\"name\":\"a\"}",
        ),
        (
            "rename_hash_field = { keys = \"u:{id}\", from = \"mail\", to = \"email\", wins = \"old\" }",
            &["HSET", "u:1", "mail", "a"],
            &["HGET", "u:1", "email"],
            "a",
        ),
    ];
    let server = private::redis(&ON).await;
    let mut client = Client::of(&server.url).await;
    for (change, write, read, wanted) in rows {
        client.ask::<()>(&["FLUSHALL"]).await;
        let project = project(&server.url, &[change]);
        up(&project).await;
        let following = Following::live(&project).await;
        client.ask::<()>(write).await;
        let took = soon(change, async || {
            let found: Vec<Option<String>> = match client.ask::<redis::Value>(read).await {
                redis::Value::Array(items) => redis::from_redis_value(redis::Value::Array(items)).unwrap(),
                one => vec![redis::from_redis_value(one).unwrap()],
            };
            found.first().cloned().flatten().as_deref() == Some(wanted)
        })
        .await;
        assert!(took < Duration::from_secs(5), "{change}: {took:?}");
        let followed = following.stop().await;
        assert!(followed.mended >= 1, "{followed:?}");
    }
}

#[tokio::test]
async fn updates_follow_and_nobody_answers_itself() {
    let server = private::redis(&ON).await;
    let mut client = Client::of(&server.url).await;
    client.fill(0..10).await;
    let project = project(&server.url, &[NAMES]);
    up(&project).await;
    let (one, other) = (Following::live(&project).await, Following::live(&project).await);
    for round in 0..20 {
        for id in 0..10 {
            client.ask::<()>(&["SET", &format!("u:{id}"), &format!("{round}")]).await;
        }
    }
    soon("in step", async || client.get("user:9").await.as_deref() == Some("19")).await;
    client.ask::<()>(&["PEXPIRE", "u:3", "100000"]).await;
    soon("ends", async || client.ask::<i64>(&["PTTL", "user:3"]).await > 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let followed = [one.stop().await, other.stop().await];
    let heard: u64 = followed.iter().map(|one| one.heard).sum();
    let mended: u64 = followed.iter().map(|one| one.mended).sum();
    assert!(mended >= 11, "{followed:?}");
    assert!(heard <= 2 * (201 + mended), "{followed:?}");
}

#[tokio::test]
async fn a_cut_connection_is_made_again_and_nothing_is_missed() {
    let mut server = private::redis(&ON).await;
    let mut client = Client::of(&server.url).await;
    client.fill(0..10).await;
    let project = project(&server.url, &[NAMES]);
    up(&project).await;
    let mut following = Following::live(&project).await;
    let killed: u32 = client.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    assert_eq!(killed, 1);
    client.fill(10..30).await;
    soon("mended", async || client.has("user:*").await == 30).await;
    following.until("lost").await;
    // The whole server goes and comes back, empty.
    server.kill();
    server.restart().await;
    ended_by_history(following).await;
}

#[tokio::test]
async fn a_pass_waits_for_a_replica_that_is_behind() {
    let primary = private::redis(&ON).await;
    let replica = private::redis_replica_of(&primary).await;
    let mut client = Client::of(&primary.url).await;
    client.fill(0..3000).await;
    let rate = NonZeroU32::new(600);
    let pace = Pace { max_lag: Some(Duration::from_secs(1)), bout: Duration::ZERO, rate, ..Pace::default() };
    let project = paced(&primary.url, &[NAMES], pace);
    up(&project).await;
    replica.stop();
    let mut following = Following::begin(&project, Manner::default()).await;
    following.until("waits").await;
    let said = following.said();
    let name = format!("127.0.0.1:{}", replica.port());
    assert!(said.iter().any(|said| said.contains(&name) && said.contains("`max_lag` 1s")), "{said:?}");
    assert!(!said.contains(&"live".to_owned()), "{said:?}");
    replica.wake();
    following.until("live").await;
    following.stop().await;
}

/// An empty server knows of no migration.
async fn ended_by_history(following: Following) {
    ended(&following.end().await.unwrap(), &End::TakenBack);
}

#[tokio::test]
async fn a_contract_ends_it_and_nothing_is_lost() {
    let server = private::redis(&ON).await;
    let mut client = Client::of(&server.url).await;
    client.fill(0..500).await;
    let project = project(&server.url, &[NAMES]);
    up(&project).await;
    let following = Following::live(&project).await;
    let mut writer = Client::of(&server.url).await;
    tokio::join!(writer.fill(500..700), contract(&project));
    ended(&following.end().await.unwrap(), &End::Contracted);
    for id in 0..700 {
        let value = match client.get(&format!("user:{id}")).await {
            None => client.get(&format!("u:{id}")).await,
            value => value,
        };
        assert_eq!(value, Some(format!("v{id}")), "{id}");
    }
    assert_eq!(client.ask::<i64>(&["EXISTS", "{dunlin}:follow"]).await, 0);
}

#[tokio::test]
async fn a_way_back_ends_it_and_it_puts_nothing_back() {
    let server = private::redis(&ON).await;
    let mut client = Client::of(&server.url).await;
    client.fill(0..500).await;
    let project = project(&server.url, &[NAMES]);
    for round in 1..4 {
        up(&project).await;
        let following = Following::live(&project).await;
        let mut writer = Client::of(&server.url).await;
        tokio::join!(writer.fill(1000 * round..1000 * round + 300), down(&project));
        ended(&following.end().await.unwrap(), &End::TakenBack);
        assert_eq!(client.has("user:*").await, 0);
    }
}

#[tokio::test]
async fn servers_that_say_too_little_are_refused_with_what_makes_them_speak() {
    let server = private::redis(&["--notify-keyspace-events", "Ex"]).await;
    let mut client = Client::of(&server.url).await;
    let project = project(&server.url, &[NAMES]);
    up(&project).await;
    let error = Following::begin(&project, Manner::default()).await.end().await.unwrap_err();
    let help = error.help.clone().unwrap();
    let command = help.split('`').nth(1).unwrap();
    assert_eq!(command, "CONFIG SET notify-keyspace-events xEKg$lshzt", "{error:?}");
    client.ask::<()>(&command.split(' ').collect::<Vec<_>>()).await;
    let following = Following::live(&project).await;
    client.fill(0..1).await;
    soon("mended", async || client.has("user:*").await == 1).await;
    following.stop().await;
    // Or it does that itself.
    client.ask::<()>(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    let manner = Manner { configures: true, ..Manner::default() };
    let mut following = Following::begin(&project, manner).await;
    following.until("live").await;
    assert!(following.said().iter().any(|said| said.contains("from \"\" to \"Kg$lshzt\"")));
    client.fill(1..2).await;
    soon("mended", async || client.has("user:*").await == 2).await;
    following.stop().await;
}

#[tokio::test]
async fn a_cluster_is_listened_to_everywhere_while_slots_move() {
    let cluster = private::redis_cluster(1).await;
    let nodes: Vec<String> = cluster.nodes[..3].iter().map(|node| node.url.expose().to_owned()).collect();
    let client = redis::cluster::ClusterClient::new(nodes).unwrap();
    let mut client: ClusterConnection = client.get_async_connection().await.unwrap();
    let project = project(&cluster.url, &[NAMES]);
    up(&project).await;
    let manner = Manner { configures: true, ..Manner::default() };
    let mut following = Following::begin(&project, manner).await;
    following.until("live").await;
    let mut set = async |id: u32| {
        let mut request = redis::cmd("SET");
        request.arg(format!("u:{id}")).arg(id).exec_async(&mut client).await.unwrap();
    };
    for id in 0..100 {
        set(id).await;
    }
    let moving = cluster.move_slots(0..200, 0, 1);
    let writing = async {
        for id in 100..300 {
            set(id).await;
        }
    };
    tokio::join!(moving, writing);
    let nodes: Vec<String> = cluster.nodes[..3].iter().map(|node| node.url.expose().to_owned()).collect();
    let reader = redis::cluster::ClusterClient::new(nodes).unwrap();
    let mut reader = reader.get_async_connection().await.unwrap();
    soon("all", async || {
        let mut count = 0;
        for id in 0..300 {
            let found: Option<u32> =
                redis::cmd("GET").arg(format!("user:{id}")).query_async(&mut reader).await.unwrap();
            count += usize::from(found == Some(id));
        }
        count == 300
    })
    .await;
    ended(&following.stop().await, &End::Stopped);
}

#[tokio::test]
async fn a_contract_that_it_holds_up_says_so() {
    let server = private::redis(&ON).await;
    let mut client = Client::of(&server.url).await;
    client.fill(0..20).await;
    let project = project(&server.url, &[NAMES]);
    up(&project).await;
    let following = Following::live(&project).await;
    let writer = tokio::spawn(async move {
        loop {
            client.ask::<()>(&["SET", "user:7", "new"]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let goal = Goal { contract: true, ..Goal::default() };
    let failure = dunlin::up(&project, &goal, &mut |_| {}).await.unwrap_err();
    let said = format!("{failure:?}");
    assert!(
        said.contains("such as u:7; the follower of") && said.contains("end it, and ask again"),
        "{said}"
    );
    following.stop().await;
    contract(&project).await;
    writer.abort();
}

#[tokio::test]
async fn one_that_is_told_nothing_writes_nothing_once_a_shape_goes() {
    let server = private::redis(&ON).await;
    let mut client = Client::of(&server.url).await;
    client.fill(0..10).await;
    let project = project(&server.url, &[NAMES]);
    let mut next = 100;
    for _ in 0..3 {
        up(&project).await;
        let mut follower = alone(&project).await;
        client.fill(next..next + 50).await;
        next += 50;
        down(&project).await;
        closes(&mut follower).await;
        assert_eq!(client.has("user:*").await, 0);
        assert!(!is_followable(&project).await);
        // Another life of the same migration lets nobody write who knew the one before.
        up(&project).await;
        let other = alone(&project).await;
        assert_eq!(follower.advance().await.unwrap().doing, Doing::Closed);
        other.close(false).await.unwrap();
        down(&project).await;
    }
}

#[tokio::test]
async fn the_clock_ends_it() {
    let server = private::redis(&ON).await;
    let mut client = Client::of(&server.url).await;
    client.fill(0..10).await;
    let project = project(&server.url, &[NAMES]);
    up(&project).await;
    let mut until = project.clone();
    until.until = Some(std::time::Instant::now() + Duration::from_millis(500));
    ended(&Following::begin(&until, Manner::default()).await.end().await.unwrap(), &End::Until);
    assert!(is_followable(&project).await);
}
