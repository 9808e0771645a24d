//! PostgreSQL: SQL-standard routine bodies, rules with several actions, and `COPY … FROM stdin`.

use super::{Part, Spot};

/// What kind of statement it may be.
#[derive(Debug, Default)]
enum Stage {
    /// Its first words are still being read.
    #[default]
    Head,
    /// `CREATE FUNCTION` or `PROCEDURE`; so many blocks are open, the first since `opening`.
    Routine { depth: u32, opening: usize, begin: Option<usize> },
    /// `CREATE RULE`: `;` may separate actions between parentheses.
    Rule,
    /// `COPY`.
    Copy { from: bool, stdin: bool },
}

#[derive(Debug, Default)]
pub(crate) struct Postgres {
    stage: Stage,
    words: u32,
    member: bool,
}

impl Postgres {
    pub(super) fn part(&mut self, part: Part<'_>, spot: Spot) -> bool {
        // `new.end` is a column.
        let member = std::mem::replace(&mut self.member, part == Part::Symbol(b'.'));
        let Part::Word(word) = part else {
            return !matches!(self.stage, Stage::Head);
        };
        if member {
            return true;
        }
        self.words += 1;
        match &mut self.stage {
            Stage::Head => return self.head(word),
            Stage::Routine { depth, opening, begin } => match word {
                "begin" if *depth == 0 => *begin = Some(spot.at),
                "atomic" if *depth == 0 && begin.is_some() => {
                    *depth = 1;
                    *opening = begin.unwrap_or(spot.at);
                }
                "case" if *depth > 0 => *depth += 1,
                "end" => *depth = depth.saturating_sub(1),
                _ => *begin = None,
            },
            Stage::Copy { from, stdin } if spot.parens == 0 => {
                *stdin |= *from && word == "stdin";
                *from = word == "from";
            }
            Stage::Rule | Stage::Copy { .. } => {}
        }
        true
    }

    fn head(&mut self, word: &str) -> bool {
        self.stage = match word {
            "create" if self.words == 1 => Stage::Head,
            "or" | "replace" => Stage::Head,
            "function" | "procedure" => Stage::Routine { depth: 0, opening: 0, begin: None },
            "rule" => Stage::Rule,
            "copy" if self.words == 1 => Stage::Copy { from: false, stdin: false },
            _ => return false,
        };
        true
    }

    pub(super) fn semicolon(&mut self, spot: Spot) -> bool {
        match self.stage {
            Stage::Routine { depth, .. } => depth == 0,
            Stage::Rule => spot.parens == 0,
            Stage::Head | Stage::Copy { .. } => true,
        }
    }

    pub(super) fn opening(&self) -> Option<usize> {
        match self.stage {
            Stage::Routine { depth, opening, .. } => (depth > 0).then_some(opening),
            _ => None,
        }
    }

    pub(super) fn is_copy(&self) -> bool {
        matches!(self.stage, Stage::Copy { stdin: true, .. })
    }
}
