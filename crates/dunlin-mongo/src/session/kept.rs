//! Changes of a collection's shape whose way back depends on what was there: see [`crate::change::keep`]. Each first looks,
//! then remembers, then changes, and is such that a run that was cut off anywhere begins again.

mod exchange;

use bson::{Bson, Document, doc};
use dunlin_core::{Advance, Checkpoint, Cursor, Error, ErrorKind, Record, Result, Work};
use mongodb::Database;
use mongodb::error::Error as DriverError;

use super::Session;
use crate::change::carry;
use crate::change::keep::{Keep, SHAPE, What, hiding};
use crate::chunk::{Collection, binary};
use crate::error;
use crate::op::render;
use crate::unique;

/// Carries it out.
pub(super) async fn advance(session: &mut Session, keep: &Keep, work: &Work<'_>) -> Result<Advance> {
    // Whoever finds this knows that something may have been done, and goes on, or back over it.
    let announced = Cursor { open: true, ..Cursor::default() };
    let record = work.partly(Checkpoint::of(&announced), 0);
    let running = session.ledger.put_step(&session.store, work, &record).await?;
    let shape = Shape { session, keep, db: session.store.db.clone() };
    let mut notes = Vec::new();
    if shape.is_untouched().await? {
        notes.push(format!("{SHAPE} has nothing of {}: {} stays as it is", keep.tag, keep.collection));
    } else {
        shape.run().await?;
    }
    let done = Record { started: running.started, ..work.complete(0) };
    let record = session.ledger.put_step(&session.store, work, &done).await?;
    Ok(Advance { notes, ..Advance::complete(record, 0) })
}

/// How a collection is validated; nothing where there is none.
async fn validation(place: &Collection<'_>) -> Result<Option<Document>, DriverError> {
    let list = doc! { "listCollections": 1, "filter": { "name": place.name }, "cursor": {} };
    let listed = place.batch(list).await?;
    let all = listed.first().map(|found| found.get_document("options").cloned().unwrap_or_default());
    let names = ["validator", "validationLevel", "validationAction"];
    Ok(all.map(|all| all.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect()))
}

/// The indexes of a collection, such that each can be made again.
pub(crate) async fn indexes(place: &Collection<'_>) -> Result<Vec<Document>, DriverError> {
    let mut listed = match place.batch(doc! { "listIndexes": place.name }).await {
        Err(failure) if error::code(&failure) == Some(26) => return Ok(Vec::new()),
        listed => listed?,
    };
    // What compares byte by byte says nothing of it, and would be made with the collation of the collection.
    let silent = listed.iter_mut().filter(|index| !index.contains_key("collation"));
    let silent: Vec<&mut Document> = silent.collect();
    if !silent.is_empty() && place.has_collation().await? {
        for index in silent {
            *index = binary(std::mem::take(index));
        }
    }
    Ok(listed)
}

/// Whether an index is the one of this name or these keys.
fn is_meant(found: &Document, index: &Bson) -> bool {
    found.get(if index.as_str().is_some() { "name" } else { "key" }) == Some(index)
}

/// What is remembered of a change, or will be once it runs.
pub(crate) async fn remembered(db: &Database, keep: &Keep) -> Result<Option<Document>, DriverError> {
    let place = Collection { db, name: &keep.collection };
    match (&keep.what, remembered_now(db, keep).await?) {
        (What::Revalidate, Some(kept)) => Ok(kept.get_document("options").ok().cloned()),
        (What::Recreate(_), Some(kept)) => Ok(kept.get_document("index").ok().cloned()),
        (What::Carry(_) | What::Uncarry(_), Some(kept)) => Ok(Some(kept)),
        (What::Carry(heirs), None) => {
            let carried = carry::carried(&indexes(&place).await?, heirs);
            Ok(Some(carry::remembered(&carried)))
        }
        (What::Revalidate, None) => validation(&place).await,
        (What::Recreate(index), None) => {
            Ok(indexes(&place).await?.into_iter().find(|found| is_meant(found, index)))
        }
        _ => Ok(None),
    }
}

