#![allow(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::print_stdout, missing_docs)]
use dunlin_core::history::Author;
use dunlin_core::*;
use std::num::NonZeroU32;
use std::time::Instant;
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let n: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let db = format!("bench{}", std::process::id());
    let target = Target::new("m", StoreUrl::new(url.replace("DB", &db)));
    let t = Instant::now();
    let store = dunlin_mongo::Mongo.connect(&target).await.unwrap();
    println!("connect {:?}", t.elapsed());
    for f in store.examine().await.unwrap() {
        println!("{f:?}");
    }
    let me = store::Holder {
        who: "me".into(),
        host: "h".into(),
        pid: 1,
        process: "".into(),
        run: RunId("r".into()),
        token: 0,
        since: None,
        expires: None,
    };
    let t = Instant::now();
    let Attempt::Taken(mut s) = store.try_lock(&me).await.unwrap() else { panic!() };
    println!("lock {:?}", t.elapsed());
    println!("{:?}", store.holder().await.unwrap());
    let mut map = SourceMap::default();
    let t = Instant::now();
    let ops: Vec<_> = (0..n).map(|i| { let src = map.add("a.js", &format!("// Up\ndb.createCollection('c{i}');\ndb.c{i}.createIndex({{a:1}});\n// Down\ndb.c{i}.drop();\n")); let n = dunlin_mongo::Mongo.read(&src, None); assert!(n.diagnostics.is_empty()); n.sections[0].op.clone() }).collect();
    println!("read {:?}", t.elapsed());
    let author = Author { run: RunId("r".into()), who: "w".into(), host: "h".into(), tool: "t".into() };
    {
        use mongodb::bson::doc;
        let c = mongodb::Client::with_uri_str(&url.replace("DB", &db)).await.unwrap();
        let d = c.database(&db);
        let mut tc = 0.0;
        let mut ti = 0.0;
        let mut tf = 0.0;
        let mut tm = 0.0;
        let mut tu = 0.0;
        let l = d.collection::<mongodb::bson::Document>("l");
        l.insert_one(doc! {"_id":"f","token":1,"seq":0_i64,"ev":[]}).await.unwrap();
        for i in 0..n.min(200) {
            let t = Instant::now();
            d.run_command(doc! {"create":format!("raw{i}"),"writeConcern":{"w":1}}).await.unwrap();
            tc += t.elapsed().as_secs_f64();
            let t = Instant::now();
            d.run_command(doc!{"createIndexes":format!("raw{i}"),"indexes":[{"key":{"a":1},"name":"a_1"}],"writeConcern":{"w":1}}).await.unwrap();
            ti += t.elapsed().as_secs_f64();
            let t = Instant::now();
            l.find_one_and_update(
                doc! {"_id":"f","token":1},
                vec![doc! {"$set":{"seq":{"$add":["$seq",1_i64]}}}],
            )
            .write_concern(mongodb::options::WriteConcern::nodes(1))
            .await
            .unwrap();
            tf += t.elapsed().as_secs_f64();
            let t = Instant::now();
            l.find_one_and_update(
                doc! {"_id":"f","token":1},
                vec![doc! {"$set":{"seq":{"$add":["$seq",1_i64]}}}],
            )
            .write_concern(mongodb::options::WriteConcern::majority())
            .await
            .unwrap();
            tm += t.elapsed().as_secs_f64();
            let t = Instant::now();
            l.update_one(doc! {"_id":"f","token":1}, vec![doc! {"$set":{"seq":{"$add":["$seq",1_i64]}}}])
                .write_concern(mongodb::options::WriteConcern::nodes(1))
                .await
                .unwrap();
            tu += t.elapsed().as_secs_f64();
        }
        let k = n.min(200) as f64 / 1000.0;
        println!(
            "raw: create {:.3} createIndex {:.3} fam w1 {:.3} fam majority {:.3} update w1 {:.3}",
            tc / k,
            ti / k,
            tf / k,
            tm / k,
            tu / k
        );
    }
    let t = Instant::now();
    let mut adv = 0;
    for (i, op) in ops.iter().enumerate() {
        let mut running = Record {
            id: MigrationId { version: Version::parse(&format!("{:04}", i + 1)).unwrap(), slug: "x".into() },
            state: State::Applying,
            phase: Phase::Expand,
            origin: Origin::Run,
            steps: vec![],
            checkpoint: None,
            text: Checksum::of(["a"]),
            author: author.clone(),
            started: None,
            finished: None,
            rows: 0,
            note: None,
        };
        let done = Record { state: State::Done, steps: vec![Checksum::of(["s"])], ..running.clone() };
        let files =
            vec![StoredFile { name: "a.js".into(), text: "// Up\ndb.createCollection('c{i}');\n".into() }];
        loop {
            let done = Record { started: running.started, ..done.clone() };
            let a = s
                .advance(&Work {
                    op: &**op,
                    running: &running,
                    done: &done,
                    files: &files,
                    is_verify: false,
                    limit: NonZeroU32::new(1000).unwrap(),
                })
                .await
                .unwrap();
            adv += 1;
            for n in &a.notes {
                println!("{n}");
            }
            running = a.record;
            if a.is_done {
                break;
            }
        }
        if i == 0 {
            println!("{running:?}");
        }
    }
    println!(
        "{n} migrations {:?}, {:.3} ms each, {adv} advances",
        t.elapsed(),
        t.elapsed().as_secs_f64() * 1000.0 / n as f64
    );
    let t = Instant::now();
    println!("session history {} {:?}", s.history().await.unwrap().records.len(), t.elapsed());
    let t = Instant::now();
    s.release().await.unwrap();
    println!("release {:?}", t.elapsed());
    for _ in 0..3 {
        let t = Instant::now();
        let h = store.history().await.unwrap();
        println!("history {} {:?}", h.records.len(), t.elapsed());
    }
    println!("{:?}", store.files(&Version::parse("1").unwrap()).await.unwrap());
    println!(
        "{} {:?}",
        store.journal(None, 5).await.unwrap().len(),
        store
            .journal(Some(&Version::parse("2").unwrap()), 5)
            .await
            .unwrap()
            .iter()
            .map(|e| (e.sequence, e.kind, e.step))
            .collect::<Vec<_>>()
    );
}
