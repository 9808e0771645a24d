//! The document of a follower in `dunlin_follow`, one for each version: by being there it lets a follower write, and it
//! keeps what the next one and `status` want to know.

use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Bson, Document, RawDocumentBuf, doc};
use dunlin_core::history::FORMAT;
use dunlin_core::{Activity, Error, ErrorKind, Follow, Followed, Result, Stand, Version, async_trait};
use futures_util::TryStreamExt as _;
use mongodb::error::{Error as DriverError, TRANSIENT_TRANSACTION_ERROR};
use mongodb::options::{ReturnDocument, WriteConcern};
use mongodb::{ClientSession, Collection, Database};
use tokio::sync::Mutex;

use super::key;
use crate::check::Look;
use crate::connect::Topology;
use crate::history::Fields;
use crate::same::Mender;
use crate::session::mend::{Ran, inside};
use crate::session::transaction;
use crate::store::Store;
use crate::{error, fence, lock};

/// The collection.
const FOLLOW: &str = "dunlin_follow";
/// How often somebody who writes the history at the same moment is given way.
const TRIES: u32 = 20;
const DOING: &str = "cannot write where the follower stands";
/// The server's number for an operation that was ended from outside.
const INTERRUPTED: i32 = 11601;

/// What lets a follower write.
#[derive(Debug)]
pub(super) struct Guard {
    store: Store,
    /// In which all its transactions run, one after the other: the document names it, so that whoever comes next ends what
    /// a follower that was killed left open.
    transactions: Mutex<ClientSession>,
    key: String,
    pub(super) version: Version,
    /// Which document of that key: one that was removed and made again lets nobody write who knew the first.
    life: ObjectId,
    /// Whether it is gone.
    pub(super) is_closed: bool,
    mended: u64,
    /// Why a document was not taken, since this was asked last.
    pub(super) refusal: Option<String>,
}

/// What a follower says of itself.
pub(super) struct Beat {
    pub(super) activity: Activity,
    pub(super) heard: u64,
    pub(super) mended: u64,
    /// When the oldest event of this time was written.
    pub(super) oldest: Option<Bson>,
    pub(super) token: Option<Document>,
}

impl Beat {
    pub(super) fn of(activity: Activity) -> Self {
        Self { activity, heard: 0, mended: 0, oldest: None, token: None }
    }
}

fn collection(db: &Database) -> Collection<Document> {
    db.collection(FOLLOW)
}

/// Several shards have a log each, so nothing later vouches for a write there.
fn concern(store: &Store) -> WriteConcern {
    if store.topology == Topology::Sharded { lock::for_good() } else { lock::in_order() }
}

/// Whether a transaction met another one, or was ended along with those of the dead by somebody who took the lock.
fn is_passing(failure: &DriverError) -> bool {
    failure.contains_label(TRANSIENT_TRANSACTION_ERROR) || error::code(failure) == Some(INTERRUPTED)
}

impl Guard {
    /// Opens it where the record is within the window, and says where the last follower stopped.
    pub(super) async fn open(store: &Store, what: &Follow<'_>) -> Result<Option<(Self, Option<Document>)>> {
        let fail = |failure: DriverError| rights(store.fail(&failure, DOING));
        match store.db.create_collection(FOLLOW).await {
            Err(failure) if error::code(&failure) != Some(48) => return Err(fail(failure)),
            _ => {}
        }
        let mut session = store.client.start_session().await.map_err(fail)?;
        // Before anything waits for what they hold.
        end(store).await.map_err(fail)?;
        for tries in 1..=TRIES {
            // The fence first: what is recorded after it was read moves it on.
            let mark = fence::mark(&store.db).await.map_err(fail)??;
            let history = store.records(false).await?;
            let stand = what.window.stand(history.record(&what.id.version));
            let (Some(mark), Stand::Within) = (mark, stand) else { return Ok(None) };
            match Self::join(store, what, mark, &mut session).await {
                Ok(Some(found)) => {
                    let life = found.get_object_id("life").unwrap_or_default();
                    let guard = Self {
                        store: store.clone(),
                        transactions: Mutex::new(session),
                        key: key(&what.id.version),
                        version: what.id.version.clone(),
                        life,
                        is_closed: false,
                        mended: 0,
                        refusal: None,
                    };
                    return Ok(Some((guard, found.get_document("token").ok().cloned())));
                }
                Ok(None) => {}
                Err(failure) if is_passing(&failure) => {}
                Err(failure) => return Err(fail(failure)),
            }
            tokio::time::sleep(Duration::from_millis(u64::from(10 * tries))).await;
        }
        let message = "the history is written all the while, so nobody can begin to follow just now";
        Err(Error::new(ErrorKind::Connect, message).temporary())
    }

