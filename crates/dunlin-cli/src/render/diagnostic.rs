//! A finding in a text, in full.

use dunlin_core::{Diagnostic, Severity, SourceMap};

use super::color::{Paint, Style};
use super::{report, snippet};

/// `error[code]: message`, the places it is about, and the way out.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, paint: Paint) -> String {
    let style = style(diagnostic.severity);
    let mut out =
        report::headline(diagnostic.severity.word(), diagnostic.code, &diagnostic.message, style, paint);
    let labels: Vec<_> = diagnostic.labels.iter().map(|(span, text)| (*span, text.as_str())).collect();
    out.push_str(&snippet::render(&labels, sources, paint, style));
    if let Some(help) = &diagnostic.help {
        report::line(&mut out, "help", help, paint);
    }
    out
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => Style::Error,
        Severity::Warning => Style::Warning,
        Severity::Note => Style::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::super::width::columns;
    use super::*;

    /// Marks each needle of the text, the first one as the main place.
    fn shown(text: &str, needles: &[&str]) -> String {
        let mut sources = SourceMap::default();
        let source = sources.add("a.sql", text);
        let fault = needles.iter().fold(Diagnostic::error("code", "message"), |fault, needle| {
            let start = source.text.find(needle).unwrap();
            fault.at(source.span(start, start + needle.len()), format!("it's {}", needle.trim()))
        });
        render(&fault.help("do this\nor that"), &sources, Paint::default())
    }

    #[test]
    fn a_place_is_underlined() {
        assert_eq!(
            shown("select 1;\nselect nme from users;\n", &["nme"]),
            "error[code]: message\n --> a.sql:2:8\n  |\n2 | select nme from users;\n  |        ^^^ it's nme\n\
             \x20 = help: do this\n          or that\n"
        );
    }

    #[test]
    fn tabs_carriage_returns_and_wide_characters_keep_their_columns() {
        let text = shown("x\r\n\t漢字\tnme\r\ny", &["nme"]);
        assert!(text.contains("2 |     漢字    nme\n  |             ^^^ it's nme\n"), "{text}");
        assert!(text.contains("a.sql:2:5\n"), "{text}");
    }

    #[test]
    fn an_empty_place_and_the_end_of_the_text_get_one_sign() {
        let mut sources = SourceMap::default();
        let source = sources.add("a.sql", "ab\n");
        for (place, line) in
            [(1, "1 | ab\n  |  ^ here\n"), (2, "1 | ab\n  |   ^ here\n"), (3, "2 |\n  | ^ here\n")]
        {
            let fault = Diagnostic::error("code", "message").at(source.span(place, place), "here");
            let text = render(&fault, &sources, Paint::default()).replace("| \n", "|\n");
            assert!(text.contains(line), "{place}: {text}");
        }
    }

    #[test]
    fn a_place_over_several_lines_shows_its_ends() {
        let text = shown(
            "-- Up\ncreate table a (\n  id int,\n  x int\n);\n",
            &["table a (\n  id int,\n  x int\n);\n"],
        );
        assert!(
            text.ends_with(
                "2 | create table a (\n  |        ^^^^^^^^^\n...\n5 | );\n  | ^^ it's table a (\n  id int,\n  x int\n);\n\
                 \x20 = help: do this\n          or that\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn several_places_are_shown_in_their_order_in_the_text() {
        let text = shown("one two three\n\n\nfour\n", &["three", "one", "four"]);
        assert!(
            text.contains(
                " --> a.sql:1:9\n  |\n1 | one two three\n  | --- it's one\n  |         ^^^^^ it's three\n...\n4 | four\n\
                 \x20 | ---- it's four\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn long_lines_are_shown_around_the_place() {
        let text = shown(&format!("{}nme{}", "é".repeat(5_000), "y".repeat(5_000)), &["nme"]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[3].starts_with("1 | …é") && lines[3].ends_with("y…"), "{text}");
        let place = lines[3].chars().position(|letter| letter == 'n').unwrap();
        assert_eq!(lines[4].find('^').unwrap(), place);
    }

    /// Whatever stands in the line, and wherever the place is in it.
    #[test]
    fn nothing_is_wider_than_the_terminal_and_the_sign_stands_under_its_place() {
        for (before, after) in [(0, 300), (300, 0), (300, 300), (60, 20), (20, 90)] {
            for filling in ["x", "漢", "\t", "é", "a\t字"] {
                let mut sources = SourceMap::default();
                let text = format!("{}name{}", filling.repeat(before), filling.repeat(after));
                let source = sources.add("a.sql", &*text);
                let at = filling.len() * before;
                let help = "long words of help that go on, ".repeat(9) + "`dunlin mark 1 done --reason …`";
                let fault = Diagnostic::error("code", "a message ".repeat(15).trim())
                    .at(source.span(at, at + 4), "what is said about it, ".repeat(5))
                    .help(help);
                let paint = Paint { is_on: false, columns: Some(80) };
                let shown = render(&fault, &sources, paint);
                assert!(shown.lines().all(|line| columns(line) <= 80), "{shown}");
                let lines: Vec<&str> = shown.lines().collect();
                let under = lines.iter().position(|line| line.contains("^^^^")).unwrap();
                let above = lines[under - 1];
                assert_eq!(
                    columns(&above[..above.find("name").unwrap()]),
                    lines[under].find('^').unwrap(),
                    "{shown}"
                );
                assert!(shown.contains("`dunlin mark 1 done --reason …`"), "{shown}");
            }
        }
    }

    #[test]
    fn an_empty_text_has_no_line_to_show() {
        let mut sources = SourceMap::default();
        let source = sources.add("a.sql", "");
        let fault = Diagnostic::warning("code", "message").at(source.whole(), "this file");
        assert_eq!(
            render(&fault, &sources, Paint::default()),
            "warning[code]: message\n --> a.sql:1:1\n  = this file\n"
        );
    }

    #[test]
    fn other_files_have_blocks_of_their_own() {
        let mut sources = SourceMap::default();
        let (a, b) = (sources.add("a.sql", "one\n"), sources.add("b.sql", "two\n"));
        let fault = Diagnostic::error("code", "message").at(b.whole(), "this").at(a.whole(), "and that");
        assert_eq!(
            render(&fault, &sources, Paint::default()),
            "error[code]: message\n --> b.sql:1:1\n  |\n1 | two\n  | ^^^ this\n ::: a.sql:1:1\n  |\n1 | one\n  | --- and that\n"
        );
    }
}
