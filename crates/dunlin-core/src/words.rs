//! Counts as people say them.

/// So many of a thing: `1 document`, `2 documents`.
pub fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", agree(count, "", "s"))
}

/// What of two words goes with so many things: `is` or `are`.
pub fn agree<'a>(count: u64, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

/// What is wrong with a comment that [looks like the beginning of a way back](is_like_down), and what to say at its place.
pub const LIKE_DOWN: (&str, &str) = (
    "this looks like the beginning of the way back, and is not taken for it",
    "what follows would run on the way there",
);

/// Whether a comment looks as if a way back began there, in words that are not taken for it: run as a part of the way
/// there, what follows would be taken away again at once.
pub fn is_like_down(comment: &str) -> bool {
    let comment = comment.trim_start_matches(|letter: char| !letter.is_alphanumeric());
    let word = comment.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default();
    let rest = comment[word.len()..].trim_start();
    let is_heading = rest.is_empty() || rest.starts_with([':', '-', '–', '—', '=', '*', '(']);
    let words = ["down", "downgrade", "rollback", "revert", "undo"];
    is_heading && words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(0, "row"), "0 rows");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(2, "row"), "2 rows");
        assert_eq!((agree(1, "is", "are"), agree(5, "is", "are")), ("is", "are"));
    }
}
