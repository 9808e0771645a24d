//! The walk over the keys of one server, page by page. While the server works on one page, the next one is already asked
//! for: each batch asks for page n + 2, asks how big the keys of page n + 1 are, and does page n.

use std::time::{Duration, Instant};

use dunlin_core::pace::Sizer;
use dunlin_core::{Error, ErrorKind, Pace, Result};

use crate::hands::Hands;
use crate::moves::task::{Sent, Task};
use crate::moves::texts::{self, Reading};
use crate::size::{self, Question};
use crate::tally::Tally;
use crate::wire::{Answer, Wire};
use crate::{before, error};

/// How long a page may take, where nothing else is said.
pub(crate) const TARGET: Duration = Duration::from_millis(1);
/// How many keys a page has: to begin with, and at least.
const COUNT: (u32, u32) = (200, 20);
/// And at most: at the usual pace, and when it is to be fast. The commands about a page must take a server longer than the
/// next page takes to come to us, or it has nothing to do meanwhile.
const MOST: (u32, u32) = (300, 1000);
/// How many keys a page comes past at most, those included that the op is not about: one command does that, and everybody
/// else waits for it.
const PAST: (u32, u32) = (500, 1000);
/// How many bytes of commands may be under way at the usual pace. A server reads 16 KiB at once, does all of that, and only
/// then turns to others: they wait for half as long.
const WINDOW: u64 = 8 << 10;
/// Where a question takes longer than this on its way, more is under way: else a server far away has nothing to do.
const NEAR: Duration = Duration::from_micros(250);

/// What is learned of a server from one page to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habit {
    pub(crate) sizer: Sizer,
    question: Question,
    /// How many keys are come past for one that the op is about, as far as the last page says.
    scarcity: u32,
    reading: Reading,
    /// How many keys a page comes past at most.
    past: u32,
}

impl Habit {
    /// When nothing is known yet.
    pub(crate) fn new(task: &Task<'_>, pace: &Pace) -> Self {
        let (most, past) = if is_fast(pace) { (MOST.1, PAST.1) } else { (MOST.0, PAST.0) };
        // Where names are only looked at, a server has nothing to do in between in any case.
        let most = if task.is_about_names() { past } else { most };
        Self {
            sizer: Sizer::new(COUNT.0, COUNT.1, most),
            question: Question::new(task),
            scarcity: 1,
            reading: task.reading(),
            past,
        }
    }

    /// How many keys the next page comes past: those the op is not about need nothing.
    fn count(&self) -> u32 {
        let count = self.sizer.size().saturating_mul(self.scarcity);
        count.min(self.past)
    }

    /// Learns how many of the keys of a page the op is about.
    fn meet(&mut self, count: u64, met: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let met = u32::try_from(met).unwrap_or(u32::MAX).max(1);
        self.scarcity = ((count + met / 2) / met).clamp(1, self.past);
    }
}

/// Whoever asks for more at once wants it done fast: pages as large as they may be.
fn is_fast(pace: &Pace) -> bool {
    pace.jobs.get() > 1
}

/// How far a bout may go.
#[derive(Debug)]
pub(crate) struct Reach {
    until: Instant,
    /// How many keys.
    most: u64,
    target: Duration,
    /// How many bytes of commands may be under way; as many as there are if none.
    window: Option<u64>,
}

impl Reach {
    pub(crate) fn new(pace: &Pace, lanes: usize) -> Self {
        let usual = if is_fast(pace) { TARGET * 20 } else { TARGET };
        let most = pace.most() / u64::try_from(lanes.max(1)).unwrap_or(1);
        Self {
            until: Instant::now() + pace.bout,
            most: most.max(1),
            target: pace.target.unwrap_or(usual),
            window: (!is_fast(pace)).then_some(WINDOW),
        }
    }

    /// Lets as much be under way on a wire as it may; says how long a question takes on its way. Nothing may be under way yet.
    async fn narrow(&self, wire: &mut Wire) -> Result<Duration> {
        wire.narrow(self.window);
        let Some(window) = self.window else { return Ok(Duration::ZERO) };
        let mut way = Duration::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            // A login that may not ask this hears so just as fast.
            wire.call(&[b"PING"]).await?;
            way = way.min(began.elapsed());
        }
        let times = u64::try_from(way.as_micros() / NEAR.as_micros()).unwrap_or(u64::MAX);
        wire.narrow(Some(window.saturating_mul(times.max(1))));
        Ok(way)
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// One key of a page.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    /// Its other name, where the op has one.
    pub(crate) name: Vec<u8>,
    /// Whether the two live in different slots.
    pub(crate) is_crossing: bool,
    /// Whether it is too big to be dealt with in one go.
    pub(crate) is_big: bool,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// What was sent about them, in order.
    pub(crate) sent: Vec<Sent>,
    /// How its pairs are looked at.
    pub(crate) reading: Reading,
    /// Where the walk goes on behind it; nothing at the end.
    next: Option<String>,
}

