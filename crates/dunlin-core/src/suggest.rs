//! The nearest known word to a misspelt one.

/// The closest of `known` to `word`, if one is close enough to have been meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A help line for an unknown word: the nearest known one, else all of them.
pub fn help<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let all: Vec<String> = known.into_iter().map(|known| format!("`{known}`")).collect();
            format!("known here: {}", all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn near_words_are_suggested_and_far_ones_listed() {
        assert_eq!(super::help("colection", ["collection", "filter"]), "did you mean `collection`?");
        assert_eq!(super::help("xyz", ["collection", "filter"]), "known here: `collection`, `filter`");
    }
}
