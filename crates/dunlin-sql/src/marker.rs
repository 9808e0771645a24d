//! Comments that mean something: section markers, ours and those of other tools, and directives.

use dunlin_core::words::{LIKE_DOWN, is_like_down};

use crate::split::Fault;

/// A comment that says how to read what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Marker {
    /// A section begins.
    Section {
        /// Which one.
        part: Part,
        /// Whether it asks for no transaction around it.
        no_transaction: bool,
    },
    /// The file is to run without a transaction (goose, sqlx).
    NoTransaction,
    /// What follows is one statement, whatever is in it (goose, sql-migrate).
    BlockStart,
    /// The end of that.
    BlockEnd,
}

/// A section of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The way there.
    Up,
    /// The way back.
    Down,
    /// Queries that must find nothing.
    Verify,
    /// What removes the old shape.
    Contract,
    /// The way back from that.
    ContractDown,
}

impl Part {
    /// The marker as we write it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Up => "-- Up",
            Self::Down => "-- Down",
            Self::Verify => "-- Verify",
            Self::Contract => "-- Contract",
            Self::ContractDown => "-- Contract Down",
        }
    }

    fn of(words: &str) -> Option<Self> {
        Some(match words {
            "up" | "ups" | "up migration" | "migrate up" | "migration up" | "rambler up" => Self::Up,
            "down" | "downs" | "down migration" | "migrate down" | "migration down" | "rambler down" => {
                Self::Down
            }
            "verify" => Self::Verify,
            "contract" | "contract up" => Self::Contract,
            "contract down" => Self::ContractDown,
            _ => return None,
        })
    }
}

/// What follows `dunlin:` in a comment to the end of a line.
pub(crate) fn directive(comment: &str) -> Option<&str> {
    let text = body(comment)?.trim_start();
    let (head, rest) = text.split_at_checked("dunlin:".len())?;
    head.eq_ignore_ascii_case("dunlin:").then(|| rest.trim())
}

/// The marker that a comment is, or what is wrong with it; the caller knows the place.
pub(crate) fn read(comment: &str) -> Option<Result<Marker, Fault>> {
    let text = body(comment)?.trim();
    // Markers are short: prose and banners are not looked at twice.
    if text.is_empty() || text.len() > 80 {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        // As sqlx has it.
        ["no-transaction"] => Some(Ok(Marker::NoTransaction)),
        ["+goose", command @ ..] => Some(goose(&command.join(" "))),
        ["+migrate", command @ ..] => Some(sql_migrate(command)),
        [first, options @ ..] if first.starts_with("migrate:") => Some(dbmate(first, options)),
        _ => {
            let decoration = |letter: char| letter.is_whitespace() || "-=+*#!@>~:".contains(letter);
            let words: Vec<&str> = text.trim_matches(decoration).split_whitespace().collect();
            let part = Part::of(&words.join(" ")).map(|part| Ok(section(part)));
            part.or_else(|| is_like_down(&text).then(|| Err(misspelt())))
        }
    }
}

/// The text of a comment that goes to the end of its line.
fn body(comment: &str) -> Option<&str> {
    comment.strip_prefix("--").or_else(|| comment.strip_prefix('#'))
}

fn section(part: Part) -> Marker {
    Marker::Section { part, no_transaction: false }
}

fn goose(command: &str) -> Result<Marker, Fault> {
    match command {
        "up" => Ok(section(Part::Up)),
        "down" => Ok(section(Part::Down)),
        "no transaction" => Ok(Marker::NoTransaction),
        "statementbegin" => Ok(Marker::BlockStart),
        "statementend" => Ok(Marker::BlockEnd),
        _ => Err(unknown("goose", "Up, Down, NO TRANSACTION, StatementBegin, StatementEnd")),
    }
}

