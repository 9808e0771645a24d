//! Keeping keys in step while applications write both shapes: a follower hears of writes in keyspace notifications of every
//! primary, and brings in step what it hears of as the verify step does.
//!
//! # What it hears
//!
//! A notification says no more than that a key was written, in the one shape or the other: both are read anew, by the same
//! code that goes through a page of a pass. So what the follower wrote itself is heard of and passed by. Notifications are
//! sent once, to whoever is connected, and there is nothing to go on from: a follower subscribes first, and then goes
//! through all keys. Whenever a connection broke, a server was started anew, or the primaries of a cluster are other ones,
//! that begins again.
//!
//! A key that was deleted in the old shape stays in the new one, as in every pass: nothing says whether it was ever there.
//!
//! # What keeps it from writing
//!
//! A follower holds no lock, and what it sends is no script that could look first. It is held back as the connections are
//! that move data for whoever holds the lock (see [`crate::crew`]):
//!
//! - its field in dunlin's own `follow` hash is made in a script that makes sure that the record is the one that was found
//!   within the window;
//! - a connection takes the follower's name, and only then asks whether that field is still there;
//! - a step that takes a shape away writes that it begun, marks the field, ends all connections of that name on every
//!   server, and only then touches a key.
//!
//! What a follower that sleeps had sent and no server had read goes with its connections, and it gets no new ones.

mod ear;
pub(crate) mod guard;
mod settings;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::{Duration, Instant};

use dunlin_core::{
    Activity, Check, Checked, Checkpoint, Doing, Error, ErrorKind, Follow, Followed, Follower, Pace, Pulse,
    Result, Seen, Version, async_trait,
};
use tokio::sync::Mutex;

use crate::crew::{self, Crew};
use crate::moves::Look;
use crate::moves::look::follow as pass_on;
use crate::store::Store;
use crate::strain::{Strain, Watch};
use crate::survey::Survey;
use crate::tally::Tally;
use ear::Ears;
use guard::Guard;
use shape::{Shape, align};

/// How many keys are brought in step at once.
const TOGETHER: usize = 300;
/// How many keys are kept in mind; where more are heard of, all are gone through instead.
const MOST: usize = 100_000;
/// How long it listens where nothing is heard.
const WAIT: Duration = Duration::from_millis(300);
/// How often it says that it is there, and looks who the servers are.
const BEAT: Duration = Duration::from_secs(1);

/// A follower.
#[derive(Debug)]
struct Listener {
    guard: Guard,
    shapes: Vec<Shape>,
    pace: Pace,
    watch: Watch,
    crew: Mutex<Crew>,
    ears: Ears,
    survey: Survey,
    pass: Option<Pass>,
    /// Keys of the first shape that were heard of and not seen to, by the shape's place in the list.
    hints: BTreeMap<usize, BTreeSet<Vec<u8>>>,
    oldest: Option<Instant>,
    heard: u64,
    notes: Vec<String>,
    beaten: Instant,
    looked: Instant,
}

/// A look at everything.
#[derive(Debug, Default)]
struct Pass {
    /// Which of the shapes.
    shape: usize,
    from: Option<Checkpoint>,
    /// How many keys it brought in step there so far.
    done: u64,
}

/// Begins to follow, unless the record is not within the window.
pub(crate) async fn begin(store: &Store, what: &Follow<'_>) -> Result<Option<Box<dyn Follower>>> {
    let looks = what.ops.iter().filter_map(|op| op.kind::<Look>());
    let shapes: Vec<Shape> = looks.map(Shape::of).collect::<Result<_>>()?;
    let survey = Survey::take(store).await?;
    let mut notes = settings::check(store, &survey, &shapes, what.configures).await?;
    let Some(guard) = Guard::open(store, what).await? else { return Ok(None) };
    let globs: BTreeSet<Vec<u8>> = shapes.iter().flat_map(Shape::globs).collect();
    let ears = Ears::open(store, &survey, &globs).await?;
    notes.push(
        "notifications are not kept: every key is looked at first, while they are heard already".to_owned(),
    );
    Ok(Some(Box::new(Listener {
        crew: Mutex::new(Crew::followers(store.clone(), guard.clone())),
        guard,
        shapes,
        pace: what.pace.clone(),
        watch: Watch::default(),
        ears,
        survey,
        pass: Some(Pass::default()),
        hints: BTreeMap::new(),
        oldest: None,
        heard: 0,
        notes,
        beaten: Instant::now(),
        looked: Instant::now(),
    })))
}

/// What followers say of themselves.
pub(crate) async fn told(store: &Store) -> Result<Vec<Followed>> {
    guard::told(store).await
}

/// Closes whoever follows a version, for a step that said in the record that it begun.
pub(crate) async fn shut(store: &Store, version: &Version) -> Result<()> {
    if guard::close(store, version).await? {
        crew::evict_followers(store, version).await?;
        guard::forget(store, version).await?;
    }
    Ok(())
}

#[async_trait]
impl Follower for Listener {
    async fn advance(&mut self) -> Result<Pulse> {
        let went = match self.pass {
            Some(_) => self.go_through().await,
            None => self.listen().await,
        };
        match went {
            Ok(mut pulse) => {
                pulse.notes.append(&mut self.notes);
                Ok(pulse)
            }
            // Whoever closed it also cut it off.
            Err(_) if !self.guard.is_open().await.unwrap_or(true) => Ok(Pulse::of(Doing::Closed)),
            Err(error) => Err(error),
        }
    }

