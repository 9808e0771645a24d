//! What a step takes away that nothing brings back.

use std::fmt;

use dunlin_core::Undo;

use super::{Direction, Item};
use crate::lane;

/// What a step takes away, though the way back does not bring it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What is gone, in words: `documents of users`.
    pub what: Vec<String>,
    /// Why there is no way back, where the author says so.
    pub reason: Option<String>,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "takes away {}, with no way back", self.what.join(" and "))?;
        self.reason.iter().try_for_each(|reason| write!(f, ": {reason}"))
    }
}

impl Item {
    /// What is gone for good once this ran. What a step of the way back loses is asked for in its own way.
    pub fn loss(&self) -> Option<Loss> {
        let what = self.op.as_ref()?.removes();
        if self.direction == Direction::Down || what.is_empty() {
            return None;
        }
        let steps = lane::steps(&*self.migration, &self.store);
        let reason = match &steps[self.index].undo {
            Undo::Op(_) => return None,
            Undo::Nothing { reason } | Undo::Irreversible { reason } => Some(reason.clone()),
            Undo::Unwritten => None,
        };
        Some(Loss { what, reason })
    }
}
