//! Fields of hashes with TTLs of their own, as servers from Redis 7.4 on have them. On an older server the same hashes are
//! moved, and nothing is asked that it does not know. `DUNLIN_TEST_REDIS_SERVER` names the program to test.

use std::collections::BTreeMap;

use dunlin_testkit::{private, scratch};
use redis::aio::MultiplexedConnection;

use super::{COPY, SAME, failure, must_up, project, step};

/// How many fields: two hashes that are copied and compared in one go, and one that is in slices.
const HASHES: [(&str, u32); 3] = [("user_1", 20), ("user_2", 9000), ("user_3", 60_000)];

/// Fills them; every tenth field gets an end where the server can. Whether it can.
async fn fill(connection: &mut MultiplexedConnection) -> bool {
    let mut can = false;
    for (key, count) in HASHES {
        for start in (0..count).step_by(10_000) {
            let mut fields = redis::cmd("HSET");
            fields.arg(key);
            (start..count.min(start + 10_000))
                .for_each(|field| _ = fields.arg(field).arg("a value of some length"));
            fields.exec_async(connection).await.unwrap();
        }
        let ends: Vec<u32> = (0..count).step_by(10).collect();
        let mut expire = redis::cmd("HPEXPIRE");
        expire.arg(key).arg(80_000_000).arg("FIELDS").arg(ends.len()).arg(&ends);
        can = match expire.exec_async(connection).await {
            Ok(()) => true,
            Err(error) if error.to_string().contains("unknown command") => false,
            Err(error) => panic!("{error}"),
        };
    }
    can
}

/// When the fields of a hash end.
async fn ends(connection: &mut MultiplexedConnection, key: &str, count: u32) -> BTreeMap<u32, i64> {
    let fields: Vec<u32> = (0..count).collect();
    let mut ask = redis::cmd("HPEXPIRETIME");
    ask.arg(key).arg("FIELDS").arg(count).arg(&fields);
    let ends: Vec<i64> = ask.query_async(connection).await.unwrap();
    fields.into_iter().zip(ends).filter(|(_, ends)| *ends > 0).collect()
}

#[tokio::test]
async fn fields_keep_their_ends_in_one_go_and_in_slices_and_verify_sees_them() {
    let server = private::redis(&[]).await;
    let mut connection = scratch::redis_connection(&server.url).await.unwrap();
    let can = fill(&mut connection).await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut connection).await.unwrap();
    must_up(&project(&server.url, &[COPY, SAME])).await;
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    assert!(stats.contains("cmdstat_hscan:"), "the large one went in slices: {stats}");
    let names = [("user:1:profile", 20), ("user:2:profile", 9000), ("user:3:profile", 60_000)];
    if !can {
        // Had anything been asked that it does not know, it would not have gone well.
        return;
    }
    for ((key, count), (name, _)) in HASHES.into_iter().zip(names) {
        let wanted = ends(&mut connection, key, count).await;
        assert_eq!(wanted.len(), count as usize / 10);
        assert_eq!(ends(&mut connection, name, count).await, wanted, "{name}");
    }
    for (name, count) in names {
        let last = count - 10;
        redis::cmd("HPERSIST")
            .arg(name)
            .arg("FIELDS")
            .arg(1)
            .arg(last)
            .exec_async(&mut connection)
            .await
            .unwrap();
        let said = failure(&project(&server.url, &[SAME])).await;
        assert_eq!(said.matches("Violation {").count(), 1, "{name}: {said}");
        let again = COPY.1.replace(" }", ", existing = \"replace\" }");
        step(&server.url, "backfill", &again).await;
        must_up(&project(&server.url, &[SAME])).await;
    }
}
