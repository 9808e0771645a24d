//! What differs from run to run gets a word in its place: moments, lengths of time, runs, processes, this machine.

use std::fs;

/// The text without what differs. Columns are no wider than their gap, because what stood in them may have been.
pub(crate) fn steady(text: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let text = text.replace(&format!("ann@{host}"), "ann@HOST").replace(&format!("on {host}"), "on HOST");
    let text = text.replace(&format!("\"host\":\"{host}\""), "\"host\":\"HOST\"");
    let text = text.replace(concat!("dunlin ", env!("CARGO_PKG_VERSION")), "dunlin VERSION");
    let lines: Vec<String> = text.lines().map(|line| narrow(&words(&without_rates(line)))).collect();
    lines.join("\n") + "\n"
}

/// Without `, 4/s`: what took half a second or more says it.
fn without_rates(line: &str) -> String {
    let is_rate = |fact: &&str| {
        let number = fact.split_once("/s").map(|(number, _)| number);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut facts = line.split(", ").collect::<Vec<_>>();
    let end =
        facts.last().copied().filter(is_rate).and_then(|last| last.split_once("/s")).map(|(_, end)| end);
    if facts.len() < 2 || end.is_none() {
        return line.to_owned();
    }
    facts.pop();
    facts.join(", ") + end.unwrap_or_default()
}

fn words(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        let at_start = !out.ends_with(|letter: char| letter.is_ascii_alphanumeric());
        let found = if at_start { recognized(rest, &out) } else { None };
        if let Some((length, word)) = found {
            out.push_str(word);
            rest = &rest[length..];
        } else {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    out
}

/// What stands at the beginning of a text, and what stands in its place.
fn recognized(text: &str, before: &str) -> Option<(usize, &'static str)> {
    if fits(text, "dddd-dd-ddTdd:dd:ddZ") {
        return Some((20, "AT"));
    }
    if fits(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
        return Some((36, "RUN"));
    }
    if fits(text, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") {
        return Some((32, "SUM"));
    }
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    if digits == 0 {
        return None;
    }
    let unit = [" ms", " s"].into_iter().find(|unit| {
        text[digits..]
            .strip_prefix(unit)
            .is_some_and(|rest| !rest.starts_with(|letter: char| letter.is_alphanumeric()))
    });
    if let Some(unit) = unit {
        return Some((digits + unit.len(), "TOOK"));
    }
    let is_counted = ["_ms\":", "\"pid\":", "process "].iter().any(|word| before.ends_with(word));
    is_counted.then_some((digits, "N"))
}

/// Whether a text begins with this shape: `d` is a digit, `x` a hexadecimal one.
fn fits(text: &str, shape: &str) -> bool {
    text.len() >= shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            b'x' => byte.is_ascii_hexdigit(),
            _ => byte == shape,
        })
}

fn narrow(line: &str) -> String {
    // A mark under a snippet stands where it stands.
    if line.trim_start().starts_with('|') {
        return line.to_owned();
    }
    let indent = line.len() - line.trim_start_matches(' ').len();
    let cells: Vec<&str> = line[indent..].split("  ").map(|cell| cell.trim_matches(' ')).collect();
    let cells: Vec<&str> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
    " ".repeat(indent) + &cells.join("  ")
}

#[test]
fn only_what_differs_is_replaced() {
    let line = "  2026-11-21T09:30:00Z   app   12 ms, 3 rows at 1.5 s of 3 steps \"took_ms\":17}";
    assert_eq!(words(&narrow(line)), "  AT  app  TOOK, 3 rows at TOOK of 3 steps \"took_ms\":N}");
    for (line, steady) in [
        ("app backfill: move (500 ms, 2 rows, 4/s)", "app backfill: move (500 ms, 2 rows)"),
        ("app backfill: move (3 ms, 2 rows)", "app backfill: move (3 ms, 2 rows)"),
        ("a, b/s", "a, b/s"),
    ] {
        assert_eq!(without_rates(line), steady);
    }
}
