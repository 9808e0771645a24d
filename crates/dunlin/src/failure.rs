//! Why a whole run failed, with what it did before.

use std::fmt;

use dunlin_core::Error;
use dunlin_engine::run::Stop;
use dunlin_engine::{Loaded, Summary};

/// Why `up` did not come to its end.
#[derive(Debug)]
pub enum Failure {
    /// The files cannot be used; the diagnostics say why. Nothing was connected to.
    Files(Box<Loaded>),
    /// A store could not be reached, or the project is not set up right.
    Store(Box<Error>),
    /// The run stopped; what it did up to there is in the summary.
    Run(Box<(Summary, Stop)>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(loaded) => {
                let faults = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
                let lines: Vec<String> = faults
                    .map(|fault| match fault.span().and_then(|span| loaded.sources.locate(span)) {
                        Some(place) => format!("{place}: {}", fault.message),
                        None => fault.message.clone(),
                    })
                    .collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Store(error) => error.fmt(f),
            Self::Run(run) => run.1.fmt(f),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(&**error),
            Self::Run(run) => match &run.1 {
                Stop::Failed(error) => Some(error),
                _ => None,
            },
            Self::Files(_) => None,
        }
    }
}
