//! Intervals: `celery.schedules.schedule`.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, Timelike as _, Utc};
use chrono_tz::Tz;

use super::wall_clock::{Pass, instant};

const MINUTE: TimeDelta = TimeDelta::minutes(1);
const HOUR: TimeDelta = TimeDelta::hours(1);
const DAY: TimeDelta = TimeDelta::days(1);

/// Due each time that an interval has passed since the last run: `celery.schedules.schedule`.
///
/// ```
/// use std::time::Duration;
/// use quintette_tasks::beat::schedule::Interval;
///
/// let each_hour = Interval::every(Duration::from_secs(3600));
/// let on_the_hour = Interval::every(Duration::from_secs(3600)).relative();
/// assert_ne!(each_hour, on_the_hour);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    every: TimeDelta,
    relative: bool,
}

impl Interval {
    /// Due each time that `every` has passed, in whole microseconds. Less than a millisecond counts as one, more than a
    /// century as one.
    pub fn every(every: Duration) -> Self {
        let century = DAY * 36_525;
        let micros = i64::try_from(every.as_micros()).map(TimeDelta::microseconds);
        let every = micros.map_or(century, |every| every.min(century));
        Self {
            every: every.max(TimeDelta::milliseconds(1)),
            relative: false,
        }
    }

    /// Rounds each due time down to the clock: to midnight where the interval is a day or more, to the hour where it
    /// is an hour or more, to the minute where it is a minute or more, else to the second. `relative=True`.
    #[must_use]
    pub fn relative(self) -> Self {
        Self {
            relative: true,
            ..self
        }
    }

    /// The time after `last_run` at which this is due, with a `relative` one on the clock of `zone`.
    pub fn next_after(&self, last_run: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        if !self.relative {
            last_run.checked_add_signed(self.every)
        } else if self.every >= DAY {
            self.next_midnight(last_run, zone)
        } else {
            self.next_rounded(last_run, zone)
        }
    }

    /// In microseconds.
    #[cfg(feature = "database")]
    pub(crate) fn micros(&self) -> i64 {
        self.every.num_microseconds().unwrap_or(i64::MAX)
    }

    /// The last due time that is not after `now`, counted from `last_run`: a beat that is late keeps its rhythm.
    pub(crate) fn last_due(&self, last_run: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.relative {
            return now;
        }
        let (passed, every) = (now - last_run, self.every);
        let (Some(passed), Some(every)) = (passed.num_microseconds(), every.num_microseconds())
        else {
            return now;
        };
        let rest = TimeDelta::microseconds(passed.rem_euclid(every.max(1)));
        now.checked_sub_signed(rest).unwrap_or(now)
    }

    /// A day is a day of the calendar, however long the clock makes it.
    fn next_midnight(&self, last_run: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let shown = last_run.with_timezone(&zone).naive_local();
        let end = shown.checked_add_signed(self.every)?;
        let future = self.occurrences(end, zone).filter(|time| *time > last_run);
        future.min().or_else(|| instant(end, zone, Pass::First))
    }

    fn next_rounded(&self, last_run: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let end = last_run.checked_add_signed(self.every)?;
        let shown = end.with_timezone(&zone).naive_local();
        let rounded = last_or_first(self.occurrences(shown, zone), end)?;
        if self.every < MINUTE || rounded > last_run {
            return Some(rounded);
        }
        // A clock put back by part of an hour can round to before the last run: then the next mark on the clock, or
        // on the calendar, counts.
        let next_mark = shown.checked_add_signed(if self.every >= HOUR { HOUR } else { MINUTE })?;
        let shown_last = last_run.with_timezone(&zone).naive_local();
        let on_the_calendar = shown_last.checked_add_signed(self.every)?;
        let candidates = self
            .occurrences(shown, zone)
            .chain(self.occurrences(next_mark, zone))
            .chain(self.occurrences(on_the_calendar, zone));
        last_or_first(candidates.filter(|time| *time > last_run), end).or(Some(end))
    }

    /// Both times at which the clock shows `shown`, rounded down to what this interval counts in.
    fn occurrences(&self, shown: NaiveDateTime, zone: Tz) -> impl Iterator<Item = DateTime<Utc>> {
        let rounded = self.rounded(shown);
        [Pass::First, Pass::Second]
            .into_iter()
            .filter_map(move |pass| instant(rounded, zone, pass))
    }

    fn rounded(&self, shown: NaiveDateTime) -> NaiveDateTime {
        let (hour, minute, second) = (shown.hour(), shown.minute(), shown.second());
        let time = if self.every >= DAY {
            Some(NaiveTime::MIN)
        } else if self.every >= HOUR {
            NaiveTime::from_hms_opt(hour, 0, 0)
        } else if self.every >= MINUTE {
            NaiveTime::from_hms_opt(hour, minute, 0)
        } else {
            NaiveTime::from_hms_opt(hour, minute, second)
        };
        shown.date().and_time(time.unwrap_or(shown.time()))
    }
}

/// The last of them that is not after `end`, or else the first.
fn last_or_first(
    times: impl Iterator<Item = DateTime<Utc>>,
    end: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    let before = times.iter().rev().find(|time| **time <= end);
    before.or(times.first()).copied()
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.every.num_milliseconds();
        if millis % 1000 == 0 {
            write!(f, "every {} s", millis / 1000)
        } else {
            write!(f, "every {millis} ms")
        }
    }
}
