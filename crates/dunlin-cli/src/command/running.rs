//! A run, watched by a person or a program, and the signals that stop it.

use dunlin_engine::run::{Planner, Stop, run};
use dunlin_engine::{Context, Event, Outcome, Report, Summary};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::progress::Show;
use crate::render::{Printer, complain};

/// How a run ended.
pub(crate) struct Ended {
    /// What it did, as far as that is known.
    pub(crate) summary: Summary,
    /// What the engine says; nothing where a second signal did not let it finish.
    pub(crate) result: Option<Result<Outcome, Stop>>,
    /// By which signal, if by one.
    pub(crate) stopped_by: Option<Exit>,
}

/// Runs a plan.
pub(crate) async fn watched(context: &Context, planner: Planner<'_>, printer: &Printer) -> Ended {
    let (ended, stopped_by) =
        shown(&context.cancel, printer, async |report| run(context, planner, report).await).await;
    // The second signal drops the connections where they stand; the histories say how far it got.
    match ended {
        Some((summary, result)) => Ended { summary, result: Some(result), stopped_by },
        None => Ended { summary: Summary::default(), result: None, stopped_by },
    }
}

/// Shows what some work reports. A signal cancels it, and a second one ends it at once: nothing comes back then.
pub(crate) async fn shown<T>(
    cancel: &CancellationToken,
    printer: &Printer,
    work: impl AsyncFnOnce(Report<'_>) -> T,
) -> (Option<T>, Option<Exit>) {
    let mut show = Show::new(printer);
    let mut stopped_by = None;
    let result = {
        let mut report = |event: Event<'_>| show.event(&event);
        let running = work(&mut report);
        tokio::pin!(running);
        loop {
            tokio::select! {
                result = &mut running => break Some(result),
                exit = stop_signal() => {
                    if stopped_by.replace(exit).is_some() {
                        break None;
                    }
                    cancel.cancel();
                    complain("\nstopping at the next safe point; once more stops at once\n");
                }
            }
        }
    };
    show.end();
    (result, stopped_by)
}

async fn stop_signal() -> Exit {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
    }
}
