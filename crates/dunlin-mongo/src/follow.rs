//! Keeping documents in step while applications write both shapes: a follower hears of writes in a change stream, and
//! mends what it hears of as the verify step does.
//!
//! # What it hears
//!
//! One stream over the database, of the collections that the changes are about. An event says no more than that a document
//! was written: it is read anew, by the look of the verify step, and mended by that look's own updates, which change
//! nothing where nothing is amiss. So what the follower wrote itself is heard of and passed by, and an event that comes
//! twice does nothing. A document that was deleted took both shapes with it.
//!
//! The resume token is written once everything before it is mended: a follower that was killed goes on there. Where there
//! is none, or the oplog does not reach back to it, a new stream is opened first and then every document is looked at.
//!
//! # What keeps it from writing
//!
//! A follower holds no lock. It is open as long as its document in `dunlin_follow` is there (see [`guard`]):
//!
//! - the document is made in a transaction that changes the fence as well, and only where the fence is what it was when the
//!   record was found within the window;
//! - every mend is a transaction that changes the document;
//! - a step that takes a shape away writes that it begun, then closes the document, and only then looks how far it has to go.
//!
//! So a mend either is in the log before the removal begins, or finds its document gone and is undone, however long its
//! process slept; and none can be made any more, since the record says so.

mod guard;
mod stream;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use dunlin_core::{
    Activity, AnyOp, Check, Checked, Checkpoint, Doing, Error, ErrorKind, Follow, Followed, Follower, Pace,
    Pulse, Result, Seen, Version, Violation, async_trait,
};

use crate::check::Look;
use crate::connect::Topology;
use crate::same;
use crate::store::Store;
use crate::strain;
use crate::verify;
use guard::{Beat, Guard};
use stream::{Heard, Stream};

pub(crate) use guard::{close, end, forget};

/// How many documents are looked at in one go.
const TOGETHER: usize = 500;
/// How often a follower that hears nothing says that it is there.
const BEAT: Duration = Duration::from_secs(1);

/// A follower.
#[derive(Debug)]
struct Listener {
    store: Store,
    ops: Vec<AnyOp>,
    pace: Pace,
    guard: Guard,
    stream: Stream,
    pass: Option<Pass>,
    /// What was heard and not seen to, by collection.
    hints: BTreeMap<String, Hints>,
    /// When the oldest of it was written.
    oldest: Option<Bson>,
    heard: u64,
    notes: Vec<String>,
    beaten: Instant,
}

/// Ids by the bytes they are.
type Hints = BTreeMap<Vec<u8>, Bson>;

/// A look at everything.
#[derive(Debug, Default)]
struct Pass {
    /// Which of the ops.
    op: usize,
    from: Option<Checkpoint>,
}

/// Begins to follow, unless the record is not within the window.
pub(crate) async fn begin(store: &Store, what: &Follow<'_>) -> Result<Option<Box<dyn Follower>>> {
    if store.topology == Topology::Standalone {
        let message =
            "this server is no replica set: it has no change streams, so nothing says what is written";
        let help = "make it a replica set (one member will do: `--replSet rs0`, then `rs.initiate()`); without a follower \
                    nothing is lost, since the passes before a contract find what was written";
        return Err(Error::new(ErrorKind::Unsupported, message).help(help).with("code", "no-change-streams"));
    }
    let Some((guard, token)) = Guard::open(store, what).await? else { return Ok(None) };
    let collections: Vec<&str> =
        what.ops.iter().filter_map(|op| Some(&*op.kind::<Look>()?.collection)).collect();
    let (stream, reason) = match Stream::open(store, &collections, token.as_ref()).await? {
        Some(stream) if token.is_some() => (stream, None),
        Some(stream) => (stream, Some("nobody followed before")),
        None => {
            let fresh = Stream::open(store, &collections, None).await?.ok_or_else(stream::unopened)?;
            (fresh, Some("the oplog does not reach back to where the last follower stopped"))
        }
    };
    let notes = reason
        .map(|why| format!("{why}: every document is looked at first, while the stream is open already"));
    Ok(Some(Box::new(Listener {
        store: store.clone(),
        ops: what.ops.to_vec(),
        pace: what.pace.clone(),
        guard,
        stream,
        pass: reason.map(|_| Pass::default()),
        hints: BTreeMap::new(),
        oldest: None,
        heard: 0,
        notes: notes.into_iter().collect(),
        beaten: Instant::now(),
    })))
}

/// What followers say of themselves.
pub(crate) async fn told(store: &Store) -> Result<Vec<Followed>> {
    guard::told(store).await
}

/// The `_id` of a version's document.
fn key(version: &Version) -> String {
    crate::history::key(version)
}

#[async_trait]
impl Follower for Listener {
    async fn advance(&mut self) -> Result<Pulse> {
        let went = match self.pass {
            Some(_) => self.go_through().await,
            None => self.listen().await,
        };
        if self.guard.is_closed {
            return Ok(Pulse::of(Doing::Closed));
        }
        let mut pulse = went?;
        pulse.notes.append(&mut self.notes);
        Ok(pulse)
    }

    async fn strain(&mut self) -> Result<Option<String>> {
        strain::strain(&self.store, &self.pace).await
    }

