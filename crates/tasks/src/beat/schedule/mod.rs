//! When an entry of beat is due: `celery.schedules`.
//!
//! A schedule is a pure function: from the time of the last run to the next time at which the entry is due. Nothing
//! here reads a clock.
//!
//! # Time zones
//!
//! A crontab is read on the wall clock of its own time zone, or else of `CELERY_TIMEZONE`. Where that clock is changed,
//! Celery's rules hold:
//!
//! - A time that the clock skips (02:30, where 02:00 becomes 03:00) is due as long after the change as it would have
//!   been without it: at 03:30.
//! - A time that the clock shows twice is due the first time. Only when the last run was itself in the second pass is
//!   the next due in that pass too: so an entry of every minute pauses for the repeated hour, unless beat started in
//!   it.
//!
//! An interval counts elapsed time, and no change of clocks touches it, but for one that is
//! [`relative`](Interval::relative).

mod crontab;
mod interval;
mod solar;
mod wall_clock;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

pub use crontab::{Crontab, CrontabError};
pub use interval::Interval;
pub use solar::{Solar, SolarError};

/// When an entry is due: what Celery calls its `schedule`.
///
/// ```
/// use chrono_tz::Tz;
/// use quintette_tasks::beat::schedule::{Crontab, Schedule};
///
/// let nightly = Schedule::from("0 4 * * *".parse::<Crontab>()?);
/// let last_run = "2026-03-01T04:00:00Z".parse()?;
/// let next = nightly.next_after(last_run, Tz::UTC).unwrap();
/// assert_eq!(next.to_string(), "2026-03-02 04:00:00 UTC");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// Each time that an interval has passed: `celery.schedules.schedule`.
    Interval(Interval),
    /// On dates and times that match a pattern: `celery.schedules.crontab`.
    Crontab(Crontab),
    /// Once, at this time: django-celery-beat's `clocked`.
    Clocked(DateTime<Utc>),
    /// When the sun does something: `celery.schedules.solar`.
    Solar(Solar),
}

impl Schedule {
    /// A schedule that is due each time that `interval` has passed. Less than a millisecond counts as one.
    pub fn every(interval: Duration) -> Self {
        Self::Interval(Interval::every(interval))
    }

    /// The first time after `last_run` at which this is due; none when it never is again.
    ///
    /// `zone` is `CELERY_TIMEZONE`, for schedules without a time zone of their own.
    pub fn next_after(&self, last_run: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            Self::Interval(interval) => interval.next_after(last_run, zone),
            Self::Crontab(crontab) => crontab.next_after(last_run, zone),
            Self::Clocked(time) => Some(*time).filter(|time| *time > last_run),
            Self::Solar(solar) => solar.next_after(last_run),
        }
    }
}

impl From<Interval> for Schedule {
    fn from(interval: Interval) -> Self {
        Self::Interval(interval)
    }
}

impl From<Duration> for Schedule {
    fn from(interval: Duration) -> Self {
        Self::every(interval)
    }
}

impl From<Crontab> for Schedule {
    fn from(crontab: Crontab) -> Self {
        Self::Crontab(crontab)
    }
}

impl From<Solar> for Schedule {
    fn from(solar: Solar) -> Self {
        Self::Solar(solar)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interval(interval) => interval.fmt(f),
            Self::Crontab(crontab) => crontab.fmt(f),
            Self::Clocked(time) => write!(f, "at {time}"),
            Self::Solar(solar) => solar.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Celery 5.7 itself said; made by `fixtures.py`.
    fn fixtures() -> serde_json::Value {
        serde_json::from_str(include_str!("fixtures.json")).unwrap()
    }

    fn text(value: &serde_json::Value) -> &str {
        value.as_str().unwrap()
    }

    fn time(value: &serde_json::Value) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(value.as_i64().unwrap()).unwrap()
    }

