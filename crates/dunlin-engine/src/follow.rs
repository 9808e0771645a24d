//! Following a migration: its stores side by side, each by its own follower, until somebody says stop, the clock does, or
//! the histories say that nothing is left to follow. Takes no lock, so that `up`, `verify` and `contract` run beside it.
//!
//! A follower is opened, and goes on moment by moment. Between any two moments the history is looked at, once a second. What
//! passes (a server that is away, an election) is waited out for as long as it takes: the next follower goes on where the
//! last one stopped.

mod part;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dunlin_core::{
    AnyStore, Doing, Error, ErrorKind, Follow, Follower, Migration, MigrationId, Pace, Pulse, Record, Result,
    Stand, StoreName,
};
use futures_util::future::join_all;

use crate::event::{Event, Report};
use crate::lane;
use crate::lock::jitter;
use crate::pace;
use crate::run::Context;

pub use part::{Followers, Part, Standing, followers, standing};

/// How often the history is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long is waited before another try, at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long is waited for a backfill to get further.
const PAUSE: Duration = Duration::from_millis(500);

/// How it is gone about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// Whether it ends once everything that is there is in step.
    pub is_once: bool,
    /// Whether a setting of a server that is in the way may be changed.
    pub configures: bool,
}

/// What following did in one store.
#[derive(Debug)]
pub struct Followed {
    /// Where.
    pub store: StoreName,
    /// What was heard.
    pub heard: u64,
    /// Records brought in step.
    pub mended: u64,
    /// Records found that could not be; one that was found twice counts twice.
    pub left: u64,
    /// Why it ended.
    pub end: End,
}

/// Why following ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Somebody said so, or another store failed.
    Stopped,
    /// By the clock.
    Until,
    /// All is in step, and no more was asked.
    InStep,
    /// The old shape is being removed, or is gone.
    Contracted,
    /// The new shape is being taken back, or is gone.
    TakenBack,
}

/// Follows a migration in every store of the context that has something to follow.
pub async fn follow(
    context: &Context,
    migration: &Arc<dyn Migration>,
    manner: Manner,
    report: Report<'_>,
) -> (Vec<Followed>, Result<()>) {
    let context = Context { cancel: context.cancel.child_token(), ..context.clone() };
    let report = Mutex::new(report);
    let lanes = context.stores.iter().filter_map(|(name, store)| {
        let part = Part::of(&**migration, name)?;
        let usual = Pace::default();
        let pace = context.paces.get(name).cloned().unwrap_or(usual);
        let followed = Followed { store: name.clone(), heard: 0, mended: 0, left: 0, end: End::Stopped };
        let lane = Lane {
            context: &context,
            id: migration.id(),
            store,
            part,
            pace,
            manner,
            followed,
            report: &report,
        };
        Some(lane.run())
    });
    let mut result = Ok(());
    let mut all = Vec::new();
    for (followed, ended) in join_all(lanes).await {
        let name = followed.store.clone();
        result =
            result.and(ended.map_err(|error| error.with("store", &name).with("migration", migration.id())));
        all.push(followed);
    }
    (all, result)
}

/// One store.
struct Lane<'a, 'r> {
    context: &'a Context,
    id: &'a MigrationId,
    store: &'a AnyStore,
    part: Part,
    pace: Pace,
    manner: Manner,
    followed: Followed,
    report: &'a Mutex<Report<'r>>,
}

/// How a pass goes.
#[derive(Debug, Default)]
struct Pass {
    is_on: bool,
    scanned: u64,
    /// When the store was last seen at ease.
    eased: Option<Instant>,
    /// What it was told to wait for.
    told: String,
}

impl Lane<'_, '_> {
    async fn run(mut self) -> (Followed, Result<()>) {
        let result = self.go_on().await;
        match &result {
            Ok(end) => {
                self.followed.end = end.clone();
                self.tell(Event::Unfollowed { id: self.id, store: &self.followed.store, end });
            }
            // The others stop at their next moment.
            Err(_) => self.context.cancel.cancel(),
        }
        (self.followed, result.map(drop))
    }

    fn tell(&self, event: Event<'_>) {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)(event);
    }

    async fn go_on(&mut self) -> Result<End> {
        let mut tries = 0;
        loop {
            if let Some(end) = self.is_over() {
                return Ok(end);
            }
            let error = match self.once(&mut tries).await {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => continue,
                // Whatever a follower sends may be sent again.
                Err(error) if error.temporary || error.kind == ErrorKind::Connect => error,
                Err(error) => return Err(error),
            };
            tries += 1;
            let delay = jitter(PATIENCE.min(Duration::from_millis(100) * tries));
            self.tell(Event::FollowerLost { id: self.id, store: &self.followed.store, error: &error, delay });
            self.wait(delay).await;
        }
    }

    /// Whether somebody, or the clock, says stop.
    fn is_over(&self) -> Option<End> {
        if self.context.cancel.is_cancelled() {
            return Some(End::Stopped);
        }
        self.context.until.filter(|until| Instant::now() >= *until).map(|_| End::Until)
    }

