//! Patterns of dates and times: `celery.schedules.crontab`.

mod field;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, Timelike as _, Utc};
use chrono_tz::Tz;

use super::wall_clock::{instant, pass};
use field::{Field, Unit};

/// Dates and times that match a pattern: `celery.schedules.crontab`.
///
/// An entry is due in each minute whose minute, hour, day of the month, month and day of the week all match: unlike
/// cron's, a day must match both its day of the month and its day of the week.
///
/// A field is a list of numbers, ranges (`8-17`, or `22-2`, which goes around the end), steps (`*/15`, `8-17/2`), months
/// and days of the week by their names (`mon-fri`), or `*`. Sunday is 0. Celery refuses 7, and so does this.
///
/// ```
/// use quintette_tasks::beat::schedule::Crontab;
///
/// let office_hours = Crontab::every_minute()
///     .minute("*/15")?
///     .hour("8-17")?
///     .day_of_week("mon-fri")?
///     .zone(chrono_tz::Tz::Europe__Berlin);
/// let first_monday: Crontab = "0 9 1-7 * mon".parse()?;
/// assert!("0 0 30 2 *".parse::<Crontab>().is_err()); // February has no 30th
/// # Ok::<(), quintette_tasks::beat::schedule::CrontabError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crontab {
    minute: Field,
    hour: Field,
    day_of_month: Field,
    month_of_year: Field,
    day_of_week: Field,
    zone: Option<Tz>,
}

/// A crontab that never matches, or is not in Celery's syntax.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the crontab's {field} is \"{spec}\": {reason}")]
pub struct CrontabError {
    field: &'static str,
    spec: String,
    reason: String,
}

impl Crontab {
    /// Due each minute: Celery's `crontab()`. Narrowed by the methods that follow.
    pub fn every_minute() -> Self {
        Self {
            minute: Field::all(Unit::Minute),
            hour: Field::all(Unit::Hour),
            day_of_month: Field::all(Unit::DayOfMonth),
            month_of_year: Field::all(Unit::MonthOfYear),
            day_of_week: Field::all(Unit::DayOfWeek),
            zone: None,
        }
    }

    /// Due in these minutes of an hour, of 0 to 59.
    ///
    /// # Errors
    ///
    /// [`CrontabError`] when Celery would not read the text.
    pub fn minute(mut self, spec: &str) -> Result<Self, CrontabError> {
        self.minute = Field::parse(Unit::Minute, spec)?;
        Ok(self)
    }

    /// Due in these hours of a day, of 0 to 23.
    ///
    /// # Errors
    ///
    /// [`CrontabError`] when Celery would not read the text.
    pub fn hour(mut self, spec: &str) -> Result<Self, CrontabError> {
        self.hour = Field::parse(Unit::Hour, spec)?;
        Ok(self)
    }

    /// Due on these days of a month, of 1 to 31.
    ///
    /// # Errors
    ///
    /// [`CrontabError`] when Celery would not read the text, or when none of the months has such a day.
    pub fn day_of_month(mut self, spec: &str) -> Result<Self, CrontabError> {
        self.day_of_month = Field::parse(Unit::DayOfMonth, spec)?;
        self.with_a_date()
    }

    /// Due in these months, of 1 to 12 or by name.
    ///
    /// # Errors
    ///
    /// [`CrontabError`] when Celery would not read the text, or when none of the months has a day of
    /// [`day_of_month`](Self::day_of_month).
    pub fn month_of_year(mut self, spec: &str) -> Result<Self, CrontabError> {
        self.month_of_year = Field::parse(Unit::MonthOfYear, spec)?;
        self.with_a_date()
    }

    /// Due on these days of the week, of 0 (Sunday) to 6 or by name.
    ///
    /// # Errors
    ///
    /// [`CrontabError`] when Celery would not read the text.
    pub fn day_of_week(mut self, spec: &str) -> Result<Self, CrontabError> {
        self.day_of_week = Field::parse(Unit::DayOfWeek, spec)?;
        Ok(self)
    }

