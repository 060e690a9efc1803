//! From what a clock on the wall shows to points in time.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

/// Which of two passes, where a clock that is put back shows a time twice: Python's `fold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    First,
    Second,
}

/// The pass in which a clock in `zone` shows this time.
pub(super) fn pass(time: DateTime<Tz>) -> Pass {
    match time.timezone().from_local_datetime(&time.naive_local()) {
        MappedLocalTime::Ambiguous(_, second) if second == time => Pass::Second,
        _ => Pass::First,
    }
}

/// When a clock in `zone` shows `shown`. A time that it skips is as long after the change as it would be without it.
pub(super) fn instant(shown: NaiveDateTime, zone: Tz, pass: Pass) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&shown) {
        MappedLocalTime::Single(time) => Some(time.to_utc()),
        MappedLocalTime::Ambiguous(first, second) => Some(match pass {
            Pass::First => first.to_utc(),
            Pass::Second => second.to_utc(),
        }),
        MappedLocalTime::None => skipped(shown, zone),
    }
}

fn skipped(shown: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    // The longest gap is a whole day, where a country moved over the date line.
    const STEPS_OF_A_QUARTER_HOUR: i32 = 4 * 25;
    (1..=STEPS_OF_A_QUARTER_HOUR).find_map(|steps| {
        let back = TimeDelta::minutes(15) * steps;
        let before = zone
            .from_local_datetime(&shown.checked_sub_signed(back)?)
            .latest()?;
        before.to_utc().checked_add_signed(back)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(shown: &str, zone: Tz, pass: Pass) -> String {
        let shown = shown.parse().unwrap();
        instant(shown, zone, pass).unwrap().to_string()
    }

    #[test]
    fn a_skipped_time_is_as_long_after_the_change_as_it_would_have_been() {
        let skipped = at("2026-03-29T02:30:00", Tz::Europe__Berlin, Pass::First);
        assert_eq!(skipped, "2026-03-29 01:30:00 UTC"); // 03:30 on the wall
    }

    #[test]
    fn a_day_that_a_country_skipped_is_the_next() {
        let skipped = at("2011-12-30T12:00:00", Tz::Pacific__Apia, Pass::First);
        assert_eq!(skipped, "2011-12-30 22:00:00 UTC"); // noon of the 31st on the wall
    }

    #[test]
    fn a_repeated_time_has_two_passes() {
        let berlin = Tz::Europe__Berlin;
        let first = at("2026-10-25T02:30:00", berlin, Pass::First);
        assert_eq!(first, "2026-10-25 00:30:00 UTC");
        let second = at("2026-10-25T02:30:00", berlin, Pass::Second);
        assert_eq!(second, "2026-10-25 01:30:00 UTC");
    }
}
