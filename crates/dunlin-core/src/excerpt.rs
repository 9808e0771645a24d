//! A part of a text that shares it: of the many statements of many files, none is kept a second time.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// What a list holds, in one that has room for nothing more, for what is kept by the thousand. A list that is shrunk
/// where it stands leaves a gap behind it that hardly anything fits into.
pub fn exact<T>(list: &mut Vec<T>) -> Vec<T> {
    let mut exact = Vec::with_capacity(list.len());
    exact.append(list);
    exact
}

/// A part of a text.
#[derive(Clone)]
pub struct Excerpt {
    whole: Arc<str>,
    start: u32,
    end: u32,
}

impl Excerpt {
    /// The part under `range`, which must lie on characters and whose offsets fit a [`crate::Span`]'s; else it is a text
    /// of its own.
    pub fn of(whole: &Arc<str>, range: Range<usize>) -> Self {
        match (u32::try_from(range.start), u32::try_from(range.end)) {
            (Ok(start), Ok(end)) => Self { whole: whole.clone(), start, end },
            _ => Self::from(&whole[range]),
        }
    }

    /// A part of this part.
    pub fn part(&self, range: Range<usize>) -> Self {
        let start = self.start as usize;
        Self::of(&self.whole, start + range.start..start + range.end)
    }
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        Self { end: u32::try_from(text.len()).unwrap_or(u32::MAX), whole: text.into(), start: 0 }
    }
}

impl Deref for Excerpt {
    type Target = str;

    fn deref(&self) -> &str {
        &self.whole[self.start as usize..self.end as usize]
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Excerpt;

    #[test]
    fn parts_of_parts_are_the_text_itself() {
        let whole = Excerpt::from("één, two; three");
        let part = whole.part(7..17);
        assert_eq!(&*part, "two; three");
        assert_eq!(part.part(5..10).to_string(), "three");
        assert_eq!(whole.part(0..5).to_string(), "één");
    }
}