    /// On the clock of this time zone, instead of `CELERY_TIMEZONE`'s: the `timezone` of django-celery-beat's
    /// `CrontabSchedule`.
    #[must_use]
    pub fn zone(mut self, zone: Tz) -> Self {
        self.zone = Some(zone);
        self
    }

    /// The first time after `last_run` that matches, on the clock of this crontab's time zone or else of `zone`.
    pub fn next_after(&self, last_run: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let zone = self.zone.unwrap_or(zone);
        let local = last_run.with_timezone(&zone);
        let shown = self.next_shown(local.naive_local())?;
        instant(shown, zone, pass(local))
    }

    /// On this clock, where no other was said.
    pub(crate) fn default_zone(&mut self, zone: Tz) {
        self.zone.get_or_insert(zone);
    }

    /// The time zone of its own.
    #[cfg(feature = "database")]
    pub(crate) fn own_zone(&self) -> Option<Tz> {
        self.zone
    }

    /// The fields by Celery's names, as they were written.
    #[cfg(feature = "database")]
    pub(crate) fn fields(&self) -> [(&'static str, &str); 5] {
        [
            &self.minute,
            &self.hour,
            &self.day_of_month,
            &self.month_of_year,
            &self.day_of_week,
        ]
        .map(Field::written)
    }

    /// The next minute on the clock that matches.
    fn next_shown(&self, shown: NaiveDateTime) -> Option<NaiveDateTime> {
        let today = shown.date();
        let later_today = self
            .matches(today)
            .then(|| self.next_time(shown.hour(), shown.minute()))
            .flatten();
        let (date, (hour, minute)) = match later_today {
            Some(time) => (today, time),
            None => (
                self.next_date(today)?,
                (self.hour.first(), self.minute.first()),
            ),
        };
        date.and_hms_opt(hour, minute, 0)
    }

    fn next_time(&self, hour: u32, minute: u32) -> Option<(u32, u32)> {
        let this_hour = self.hour.contains(hour).then_some(hour);
        let later_minute = self.minute.after(minute);
        this_hour
            .zip(later_minute)
            .or_else(|| Some((self.hour.after(hour)?, self.minute.first())))
    }

    fn next_date(&self, today: NaiveDate) -> Option<NaiveDate> {
        // The longest wait is for a February 29th on one day of the week, over a century without a leap year.
        const MONTHS: u32 = 12 * 50;
        let this_month = today.with_day(1)?;
        (0..=MONTHS).find_map(|months| {
            let month = this_month.checked_add_months(chrono::Months::new(months))?;
            let first_day = if months == 0 { today.day() + 1 } else { 1 };
            self.month_of_year.contains(month.month()).then_some(())?;
            (first_day..=31)
                .filter_map(|day| month.with_day(day))
                .find(|date| self.matches(*date))
        })
    }

    fn matches(&self, date: NaiveDate) -> bool {
        self.month_of_year.contains(date.month())
            && self.day_of_month.contains(date.day())
            && self
                .day_of_week
                .contains(date.weekday().num_days_from_sunday())
    }

    fn with_a_date(self) -> Result<Self, CrontabError> {
        const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let first_day = self.day_of_month.first();
        let has_a_date = (1..)
            .zip(LONGEST)
            .any(|(month, days)| self.month_of_year.contains(month) && first_day <= days);
        if has_a_date {
            return Ok(self);
        }
        let reason = format!(
            "none of the months \"{}\" has such a day",
            self.month_of_year
        );
        Err(self.day_of_month.error(reason))
    }
}

impl FromStr for Crontab {
    type Err = CrontabError;

    /// Five fields, as in cron: minute, hour, day of the month, month, day of the week. `crontab.from_string`.
    fn from_str(text: &str) -> Result<Self, CrontabError> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day_of_month, month_of_year, day_of_week] = fields[..] else {
            return Err(CrontabError {
                field: "text",
                spec: text.to_owned(),
                reason: format!(
                    "write five fields (minute, hour, day of month, month of year, day of week), not {}",
                    fields.len()
                ),
            });
        };
        Self::every_minute()
            .minute(minute)?
            .hour(hour)?
            .day_of_month(day_of_month)?
            .month_of_year(month_of_year)?
            .day_of_week(day_of_week)
    }
}

