//! SQLite: triggers. Their end is found as SQLite's own `sqlite3_complete` finds it: `; END ;`.

use super::{Part, Spot};

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first words are still being read.
    #[default]
    Head,
    /// `CREATE TRIGGER`, before `BEGIN`.
    Trigger,
    /// Inside the body.
    Inside,
    /// Inside the body, at the start of a statement.
    Between,
    /// After the `END` that stood at the start of a statement.
    Ended,
}

#[derive(Debug, Default)]
pub(crate) struct Sqlite {
    stage: Stage,
    opening: usize,
}

impl Sqlite {
    pub(super) fn part(&mut self, part: Part<'_>, spot: Spot) -> bool {
        self.stage = match (self.stage, part) {
            (Stage::Head, Part::Word("explain" | "query" | "plan" | "create" | "temp" | "temporary")) => {
                Stage::Head
            }
            (Stage::Head, Part::Word("trigger")) => Stage::Trigger,
            (Stage::Head, _) => return false,
            (Stage::Trigger, Part::Word("begin")) => {
                self.opening = spot.at;
                Stage::Between
            }
            (Stage::Trigger, _) => Stage::Trigger,
            (Stage::Between, Part::Word("end")) => Stage::Ended,
            (Stage::Inside | Stage::Between | Stage::Ended, _) => Stage::Inside,
        };
        true
    }

    pub(super) fn semicolon(&mut self) -> bool {
        match self.stage {
            Stage::Head | Stage::Trigger | Stage::Ended => true,
            Stage::Inside | Stage::Between => {
                self.stage = Stage::Between;
                false
            }
        }
    }

    pub(super) fn opening(&self) -> Option<usize> {
        matches!(self.stage, Stage::Inside | Stage::Between).then_some(self.opening)
    }
}
