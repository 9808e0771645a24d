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

/// The columns that a character takes at most, wherever it stands.
pub(super) fn most(letter: char) -> usize {
    if letter == '\t' { TAB } else { visible(letter).width().unwrap_or(0) }
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

/// A terminal narrower than this is not wrapped for.
const NARROW: usize = 40;

/// A part of a text on a line of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    /// How far it is moved in; nothing where the text itself begins a line.
    pub(super) indent: usize,
}

/// The lines of a text, those that are longer than `limit` broken between words. `used` columns of the first are taken, and
/// what is broken off is moved in by `hanging`. What stands between backticks is not broken where it fits on a line.
pub(super) fn wrapped(text: &str, (used, hanging): (usize, usize), limit: Option<usize>) -> Vec<Part> {
    let mut parts = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let taken = if at == 0 { used } else { 0 };
        match limit.filter(|limit| *limit >= NARROW) {
            Some(limit) => wrap(&mut parts, line, (taken, hanging), limit),
            None => parts.push(Part { text: line.to_owned(), indent: 0 }),
        }
    }
    parts
}

fn wrap(parts: &mut Vec<Part>, line: &str, (used, hanging): (usize, usize), limit: usize) {
    let own = line.len() - line.trim_start_matches(' ').len();
    let indent = hanging + own;
    let mut now = Part { text: " ".repeat(own), indent: 0 };
    let mut taken = used + own;
    let mut is_fresh = true;
    for word in words(&line[own..], limit.saturating_sub(indent)) {
        let width = columns(word);
        if !is_fresh && taken + 1 + width > limit {
            let next = Part { text: String::new(), indent };
            parts.push(std::mem::replace(&mut now, next));
            (taken, is_fresh) = (indent, true);
        }
        if !is_fresh {
            now.text.push(' ');
            taken += 1;
        }
        now.text.push_str(word);
        (taken, is_fresh) = (taken + width, false);
    }
    parts.push(now);
}

/// What is not broken: words, and what stands between backticks if it fits.
fn words(line: &str, limit: usize) -> Vec<&str> {
    let (mut words, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, letter) in line.char_indices() {
        match letter {
            '`' if is_quoted => is_quoted = false,
            '`' => is_quoted = line[at + 1..].find('`').is_some_and(|length| length + 2 <= limit),
            ' ' if !is_quoted => {
                words.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&line[start..]);
    words
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
    fn lines_are_broken_between_words_and_commands_stay_whole() {
        let shown = |text: &str, limit| {
            let parts = wrapped(text, (10, 2), limit);
            parts.iter().map(|part| format!("{}{}", " ".repeat(part.indent), part.text)).collect::<Vec<_>>()
        };
        let text = "one two three four five\n  - then run `dunlin mark 1 done` and no more of that";
        assert_eq!(shown(text, None), text.lines().collect::<Vec<_>>());
        assert_eq!(
            shown(text, Some(40)),
            ["one two three four five", "  - then run `dunlin mark 1 done` and no", "    more of that"]
        );
        let long = format!("say `{}` twice", "word ".repeat(20));
        assert!(
            shown(&long, Some(40)).iter().all(|line| columns(line) <= 40),
            "{:?}",
            shown(&long, Some(40))
        );
        assert_eq!(shown("one two three four five `a b c d` six", Some(40))[1], "  `a b c d` six");
        assert_eq!(shown("漢字 漢字 漢字 漢字 漢字 漢字 漢字 漢字", Some(40)).len(), 2);
    }

    #[test]
    fn long_texts_are_clipped_by_columns() {
        assert_eq!(clipped("漢字漢字", 5), "漢字…");
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("abcd", 3), "ab…");
    }
}
