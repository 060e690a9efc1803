use chrono::{TimeDelta, Utc};
use quintette_core::session::{Session, SessionError};
use quintette_core::settings::Settings;

use crate::http::login_url_with_next;

/// django-session-timeout's `SESSION_TIMEOUT_KEY`.
const ACTIVITY_KEY: &str = "_session_init_timestamp_";
/// When the session was first seen; Quintette's own, for the absolute limit.
const START_KEY: &str = "_session_start_timestamp_";

/// When a session has timed out, and where its visitor goes then.
#[derive(Debug)]
pub(super) struct Timeout {
    after: f64,
    absolute: Option<f64>,
    /// Seconds after which a request sets the clock anew; `None` where it never does.
    renew_after: Option<f64>,
    redirect: Option<String>,
    login_url: String,
}

impl Timeout {
    pub(super) fn new(settings: &Settings) -> Self {
        let seconds = |delta: TimeDelta| delta.as_seconds_f64();
        Self {
            after: seconds(
                settings
                    .session_expire_seconds
                    .unwrap_or(settings.session_cookie_age),
            ),
            absolute: settings.session_expire_absolute_seconds.map(seconds),
            renew_after: settings
                .session_expire_after_last_activity
                .then(|| seconds(settings.session_expire_after_last_activity_grace_period)),
            redirect: settings.session_timeout_redirect.clone(),
            login_url: settings.login_url.clone(),
        }
    }

    /// Flushes a session that has timed out, and says so; sets the clock of one that has not.
    pub(super) async fn has_expired(&self, session: &Session) -> Result<bool, SessionError> {
        session.data().await?;
        if session.is_empty() {
            // The store does not know what the cookie names. A clock for it would be a session for anyone who asks.
            return Ok(false);
        }
        let now = now();
        let active = clock(session, ACTIVITY_KEY, now).await?;
        let started = match self.absolute {
            Some(_) => clock(session, START_KEY, now).await?,
            None => now,
        };
        if now - active > self.after
            || self
                .absolute
                .is_some_and(|absolute| now - started > absolute)
        {
            session.flush().await?;
            return Ok(true);
        }
        if self.renew_after.is_some_and(|grace| now - active > grace) {
            session.insert(ACTIVITY_KEY, now)?;
        }
        Ok(false)
    }

    /// Where the visitor of an expired session goes, who asked for `path`.
    pub(super) fn location(&self, path: &str) -> String {
        if let Some(redirect) = &self.redirect {
            return redirect.clone();
        }
        login_url_with_next(&self.login_url, path)
    }
}

/// The time under `key`, which is set to now where there is none, or none that is a number.
async fn clock(session: &Session, key: &str, now: f64) -> Result<f64, SessionError> {
    let stored = session
        .raw(key)
        .await?
        .and_then(|raw| raw.deserialize::<f64>().ok());
    if let Some(time) = stored.filter(|time| time.is_finite()) {
        return Ok(time);
    }
    session.insert(key, now)?;
    Ok(now)
}

/// Python's `time.time()`.
fn now() -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds since 1970 fit in 53 bits until 2255"
    )]
    let micros = Utc::now().timestamp_micros() as f64;
    micros / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_comes_back_quoted_after_the_login_url() {
        let mut settings = Settings::new("a secret");
        let at = |settings: &Settings, path: &str| Timeout::new(settings).location(path);
        assert_eq!(
            at(&settings, "/a b/?x"),
            "/accounts/login/?next=/a%20b/%3Fx"
        );
        settings.login_url = "/in?a=1#top".into();
        assert_eq!(at(&settings, "/x"), "/in?a=1&next=/x#top");
        settings.session_timeout_redirect = Some("/bye/".into());
        assert_eq!(at(&settings, "/x"), "/bye/");
    }
}
