//! `countdown`, `eta` and `expires`: points in time as Python writes them.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use quintette_core::json::RawJson;

use super::SendError;
use super::options::{Reader, wrong};
use crate::protocol::types;

/// A point in time, and its text in a message.
pub(super) struct Moment {
    pub text: String,
    pub at: DateTime<Utc>,
}

/// What each of them is reckoned from.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub at: DateTime<Utc>,
    pub timezone: Tz,
}

impl Now {
    fn after(self, name: &'static str, seconds: f64) -> Result<Moment, SendError> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the option's reader bounds it to a hundred years"
        )]
        let micros = TimeDelta::microseconds((seconds * 1e6).round() as i64);
        let at = self.at.checked_add_signed(micros);
        let at = at.ok_or_else(|| wrong(name, "is beyond the calendar"))?;
        let local = at.with_timezone(&self.timezone).fixed_offset();
        Ok(Moment {
            text: types::DateTime(local).to_string(),
            at,
        })
    }

    /// Not before: `countdown`, or else `eta`.
    pub(super) fn eta(self, options: Reader<'_>) -> Result<Option<Moment>, SendError> {
        match options.seconds("countdown")? {
            Some(seconds) if seconds != 0.0 => self.after("countdown", seconds).map(Some),
            _ => options
                .0
                .get("eta")
                .map(|eta| written("eta", eta))
                .transpose(),
        }
    }

    /// Not after: a number of seconds, or a time.
    pub(super) fn expires(self, options: Reader<'_>) -> Result<Option<Moment>, SendError> {
        match options.0.get("expires") {
            None => Ok(None),
            Some(text) if text.as_str().starts_with(['"', '{']) => {
                written("expires", text).map(Some)
            }
            Some(_) => {
                let seconds = options.seconds("expires")?;
                seconds
                    .map(|seconds| self.after("expires", seconds))
                    .transpose()
            }
        }
    }
}

/// A text by ISO 8601, or a datetime as Celery's JSON has it. Without an offset it is UTC.
fn written(name: &'static str, json: &RawJson) -> Result<Moment, SendError> {
    if let Ok(moment) = json.deserialize::<types::DateTime>() {
        return Ok(Moment {
            text: moment.to_string(),
            at: moment.0.to_utc(),
        });
    }
    let naive = json
        .deserialize::<types::NaiveDateTime>()
        .map(|moment| moment.0);
    let naive = naive.or_else(|_| {
        let date = json.deserialize::<types::Date>();
        date.map(|date| date.0.and_time(chrono::NaiveTime::MIN))
    });
    let naive = naive.map_err(|_| {
        let shown: String = json.as_str().chars().take(60).collect();
        wrong(
            name,
            format!(
                "must be a time by ISO 8601, such as \"2030-01-31T08:30:00+00:00\", not {shown}"
            ),
        )
    })?;
    Ok(Moment {
        text: types::NaiveDateTime(naive).to_string(),
        at: naive.and_utc(),
    })
}
