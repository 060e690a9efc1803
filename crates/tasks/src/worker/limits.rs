//! Tasks that must not begin too often.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::request::Request;

/// The tasks with a rate limit, each a bucket of one token.
#[derive(Default)]
pub(crate) struct RateLimits {
    buckets: HashMap<String, Bucket>,
}

struct Bucket {
    interval: Duration,
    next: Instant,
    waiting: VecDeque<Arc<Request>>,
}

impl RateLimits {
    /// Sets or removes a limit; returns those who need not wait any more.
    pub(crate) fn set(&mut self, task: &str, interval: Option<Duration>) -> VecDeque<Arc<Request>> {
        match (self.buckets.get_mut(task), interval) {
            (Some(bucket), Some(interval)) => {
                bucket.interval = interval;
                bucket.next = bucket.next.min(later(Instant::now(), interval));
                VecDeque::new()
            }
            (None, Some(interval)) => {
                let bucket = Bucket {
                    interval,
                    next: Instant::now(),
                    waiting: VecDeque::new(),
                };
                self.buckets.insert(task.to_owned(), bucket);
                VecDeque::new()
            }
            (_, None) => {
                let removed = self.buckets.remove(task);
                removed.map(|bucket| bucket.waiting).unwrap_or_default()
            }
        }
    }

    /// Takes a request that must wait, or gives it back.
    pub(crate) fn hold(&mut self, request: Arc<Request>) -> Option<Arc<Request>> {
        if self.buckets.is_empty() {
            return Some(request);
        }
        match self.buckets.get_mut(&request.headers.task) {
            Some(bucket) => {
                bucket.waiting.push_back(request);
                None
            }
            None => Some(request),
        }
    }

    /// Those whose turn it is.
    pub(crate) fn release(&mut self, ready: &mut VecDeque<Arc<Request>>) {
        if self.buckets.is_empty() {
            return;
        }
        let now = Instant::now();
        for bucket in self.buckets.values_mut() {
            if bucket.next <= now
                && let Some(request) = bucket.waiting.pop_front()
            {
                bucket.next = later(now, bucket.interval);
                ready.push_back(request);
            }
        }
    }

    /// When somebody's turn comes.
    pub(crate) fn next(&self) -> Option<Instant> {
        let waiting = self
            .buckets
            .values()
            .filter(|bucket| !bucket.waiting.is_empty());
        waiting.map(|bucket| bucket.next).min()
    }

    /// All who wait.
    pub(crate) fn drain(&mut self) -> Vec<Arc<Request>> {
        let buckets = self.buckets.values_mut();
        buckets
            .flat_map(|bucket| bucket.waiting.drain(..))
            .collect()
    }
}

/// A wait that no clock can count is a year.
fn later(now: Instant, interval: Duration) -> Instant {
    now + interval.min(Duration::from_hours(24 * 365))
}
