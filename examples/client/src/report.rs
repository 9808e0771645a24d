//! What a client has to say in the end.

use std::fmt;
use std::time::{Duration, Instant};

use crate::{Error, Work};

/// How its statements went.
#[derive(Debug, Default)]
pub struct Report {
    /// How many there were.
    pub statements: u64,
    /// Those that failed, or read another value than was written.
    pub failed: Vec<String>,
    /// How long the slowest took, and which it was.
    pub slowest: (Duration, String),
}

impl Report {
    pub(crate) fn note(&mut self, store: &str, work: Work, began: Instant, done: Result<(), Error>) {
        let what = || format!("{store}: {:?} {} in round {}", work.what, work.user, work.round);
        self.statements += 1;
        if began.elapsed() > self.slowest.0 {
            self.slowest = (began.elapsed(), what());
        }
        if let Err(error) = done {
            self.failed.push(format!("{}: {error}", what()));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slowest = self.slowest.0.as_millis();
        write!(f, "{} statements, the slowest {slowest} ms", self.statements)?;
        match self.failed.len() {
            0 => write!(f, ", none failed"),
            failed => write!(f, ", {failed} FAILED"),
        }?;
        self.failed.iter().take(5).try_for_each(|failed| write!(f, "\n  {failed}"))
    }
}