/// What is remembered of a change that was not taken back.
pub(crate) async fn remembered_now(db: &Database, keep: &Keep) -> Result<Option<Document>, DriverError> {
    let place = Collection { db, name: &keep.collection };
    let find = doc! { "find": SHAPE, "filter": { "_id": &keep.tag }, "limit": 1, "singleBatch": true };
    let kept = place.batch(find).await?.into_iter().next();
    Ok(kept.filter(|kept| !kept.get_bool("is_back").unwrap_or_default()))
}

struct Shape<'a> {
    session: &'a Session,
    keep: &'a Keep,
    db: Database,
}

impl Shape<'_> {
    async fn run(&self) -> Result<()> {
        match &self.keep.what {
            What::Validate(_) => self.validate().await,
            What::Revalidate => self.revalidate().await,
            What::Hide(index) => self.hide(index).await,
            What::Show(_) => self.show().await,
            What::Drop(_) => self.drop_index().await,
            What::Recreate(_) => self.recreate().await,
            What::Create(index) => self.create(index).await,
            What::Uncreate(index) => self.uncreate(index).await,
            What::Carry(heirs) => self.carry(heirs).await,
            What::Uncarry(_) => self.uncarry().await,
        }
    }

    /// Whether this takes back what never came so far that anything was changed.
    async fn is_untouched(&self) -> Result<bool> {
        let is_back = matches!(&self.keep.what, What::Revalidate | What::Show(_) | What::Uncreate(_));
        Ok(is_back && self.kept().await?.is_none())
    }

    fn fail(&self, failure: &DriverError) -> Error {
        self.session.of_command(failure, &self.keep.command())
    }

    fn stop(&self, message: String) -> Error {
        Error::new(ErrorKind::Statement, message).at(self.keep.span).with("left behind", "nothing")
    }

    fn name(&self) -> &str {
        &self.keep.collection
    }

    async fn batch(&self, command: Document) -> Result<Vec<Document>> {
        let place = Collection { db: &self.db, name: self.name() };
        place.batch(command).await.map_err(|failure| self.fail(&failure))
    }

    /// Sends a change, which a majority then has: nothing later in a transaction vouches for it.
    async fn send(&self, mut command: Document) -> Result<()> {
        self.session.check_lease().await?;
        command.insert("writeConcern", doc! { "w": "majority" });
        let patience = self.session.patience();
        let sent = match patience.try_for(&self.db, &command).await {
            Ok(()) => patience.send(&self.db, command).await.map(drop),
            Err(late) => Err(late),
        };
        sent.map_err(|failure| failure.error(|failure| self.fail(failure)))
    }

    async fn kept(&self) -> Result<Option<Document>> {
        let command =
            doc! { "find": SHAPE, "filter": { "_id": &self.keep.tag }, "limit": 1, "singleBatch": true };
        Ok(self.batch(command).await?.into_iter().next())
    }

    async fn must_be_kept(&self) -> Result<Document> {
        self.kept().await?.ok_or_else(|| {
            let message =
                format!("{SHAPE} does not have {} any more: what it was is not known", self.keep.tag);
            self.stop(message).help("change it back by hand, then `dunlin mark` the migration")
        })
    }

    /// Remembers what is there, unless that was done before and not taken back since.
    async fn remember(&self, what: Document) -> Result<()> {
        if self.kept().await?.is_some_and(|kept| !kept.get_bool("is_back").unwrap_or_default()) {
            return Ok(());
        }
        let mut kept = doc! { "_id": &self.keep.tag, "collection": self.name() };
        kept.extend(what);
        self.send(doc! { "update": SHAPE, "updates": [{ "q": { "_id": &self.keep.tag }, "u": kept, "upsert": true }] })
            .await
    }

    /// From now on what is remembered may be forgotten. It stays until then: this step may have to begin again.
    async fn forget(&self) -> Result<()> {
        let update = doc! { "q": { "_id": &self.keep.tag }, "u": { "$set": { "is_back": true } } };
        self.send(doc! { "update": SHAPE, "updates": [update] }).await
    }

    async fn validate(&self) -> Result<()> {
        let place = Collection { db: &self.db, name: self.name() };
        let Some(before) = validation(&place).await.map_err(|failure| self.fail(&failure))? else {
            let message = format!("there is no collection {}", self.name());
            return Err(self.stop(message).help("make it with `create_collection`, which takes a validator"));
        };
        self.remember(doc! { "options": before }).await?;
        self.send(self.keep.sent(None)).await
    }

    async fn revalidate(&self) -> Result<()> {
        let kept = self.must_be_kept().await?;
        let command = self.keep.sent(Some(&kept.get_document("options").cloned().unwrap_or_default()));
        self.send(command).await?;
        self.forget().await
    }

    async fn indexes(&self) -> Result<Vec<Document>> {
        let place = Collection { db: &self.db, name: self.name() };
        indexes(&place).await.map_err(|failure| self.fail(&failure))
    }

    async fn hide(&self, index: &Bson) -> Result<()> {
        let found = self.indexes().await?.into_iter().find(|found| is_meant(found, index));
        let Some(mut found) = found else {
            let message = format!("{} has no index {}", self.name(), render::inline(index));
            return Err(self.stop(message));
        };
        let name = found.get("name").cloned().unwrap_or(Bson::Null);
        if self.kept().await?.is_none_or(|kept| kept.get_bool("is_back").unwrap_or_default())
            && found.get_bool("hidden").unwrap_or_default()
        {
            found.insert("was_hidden", true);
        }
        found.remove("hidden");
        self.remember(doc! { "index": found }).await?;
        self.send(hiding(self.name(), &name, true)).await
    }

    async fn kept_index(&self) -> Result<(Document, Bson)> {
        let kept = self.must_be_kept().await?;
        let index = kept.get_document("index").cloned().unwrap_or_default();
        let name = index.get("name").cloned().unwrap_or(Bson::Null);
        Ok((index, name))
    }

    async fn show(&self) -> Result<()> {
        let (index, name) = self.kept_index().await?;
        if !index.get_bool("was_hidden").unwrap_or_default() {
            self.send(hiding(self.name(), &name, false)).await?;
        }
        self.forget().await
    }

    async fn drop_index(&self) -> Result<()> {
        let (_, name) = self.kept_index().await?;
        self.drop_named(&name).await
    }

    async fn drop_named(&self, name: &Bson) -> Result<()> {
        if self.indexes().await?.iter().any(|found| found.get("name") == Some(name)) {
            self.send(doc! { "dropIndexes": self.name(), "index": name.clone() }).await?;
        }
        Ok(())
    }

    async fn recreate(&self) -> Result<()> {
        let (index, _) = self.kept_index().await?;
        self.send(self.keep.sent(Some(&index))).await
    }

    async fn create(&self, index: &Document) -> Result<()> {
        let is_begun = self.kept().await?.is_some_and(|kept| !kept.get_bool("is_back").unwrap_or_default());
        if !is_begun {
            let is_same = |found: &&Document| {
                found.get("name") == index.get("name") || found.get("key") == index.get("key")
            };
            if let Some(found) = self.indexes().await?.iter().find(is_same) {
                let shown = render::inline(&Bson::Document(found.clone()));
                let message = format!("{} has such an index already: {shown}", self.name());
                return Err(self.stop(message).help("leave the change out, or drop that index first"));
            }
            self.remember(doc! { "index": index.clone(), "is_new": true }).await?;
        }
        if unique::is_unique(index) {
            self.refuse_duplicates(index).await?;
        }
        self.send(doc! { "createIndexes": self.name(), "indexes": [index.clone()] }).await
    }

    async fn uncreate(&self, index: &Document) -> Result<()> {
        self.drop_named(&index.get("name").cloned().unwrap_or(Bson::Null)).await?;
        self.forget().await
    }

    /// Fails with the values that several documents have.
    async fn refuse_duplicates(&self, index: &Document) -> Result<()> {
        let place = Collection { db: &self.db, name: self.name() };
        let found = unique::duplicates(&place, index, Vec::new()).await;
        let Some(found) = found.map_err(|failure| self.fail(&failure))? else { return Ok(()) };
        let message = format!("{} would not be unique in {}", unique::fields(index), self.name());
        let is_back = matches!(self.keep.what, What::Uncarry(_));
        let left =
            if is_back { "the documents are as they were before; the index is not" } else { "nothing" };
        let error = Error::new(ErrorKind::Statement, message).at(self.keep.span).with("left behind", left);
        Err(error.with("documents", found).help("mend them first: each value may be in one document only"))
    }
}
