//! Texts the user wrote, and places in them. Only byte offsets travel; line and column are worked out by who prints.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::excerpt::Excerpt;

/// A place in one of the files of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Which file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The part of this span from `start` to `end`, both counted from its own start.
    pub fn slice(self, start: usize, end: usize) -> Self {
        let at = |offset: usize| {
            self.start.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX)).min(self.end)
        };
        Self { file: self.file, start: at(start), end: at(end) }
    }
}

/// The number of a file in its [`SourceMap`]: its place, from 1, so that no span takes no more room than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(NonZeroU32);

/// One text, with the name under which errors mention it.
#[derive(Clone)]
pub struct Source {
    /// Its number in the map.
    pub id: FileId,
    /// The name shown to people: a path, or the name under which a history kept the text.
    pub name: Arc<str>,
    /// The text, without a byte order mark.
    pub text: Arc<str>,
}

impl Source {
    /// A span over the bytes `start..end` of this text.
    pub fn span(&self, start: usize, end: usize) -> Span {
        let at = |offset: usize| u32::try_from(offset.min(self.text.len())).unwrap_or(u32::MAX);
        Span { file: self.id, start: at(start), end: at(end) }
    }

    /// A span over the whole text.
    pub fn whole(&self) -> Span {
        self.span(0, self.text.len())
    }

    /// The text under a span of this source.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The same, for whoever keeps it.
    pub fn excerpt(&self, span: Span) -> Excerpt {
        let end = (span.end as usize).min(self.text.len());
        Excerpt::of(&self.text, (span.start as usize).min(end)..end)
    }

    /// Line and column of a byte offset, both from 1, columns counted in characters.
    pub fn line_column(&self, offset: u32) -> (usize, usize) {
        let mut end = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &self.text[..end];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.bytes().filter(|byte| *byte == b'\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {} bytes)", self.name, self.text.len())
    }
}

/// All texts of one run, so that a [`Span`] stays a small value.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Arc<Vec<Source>>,
}

impl SourceMap {
    /// Adds a text. A leading byte order mark is dropped: it belongs to the file, not to what was written.
    pub fn add(&mut self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Source {
        let place = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let id = FileId(NonZeroU32::MIN.saturating_add(place));
        let text = text.into();
        let text = text.strip_prefix('\u{feff}').map(Arc::from).unwrap_or(text);
        let source = Source { id, name: name.into(), text };
        Arc::make_mut(&mut self.files).push(source.clone());
        source
    }

    /// The text a span points into.
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(file.0.get() as usize - 1)
    }

    /// `file:line:column` of a span, as editors understand it.
    pub fn locate(&self, span: Span) -> Option<Location> {
        let source = self.get(span.file)?;
        let (line, column) = source.line_column(span.start);
        Some(Location { file: source.name.clone(), line, column })
    }
}

/// A span in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file's name.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locates_in_characters_and_lines() {
        let mut map = SourceMap::default();
        let source = map.add("a.sql", "\u{feff}één\r\ntwo");
        let offset = source.text.find("two").unwrap();
        assert_eq!(map.locate(source.span(offset, offset + 3)).unwrap().to_string(), "a.sql:2:1");
        assert_eq!(source.line_column(4), (1, 3));
        assert_eq!(source.slice(source.span(offset, offset + 3)), "two");
    }
}
