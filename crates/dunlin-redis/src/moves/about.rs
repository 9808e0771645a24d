//! Which keys ops are about.

use super::{Look, What};
use crate::pattern::Pattern;

impl What {
    /// The keys it goes through.
    pub(crate) fn keys(&self) -> &Pattern {
        match self {
            Self::Rename { pair, .. } | Self::Copy { pair, .. } | Self::Convert { pair, .. } => &pair.from,
            Self::Delete { keys, .. }
            | Self::Expire { keys, .. }
            | Self::RenameField { keys, .. }
            | Self::Archive { keys, .. }
            | Self::End { keys, .. }
            | Self::Restore { keys, .. } => keys,
            Self::Align { form, .. } => form.keys(),
        }
    }

    /// The other name of each, where it has one.
    pub(crate) fn others(&self) -> Option<&Pattern> {
        match self {
            Self::Rename { pair, .. } | Self::Copy { pair, .. } | Self::Convert { pair, .. } => {
                Some(&pair.to)
            }
            Self::Delete { if_same_as, .. } => if_same_as.as_ref(),
            Self::Expire { .. }
            | Self::RenameField { .. }
            | Self::Archive { .. }
            | Self::End { .. }
            | Self::Restore { .. } => None,
            Self::Align { form, .. } => form.others(),
        }
    }
}

impl Look {
    /// The keys it goes through.
    pub(crate) fn keys(&self) -> &Pattern {
        match self {
            Self::None { keys } | Self::Ends { keys, .. } => keys,
            Self::Same { pair, .. } => &pair.from,
            Self::InStep { form, .. } => form.keys(),
        }
    }

    /// The other name of each, where it has one.
    pub(crate) fn others(&self) -> Option<&Pattern> {
        match self {
            Self::None { .. } | Self::Ends { .. } => None,
            Self::Same { pair, .. } => Some(&pair.to),
            Self::InStep { form, .. } => form.others(),
        }
    }
}
