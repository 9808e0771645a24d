//! Times of day as people write them: `06:00`, by the clock of this machine.

use std::time::{Duration, SystemTime};

use time::macros::format_description;
use time::{OffsetDateTime, Time, UtcOffset};

/// The next time the clock shows this.
pub(super) fn parse(text: &str) -> Result<SystemTime, String> {
    let wanted = time_of_day(text)?;
    let now = OffsetDateTime::now_utc();
    // Sound and always known while the process has one thread, as it has while arguments are read.
    let offset = UtcOffset::local_offset_at(now)
        .map_err(|_| "the time zone of this machine cannot be read; set TZ, for example TZ=UTC".to_owned())?;
    Ok(next(now.to_offset(offset), wanted).into())
}

fn time_of_day(text: &str) -> Result<Time, String> {
    let format = format_description!("[hour padding:none]:[minute]");
    Time::parse(text, format)
        .map_err(|_| format!("`{text}` is no time of day; write it as `06:00` or `23:30`"))
}

/// The first moment from `now` on at which the clock shows `wanted`.
fn next(now: OffsetDateTime, wanted: Time) -> OffsetDateTime {
    let today = now.replace_time(wanted);
    if today > now { today } else { today + Duration::from_hours(24) }
}

#[cfg(test)]
mod tests {
    use time::macros::{datetime, time};

    use super::*;

    #[test]
    fn the_next_such_time_is_meant() {
        let now = datetime!(2026-11-21 22:15 +2);
        assert_eq!(next(now, time!(23:30)), datetime!(2026-11-21 23:30 +2));
        assert_eq!(next(now, time!(6:00)), datetime!(2026-11-22 6:00 +2));
        assert_eq!(next(now, time!(22:15)), datetime!(2026-11-22 22:15 +2));
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for text in ["", "6", "25:00", "06:60", "6 pm", "06:00:00"] {
            assert!(time_of_day(text).is_err(), "{text}");
        }
        assert_eq!((time_of_day("6:00"), time_of_day("06:00")), (Ok(time!(6:00)), Ok(time!(6:00))));
    }
}
