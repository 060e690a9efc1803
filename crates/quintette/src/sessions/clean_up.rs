use std::time::Duration;

use quintette_core::session::Sessions;
use tokio::time::MissedTickBehavior;

/// Removes expired sessions now and then again each time `period` has passed, for as long as it is polled. What
/// `manage.py clearsessions` in a cron job does for Django.
///
/// A failure is logged, and the next round tries again. Several processes may do so at once.
///
/// ```no_run
/// # async fn example(sessions: quintette::sessions::Sessions) {
/// use std::time::Duration;
/// use quintette::sessions::clear_expired_every;
///
/// tokio::spawn(clear_expired_every(Duration::from_hours(6), sessions.clone()));
/// # }
/// ```
///
/// # Cancellation
///
/// What was removed until then stays removed.
pub async fn clear_expired_every(period: Duration, sessions: Sessions) {
    let mut ticks = tokio::time::interval(period.max(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match sessions.engine().clear_expired(&mut |_| {}).await {
            Ok(cleared) if cleared.removed > 0 => {
                tracing::info!(target: "quintette::session", removed = cleared.removed, "expired sessions removed");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(target: "quintette::session", "expired sessions were not removed: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::{TimeDelta, Utc};
    use quintette_core::session::{Record, SessionData, SessionEngine, SessionKey};
    use quintette_core::settings::Settings;
    use quintette_testkit::MemoryEngine;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn expired_sessions_go_with_each_round() {
        let engine = Arc::new(MemoryEngine::new());
        let sessions = Sessions::new(engine.clone(), Settings::new("a secret"));
        let cleaner = tokio::spawn(clear_expired_every(Duration::from_hours(1), sessions));
        for _ in 0..2 {
            let data = SessionData::default();
            let record = Record {
                data: &data,
                expires_at: Utc::now() - TimeDelta::hours(1),
            };
            engine
                .create(&SessionKey::random().unwrap(), &record)
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_mins(90)).await;
            let left = engine.clear_expired(&mut |_| {}).await.unwrap();
            assert_eq!(left.removed, 0);
        }
        cleaner.abort();
    }
}
