//! How data is moved: how long a chunk may keep others waiting, how much is done at once, and what must be well with
//! the store meanwhile. Nothing here measures; whoever does hands the times in.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::url::StoreUrl;

/// How data is moved in one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How long one chunk should take, which is how long another client may have to wait for it; the backend's own
    /// default where it is not said.
    pub target: Option<Duration>,
    /// How long one advance goes on for before the run looks around. Zero: one chunk.
    pub bout: Duration,
    /// How many chunks are under way at once, where the store gains by it.
    pub jobs: NonZeroU32,
    /// At most so many records a second.
    pub rate: Option<NonZeroU32>,
    /// How far a replica may fall behind; `None` where nobody cares.
    pub max_lag: Option<Duration>,
    /// How long a small request of another client may take (Redis).
    pub max_latency: Option<Duration>,
    /// How many sessions may wait for locks (PostgreSQL).
    pub max_waiting: Option<NonZeroU32>,
    /// How many threads may run (MySQL).
    pub max_running: Option<NonZeroU32>,
    /// The replicas whose lag counts, where the primary does not know them (MySQL).
    pub replicas: Vec<StoreUrl>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            target: None,
            bout: Duration::from_millis(250),
            jobs: NonZeroU32::MIN,
            rate: None,
            max_lag: Some(Duration::from_secs(10)),
            max_latency: None,
            max_waiting: NonZeroU32::new(20),
            max_running: NonZeroU32::new(50),
            replicas: Vec::new(),
        }
    }
}

impl Pace {
    /// How many records one advance may take on, so that the rate holds from one to the next.
    pub fn most(&self) -> u64 {
        let Some(rate) = self.rate else { return u64::MAX };
        let millis = u64::try_from(self.bout.as_millis()).unwrap_or(u64::MAX);
        (u64::from(rate.get()).saturating_mul(millis) / 1000).max(1)
    }

    /// How long `records` must take at least.
    pub fn least(&self, records: u64) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        Duration::from_millis(records.saturating_mul(1000) / u64::from(rate.get()))
    }
}

/// The size of the next chunk, steered by how long the last one took.
#[derive(Debug, Clone, Copy)]
pub struct Sizer {
    size: u32,
    least: u32,
    most: u32,
}

impl Sizer {
    /// Starts with `size`, and stays between `least` and `most`.
    pub fn new(size: u32, least: u32, most: u32) -> Self {
        Self { size, least, most }
    }

    /// How many records the next chunk has.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Learns from a chunk that was full. Half and double are the most that one measurement may say: a machine that
    /// hiccups is no reason to crawl.
    pub fn learn(&mut self, took: Duration, target: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        let wanted = u64::from(self.size).saturating_mul(micros(target)) / micros(took);
        let (half, double) = (u64::from(self.size / 2), u64::from(self.size) * 2);
        let next = wanted.clamp(half, double).clamp(u64::from(self.least), u64::from(self.most));
        self.size = u32::try_from(next).unwrap_or(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_grow_and_shrink_within_bounds() {
        let target = Duration::from_millis(30);
        let mut sizer = Sizer::new(1000, 100, 3000);
        sizer.learn(Duration::from_millis(1), target);
        assert_eq!(sizer.size(), 2000);
        sizer.learn(Duration::from_millis(1), target);
        assert_eq!(sizer.size(), 3000);
        sizer.learn(Duration::from_millis(40), target);
        assert_eq!(sizer.size(), 2250);
        for _ in 0..9 {
            sizer.learn(Duration::from_secs(9), target);
        }
        assert_eq!(sizer.size(), 100);
    }

    #[test]
    fn a_rate_holds_from_one_advance_to_the_next() {
        let pace = Pace { rate: NonZeroU32::new(100), ..Pace::default() };
        assert_eq!(pace.most(), 25);
        assert_eq!(pace.least(25), pace.bout);
        assert_eq!(Pace::default().most(), u64::MAX);
        assert_eq!(Pace::default().least(u64::MAX), Duration::ZERO);
        let slow = Pace { rate: NonZeroU32::new(1), ..Pace::default() };
        assert_eq!((slow.most(), slow.least(1)), (1, Duration::from_secs(1)));
    }
}
