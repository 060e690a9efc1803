use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cache::NamedCache;

/// The pauses between attempts: doubled from the first, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// How many names are looked at before a pause: after an outage that was long there may be millions.
const AT_ONCE: usize = 10_000;

/// What this process owes the cache: entries that are older than their rows, since the cache could not be reached when
/// the rows changed.
///
/// Until such an entry is deleted, this process reads the row. It tries again and again, and so the entry is gone a
/// second after the cache is back, for other processes as well.
#[derive(Clone)]
pub(super) struct Owed {
    state: Arc<Mutex<State>>,
    cache: NamedCache,
}

#[derive(Default)]
struct State {
    /// Each name with the number of the latest change that is owed.
    names: HashMap<String, u64>,
    changes: u64,
    is_being_paid: bool,
}

impl Owed {
    pub(super) fn new(cache: NamedCache) -> Self {
        Self {
            state: Arc::default(),
            cache,
        }
    }

    /// Whether the entry of this name may be older than its row.
    pub(super) fn contains(&self, name: &str) -> bool {
        let state = self.state();
        !state.names.is_empty() && state.names.contains_key(name)
    }

    /// To be had before a row changes: where it is dropped without having been [settled](Debt::settle), by a failure, a
    /// caller who vanished or a panic, the entry of this name is owed.
    pub(super) fn debt(&self, name: &str) -> Debt<'_> {
        Debt {
            owed: self,
            name: Some(name.to_owned()),
        }
    }

    fn add(&self, name: String) {
        let mut state = self.state();
        state.changes += 1;
        let change = state.changes;
        state.names.insert(name, change);
        // Without a runtime there is nobody to pay; the next one who owes tries again.
        if !state.is_being_paid
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            state.is_being_paid = true;
            runtime.spawn(self.clone().pay());
        }
    }

    async fn pay(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause.mul_f64(jitter())).await;
            let names: Vec<_> = {
                let state = self.state();
                let owed = state.names.iter().take(AT_ONCE);
                owed.map(|(name, change)| (name.clone(), *change)).collect()
            };
            pause = (pause * 2).min(LAST_PAUSE);
            for (name, change) in names {
                if self.cache.cache().delete(&name, None).await.is_err() {
                    break;
                }
                let mut state = self.state();
                // Unless it has come to be owed anew.
                if state.names.get(&name) == Some(&change) {
                    state.names.remove(&name);
                }
                pause = FIRST_PAUSE;
            }
            let mut state = self.state();
            if state.names.is_empty() {
                state.is_being_paid = false;
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of it is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From a half to one and a half, so that the processes of a service do not come back all at once.
fn jitter() -> f64 {
    0.5 + f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

impl fmt::Debug for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owed({})", self.state().names.len())
    }
}

/// A row that is about to change, and whose entry in the cache has to follow.
pub(super) struct Debt<'a> {
    owed: &'a Owed,
    /// `None` where it is settled.
    name: Option<String>,
}

impl Debt<'_> {
    /// The cache has followed, or the row has not changed.
    pub(super) fn settle(mut self) {
        self.name = None;
    }
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.owed.add(name);
        }
    }
}
