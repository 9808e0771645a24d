//! What stands in the way back, and the ways around it.

use std::fmt;

use dunlin_core::Version;

/// Why a migration cannot be taken back in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// A baseline took it as done.
    Baseline,
    /// It was marked as done while there was no file that says what its steps are.
    Marked,
    /// The author says that there is no way back.
    Irreversible { reason: String },
    /// The author says nothing, and this is gone.
    Unwritten { gone: Vec<String> },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline => f.write_str("`baseline` took it as done; dunlin did not run it"),
            Self::Marked => f.write_str("it was marked as done, and its steps are not known"),
            Self::Irreversible { reason } => write!(f, "it is irreversible: {reason}"),
            Self::Unwritten { gone } if gone.is_empty() => f.write_str("nothing to undo is written here"),
            Self::Unwritten { gone } => {
                write!(f, "it took away {}, and nothing to undo is written here", gone.join(" and "))
            }
        }
    }
}

impl Obstacle {
    /// Whether what the file says stands in the way, and not how the history came about.
    pub(super) fn is_of_the_text(&self) -> bool {
        matches!(self, Self::Irreversible { .. } | Self::Unwritten { .. })
    }

    pub(super) fn ways_out(&self, version: &Version) -> String {
        let by_hand = format!("undo it by hand and record that: `dunlin mark {version} undone --reason …`");
        match self {
            Self::Baseline => {
                format!("Two ways out: go forward with a new migration that reverses it, or {by_hand}")
            }
            Self::Marked => format!(
                "Three ways out: bring its file back with a way back in it and record again what is so \
                 (`dunlin mark {version} done --reason …`; `dunlin down` goes back by the file then), \
                 go forward with a new migration that reverses it, or {by_hand}"
            ),
            Self::Irreversible { .. } => format!(
                "Three ways out: write a way back into the file in place of `irreversible` (the file of an applied migration may gain one), \
                 go forward with a new migration that reverses it, or {by_hand}"
            ),
            Self::Unwritten { .. } => format!(
                "Three ways out: write the way back into the file, as its Down section or the step's `undo` (the file of an applied migration may gain one), \
                 go forward with a new migration that reverses it, or {by_hand}"
            ),
        }
    }
}
