use chrono::{DateTime, FixedOffset, TimeDelta, Utc};

use crate::json::RawJson;
use crate::settings::Settings;
use crate::time::{TimeZone, after, within_python};

use super::SessionData;

/// Under which key Django stores a session's own expiry (django/contrib/sessions/backends/base.py).
pub(super) const EXPIRY_KEY: &str = "_session_expiry";

/// When a session ends, where it is not as the settings say. Django's `set_expiry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// This long after the last time it was saved; negative is in the past. Kept in whole seconds.
    AfterIdle(TimeDelta),
    /// At this time.
    At(DateTime<FixedOffset>),
    /// With the browser: the cookie has no age, and the store keeps the session for `SESSION_COOKIE_AGE`.
    BrowserClose,
}

impl Expiry {
    /// Django's integer form: `0` ends with the browser.
    pub fn seconds(seconds: i64) -> Self {
        if seconds == 0 {
            Self::BrowserClose
        } else {
            Self::AfterIdle(clamp_seconds(seconds))
        }
    }

    /// Reads what is stored under `_session_expiry`. `None` where nothing is, or nothing that Django could have put
    /// there.
    ///
    /// For an engine whose store has no place for the expiry beside the data.
    pub fn read(data: &SessionData, zone: TimeZone) -> Option<Self> {
        let raw = data.json(EXPIRY_KEY)?;
        if let Ok(seconds) = raw.deserialize::<i64>() {
            return Some(Self::seconds(seconds));
        }
        if let Ok(seconds) = raw.deserialize::<f64>() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, and clamp_seconds bounds it"
            )]
            return Some(Self::seconds(seconds as i64));
        }
        zone.parse(&raw.deserialize::<String>().ok()?).map(Self::At)
    }

    /// What Django stores under `_session_expiry`.
    pub(super) fn write(self, zone: TimeZone) -> RawJson {
        match self {
            Self::AfterIdle(age) => age.num_seconds().into(),
            Self::At(time) => zone.isoformat(time).as_str().into(),
            Self::BrowserClose => 0.into(),
        }
    }

    /// How long from `now` until the session ends; Django's `get_expiry_age`.
    pub(super) fn age(expiry: Option<Self>, settings: &Settings, now: DateTime<Utc>) -> TimeDelta {
        match expiry {
            Some(Self::AfterIdle(age)) => age,
            // Python floors the difference of two times to whole seconds.
            Some(Self::At(time)) => {
                TimeDelta::seconds((time.to_utc() - now).num_milliseconds().div_euclid(1_000))
            }
            Some(Self::BrowserClose) | None => settings.session_cookie_age,
        }
    }

    /// When the session ends; Django's `get_expiry_date`.
    pub(super) fn date(
        expiry: Option<Self>,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        match expiry {
            Some(Self::At(time)) => within_python(time.to_utc()),
            other => after(now, Self::age(other, settings, now)),
        }
    }

    /// Whether the session ends with the browser; Django's `get_expire_at_browser_close`.
    pub(super) fn at_browser_close(expiry: Option<Self>, settings: &Settings) -> bool {
        match expiry {
            None => settings.session_expire_at_browser_close,
            Some(expiry) => expiry == Self::BrowserClose,
        }
    }
}

impl From<TimeDelta> for Expiry {
    /// So long from now, whatever happens until then: Django stores a `timedelta` as the time it leads to.
    fn from(delta: TimeDelta) -> Self {
        Self::At(after(Utc::now(), delta).fixed_offset())
    }
}

impl From<DateTime<Utc>> for Expiry {
    fn from(time: DateTime<Utc>) -> Self {
        Self::At(time.fixed_offset())
    }
}

/// A stored number may be anything; a thousand years either way is as good as for ever, and no date overflows.
fn clamp_seconds(seconds: i64) -> TimeDelta {
    const MILLENNIUM: i64 = 1_000 * 366 * 24 * 60 * 60;
    TimeDelta::seconds(seconds.clamp(-MILLENNIUM, MILLENNIUM))
}
