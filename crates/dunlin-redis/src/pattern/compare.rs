//! What can be said of two patterns for all keys at once, before any key is seen.

use std::collections::BTreeSet;

use super::{Part, Pattern};
use crate::slot;

/// One byte of a pattern, or one of those that a capture takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    One(u8),
    /// One or more bytes; of any kind, or without colons.
    Run {
        is_wide: bool,
    },
}

fn tokens(pattern: &Pattern) -> Vec<Token> {
    let token = |part: &Part| match part {
        Part::Literal(bytes) => bytes.iter().map(|byte| Token::One(*byte)).collect(),
        Part::Capture { is_wide, .. } => vec![Token::Run { is_wide: *is_wide }],
    };
    pattern.parts.iter().flat_map(token).collect()
}

/// Whether some name could match both. Captures of the same name are not held to be equal, so the answer is never a
/// wrong no.
pub(crate) fn may_overlap(one: &Pattern, other: &Pattern) -> bool {
    let (one, other) = (tokens(one), tokens(other));
    let meets = |a: Token, b: Token| match (a, b) {
        (Token::One(a), Token::One(b)) => a == b,
        (Token::One(byte), Token::Run { is_wide }) | (Token::Run { is_wide }, Token::One(byte)) => {
            is_wide || byte != b':'
        }
        (Token::Run { .. }, Token::Run { .. }) => true,
    };
    // Pairs of places between which a common byte can be read. A run goes on or ends after each byte.
    let next = |tokens: &[Token], at: usize| match tokens[at] {
        Token::One(_) => vec![at + 1],
        Token::Run { .. } => vec![at, at + 1],
    };
    let (mut seen, mut open) = (BTreeSet::from([(0, 0)]), vec![(0, 0)]);
    while let Some((a, b)) = open.pop() {
        if a == one.len() && b == other.len() {
            return true;
        }
        if a == one.len() || b == other.len() || !meets(one[a], other[b]) {
            continue;
        }
        for after in next(&one, a) {
            for behind in next(&other, b) {
                // A run that was not begun cannot be left; staying means that it was begun with this byte.
                if seen.insert((after, behind)) {
                    open.push((after, behind));
                }
            }
        }
    }
    false
}

/// Whether a name of `to` says of which name of `from` it was made, so that no two names become one: `to` has every
/// capture of `from`, and can be taken apart in one way only, or in the way of `from`.
pub(crate) fn inverts(from: &Pattern, to: &Pattern) -> bool {
    from.names().all(|name| to.names().any(|known| known == name))
        && (is_plain(to) || inner(from) == inner(to))
}

/// From the first capture to the last.
fn inner(pattern: &Pattern) -> &[Part] {
    let is_capture = |part: &Part| matches!(part, Part::Capture { .. });
    match (pattern.parts.iter().position(is_capture), pattern.parts.iter().rposition(is_capture)) {
        (Some(first), Some(last)) => &pattern.parts[first..=last],
        _ => &[],
    }
}

/// Whether there is only one way to take a name apart: a run without colons ends where a colon must follow, seen from
/// either side; one capture may be left over.
fn is_plain(pattern: &Pattern) -> bool {
    let parts = inner(pattern);
    let is_settled = |capture: &Part, neighbour: Option<&Part>| {
        let ends = matches!(neighbour, Some(Part::Literal(bytes)) if bytes.contains(&b':'));
        ends && matches!(capture, Part::Capture { is_wide: false, .. })
    };
    let (mut start, mut end) = (0, parts.len());
    while start + 2 < end && is_settled(&parts[start], parts.get(start + 1)) {
        start += 2;
    }
    while start + 2 < end && is_settled(&parts[end - 1], parts.get(end - 2)) {
        end -= 2;
    }
    start + 1 >= end
}

/// How many names are tried.
const TRIED: u32 = 16;

/// Whether each name lives in the slot of its other one, as hash tags make it. By chance some do in any case.
pub(crate) fn is_one_slot(from: &Pattern, to: &Pattern) -> bool {
    let names: Vec<&str> = from.names().collect();
    let slot = |pattern: &Pattern, number: u32| {
        let part = |part: &Part| match part {
            Part::Literal(bytes) => bytes.clone(),
            Part::Capture { name, .. } => {
                let place = names.iter().position(|known| known == name);
                format!("{number}.{}", place.unwrap_or(names.len())).into_bytes()
            }
        };
        slot::of(&pattern.parts.iter().flat_map(part).collect::<Vec<u8>>())
    };
    (0..TRIED).all(|number| slot(from, number) == slot(to, number))
}