fn sql_migrate(command: &[&str]) -> Result<Marker, Fault> {
    match command {
        ["up"] => Ok(section(Part::Up)),
        ["down"] => Ok(section(Part::Down)),
        ["up", "notransaction"] => Ok(Marker::Section { part: Part::Up, no_transaction: true }),
        ["down", "notransaction"] => Ok(Marker::Section { part: Part::Down, no_transaction: true }),
        ["statementbegin"] => Ok(Marker::BlockStart),
        ["statementend"] => Ok(Marker::BlockEnd),
        _ => Err(unknown("sql-migrate", "Up, Down, notransaction, StatementBegin, StatementEnd")),
    }
}

fn dbmate(command: &str, options: &[&str]) -> Result<Marker, Fault> {
    let part = match command {
        "migrate:up" => Part::Up,
        "migrate:down" => Part::Down,
        _ => return Err(unknown("dbmate", "migrate:up, migrate:down")),
    };
    match options {
        [] | ["transaction:true"] => Ok(section(part)),
        ["transaction:false"] => Ok(Marker::Section { part, no_transaction: true }),
        _ => Err(unknown("dbmate", "transaction:false")),
    }
}

fn misspelt() -> Fault {
    Fault {
        code: "unknown-marker",
        message: LIKE_DOWN.0.to_owned(),
        range: 0..0,
        label: LIKE_DOWN.1,
        help: "write `-- Down`, alone on its line; or word the comment differently".to_owned(),
    }
}

fn unknown(tool: &str, known: &str) -> Fault {
    Fault {
        code: "unknown-marker",
        message: format!("a marker of {tool} that is not understood here"),
        range: 0..0,
        label: "not understood",
        help: format!("understood are: {known}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(comment: &str) -> Option<Part> {
        match read(comment)? {
            Ok(Marker::Section { part, .. }) => Some(part),
            _ => None,
        }
    }

    #[test]
    fn markers_are_known_in_every_spelling_people_use() {
        let ups = [
            "-- Up",
            "--UP",
            "-- up:",
            "-- +migrate Up",
            "-- +goose Up",
            "-- migrate:up",
            "-- ==== UP ====",
            "-- Up Migration",
            "# up",
            "-- !Ups",
            "--- up ---",
        ];
        for comment in ups {
            assert_eq!(part(comment), Some(Part::Up), "{comment}");
        }
        assert_eq!(part("-- Contract  Down"), Some(Part::ContractDown));
        for comment in ["-- up next: the users", "-- set up", "/* up */", "-- upper", "--"] {
            assert_eq!(part(comment), None, "{comment}");
        }
    }

    #[test]
    fn what_only_looks_like_a_way_back_is_refused() {
        for comment in
            ["-- Rollback", "-- down: drops it", "--== Undo ==", "-- Down - the old table", "-- revert:"]
        {
            assert!(matches!(read(comment), Some(Err(_))), "{comment}");
        }
        for comment in ["-- rollback is not needed", "-- down the line", "-- undone", "-- shutdown:"] {
            assert_eq!(read(comment), None, "{comment}");
        }
    }

    #[test]
    fn options_of_other_tools_are_followed_or_refused() {
        let without = |part| Some(Ok(Marker::Section { part, no_transaction: true }));
        assert_eq!(read("-- migrate:up transaction:false"), without(Part::Up));
        assert_eq!(read("-- +migrate Down notransaction"), without(Part::Down));
        assert_eq!(read("-- +goose NO TRANSACTION"), Some(Ok(Marker::NoTransaction)));
        assert!(matches!(read("-- +goose ENVSUB ON"), Some(Err(_))));
        assert!(matches!(read("-- migrate:up wrap:no"), Some(Err(_))));
    }

    #[test]
    fn directives_are_comments_that_begin_with_our_name() {
        assert_eq!(directive("-- dunlin: no-transaction "), Some("no-transaction"));
        assert_eq!(directive("--Dunlin:irreversible: gone"), Some("irreversible: gone"));
        assert_eq!(directive("-- see dunlin: manual"), None);
        assert_eq!(directive("-- é"), None);
    }
}
