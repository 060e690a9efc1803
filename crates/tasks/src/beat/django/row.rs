//! A row of `django_celery_beat_periodictask`, with its schedule.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::super::entry::Entry;
use super::super::error::{BeatError, BeatErrorKind};
use super::super::schedule::{Crontab, Schedule, Solar};
use super::columns::Times;
use crate::database::{Column, Value};
use crate::signature::Signature;

pub(super) const SELECT: &str = "SELECT t.name, t.task, t.args, t.kwargs, t.queue, t.exchange, t.routing_key, t.headers, \
     t.priority, t.expires, t.expire_seconds, CASE WHEN t.one_off THEN 1 ELSE 0 END, t.start_time, t.last_run_at, t.total_run_count, t.date_changed, \
     i.every, i.period, c.minute, c.hour, c.day_of_month, c.month_of_year, c.day_of_week, c.timezone, k.clocked_time, \
     s.event, CAST(s.latitude AS char(12)), CAST(s.longitude AS char(12)) \
     FROM django_celery_beat_periodictask t \
     LEFT JOIN django_celery_beat_intervalschedule i ON i.id = t.interval_id \
     LEFT JOIN django_celery_beat_crontabschedule c ON c.id = t.crontab_id \
     LEFT JOIN django_celery_beat_clockedschedule k ON k.id = t.clocked_id \
     LEFT JOIN django_celery_beat_solarschedule s ON s.id = t.solar_id \
     WHERE t.enabled ORDER BY t.id";

pub(super) static COLUMNS: [Column; 28] = {
    use Column::{Int, Text, Time};
    [
        Text, Text, Text, Text, Text, Text, Text, Text, Int, Time, Int, Int, Time, Time, Int, Time,
        Int, Text, Text, Text, Text, Text, Text, Text, Time, Text, Text, Text,
    ]
};

/// What Django's model of this name holds.
#[derive(Debug)]
pub(super) struct PeriodicTask {
    pub(super) name: String,
    task: String,
    args: Option<String>,
    kwargs: Option<String>,
    queue: Option<String>,
    exchange: Option<String>,
    routing_key: Option<String>,
    headers: Option<String>,
    priority: Option<i64>,
    expires: Option<DateTime<Utc>>,
    expire_seconds: Option<i64>,
    one_off: bool,
    start_time: Option<DateTime<Utc>>,
    last_run_at: Option<DateTime<Utc>>,
    total_run_count: i64,
    date_changed: Option<DateTime<Utc>>,
    interval: Option<(i64, String)>,
    crontab: Option<CrontabRow>,
    clocked_time: Option<DateTime<Utc>>,
    solar: Option<(String, String, String)>,
}

#[derive(Debug)]
struct CrontabRow {
    fields: [String; 5],
    timezone: String,
}

impl PeriodicTask {
    /// The row, of [`COLUMNS`]; of one that no Django writes there is a line in the log.
    pub(super) fn read(row: Vec<Value>, times: Times) -> Option<Self> {
        let name = row.first().cloned().and_then(Value::text);
        let is_readable = !row.iter().any(Value::is_unreadable);
        let read = is_readable.then(|| Self::of(row, times)).flatten();
        if read.is_none() {
            tracing::error!(
                entry = name,
                "a periodic task is left out: its row holds what its columns do not allow"
            );
        }
        read
    }

    fn of(row: Vec<Value>, times: Times) -> Option<Self> {
        let mut row = row.into_iter();
        let mut next = || row.next();
        Some(Self {
            name: next()?.text()?,
            task: next()?.text()?,
            args: next()?.text(),
            kwargs: next()?.text(),
            queue: next().and_then(said),
            exchange: next().and_then(said),
            routing_key: next().and_then(said),
            headers: next()?.text(),
            priority: next()?.int(),
            expires: times.read(next()?),
            expire_seconds: next()?.int(),
            one_off: next()?.int() == Some(1),
            start_time: times.read(next()?),
            last_run_at: times.read(next()?),
            total_run_count: next()?.int()?,
            date_changed: times.read(next()?),
            interval: Option::zip(next()?.int(), next()?.text()),
            crontab: CrontabRow::read([next()?, next()?, next()?, next()?, next()?, next()?]),
            clocked_time: times.read(next()?),
            solar: match (next()?.text(), next()?.text(), next()?.text()) {
                (Some(event), Some(latitude), Some(longitude)) => {
                    Some((event, latitude, longitude))
                }
                _ => None,
            },
        })
    }

    pub(super) fn into_entry(self) -> Result<Entry, BeatError> {
        let schedule = self.schedule()?;
        let mut signature = Signature::new(&*self.task);
        signature.args = json("args", self.args.as_deref())?;
        signature.kwargs = json("kwargs", self.kwargs.as_deref())?;
        signature.options = self.options()?.into();
        let mut entry = Entry::new(&*self.name, schedule, signature);
        entry.one_off = self.one_off;
        entry.start_time = self.start_time;
        entry.end_time = self.expires;
        // What has not run yet counts from when it was saved; one with a start is due then.
        let waits_for_its_start = self.start_time.is_some();
        entry.last_run_at = self
            .last_run_at
            .or(self.date_changed.filter(|_| !waits_for_its_start));
        entry.total_run_count = u64::try_from(self.total_run_count).unwrap_or_default();
        Ok(entry)
    }