    async fn wait(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.context.cancel.cancelled() => {}
        }
    }

    /// One follower, as long as it goes.
    async fn once(&mut self, tries: &mut u32) -> Result<Option<End>> {
        let stand = self.stand().await?;
        match stand {
            Stand::Within => {}
            Stand::Before => {
                let waits = "the new shape is not whole yet: waits for the backfill";
                self.tell(Event::FollowerWaits { id: self.id, store: &self.followed.store, reason: waits });
                self.wait(PAUSE).await;
                return Ok(None);
            }
            over => return Ok(ending(over)),
        }
        let what = Follow {
            id: self.id,
            ops: &self.part.ops,
            window: self.part.window,
            author: &self.context.author,
            pace: &self.pace,
            configures: self.manner.configures,
        };
        let Some(mut follower) = self.store.follow(&what).await? else { return Ok(None) };
        let ended = self.follow(&mut follower, tries).await;
        let is_over = matches!(ended, Ok(Some(End::Contracted | End::TakenBack)));
        let closed = follower.close(is_over).await;
        let end = ended?;
        // That it could not say that it goes is seen by its silence.
        if is_over {
            closed?;
        }
        Ok(end)
    }

    async fn follow(&mut self, follower: &mut Box<dyn Follower>, tries: &mut u32) -> Result<Option<End>> {
        let mut looked = Instant::now();
        let mut pass = Pass::default();
        loop {
            if let Some(end) = self.is_over() {
                return Ok(Some(end));
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if let Some(end) = ending(self.stand().await?) {
                    return Ok(Some(end));
                }
            }
            if pass.is_on && self.is_strained(follower, &mut pass).await? {
                self.wait(jitter(pace::LOOK / 2)).await;
                continue;
            }
            let began = Instant::now();
            let pulse = follower.advance().await?;
            *tries = 0;
            self.count(&pulse);
            pass.is_on = matches!(pulse.doing, Doing::Pass(_));
            match &pulse.doing {
                // The history says why, or it was another follower's doing.
                Doing::Closed => return Ok(None),
                // The change itself may have done it, on its way to the end.
                Doing::Lost(words) => {
                    return Ok(Some(ending(self.stand().await?).ok_or_else(|| gone(words))?));
                }
                Doing::Pass(seen) => {
                    let now = seen.as_ref().map_or(0, |seen| seen.scanned);
                    let rest =
                        self.pace.least(now.saturating_sub(pass.scanned)).saturating_sub(began.elapsed());
                    pass.scanned = now;
                    self.wait(rest).await;
                }
                Doing::Live if self.manner.is_once && pulse.heard == 0 => return Ok(Some(End::InStep)),
                Doing::Live => {}
            }
        }
    }

    /// Whether a pass has to wait. What for is told as often as it changes.
    async fn is_strained(&self, follower: &mut Box<dyn Follower>, pass: &mut Pass) -> Result<bool> {
        if pass.eased.is_some_and(|eased| eased.elapsed() < pace::LOOK) {
            return Ok(false);
        }
        let Some(reason) = pace::reason(follower.strain().await)? else {
            pass.eased = Some(Instant::now());
            pass.told.clear();
            return Ok(false);
        };
        if reason != pass.told {
            self.tell(Event::FollowerWaits { id: self.id, store: &self.followed.store, reason: &reason });
            pass.told = reason;
        }
        Ok(true)
    }

    fn count(&mut self, pulse: &Pulse) {
        self.followed.heard += pulse.heard;
        self.followed.mended += pulse.mended;
        self.followed.left += pulse.left.len() as u64;
        let (heard, mended) = (self.followed.heard, self.followed.mended);
        self.tell(Event::Followed { id: self.id, store: &self.followed.store, pulse, heard, mended });
    }

    /// Where the record stands; refused where what ran is not what the file says.
    async fn stand(&self) -> Result<Stand> {
        let history = self.store.history().await?;
        let record = history.record(&self.id.version);
        let stand = self.part.window.stand(record);
        let is_edited = |record: &Record| !lane::is_prefix(record, &self.part.sums);
        if matches!(stand, Stand::Before | Stand::Within) && record.is_some_and(is_edited) {
            let message =
                format!("the file of {} was edited after it ran, so that it says another rule", self.id);
            let help = "put it back as it was, or take the migration back and apply it anew";
            return Err(Error::new(ErrorKind::Integrity, message).help(help));
        }
        Ok(stand)
    }
}

fn ending(stand: Stand) -> Option<End> {
    match stand {
        Stand::Before | Stand::Within => None,
        Stand::Contracted => Some(End::Contracted),
        Stand::Back => Some(End::TakenBack),
    }
}

fn gone(words: &str) -> Error {
    let message = format!("{words} while it was followed: what was in it can be kept in step no more");
    Error::new(ErrorKind::Statement, message)
        .help("`dunlin verify` says what is amiss; once it is mended, follow again")
        .with("code", "follow-lost")
}