impl fmt::Display for Crontab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            minute,
            hour,
            day_of_month,
            month_of_year,
            day_of_week,
            zone,
        } = self;
        write!(
            f,
            "{minute} {hour} {day_of_month} {month_of_year} {day_of_week} (m/h/dM/MY/d)"
        )?;
        zone.iter().try_for_each(|zone| write!(f, " {zone}"))
    }
}

#[cfg(test)]
impl Crontab {
    pub(super) fn values(&self, field: &str) -> Vec<u32> {
        let field = match field {
            "minute" => &self.minute,
            "hour" => &self.hour,
            "day_of_month" => &self.day_of_month,
            "month_of_year" => &self.month_of_year,
            _ => &self.day_of_week,
        };
        (0..60).filter(|value| field.contains(*value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(crontab: &str, zone: Tz, last_run: &str) -> String {
        let crontab: Crontab = crontab.parse().unwrap();
        let next = crontab.next_after(last_run.parse().unwrap(), zone);
        next.unwrap().with_timezone(&zone).to_rfc3339()
    }

    #[test]
    fn a_day_must_match_both_of_its_fields() {
        let friday_the_13th = next("0 0 13 * fri", Tz::UTC, "2026-04-01T00:00:00Z");
        assert_eq!(friday_the_13th, "2026-11-13T00:00:00+00:00");
    }

    #[test]
    fn a_leap_day_on_a_sunday_is_found_over_a_century_without_one() {
        let sunday = next("0 0 29 2 sun", Tz::UTC, "2088-03-01T00:00:00Z");
        assert_eq!(sunday, "2128-02-29T00:00:00+00:00");
    }

    #[test]
    fn a_date_that_never_comes_is_refused_in_whichever_order_it_is_said() {
        let february = Crontab::every_minute().month_of_year("feb").unwrap();
        assert!(february.day_of_month("30,31").is_err());
        let thirtieth = Crontab::every_minute().day_of_month("30").unwrap();
        let error = thirtieth.month_of_year("2").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the crontab's day_of_month is \"30\": none of the months \"2\" has such a day"
        );
    }

    #[test]
    fn a_skipped_hour_is_made_up_for_and_a_repeated_one_passed_over() {
        let berlin = Tz::Europe__Berlin;
        let skipped = next("30 2 * * *", berlin, "2026-03-29T00:59:00Z");
        assert_eq!(skipped, "2026-03-29T03:30:00+02:00");
        let after_the_first_pass = next("* * * * *", berlin, "2026-10-25T00:59:00Z");
        assert_eq!(after_the_first_pass, "2026-10-25T03:00:00+01:00");
        let in_the_second_pass = next("* * * * *", berlin, "2026-10-25T01:30:00Z");
        assert_eq!(in_the_second_pass, "2026-10-25T02:31:00+01:00");
    }

    #[test]
    fn a_time_zone_of_its_own_comes_before_the_apps() {
        let crontab: Crontab = "0 4 * * *".parse().unwrap();
        let seoul = crontab.zone(Tz::Asia__Seoul);
        let next = seoul.next_after("2026-01-01T00:00:00Z".parse().unwrap(), Tz::UTC);
        assert_eq!(next.unwrap().to_rfc3339(), "2026-01-01T19:00:00+00:00");
    }

    #[test]
    fn the_end_of_time_is_an_answer() {
        let crontab: Crontab = "0 0 1 1 *".parse().unwrap();
        assert_eq!(crontab.next_after(DateTime::<Utc>::MAX_UTC, Tz::UTC), None);
    }

    #[test]
    fn four_fields_are_refused_with_what_to_write() {
        let error = "0 4 * *".parse::<Crontab>().unwrap_err().to_string();
        assert!(error.contains("write five fields"), "{error}");
    }
}