    fn crontab(fields: &serde_json::Value) -> Result<Crontab, CrontabError> {
        Crontab::every_minute()
            .minute(text(&fields[0]))?
            .hour(text(&fields[1]))?
            .day_of_month(text(&fields[2]))?
            .month_of_year(text(&fields[3]))?
            .day_of_week(text(&fields[4]))
    }

    #[test]
    fn a_crontab_is_due_when_celery_says() {
        let fixtures = fixtures();
        let cases = fixtures["crontabs"].as_array().unwrap();
        assert!(cases.len() >= 2000);
        for case in cases {
            let zone: Tz = text(&case[1]).parse().unwrap();
            let crontab = crontab(&case[0]).unwrap_or_else(|error| panic!("{case}: {error}"));
            let next = crontab.next_after(time(&case[2]), zone);
            assert_eq!(next, Some(time(&case[3])), "{case}");
        }
    }

    #[test]
    fn a_field_that_celery_reads_means_the_same_and_one_that_it_refuses_is_refused() {
        let fixtures = fixtures();
        let cases = fixtures["fields"].as_array().unwrap();
        assert!(cases.len() >= 100);
        for case in cases {
            let spec = text(&case[1]);
            let every_minute = Crontab::every_minute();
            let read = match text(&case[0]) {
                "minute" => every_minute.minute(spec),
                "hour" => every_minute.hour(spec),
                "day_of_month" => every_minute.day_of_month(spec),
                "month_of_year" => every_minute.month_of_year(spec),
                _ => every_minute.day_of_week(spec),
            };
            let values = read.ok().map(|crontab| crontab.values(text(&case[0])));
            let expected = case[2].as_array().map(|numbers| {
                let numbers = numbers.iter().map(|number| number.as_u64().unwrap());
                numbers
                    .map(|number| u32::try_from(number).unwrap())
                    .collect::<Vec<_>>()
            });
            assert_eq!(values, expected, "{case}");
        }
    }

    #[test]
    fn an_interval_is_due_when_celery_says() {
        let fixtures = fixtures();
        let cases = fixtures["intervals"].as_array().unwrap();
        assert!(cases.len() >= 300);
        for case in cases {
            let mut interval = Interval::every(Duration::from_millis(case[0].as_u64().unwrap()));
            if case[1].as_bool().unwrap() {
                interval = interval.relative();
            }
            let zone: Tz = text(&case[2]).parse().unwrap();
            let next = interval.next_after(time(&case[3]), zone);
            assert_eq!(next, Some(time(&case[4])), "{case}");
        }
    }

    #[test]
    fn the_sun_is_where_celery_sees_it() {
        let fixtures = fixtures();
        let cases = fixtures["solar"].as_array().unwrap();
        assert!(cases.len() >= 200);
        for case in cases {
            let (latitude, longitude) = (case[1].as_f64().unwrap(), case[2].as_f64().unwrap());
            let solar = Solar::new(text(&case[0]), latitude, longitude).unwrap();
            let next = solar.next_after(time(&case[3])).unwrap();
            let off = (next - time(&case[4])).num_seconds().abs();
            assert!(off <= 30, "{case}: {next} is off by {off} s");
            assert!(solar.next_after(next).unwrap() > next);
        }
    }

    #[test]
    fn where_the_sun_never_rises_nothing_is_due() {
        let pole = Solar::new("sunrise", 90.0, 0.0).unwrap();
        assert_eq!(
            pole.next_after("2026-03-01T04:00:00Z".parse().unwrap()),
            None
        );
    }

    #[test]
    fn a_clocked_schedule_is_due_once() {
        let at = "2026-03-01T04:00:00Z".parse().unwrap();
        let before = "2026-01-01T00:00:00Z".parse().unwrap();
        let clocked = Schedule::Clocked(at);
        assert_eq!(clocked.next_after(before, Tz::UTC), Some(at));
        assert_eq!(clocked.next_after(at, Tz::UTC), None);
    }
}
