//! Following: what applications of the old shape write is there in the new one a moment later, whatever happens to the
//! follower, its server, or the migration it follows.
#![allow(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod cli;
mod mongo;
mod redis;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dunlin::{
    AnyOp, Doing, File, Follow, Follower, Goal, Pace, Phase, Project, Reaction, RunEvent, StoreName,
    StoreUrl, Target, Window,
};
use dunlin_engine::follow::{End, Followed, Manner, follow};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::steer::down;

const STORE: &str = "app";
/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The version of the next migration: in a store that several tests share each is another one.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A project of one migration with these changes.
fn project(url: &StoreUrl, changes: &[&str]) -> Project {
    paced(url, changes, Pace { max_lag: None, ..Pace::default() })
}

fn paced(url: &StoreUrl, changes: &[&str], pace: Pace) -> Project {
    let target = Target {
        connect_timeout: Duration::from_secs(5),
        lease: Duration::from_secs(2),
        pace,
        ..Target::new(STORE, url.clone())
    };
    let one = |text: &&str| format!("[[change]]\nstore = \"{STORE}\"\n{text}\n");
    let text: String = changes.iter().map(one).collect();
    let name = format!("{:06}_change.toml", NEXT.fetch_add(1, Ordering::Relaxed));
    let file = File { name: name.clone().into(), shown: name.into(), content: text.into_bytes().into() };
    let mut project = Project::default().target(target).unwrap().files(&[file]);
    project.policy.missing = Reaction::Accept;
    project.policy.out_of_order = Reaction::Accept;
    project
}

async fn run_to(project: &Project, contract: bool) {
    let goal = Goal { contract, ..Goal::default() };
    if let Err(failure) = dunlin::up(project, &goal, &mut |_| {}).await {
        panic!("{failure}: {failure:?}");
    }
}

/// Both shapes are there from now on.
async fn up(project: &Project) {
    run_to(project, false).await;
}

/// The old shape goes.
async fn contract(project: &Project) {
    run_to(project, true).await;
}

/// What a follower said so far.
type Said = Arc<Mutex<Vec<String>>>;

/// A follower at work.
struct Following {
    cancel: CancellationToken,
    task: JoinHandle<(Vec<Followed>, dunlin::Result<()>)>,
    said: Said,
}

impl Following {
    /// Begins, and waits until it listens.
    async fn live(project: &Project) -> Self {
        let mut following = Self::begin(project, Manner::default()).await;
        following.until("live").await;
        following
    }

    async fn begin(project: &Project, manner: Manner) -> Self {
        let mut project = project.clone();
        let cancel = CancellationToken::new();
        project.cancel = cancel.clone();
        let context = project.context(project.connect(&[]).await.unwrap());
        let migration = project.load().migrations.values().next().unwrap().clone();
        let said = Said::default();
        let heard = said.clone();
        let task = tokio::spawn(async move {
            let mut report = |event: RunEvent<'_>| {
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend(words(&event));
            };
            follow(&context, &migration, manner, &mut report).await
        });
        Self { cancel, task, said }
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it said this.
    async fn until(&mut self, word: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.said().iter().any(|said| said.contains(word)) {
            assert!(!self.task.is_finished(), "{:?}: {:?}", self.said(), (&mut self.task).await);
            assert!(Instant::now() < until, "never said {word}: {:?}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it.
    async fn stop(self) -> Followed {
        self.cancel.cancel();
        self.end().await.unwrap()
    }

    /// Waits for its end.
    async fn end(self) -> Result<Followed, dunlin::Error> {
        let (mut followed, result) = tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
        result.map(|()| followed.remove(0))
    }
}

fn words(event: &RunEvent<'_>) -> Vec<String> {
    match event {
        RunEvent::Followed { pulse, .. } => {
            let doing = match pulse.doing {
                Doing::Pass(_) => "pass",
                Doing::Live => "live",
                Doing::Closed => "closed",
                Doing::Lost(_) => "lost",
            };
            let left = pulse.left.iter().map(|left| format!("left {}", left.record));
            std::iter::once(doing.to_owned()).chain(pulse.notes.clone()).chain(left).collect()
        }
        RunEvent::FollowerWaits { reason, .. } => vec![format!("waits {reason}")],
        RunEvent::FollowerLost { error, .. } => vec![format!("lost {}", error.message)],
        RunEvent::Unfollowed { end, .. } => vec![format!("{end:?}")],
        _ => Vec::new(),
    }
}

/// Waits until something holds; how long that took.
async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

/// That the end is this one.
#[track_caller]
fn ended(followed: &Followed, end: &End) {
    assert_eq!(&followed.end, end, "{followed:?}");
}

/// A follower by itself, which nobody tells what the history says; it listens.
async fn alone(project: &Project) -> Box<dyn Follower> {
    let context = project.context(project.connect(&[]).await.unwrap());
    let migration = project.load().migrations.values().next().unwrap().clone();
    let steps = migration.steps();
    let verify = steps.iter().filter(|step| step.phase == Phase::Verify);
    let ops: Vec<AnyOp> = verify.map(|step| step.op.clone()).collect();
    let removes = |step: &dunlin::Step| step.phase == Phase::Contract && !step.op.prepares();
    let window = Window {
        from: steps.iter().filter(|step| step.phase < Phase::Verify).count(),
        to: steps.iter().filter(|step| !removes(step)).count(),
    };
    let pace = Pace::default();
    let (id, author) = (migration.id(), &context.author);
    let what = Follow { id, ops: &ops, window, author, pace: &pace, configures: false };
    let mut follower = context.stores[&StoreName::from(STORE)].follow(&what).await.unwrap().unwrap();
    while follower.advance().await.unwrap().doing != Doing::Live {}
    follower
}

/// Whether there is a follower to be had.
async fn is_followable(project: &Project) -> bool {
    let mut following = Following::begin(project, Manner { is_once: true, ..Manner::default() }).await;
    let (followed, _) = (&mut following.task).await.unwrap();
    followed[0].end == End::InStep
}

/// Goes on until it says that it was closed.
async fn closes(follower: &mut Box<dyn Follower>) {
    for _ in 0..50 {
        if follower.advance().await.unwrap().doing == Doing::Closed {
            return;
        }
    }
    panic!("it goes on and on");
}
