//! Django's dates: aware or naive by `USE_TZ`, in the text forms that Django stores.

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;

use crate::settings::Settings;

/// `USE_TZ` and `TIME_ZONE`: how Django reads and writes a point in time.
///
/// With `USE_TZ` a database without time zones holds UTC, and text carries its offset; without it, both hold the
/// local time of `TIME_ZONE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZone {
    /// `USE_TZ`.
    pub use_tz: bool,
    /// `TIME_ZONE`.
    pub zone: Tz,
}

/// The nearest time that Python's dates, Django's text columns and cookies can hold in every time zone: from year 1 to
/// 9999.
pub(crate) fn within_python(time: DateTime<Utc>) -> DateTime<Utc> {
    const FIRST: i64 = -62_135_510_400; // 0001-01-02T00:00:00Z
    const LAST: i64 = 253_402_214_400; // 9999-12-31T00:00:00Z
    match time.timestamp() {
        ..FIRST => DateTime::from_timestamp(FIRST, 0).unwrap_or(time),
        LAST.. => DateTime::from_timestamp(LAST, 0).unwrap_or(time),
        _ => time,
    }
}

/// This long after `time`, or as far as Python's dates go.
pub(crate) fn after(time: DateTime<Utc>, delta: chrono::TimeDelta) -> DateTime<Utc> {
    let end = if delta < chrono::TimeDelta::zero() {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    };
    within_python(time.checked_add_signed(delta).unwrap_or(end))
}

impl From<&Settings> for TimeZone {
    fn from(settings: &Settings) -> Self {
        Self {
            use_tz: settings.use_tz,
            zone: settings.time_zone,
        }
    }
}

impl TimeZone {
    /// What a database column without a time zone holds for this time.
    pub fn to_naive(self, time: DateTime<Utc>) -> NaiveDateTime {
        if self.use_tz {
            time.naive_utc()
        } else {
            time.with_timezone(&self.zone).naive_local()
        }
    }

    /// The time that such a column means. A local time that a clock change skipped or repeated is taken as early as
    /// it can be meant.
    pub fn from_naive(self, naive: NaiveDateTime) -> DateTime<Utc> {
        if self.use_tz {
            return naive.and_utc();
        }
        self.local(naive)
            .map_or_else(|| naive.and_utc(), |time| time.to_utc())
    }

    /// The text that Python's `isoformat()` gives: with its offset, or naive in `TIME_ZONE`.
    pub fn isoformat(self, time: DateTime<FixedOffset>) -> String {
        let time = within_python(time.to_utc()).with_timezone(time.offset());
        let seconds = if time.timestamp_subsec_micros() == 0 {
            "%Y-%m-%dT%H:%M:%S"
        } else {
            "%Y-%m-%dT%H:%M:%S%.6f"
        };
        if self.use_tz {
            time.format(&format!("{seconds}%:z")).to_string()
        } else {
            time.with_timezone(&self.zone).format(seconds).to_string()
        }
    }

    /// Reads what `isoformat()` wrote, a `T` or a space between date and time, `Z` or an offset or none.
    ///
    /// A text without an offset is in `TIME_ZONE`.
    pub fn parse(self, text: &str) -> Option<DateTime<FixedOffset>> {
        const AWARE: [&str; 4] = [
            "%Y-%m-%dT%H:%M:%S%.f%#z",
            "%Y-%m-%d %H:%M:%S%.f%#z",
            "%Y-%m-%dT%H:%M%#z",
            "%Y-%m-%d %H:%M%#z",
        ];
        const NAIVE: [&str; 4] = [
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%d %H:%M:%S%.f",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%d %H:%M",
        ];
        let aware = AWARE
            .iter()
            .find_map(|format| DateTime::parse_from_str(text, format).ok());
        aware.or_else(|| {
            let naive = NAIVE
                .iter()
                .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
                .or_else(|| text.parse::<chrono::NaiveDate>().ok()?.and_hms_opt(0, 0, 0))?;
            self.local(naive)
        })
    }

    fn local(self, naive: NaiveDateTime) -> Option<DateTime<FixedOffset>> {
        let local = self.zone.from_local_datetime(&naive);
        // A skipped time exists only an hour later on the clock.
        let time = local.earliest().or_else(|| {
            self.zone
                .from_local_datetime(&naive.checked_add_signed(chrono::TimeDelta::hours(1))?)
                .earliest()
        })?;
        Some(time.fixed_offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWARE: TimeZone = TimeZone {
        use_tz: true,
        zone: Tz::UTC,
    };
    const NAIVE: TimeZone = TimeZone {
        use_tz: false,
        zone: Tz::Asia__Seoul,
    };

    #[test]
    fn isoformat_is_pythons() {
        let time = AWARE.parse("2027-01-02T03:04:05Z").unwrap();
        assert_eq!(AWARE.isoformat(time), "2027-01-02T03:04:05+00:00");
        let time = AWARE.parse("2027-01-02 03:04:05.000600+09:00").unwrap();
        assert_eq!(AWARE.isoformat(time), "2027-01-02T03:04:05.000600+09:00");
    }

    #[test]
    fn without_use_tz_dates_are_local() {
        let time = NAIVE.parse("2027-01-02T03:04:05").unwrap();
        assert_eq!(time.to_utc().to_string(), "2027-01-01 18:04:05 UTC");
        assert_eq!(NAIVE.isoformat(time), "2027-01-02T03:04:05");
        assert_eq!(
            NAIVE.from_naive(NAIVE.to_naive(time.to_utc())),
            time.to_utc()
        );
    }

    #[test]
    fn a_skipped_hour_is_no_accident() {
        let chicago = TimeZone {
            use_tz: false,
            zone: Tz::America__Chicago,
        };
        assert!(chicago.parse("2027-03-14T02:30:00").is_some());
    }

    #[test]
    fn no_time_is_beyond_pythons_years() {
        let last = after(Utc::now(), chrono::TimeDelta::MAX);
        assert_eq!(last.to_string(), "9999-12-31 00:00:00 UTC");
        let first = after(Utc::now(), chrono::TimeDelta::MIN);
        assert_eq!(first.to_string(), "0001-01-02 00:00:00 UTC");
        let chicago = TimeZone {
            use_tz: true,
            zone: Tz::America__Chicago,
        };
        let end = chicago.parse("9999-12-31T23:59:59.999999-12:00").unwrap();
        assert_eq!(chicago.isoformat(end), "9999-12-30T12:00:00-12:00");
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "tomorrow",
            "2027-13-01T00:00:00",
            "2027-01-01T00:00:00+99:99",
            "９９９９-01-01",
        ] {
            assert_eq!(AWARE.parse(text), None, "{text}");
        }
    }
}
