//! Moments as people and programs read them.

use std::fmt;

use dunlin_core::Timestamp;
use time::OffsetDateTime;
use time::macros::format_description;

/// `2026-11-21T09:30:00Z`
pub(crate) struct Moment(pub(crate) Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp(self.0.0.div_euclid(1000)).ok();
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        let text = moment.and_then(|moment| moment.format(format).ok());
        f.pad(&text.unwrap_or_else(|| format!("{} ms after 1970", self.0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_utc() {
        assert_eq!(Moment(Timestamp(1_795_253_400_123)).to_string(), "2026-11-21T09:30:00Z");
        assert_eq!(Moment(Timestamp(-1)).to_string(), "1969-12-31T23:59:59Z");
        assert!(Moment(Timestamp(i64::MAX)).to_string().ends_with("after 1970"));
    }
}
