//! Counts as people say them.

/// So many of a thing: `1 document`, `2 documents`.
pub fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", agree(count, "", "s"))
}

/// What of two words goes with so many things: `is` or `are`.
pub fn agree<'a>(count: u64, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
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