    /// Makes the document, or takes the one that is there, if the fence still is as `mark` says.
    async fn join(
        store: &Store,
        what: &Follow<'_>,
        mark: fence::Mark,
        transaction: &mut ClientSession,
    ) -> Result<Option<Document>, DriverError> {
        transaction.start_transaction().write_concern(lock::for_good()).await?;
        let author = what.author;
        let known = |name: &str, first: Bson| doc! { "$ifNull": [format!("${name}"), first] };
        let mine = bson::bson!([transaction.id()]);
        let sessions =
            doc! { "$concatArrays": [{ "$literal": &mine }, known("sessions", Bson::Array(Vec::new()))] };
        let update = vec![doc! { "$set": {
            "format": FORMAT, "version": what.id.version.as_str(),
            "who": { "$literal": &*author.who }, "host": { "$literal": &*author.host }, "run": &*author.run.0,
            "life": known("life", ObjectId::new().into()), "at": "$$NOW", "activity": Activity::Pass.word(), "lag": 0_i64,
            "heard": known("heard", 0_i64.into()), "mended": known("mended", 0_i64.into()),
            "writes": known("writes", 0_i64.into()),
            "sessions": { "$cond": [
                { "$setIsSubset": [{ "$literal": mine }, known("sessions", Bson::Array(Vec::new()))] },
                "$sessions", { "$slice": [sessions, lock::SESSIONS] },
            ] },
        } }];
        let made = async {
            if !fence::join(&store.db, mark, &mut *transaction).await? {
                return Ok(None);
            }
            let documents = collection(&store.db);
            let found = documents.find_one_and_update(doc! { "_id": key(&what.id.version) }, update);
            found.upsert(true).return_document(ReturnDocument::After).session(&mut *transaction).await
        };
        let made: Result<Option<Document>, DriverError> = made.await;
        if !matches!(made, Ok(Some(_))) {
            // The server ends a transaction nobody commits; that the abort did not reach it changes nothing.
            let _ = transaction.abort_transaction().await;
            return made;
        }
        transaction::commit(transaction).await?;
        made
    }

    fn mine(&self) -> Document {
        doc! { "_id": &self.key, "life": self.life }
    }

    /// How many documents were mended since this was asked last.
    pub(super) fn take_mended(&mut self) -> u64 {
        std::mem::take(&mut self.mended)
    }

    /// Whether it is still there, in a transaction that writes something else.
    async fn touch(&self, transaction: &mut ClientSession) -> Result<bool, DriverError> {
        let update = doc! { "$inc": { "writes": 1_i64 } };
        let touched = collection(&self.store.db).update_one(self.mine(), update).session(transaction).await?;
        Ok(touched.matched_count == 1)
    }

    async fn mended(&self, look: &Look, commands: (&Document, &Document)) -> Result<Ran, DriverError> {
        let mut transaction = self.transactions.lock().await;
        transaction.start_transaction().write_concern(concern(&self.store)).await?;
        let may = self.touch(&mut transaction).await;
        let ran = inside(&self.store, look, commands, (may, &mut transaction)).await;
        if !matches!(ran, Ok(Ran::Looked(..))) {
            // The server ends a transaction nobody commits; that the abort did not reach it changes nothing.
            let _ = transaction.abort_transaction().await;
            return ran;
        }
        transaction::commit(&mut transaction).await?;
        ran
    }

    /// Says what the follower did; how far it was behind.
    pub(super) async fn beat(&mut self, store: &Store, beat: Beat) -> Result<Duration> {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let oldest = beat.oldest.unwrap_or(Bson::Null);
        let mut set = doc! {
            "at": "$$NOW", "activity": beat.activity.word(),
            "lag": { "$max": [0_i64, { "$ifNull": [{ "$subtract": ["$$NOW", oldest] }, 0_i64] }] },
            "heard": { "$add": ["$heard", count(beat.heard)] }, "mended": { "$add": ["$mended", count(beat.mended)] },
        };
        set.extend(beat.token.map(|token| ("token".to_owned(), bson::bson!({ "$literal": token }))));
        let found = collection(&store.db)
            .find_one_and_update(self.mine(), vec![doc! { "$set": set }])
            .return_document(ReturnDocument::After)
            .projection(doc! { "lag": 1 })
            .write_concern(concern(store))
            .await;
        let found = found.map_err(|failure| store.fail(&failure, DOING))?;
        self.is_closed |= found.is_none();
        let lag = found.and_then(|found| found.get_i64("lag").ok());
        Ok(Duration::from_millis(lag.and_then(|lag| u64::try_from(lag).ok()).unwrap_or_default()))
    }
}

