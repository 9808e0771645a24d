//! Numbers and times in words for people.

use std::time::Duration;

use dunlin_core::Seen;

/// A length of time.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match time.as_millis() {
        0..1000 => format!("{} ms", time.as_millis()),
        1000..60_000 => format!("{:.1} s", time.as_secs_f64()),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// So many of something.
pub(crate) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// A number with its thousands set apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What a step changed.
pub(crate) fn rows(changed: u64) -> String {
    if changed == 1 { "1 row".to_owned() } else { format!("{} rows", grouped(changed)) }
}

/// How far a step got through its records.
pub(crate) fn along(seen: &Seen) -> String {
    match (seen.percent(), seen.total) {
        (Some(percent), Some(total)) => {
            format!("{percent} %, {} of ~{}", grouped(seen.scanned), grouped(total))
        }
        _ => grouped(seen.scanned),
    }
}

/// A rate, from a number and the time it took; nothing where that was too short to say.
pub(crate) fn rate(number: u64, time: Duration) -> Option<u64> {
    let millis = u64::try_from(time.as_millis()).ok()?;
    (millis >= 500).then(|| number.saturating_mul(1000) / millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_numbers_and_times() {
        assert_eq!(
            [0, 12, 123, 1234, 1_234_567].map(grouped),
            ["0", "12", "123", "1,234", "1,234,567"].map(str::to_owned)
        );
        let spans = [(7, "7 ms"), (1500, "1.5 s"), (61_000, "1 min 1 s"), (7_260_000, "2 h 1 min")];
        for (millis, words) in spans {
            assert_eq!(span(Duration::from_millis(millis)), words);
        }
        assert_eq!(
            (rate(500, Duration::from_secs(2)), rate(500, Duration::from_millis(2))),
            (Some(250), None)
        );
    }
}
