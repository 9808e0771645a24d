//! When moving data waits: for the rate it was given, for a store under strain, for the hour at which it has to stop.

use std::time::{Duration, Instant};

use dunlin_core::{Pace, Result, Session};
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Report, StepLabel};
use crate::lock::jitter;

/// How often a store is asked whether it is under strain.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// Watches over one step.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pace: &'a Pace,
    cancel: &'a CancellationToken,
    until: Option<Instant>,
    looked: Option<Instant>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(pace: &'a Pace, cancel: &'a CancellationToken, until: Option<Instant>) -> Self {
        Self { pace, cancel, until, looked: None }
    }

    /// Whether the step has to stop at this safe point.
    pub(crate) fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Waits for as long as the store is under strain, or until the step has to stop. What keeps it waiting is told as
    /// often as it changes.
    pub(crate) async fn ease(
        &mut self,
        session: &mut Box<dyn Session>,
        step: StepLabel<'_>,
        report: Report<'_>,
    ) -> Result<()> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        let mut told = String::new();
        while let Some(reason) = reason(session.strain(self.pace).await)? {
            if reason != told {
                report(Event::Throttled { step, reason: &reason });
                told = reason;
            }
            self.sleep(jitter(LOOK / 2)).await;
            if self.is_over() {
                break;
            }
        }
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Waits until the rate allows what was just done.
    pub(crate) async fn slow(&self, records: u64, took: Duration) {
        let rest = self.pace.least(records).saturating_sub(took);
        if !rest.is_zero() {
            self.sleep(rest).await;
        }
    }

    async fn sleep(&self, time: Duration) {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        tokio::select! {
            () = tokio::time::sleep(left.map_or(time, |left| left.min(time))) => {}
            () = self.cancel.cancelled() => {}
        }
    }
}

/// Why to wait. What cannot be read for a passing reason is a reason, too.
pub(crate) fn reason(strain: Result<Option<String>>) -> Result<Option<String>> {
    match strain {
        Err(error) if error.temporary => Ok(Some(format!("its strain cannot be read: {}", error.message))),
        other => other,
    }
}
