//! Columns that stand under each other, and fit the terminal.

use std::borrow::Cow;

use super::color::{Paint, Style};
use super::width::{clipped, columns};

/// On which side of its column a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A text in a style.
pub type Cell<'a> = (Style, Cow<'a, str>);

/// Rows under a heading.
#[derive(Debug, Clone, Default)]
pub struct Table<'a> {
    head: Vec<(String, Side)>,
    /// Row by row. One list for all: there may be thousands.
    cells: Vec<Cell<'a>>,
}

const GAP: &str = "  ";
/// A column gives way to a narrow terminal down to this.
const NARROWEST: usize = 12;

impl<'a> Table<'a> {
    /// A table with these columns.
    pub fn new(head: &[(&'static str, Side)]) -> Self {
        Self {
            head: head.iter().map(|(name, side)| ((*name).to_owned(), *side)).collect(),
            cells: Vec::new(),
        }
    }

    /// Adds a column whose name is not known beforehand.
    pub fn column(&mut self, name: &str, side: Side) {
        self.head.push((name.to_owned(), side));
    }

    /// Adds a row. Cells it does not have are empty.
    pub fn row<T: Into<Cow<'a, str>>>(&mut self, cells: impl IntoIterator<Item = (Style, T)>) {
        let end = self.cells.len() + self.head.len();
        self.cells.extend(cells.into_iter().map(|(style, text)| (style, text.into())));
        self.cells.resize(end, (Style::Plain, "".into()));
    }

    fn rows(&self) -> impl Iterator<Item = &[Cell<'a>]> {
        self.cells.chunks(self.head.len().max(1))
    }

    /// The text. Where it is wider than `width`, the widest columns but the first give way, which says what
    /// the row is about; a text that is not for a terminal has no
    /// width and keeps everything.
    pub fn render(&self, width: Option<usize>, paint: Paint) -> String {
        let widths = self.widths(width);
        let head: Vec<Cell<'_>> = self.head.iter().map(|(name, _)| (Style::Bold, name.into())).collect();
        let mut out = String::new();
        for row in std::iter::once(&*head).chain(self.rows()) {
            out.push_str(&self.line(row, &widths, paint));
            out.push('\n');
        }
        out
    }

    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let widest = |at: usize, name: &str| {
            let cells = self.rows().map(|row| columns(&row[at].1));
            cells.chain([columns(name)]).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> =
            self.head.iter().enumerate().map(|(at, (name, _))| widest(at, name)).collect();
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        let mut excess = limit.map_or(0, |limit| (widths.iter().sum::<usize>() + gaps).saturating_sub(limit));
        while excess > 0 {
            let Some(widest) = widths.iter_mut().skip(1).max().filter(|width| **width > NARROWEST) else {
                break;
            };
            *widest -= 1;
            excess -= 1;
        }
        widths
    }

    fn line(&self, row: &[Cell<'_>], widths: &[usize], paint: Paint) -> String {
        let mut out = String::new();
        let mut owed = 0;
        for ((width, (_, side)), (style, text)) in widths.iter().zip(&self.head).zip(row) {
            let text = clipped(text, *width);
            let rest = width - columns(&text);
            let (before, after) = if *side == Side::Right { (rest, 0) } else { (0, rest) };
            // Blanks are written only when something follows them.
            owed += before;
            if !text.is_empty() {
                out.extend(std::iter::repeat_n(' ', owed));
                out.push_str(&paint.text(*style, &text));
                owed = 0;
            }
            owed += after + GAP.len();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<'static> {
        let mut table = Table::new(&[("version", Side::Left), ("rows", Side::Right), ("name", Side::Left)]);
        let cell = |text: &str| (Style::Plain, text.to_owned());
        table.row(vec![cell("1"), cell("1200"), cell("add users 漢字")]);
        table.row(vec![cell("20"), cell(""), cell("")]);
        table
    }

    #[test]
    fn columns_stand_under_each_other() {
        let text = table().render(None, Paint::default());
        assert_eq!(text, "version  rows  name\n1        1200  add users 漢字\n20\n");
    }

    #[test]
    fn a_narrow_terminal_clips_the_widest_column() {
        let text = table().render(Some(27), Paint::default());
        assert_eq!(text.lines().nth(1), Some("1        1200  add users …"));
        assert!(table().render(Some(5), Paint::default()).lines().all(|line| columns(line) <= 27));
    }

    #[test]
    fn paint_takes_no_room() {
        let mut table = Table::new(&[("a", Side::Right)]);
        table.row(vec![(Style::Good, "1".to_owned())]);
        assert_eq!(
            table.render(None, Paint { is_on: true, columns: None }),
            "\u{1b}[1ma\u{1b}[0m\n\u{1b}[32m1\u{1b}[0m\n"
        );
    }
}