    /// What `apply_async` takes.
    fn options(&self) -> Result<Map<String, Json>, BeatError> {
        let mut headers: Map<String, Json> = json("headers", self.headers.as_deref())?;
        headers.insert("periodic_task_name".to_owned(), self.name.clone().into());
        let priority = self.priority.map(|priority| {
            u8::try_from(priority)
                .map_err(|_| refused(format!("its priority {priority} is not from 0 to 255")))
        });
        let at = self
            .expires
            .map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, false));
        // One of zero seconds is none, in Python.
        let after = self.expire_seconds.filter(|seconds| *seconds > 0);
        let options: [(&str, Option<Json>); 6] = [
            ("queue", self.queue.clone().map(Json::from)),
            ("exchange", self.exchange.clone().map(Json::from)),
            ("routing_key", self.routing_key.clone().map(Json::from)),
            ("priority", priority.transpose()?.map(Json::from)),
            ("expires", at.map(Json::from).or(after.map(Json::from))),
            ("headers", Some(headers.into())),
        ];
        let said = options
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(said.collect())
    }

    fn schedule(&self) -> Result<Schedule, BeatError> {
        let schedules = [
            self.interval
                .as_ref()
                .map(|(every, period)| interval(*every, period)),
            self.crontab.as_ref().map(CrontabRow::schedule),
            self.clocked_time.map(|time| Ok(Schedule::Clocked(time))),
            self.solar
                .as_ref()
                .map(|(event, latitude, longitude)| solar(event, latitude, longitude)),
        ];
        let mut schedules = schedules.into_iter().flatten();
        match (schedules.next(), schedules.next()) {
            (Some(schedule), None) => schedule,
            (None, _) => Err(refused("it has no schedule: give it one, or delete it")),
            (Some(_), Some(_)) => Err(refused("it has more than one schedule: leave one of them")),
        }
    }
}

impl CrontabRow {
    fn read(values: [Value; 6]) -> Option<Self> {
        let [
            minute,
            hour,
            day_of_month,
            month_of_year,
            day_of_week,
            timezone,
        ] = values.map(Value::text);
        Some(Self {
            fields: [minute?, hour?, day_of_month?, month_of_year?, day_of_week?],
            timezone: timezone?,
        })
    }

    fn schedule(&self) -> Result<Schedule, BeatError> {
        let [minute, hour, day_of_month, month_of_year, day_of_week] = &self.fields;
        let crontab = Crontab::every_minute()
            .minute(minute)
            .and_then(|crontab| crontab.hour(hour))
            .and_then(|crontab| crontab.day_of_month(day_of_month))
            .and_then(|crontab| crontab.month_of_year(month_of_year))
            .and_then(|crontab| crontab.day_of_week(day_of_week))
            .map_err(|error| refused("its crontab cannot be read").caused_by(error))?;
        let zone: Tz = self.timezone.parse().map_err(|_| {
            refused(format!(
                "its crontab's time zone \"{}\" is not known",
                self.timezone
            ))
        })?;
        Ok(crontab.zone(zone).into())
    }
}

/// A text that says something: Django saves an empty one as none.
fn said(value: Value) -> Option<String> {
    value.text().filter(|text| !text.is_empty())
}

fn interval(every: i64, period: &str) -> Result<Schedule, BeatError> {
    let micros: i64 = match period {
        "days" => 86_400_000_000,
        "hours" => 3_600_000_000,
        "minutes" => 60_000_000,
        "seconds" => 1_000_000,
        "microseconds" => 1,
        _ => {
            return Err(refused(format!(
                "its interval's period \"{period}\" is not known"
            )));
        }
    };
    // Less than none is none, to Celery.
    let micros = u64::try_from(every.max(0).saturating_mul(micros)).unwrap_or_default();
    Ok(Schedule::every(Duration::from_micros(micros)))
}

fn solar(event: &str, latitude: &str, longitude: &str) -> Result<Schedule, BeatError> {
    let number = |text: &str| {
        let number = text.trim().parse();
        number.map_err(|_| refused(format!("its solar schedule's \"{text}\" is no angle")))
    };
    let solar = Solar::new(event, number(latitude)?, number(longitude)?);
    Ok(solar
        .map_err(|error| refused("its solar schedule cannot be used").caused_by(error))?
        .into())
}

/// A column of JSON; an empty one is empty.
fn json<T: DeserializeOwned + Default>(column: &str, text: Option<&str>) -> Result<T, BeatError> {
    match text {
        None | Some("") => Ok(T::default()),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            refused(format!("its {column} are not the JSON that they must be")).caused_by(error)
        }),
    }
}

fn refused(why: impl Into<String>) -> BeatError {
    BeatError::new(BeatErrorKind::Entry, why)
}
