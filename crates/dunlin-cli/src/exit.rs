//! The exit codes, in one place. Scripts decide by them, so a number never changes its meaning.

use std::fmt::Write as _;
use std::process::ExitCode;

use dunlin_core::ErrorKind;

/// What a run of `dunlin` ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done, and nothing to report.
    Done = 0,
    /// A step failed, or the command could not do its work.
    Failed = 1,
    /// The command line or the configuration cannot be used.
    Usage = 2,
    /// Somebody said no, or a confirmation was missing.
    Declined = 3,
    /// A bug in dunlin.
    Bug = 4,
    /// Something is pending, and the command was asked to tell.
    Pending = 10,
    /// A store does not look as its migrations say.
    Drift = 11,
    /// Lint findings.
    Lint = 12,
    /// Files and histories disagree.
    Integrity = 13,
    /// A verification found what must not be there.
    Verification = 14,
    /// A store cannot be reached, or refuses who we are or what we may do.
    Unreachable = 20,
    /// The migration lock was not obtained in time, or was taken over.
    Locked = 21,
    /// Some stores went on and others did not.
    Partial = 22,
    /// Paused at a safe point, by the clock, or by a signal while data moved; the same command goes on there.
    Paused = 23,
    /// Stopped between statements by SIGINT.
    Interrupted = 130,
    /// Stopped between statements by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Declined,
        Self::Bug,
        Self::Pending,
        Self::Drift,
        Self::Lint,
        Self::Integrity,
        Self::Verification,
        Self::Unreachable,
        Self::Locked,
        Self::Partial,
        Self::Paused,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, nothing to report",
            Self::Failed => "a step failed, or the command could not do its work",
            Self::Usage => "the command line or the configuration cannot be used",
            Self::Declined => "declined, or a confirmation was missing",
            Self::Bug => "a bug in dunlin",
            Self::Pending => "migrations are pending (with `--exit-code`) or wait for a contract",
            Self::Drift => "a store does not look as its migrations say",
            Self::Lint => "lint findings",
            Self::Integrity => "files and histories disagree: edited, missing, duplicate, out of order",
            Self::Verification => "a verification found what must not be there",
            Self::Unreachable => "a store cannot be reached, or refuses the login or the right",
            Self::Locked => "the migration lock was not obtained in time, or was taken over",
            Self::Partial => "done in part: some stores went on and others did not",
            Self::Paused => {
                "paused by `--until`, or by a signal while data moved; the same command goes on there"
            }
            Self::Interrupted => "stopped between statements by Ctrl-C (SIGINT)",
            Self::Terminated => "stopped between statements by SIGTERM",
        }
    }

    /// What an error means for the run it ended.
    pub fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Connect | ErrorKind::Access => Self::Unreachable,
            ErrorKind::Locked | ErrorKind::LeaseLost => Self::Locked,
            ErrorKind::Statement | ErrorKind::Ambiguous | ErrorKind::Unsupported => Self::Failed,
            ErrorKind::Integrity => Self::Integrity,
            ErrorKind::Config => Self::Usage,
            _ => Self::Bug,
        }
    }

    /// The table for people.
    pub fn table() -> String {
        Self::ALL.iter().fold(String::new(), |mut text, exit| {
            let _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
            text
        })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_errors_have_the_documented_ones() {
        assert!(Exit::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        for (kind, code) in [
            (ErrorKind::Connect, 20),
            (ErrorKind::Access, 20),
            (ErrorKind::Locked, 21),
            (ErrorKind::LeaseLost, 21),
            (ErrorKind::Statement, 1),
            (ErrorKind::Ambiguous, 1),
            (ErrorKind::Integrity, 13),
            (ErrorKind::Unsupported, 1),
            (ErrorKind::Config, 2),
            (ErrorKind::Unexpected, 4),
        ] {
            assert_eq!(Exit::of(kind).code(), code, "{kind:?}");
        }
    }

    #[test]
    fn the_table_has_a_line_for_each() {
        assert_eq!(Exit::table().lines().count(), Exit::ALL.len());
        assert!(Exit::table().contains("   13  files and histories disagree"));
    }
}