#[async_trait]
impl Mender for Guard {
    async fn mend(&mut self, look: &Look, commands: (&Document, &Document)) -> Result<Option<bool>> {
        let written = look.command();
        match self.mended(look, commands).await {
            Ok(Ran::Looked(changed, is_in_step)) => {
                self.mended += changed;
                Ok(Some(is_in_step))
            }
            // One of them refuses: all are as they were, and are found.
            Ok(Ran::Failed(failure)) => {
                self.refusal = Some(failure.error(&self.store, &written).message);
                Ok(Some(false))
            }
            Ok(Ran::Fenced) => {
                self.is_closed = true;
                Err(Error::new(ErrorKind::LeaseLost, "this follower was closed").temporary())
            }
            Err(failure) if is_passing(&failure) => Ok(None),
            Err(failure) => Err(error::of_command(&failure, &written, &self.store.target.url)),
        }
    }
}

/// Ends what followers have under way, or left open. One that lives does it again.
pub(crate) async fn end(store: &Store) -> Result<(), DriverError> {
    let named = doc! { "sessions": { "$exists": true } };
    let found = collection(&store.db).find(named).projection(doc! { "sessions": 1 }).await?;
    let found: Vec<Document> = found.try_collect().await?;
    let sessions = found.iter().filter_map(|one| one.get_array("sessions").ok()).flatten().cloned().collect();
    lock::end(&store.db, sessions).await;
    Ok(())
}

const CLOSING: &str = "cannot close a follower";

/// Lets nobody write any more who follows a version; whether anybody could. The document stays, so that whoever goes on
/// where a run stopped that did this knows it, too.
pub(crate) async fn close(store: &Store, version: &Version) -> Result<bool> {
    let update = doc! { "$set": { "life": ObjectId::new(), "activity": Activity::Stopped.word() } };
    let documents = collection(&store.db);
    let closed =
        documents.update_one(doc! { "_id": key(version) }, update).write_concern(lock::for_good()).await;
    Ok(closed.map_err(|failure| store.fail(&failure, CLOSING))?.matched_count == 1)
}

/// Removes the document of a version, and with it the right to write.
pub(crate) async fn forget(store: &Store, version: &Version) -> Result<()> {
    let documents = collection(&store.db);
    let gone = documents.delete_one(doc! { "_id": key(version) }).write_concern(lock::for_good()).await;
    gone.map(drop).map_err(|failure| store.fail(&failure, CLOSING))
}

fn rights(error: Error) -> Error {
    if error.kind == ErrorKind::Access {
        return error.help("a follower needs the role readWrite on the database");
    }
    error
}

/// All documents there are.
pub(super) async fn told(store: &Store) -> Result<Vec<Followed>> {
    let fail = |failure: DriverError| store.fail(&failure, "cannot read who follows");
    let stages =
        [doc! { "$set": { "silent": { "$subtract": ["$$NOW", "$at"] } } }, doc! { "$unset": "token" }];
    let found = store.db.collection::<Document>(FOLLOW).aggregate(stages).await.map_err(fail)?;
    let found: Vec<Document> = found.try_collect().await.map_err(fail)?;
    found.iter().map(one).collect()
}

fn one(found: &Document) -> Result<Followed> {
    let raw = RawDocumentBuf::try_from(found).map_err(|_| Error::unexpected("a document cannot be read"))?;
    let fields = Fields(&raw);
    dunlin_core::history::readable(fields.whole("format")?)?;
    let count = |name: &str| fields.whole(name).map(|number| u64::try_from(number).unwrap_or_default());
    let version = fields.text("version")?;
    let version = Version::parse(version).ok_or_else(|| dunlin_core::history::damaged("version", version))?;
    let at = fields.time("at")?.ok_or_else(|| dunlin_core::history::damaged("at", "nothing"))?;
    Ok(Followed {
        version,
        who: fields.shared("who")?,
        host: fields.shared("host")?,
        at,
        silent: Some(Duration::from_millis(count("silent")?)),
        activity: Activity::of(fields.text("activity")?),
        lag: Duration::from_millis(count("lag")?),
        heard: count("heard")?,
        mended: count("mended")?,
    })
}