impl Page {
    /// Entries that are dealt with together, wherever they come from.
    pub(crate) fn of(entries: Vec<Entry>) -> Self {
        Self { entries, sent: Vec::new(), reading: Reading::Script, next: None }
    }
}

/// Walks on from a cursor until the bout is over or the walk is; says where it got to, nothing at the end.
pub(crate) async fn walk(
    task: &Task<'_>,
    from: String,
    (reach, habit): (&Reach, &mut Habit),
    (wire, hands): (&mut Wire, &mut Hands<'_>),
    tally: &mut Tally,
) -> Result<Option<String>> {
    if let Some(script) = task.script() {
        wire.load(script).await?;
    }
    let way = reach.narrow(wire).await?;
    let glob = task.glob();
    let mut at = Some(from.clone());
    let mut done = Some(from);
    let (mut fresh, mut ready, mut acting): (Option<Page>, Option<Page>, Option<Page>) = (None, None, None);
    let (mut seen, mut is_first, mut clock) = (0, true, Instant::now());
    loop {
        // The first page is always read, or a bout of no length would get nowhere.
        let asks = at.clone().filter(|_| is_first || (!reach.is_over() && seen < reach.most));
        is_first = false;
        let count = u64::from(habit.count()).min(reach.most);
        if let Some(cursor) = &asks {
            ask_page(wire, cursor, &glob, count, task.kind());
        }
        if let Some(page) = &fresh {
            size::ask(page, task, habit.question, wire);
        }
        if let Some(page) = &mut ready {
            page.reading = habit.reading;
            task.send(page, wire).await?;
        }
        wire.flush().await?;
        if let Some(mut page) = acting.take() {
            let mut answers = Vec::with_capacity(page.entries.len());
            for sent in &page.sent {
                for _ in 0..sent.replies() {
                    answers.push(wire.answer().await?);
                }
            }
            if page.reading == habit.reading {
                habit.reading = texts::learn(&page, &answers);
            }
            tally.seen += count_of(&page);
            done = page.next.take();
            task.finish(page, answers, hands, tally).await?;
        }
        let mut next = None;
        if asks.is_some() {
            let page = next_page(task, wire, hands, tally).await?;
            if at.is_some() && page.next.is_some() {
                habit.sizer.learn(clock.elapsed().saturating_sub(way), reach.target);
            }
            habit.meet(count, page.entries.len());
            clock = Instant::now();
            seen += count_of(&page);
            at.clone_from(&page.next);
            next = Some(page);
        }
        if let Some(page) = &mut fresh {
            size::read(page, task, &mut habit.question, wire).await?;
        }
        (acting, ready, fresh) = (ready.take(), fresh.take(), next);
        if acting.is_none() && ready.is_none() && fresh.is_none() {
            return Ok(done);
        }
    }
}

fn count_of(page: &Page) -> u64 {
    u64::try_from(page.entries.len()).unwrap_or(u64::MAX)
}

/// Asks for a page.
pub(crate) fn ask_page(wire: &mut Wire, cursor: &str, glob: &[u8], count: u64, kind: Option<&str>) {
    wire.head(if kind.is_some() { 8 } else { 6 });
    for word in [b"SCAN", cursor.as_bytes(), b"MATCH", glob, b"COUNT", count.to_string().as_bytes()] {
        wire.word(word);
    }
    if let Some(kind) = kind {
        wire.word(b"TYPE");
        wire.word(kind.as_bytes());
    }
}

/// Takes in the next page, without what is left alone.
async fn next_page(
    task: &Task<'_>,
    wire: &mut Wire,
    hands: &mut Hands<'_>,
    tally: &mut Tally,
) -> Result<Page> {
    let mut page = read_page(wire.answer().await?, task, wire)?;
    before::spare(&mut page, task.before.as_ref(), hands, tally).await?;
    Ok(page)
}

fn read_page(answer: Answer, task: &Task<'_>, wire: &Wire) -> Result<Page> {
    let mut parts = match answer {
        Answer::Error(said) => return Err(error::said(&said, "cannot go through the keys", wire.url())),
        answer => answer.list().into_iter(),
    };
    let (Some(cursor), Some(keys)) = (parts.next().and_then(Answer::text), parts.next()) else {
        return Err(Error::new(ErrorKind::Connect, "the server answers SCAN with something else"));
    };
    let entries = keys.list().into_iter().filter_map(Answer::bytes).filter_map(|key| task.entry(key));
    Ok(Page {
        entries: entries.collect(),
        sent: Vec::new(),
        reading: Reading::Script,
        next: (cursor != "0").then_some(cursor),
    })
}
