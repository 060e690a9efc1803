//! Tasks that wait for their time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::request::Request;

/// Requests by the time at which they are due.
#[derive(Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
}

struct Entry {
    due: Instant,
    request: Arc<Request>,
}

impl Agenda {
    /// The clock on the wall may be set meanwhile, so that far-off times are looked at again.
    const LONGEST: Duration = Duration::from_hours(1);

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn add(&mut self, request: Arc<Request>, eta: DateTime<Utc>) {
        let wait = (eta - Utc::now()).to_std().unwrap_or(Duration::ZERO);
        self.add_at(request, Instant::now() + wait.min(Self::LONGEST));
    }

    pub(crate) fn add_at(&mut self, request: Arc<Request>, due: Instant) {
        self.heap.push(Reverse(Entry { due, request }));
    }

    /// When there is something to do.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.due)
    }

    /// A request that is due.
    pub(crate) fn due(&mut self) -> Option<Arc<Request>> {
        loop {
            if self.next()? > Instant::now() {
                return None;
            }
            let Reverse(entry) = self.heap.pop()?;
            match entry.request.eta.filter(|eta| *eta > Utc::now()) {
                Some(eta) => self.add(entry.request, eta),
                None => return Some(entry.request),
            }
        }
    }

    /// Takes out those that are wanted.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Request) -> bool) -> Vec<Arc<Request>> {
        let (taken, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.heap)
            .into_iter()
            .partition(|Reverse(entry)| wanted(&entry.request));
        self.heap = kept.into();
        taken
            .into_iter()
            .map(|Reverse(entry)| entry.request)
            .collect()
    }
}

impl Entry {
    /// What is due at the same time keeps its order.
    fn key(&self) -> (Instant, u64) {
        (self.due, self.request.sequence)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