    async fn strain(&mut self) -> Result<Option<String>> {
        let store = self.crew.get_mut().store().clone();
        let strain = self.watch.look(&store, &self.pace).await?;
        Ok(if let Strain::Wait(reason) = strain { Some(reason) } else { None })
    }

    async fn close(self: Box<Self>, is_over: bool) -> Result<()> {
        let store = self.crew.lock().await.store().clone();
        if is_over {
            return guard::forget(&store, &self.guard.version).await;
        }
        self.guard.beat(Activity::Stopped, (0, 0), Duration::ZERO).await
    }
}

impl Listener {
    /// One bout of a look at everything.
    async fn go_through(&mut self) -> Result<Pulse> {
        let pass = self.pass.get_or_insert_default();
        let Some(shape) = self.shapes.get(pass.shape) else {
            self.pass = None;
            self.beat(Activity::Live, 0, Duration::ZERO).await?;
            return Ok(Pulse::of(Doing::Pass(None)));
        };
        let check = Check { op: &shape.look, from: pass.from.as_ref(), pace: &self.pace };
        let (checked, done) = pass_on(self.crew.get_mut(), &shape.look, &check).await?;
        let mut pulse = Pulse { mended: done.saturating_sub(pass.done), ..Pulse::of(Doing::Pass(None)) };
        pass.done = done;
        match checked {
            Checked::Partly(checkpoint) => {
                pulse.doing = Doing::Pass(Seen::at(&checkpoint));
                pass.from = Some(checkpoint);
            }
            Checked::Wholly { violations, .. } => {
                pulse.left = violations;
                *pass = Pass { shape: pass.shape + 1, ..Pass::default() };
            }
        }
        self.take_in(Duration::ZERO).await?;
        if self.beaten.elapsed() >= BEAT || pulse.mended > 0 {
            self.beat(Activity::Pass, pulse.mended, Duration::ZERO).await?;
        }
        Ok(pulse)
    }

    /// Hears what was written, and brings it in step.
    async fn listen(&mut self) -> Result<Pulse> {
        if self.hints.is_empty() {
            self.take_in(WAIT).await?;
        }
        if self.hints.values().map(BTreeSet::len).sum::<usize>() > MOST {
            self.hints.clear();
            self.pass = Some(Pass::default());
            self.notes.push(
                "more was written than can be kept in mind: every key is looked at once more".to_owned(),
            );
            return Ok(Pulse::of(Doing::Pass(None)));
        }
        if self.looked.elapsed() >= BEAT {
            self.looked = Instant::now();
            self.look_around().await?;
        }
        let hints = mem::take(&mut self.hints);
        let mut tally = Tally::default();
        for (place, keys) in &hints {
            let keys: Vec<&Vec<u8>> = keys.iter().collect();
            for keys in keys.chunks(TOGETHER) {
                align(&self.shapes[*place].look, keys, (&self.survey, &self.crew), &mut tally).await?;
            }
        }
        let mut pulse =
            Pulse { heard: self.heard, mended: tally.done, left: tally.listed, ..Pulse::of(Doing::Live) };
        if tally.is_torn {
            // Slots are on the move: the same again, once it is known where they are.
            self.hints = hints;
            self.survey = Survey::take(&self.crew.get_mut().store().clone()).await?;
            pulse.heard = 0;
            tokio::time::sleep(WAIT).await;
            return Ok(pulse);
        }
        pulse.lag = self.oldest.take().map(|oldest| oldest.elapsed()).unwrap_or_default();
        if self.heard > 0 || self.beaten.elapsed() >= BEAT {
            self.beat(Activity::Live, pulse.mended, pulse.lag).await?;
        }
        self.heard = 0;
        Ok(pulse)
    }

    /// Keeps in mind what was heard, once it waited so long for the first of it.
    async fn take_in(&mut self, wait: Duration) -> Result<()> {
        for (key, at) in self.ears.hear(wait).await? {
            self.heard += 1;
            for (place, shape) in self.shapes.iter().enumerate() {
                if let Some(first) = shape.first(&key) {
                    self.hints.entry(place).or_default().insert(first);
                    self.oldest.get_or_insert(at);
                }
            }
        }
        Ok(())
    }

    /// Looks whether the servers are still those that are listened to.
    async fn look_around(&mut self) -> Result<()> {
        let store = self.crew.get_mut().store().clone();
        let survey = Survey::take(&store).await?;
        let runs = |survey: &Survey| -> Vec<String> {
            survey.servers.values().map(|(_, run)| run.clone()).collect()
        };
        if runs(&survey) != runs(&self.survey) {
            let message = "other servers are primaries now than those that were listened to";
            return Err(Error::new(ErrorKind::Connect, message).temporary());
        }
        self.survey = survey;
        Ok(())
    }

    async fn beat(&mut self, activity: Activity, mended: u64, lag: Duration) -> Result<()> {
        self.beaten = Instant::now();
        self.guard.beat(activity, (self.heard, mended), lag).await
    }
}