    async fn close(mut self: Box<Self>, is_over: bool) -> Result<()> {
        self.stream.close(&self.store).await;
        if is_over {
            return forget(&self.store, &self.guard.version).await;
        }
        self.guard.beat(&self.store, Beat::of(Activity::Stopped)).await.map(drop)
    }
}

impl Listener {
    /// One bout of a look at everything.
    async fn go_through(&mut self) -> Result<Pulse> {
        let pass = self.pass.get_or_insert_default();
        let Some(op) = self.ops.get(pass.op) else {
            self.pass = None;
            // From here on the stream alone says what is to be done.
            self.beat(Activity::Live, 0).await?;
            return Ok(Pulse::of(Doing::Pass(None)));
        };
        let check = Check { op: &**op, from: pass.from.as_ref(), pace: &self.pace };
        let checked = verify::run(&self.store, &check, Some(&mut self.guard)).await?;
        let mut pulse = Pulse { mended: self.guard.take_mended(), ..Pulse::of(Doing::Pass(None)) };
        match checked {
            Checked::Partly(checkpoint) => {
                pulse.doing = Doing::Pass(Seen::at(&checkpoint));
                pass.from = Some(checkpoint);
            }
            Checked::Wholly { violations, .. } => {
                pulse.left = violations;
                *pass = Pass { op: pass.op + 1, from: None };
            }
        }
        if self.beaten.elapsed() >= BEAT || pulse.mended > 0 {
            self.beat(Activity::Pass, pulse.mended).await?;
        }
        Ok(pulse)
    }

    /// Hears what was written, and sees to it.
    async fn listen(&mut self) -> Result<Pulse> {
        if self.hints.is_empty()
            && let Some(pulse) = self.hear().await?
        {
            return Ok(pulse);
        }
        let mut pulse = Pulse { heard: self.heard, ..Pulse::of(Doing::Live) };
        let mut is_sure = true;
        for op in self.ops.clone() {
            let Some(look) = op.kind::<Look>() else { continue };
            let ids: Vec<Bson> =
                self.hints.get(&look.collection).into_iter().flat_map(BTreeMap::values).cloned().collect();
            is_sure &= self.see_to(look, &ids, &mut pulse.left).await?;
        }
        if !is_sure {
            // Somebody wrote them all the while: they are seen to anew before anything else.
            return Ok(Pulse::of(Doing::Live));
        }
        pulse.mended = self.guard.take_mended();
        if self.heard > 0 || self.beaten.elapsed() >= BEAT {
            pulse.lag = self.beat(Activity::Live, pulse.mended).await?;
        }
        self.hints.clear();
        (self.heard, self.oldest) = (0, None);
        Ok(pulse)
    }

    /// Looks at documents and mends them; whether it is sure that nothing else is to be done. Where one of them refuses, the
    /// others are mended without it.
    async fn see_to(&mut self, look: &Look, ids: &[Bson], left: &mut Vec<Violation>) -> Result<bool> {
        let mut open: Vec<&[Bson]> = ids.chunks(TOGETHER).collect();
        let mut is_sure = true;
        while let Some(ids) = open.pop() {
            let found = same::hinted(&self.store, look, ids, &mut self.guard).await?;
            match (found, self.guard.refusal.take()) {
                (None, _) => is_sure = false,
                (Some(_), Some(_)) if ids.len() > 1 => {
                    open.extend(<[_; 2]>::from(ids.split_at(ids.len() / 2)));
                }
                (Some(found), Some(refusal)) => {
                    left.extend(
                        found.into_iter().map(|one| Violation { values: Some(refusal.clone()), ..one }),
                    );
                }
                (Some(found), None) => left.extend(found),
            }
        }
        Ok(is_sure)
    }

    /// Waits for what is written next. Says where that leads away from listening.
    async fn hear(&mut self) -> Result<Option<Pulse>> {
        match self.stream.next(&self.store).await? {
            Heard::Events(events) => {
                for event in events {
                    self.take(&event);
                    if let Some(words) = self.stream.loses(&event) {
                        return Ok(Some(Pulse::of(Doing::Lost(words))));
                    }
                }
                Ok(None)
            }
            Heard::Overtaken => {
                self.stream = self.stream.anew(&self.store).await?;
                self.pass = Some(Pass::default());
                self.notes.push(
                    "the oplog went on faster than this follower: every document is looked at once more"
                        .to_owned(),
                );
                Ok(Some(Pulse::of(Doing::Pass(None))))
            }
        }
    }

    /// Keeps what an event is about.
    fn take(&mut self, event: &Document) {
        self.heard += 1;
        let Some((collection, id)) = stream::document(event) else { return };
        let bytes = doc! { "": id.clone() }.to_vec().unwrap_or_default();
        self.hints.entry(collection.to_owned()).or_default().insert(bytes, id.clone());
        if self.oldest.is_none() {
            self.oldest = stream::written(event);
        }
    }

    /// Says that it is there, how much it did, and where the next one goes on; how far it is behind.
    async fn beat(&mut self, activity: Activity, mended: u64) -> Result<Duration> {
        self.beaten = Instant::now();
        let token = (activity == Activity::Live).then(|| self.stream.token.clone()).flatten();
        let beat = Beat { activity, heard: self.heard, mended, oldest: self.oldest.clone(), token };
        self.guard.beat(&self.store, beat).await
    }
}
