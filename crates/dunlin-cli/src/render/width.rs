//! Texts in columns of a terminal: tabs, wide characters, and characters that would do something instead of being seen.

use unicode_width::UnicodeWidthChar as _;

const TAB: usize = 4;

/// One line as it is shown, with the column of every byte of the original.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) text: String,
    /// `(byte, column)` of each character, and of the end.
    places: Vec<(usize, usize)>,
}

impl Shown {
    pub(super) fn of(line: &str) -> Self {
        let mut shown = Self::default();
        let mut column = 0;
        for (byte, letter) in line.char_indices() {
            shown.places.push((byte, column));
            match letter {
                '\t' => {
                    let gap = TAB - column % TAB;
                    shown.text.extend(std::iter::repeat_n(' ', gap));
                    column += gap;
                }
                _ => {
                    let letter = visible(letter);
                    shown.text.push(letter);
                    column += letter.width().unwrap_or(0);
                }
            }
        }
        shown.places.push((line.len(), column));
        shown
    }

    /// The column at which a byte of the original is shown.
    pub(super) fn column(&self, byte: usize) -> usize {
        let after = self.places.partition_point(|(place, _)| *place <= byte);
        self.places[..after].last().map_or(0, |(_, column)| *column)
    }
}

/// A picture of what a terminal would obey, or that would reorder the text around it.
fn visible(letter: char) -> char {
    match letter {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + letter as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        _ => letter,
    }
}

/// How many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    // Most texts are plain, and tables measure every cell several times.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.len();
    }
    text.chars().map(|letter| letter.width().unwrap_or(0)).sum()
}

/// The text in at most `limit` columns.
pub(super) fn clipped(text: &str, limit: usize) -> String {
    if columns(text) <= limit {
        return text.to_owned();
    }
    let mut taken = 0;
    let mut out = String::new();
    for letter in text.chars() {
        taken += letter.width().unwrap_or(0);
        if taken >= limit {
            break;
        }
        out.push(letter);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_follow_tabs_and_wide_characters() {
        let line = "\ta漢字\t\u{1b}x";
        let shown = Shown::of(line);
        assert_eq!(shown.text, "    a漢字   ␛x");
        assert_eq!(shown.column(line.find('漢').unwrap()), 5);
        assert_eq!(shown.column(line.find('x').unwrap()), 13);
        assert_eq!(shown.column(line.len()), 14);
        assert_eq!(shown.column(line.find('字').unwrap() + 1), 7);
    }

    #[test]
    fn long_texts_are_clipped_by_columns() {
        assert_eq!(clipped("漢字漢字", 5), "漢字…");
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("abcd", 3), "ab…");
    }
}
