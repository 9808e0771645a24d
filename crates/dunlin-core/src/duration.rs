//! Durations as people write them: `500ms`, `30s`, `5m`, `1h30m`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What a duration looks like.
pub const EXAMPLE: &str = "a duration is a number with its unit: `500ms`, `30s`, `5m`, `1h30m`";

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{text}` is no duration; {EXAMPLE}");
    let mut rest = text.trim();
    let mut total = 0u64;
    if rest.is_empty() {
        return Err(fault());
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| fault())?;
        let (_, factor) = UNITS.iter().find(|(known, _)| *known == unit).ok_or_else(fault)?;
        total = number.checked_mul(*factor).and_then(|part| total.checked_add(part)).ok_or_else(fault)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            (" 1m 5s ", 65_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text).unwrap().as_millis(), millis, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "30", "s", "5 minutes", "-1s", "1.5s", "5M", "99999999999999999999s", "300000000000d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
