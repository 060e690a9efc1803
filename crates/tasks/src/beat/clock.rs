//! Where beat reads the time, so that tests can set it.

use std::fmt::Debug;

use chrono::{DateTime, Utc};

/// What time it is.
///
/// May jump, as a computer's clock does when it is set. Beat waits by elapsed time and looks at this again at least each
/// [`max_interval`](super::Beat::max_interval).
pub trait Clock: Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
}

/// The computer's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
