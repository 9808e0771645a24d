//! Where nobody can tell whether a command took effect, a person decides.

use dunlin::{Attempt, ErrorKind, Failure};
use dunlin_engine::lock;
use dunlin_engine::mark::{self, Mark, Remark};
use dunlin_engine::run::Stop;
use dunlin_testkit::private;
use dunlin_testkit::proxy::{Loss, Proxy, Trigger};

use super::{database, documents, must_up, project, up};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_transactions_an_increment_whose_reply_is_lost_asks_a_person() {
    let server = private::mongod().await;
    let first = ("1_a.js", "db.a.insertOne({ n: 1 })");
    let files = [first, ("2_b.js", "db.a.updateMany({}, { $inc: { n: 10 } });\ndb.a.insertOne({ n: 5 });")];
    must_up(&project(&server.url, &[first])).await;
    let proxy = Proxy::before(&server.url);
    proxy.cut_at(Trigger::text("\u{3}$inc\0"), Loss::Reply);
    let Err(Failure::Run(run)) = up(&project(&proxy.url, &files)).await else { panic!("nobody was asked") };
    let Stop::Failed(error) = run.1 else { panic!("{:?}", run.1) };
    assert_eq!((error.kind, proxy.cuts()), (ErrorKind::Ambiguous, 1), "{error:?}");
    assert!(matches!(up(&project(&server.url, &files)).await, Err(Failure::Run(_))), "it stays open");

    let whole = project(&server.url, &files);
    let context = whole.context(whole.connect(&[]).await.unwrap());
    let (name, store) = context.stores.iter().next().unwrap();
    let record = store.history().await.unwrap().records.into_values().last().unwrap();
    assert!(dunlin::Cursor::of(&record).unwrap().open);
    let remark = Remark { store: name, author: &context.author, reason: "I looked" };
    let marked = mark::marked(None, Some(&record), Mark::StatementDone, remark).unwrap();
    let me = lock::me("somebody", &context.author.run);
    let Attempt::Taken(mut session) = store.try_lock(&me).await.unwrap() else { panic!("it is held") };
    mark::write(&mut session, &marked, &[]).await.unwrap();
    session.release().await.unwrap();
    must_up(&whole).await;
    let db = database(&server.url).await;
    let mut numbers: Vec<i32> =
        documents(&db, "a").await.iter().map(|document| document.get_i32("n").unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [5, 11]);
}
