//! What becomes of runs that came due while no beat was running.

use std::time::Duration;

/// What becomes of runs that came due while no beat was running, or while the broker could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissedTicks {
    /// One run for all that were missed, at once; then on as scheduled. What Celery does.
    RunOnce {
        /// `beat_cron_starting_deadline`: a crontab that was not due within this time is passed over.
        starting_deadline: Option<Duration>,
    },
    /// Runs that are later than this are passed over.
    Skip {
        /// How late a run may be and still be sent, as with a beat that is busy or just being replaced.
        later_than: Duration,
    },
    /// Each missed run by itself, the oldest first.
    RunAll {
        /// So many of an entry in a row. Those that follow are passed over.
        at_most: u32,
    },
}

impl Default for MissedTicks {
    /// Celery's, without a deadline.
    fn default() -> Self {
        Self::RunOnce {
            starting_deadline: None,
        }
    }
}
