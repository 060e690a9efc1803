use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;

/// The pauses between attempts to connect: doubled from the first, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// The time since a server refused a connection, until it takes one.
///
/// A statement waits for a server that has just gone, so that a restart goes unnoticed. When the server has been away for
/// longer than a statement may take, statements fail at once; those that come when a pause is over try anew.
#[derive(Debug)]
pub(super) struct Outage {
    since: Instant,
    /// How long a statement may wait, from the first one that failed.
    patience: Duration,
    attempts: u32,
    next: Instant,
    last: Failure,
}

impl Outage {
    /// Notes an attempt that failed. `patience` is what is left of the time of a statement that came with it.
    pub(super) fn note(outage: &mut Option<Self>, failure: Failure, patience: Duration) {
        let now = Instant::now();
        let outage = outage.get_or_insert_with(|| Self {
            since: now,
            patience,
            attempts: 0,
            next: now,
            last: failure.clone(),
        });
        outage.last = failure;
        outage.next = outage.next.max(now + outage.pause());
    }

    /// When to look again; `None` is now: the caller is the one who tries.
    ///
    /// # Errors
    ///
    /// Where waiting is in vain. It is not where a connection is in use that `may_return`.
    pub(super) fn next_attempt(
        &mut self,
        deadline: Instant,
        may_return: bool,
    ) -> Result<Option<Instant>, Failure> {
        let now = Instant::now();
        if now >= deadline {
            return Err(self.failure());
        }
        if now >= self.next {
            self.attempts = self.attempts.saturating_add(1);
            self.next = now + self.pause();
            return Ok(None);
        }
        if self.since.elapsed() > self.patience && !may_return {
            return Err(self.failure());
        }
        Ok(Some(self.next.min(deadline)))
    }

    /// What the server, or the way to it, said last.
    pub(super) fn failure(&self) -> Failure {
        self.last.clone()
    }

    /// With jitter, so that the processes of a service do not come back all at once.
    fn pause(&self) -> Duration {
        let whole = FIRST_PAUSE
            .saturating_mul(1 << self.attempts.min(8))
            .min(LAST_PAUSE);
        // Without randomness there is no jitter, and no harm.
        let random = getrandom::u32().unwrap_or(u32::MAX);
        whole / 2 + whole.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
    }
}
