//! The program's entries, written as Django's models are.

use chrono::{DateTime, Utc};
use quintette_core::json::{write_array, write_object};

use super::columns::Times;
use crate::beat::entry::Entry;
use crate::beat::error::{BeatError, BeatErrorKind};
use crate::beat::schedule::Schedule;
use crate::beat::stores::database::LeaseTable;
use crate::database::{Column, Statement, Value, places};

/// The columns of an entry that are the program's to say.
const OWN: [&str; 13] = [
    "task",
    "interval_id",
    "crontab_id",
    "clocked_id",
    "solar_id",
    "args",
    "kwargs",
    "queue",
    "exchange",
    "routing_key",
    "priority",
    "headers",
    "expire_seconds",
];

static OWN_KINDS: [Column; 13] = {
    use Column::{Int, Text};
    [
        Text, Int, Int, Int, Int, Text, Text, Text, Text, Text, Int, Text, Int,
    ]
};

/// What brings the row of this entry up to date; none where it is.
pub(super) async fn statements(
    tables: &LeaseTable,
    times: Times,
    entry: &Entry,
) -> Result<Vec<Statement>, BeatError> {
    let (column, schedule) = schedule_row(tables, times, entry).await?;
    let values = own_values(entry, column, schedule);
    let columns = OWN.join(", ");
    let sql = format!("SELECT {columns} FROM django_celery_beat_periodictask WHERE name = ?");
    let select = Statement::new(sql)
        .with(entry.name.as_str())
        .returning(&OWN_KINDS);
    let statement = match tables.read(select).await?.pop() {
        Some(row) if row == values => return Ok(Vec::new()),
        Some(_) => update(times, entry, values),
        None => insert(times, entry, values),
    };
    Ok(vec![statement])
}

fn update(times: Times, entry: &Entry, values: Vec<Value>) -> Statement {
    let columns = OWN.join(" = ?, ");
    let sql = format!(
        "UPDATE django_celery_beat_periodictask SET {columns} = ?, date_changed = ? WHERE name = ?"
    );
    Statement::new(sql)
        .with_all(values)
        .with(times.write(Some(Utc::now())))
        .with(entry.name.as_str())
}

fn insert(times: Times, entry: &Entry, values: Vec<Value>) -> Statement {
    let flag = |flag: bool| if flag { "(1 = 1)" } else { "(1 = 0)" };
    let sql = format!(
        "INSERT INTO django_celery_beat_periodictask ({}, name, expires, start_time, date_changed, enabled, one_off, \
         total_run_count, description) VALUES ({}, {}, {}, 0, '')",
        OWN.join(", "),
        places(OWN.len() + 4),
        flag(entry.enabled),
        flag(entry.one_off),
    );
    Statement::new(sql)
        .with_all(values)
        .with(entry.name.as_str())
        .with(times.write(expires_at(entry)))
        .with(times.write(entry.start_time))
        .with(times.write(Some(Utc::now())))
}

fn own_values(entry: &Entry, column: &str, schedule: i64) -> Vec<Value> {
    let id = |of: &str| Value::Int((of == column).then_some(schedule));
    let signature = &entry.signature;
    let options = &signature.options;
    let text = |name: &str| Value::Text(options.text(name));
    let number = |name: &str| {
        let number = options.read::<f64>(name).ok().flatten();
        #[allow(clippy::cast_possible_truncation)] // whole seconds are all that the column holds
        Value::Int(number.map(|number| number as i64))
    };
    let kwargs = signature.kwargs.iter();
    let headers = options
        .get("headers")
        .map_or("{}", |headers| headers.as_str());
    vec![
        signature.task.clone().into(),
        id("interval_id"),
        id("crontab_id"),
        id("clocked_id"),
        id("solar_id"),
        write_array(signature.args.iter()).into(),
        write_object(kwargs.map(|(name, value)| (name.as_str(), value))).into(),
        text("queue"),
        text("exchange"),
        text("routing_key"),
        number("priority"),
        headers.into(),
        number("expires"),
    ]
}

/// In the model, one column is both the end of the schedule and when a message expires.
fn expires_at(entry: &Entry) -> Option<DateTime<Utc>> {
    let message = entry.signature.options.text("expires");
    let message = message.and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
    entry.end_time.or(message.map(|time| time.to_utc()))
}

/// The row of a schedule like the entry's, which is made if there is none; and the column that names it.
async fn schedule_row(
    tables: &LeaseTable,
    times: Times,
    entry: &Entry,
) -> Result<(&'static str, i64), BeatError> {
    let (column, table, fields) = model(entry, times)?;
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let table = format!("django_celery_beat_{table}");
    let find = format!(
        "SELECT MIN(id) FROM {table} WHERE {} = ?",
        names.join(" = ? AND ")
    );
    let insert = format!(
        "INSERT INTO {table} ({}) VALUES ({})",
        names.join(", "),
        places(names.len())
    );
    for _ in 0..2 {
        let find = Statement::new(find.clone())
            .with_all(values.clone())
            .returning(&[Column::Int]);
        let mut found = tables.read(find).await?;
        if let Some(id) = found.pop().and_then(|mut row| row.pop()?.int()) {
            return Ok((column, id));
        }
        let insert = Statement::new(insert.clone()).with_all(values.clone());
        tables.write_unchecked(insert).await?;
    }
    let what = format!(
        "the schedule of \"{}\" was not found after it was written into {table}",
        entry.name
    );
    Err(BeatError::new(BeatErrorKind::Store, what))
}

type Fields = Vec<(&'static str, Value)>;

/// The column, the table and the fields that a schedule has in Django's models.
fn model(entry: &Entry, times: Times) -> Result<(&'static str, &'static str, Fields), BeatError> {
    Ok(match &entry.schedule {
        Schedule::Interval(interval) => {
            let micros = interval.micros();
            let (every, period) = if micros % 1_000_000 == 0 {
                (micros / 1_000_000, "seconds")
            } else {
                (micros, "microseconds")
            };
            if i32::try_from(every).is_err() {
                let what = format!(
                    "the interval of \"{}\" does not fit into django-celery-beat's table",
                    entry.name
                );
                return Err(BeatError::new(BeatErrorKind::Entry, what));
            }
            let fields = vec![
                ("every", every.into()),
                ("period", period.to_owned().into()),
            ];
            ("interval_id", "intervalschedule", fields)
        }
        Schedule::Crontab(crontab) => {
            let mut fields: Fields = crontab
                .fields()
                .into_iter()
                .map(|(name, spec)| (name, spec.to_owned().into()))
                .collect();
            let zone = crontab.own_zone().map_or("UTC", chrono_tz::Tz::name);
            fields.push(("timezone", zone.to_owned().into()));
            ("crontab_id", "crontabschedule", fields)
        }
        Schedule::Clocked(time) => {
            let fields = vec![("clocked_time", times.write(Some(*time)))];
            ("clocked_id", "clockedschedule", fields)
        }
        Schedule::Solar(_) => {
            let what = format!(
                "\"{}\" has a solar schedule; make it in Django's admin",
                entry.name
            );
            return Err(BeatError::new(BeatErrorKind::Entry, what));
        }
    })
}
