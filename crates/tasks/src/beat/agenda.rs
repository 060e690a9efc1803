//! What is due when: the part of beat that only computes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use chrono_tz::Tz;

use super::entry::Entry;
use super::missed::MissedTicks;
use super::schedule::Schedule;

/// A last run that is further in the future than this was recorded by a clock that was wrong.
const WRONG_CLOCK: TimeDelta = TimeDelta::hours(1);
/// The longest wait before a run that could not be sent is tried again, in seconds.
const LONGEST_RETRY: i64 = 60;

/// The entries by the time at which they are due.
#[derive(Debug)]
pub(super) struct Agenda {
    zone: Tz,
    missed: MissedTicks,
    slots: HashMap<String, Slot>,
    heap: BinaryHeap<Reverse<(DateTime<Utc>, String)>>,
}

#[derive(Debug)]
struct Slot {
    entry: Entry,
    /// How many missed runs in a row were sent.
    made_up: u32,
    failures: u32,
}

/// A run that is due now.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) entry: Entry,
    pub(super) due: DateTime<Utc>,
}

impl Agenda {
    pub(super) fn new(zone: Tz, missed: MissedTicks) -> Self {
        Self {
            zone,
            missed,
            slots: HashMap::new(),
            heap: BinaryHeap::new(),
        }
    }

    /// Takes the entries as they are stored now. What is known of their failures stays.
    pub(super) fn replace(&mut self, entries: Vec<Entry>, now: DateTime<Utc>) {
        let mut before = std::mem::take(&mut self.slots);
        self.heap.clear();
        for mut entry in entries {
            let last_run = entry.last_run_at.filter(|time| *time > now + WRONG_CLOCK);
            if let Some(last_run) = last_run {
                tracing::warn!(
                    entry = entry.name,
                    %last_run,
                    "the last run is in the future, as if a clock had been wrong; the entry is counted from now"
                );
                entry.last_run_at = Some(now);
            }
            if entry.start_time.is_none() {
                entry.last_run_at = entry.last_run_at.or(Some(now));
            }
            let (made_up, failures) = before
                .remove(&entry.name)
                .map_or((0, 0), |slot| (slot.made_up, slot.failures));
            let slot = Slot {
                entry,
                made_up,
                failures,
            };
            let wait = retry_delay(failures);
            self.insert(slot, now, wait.map(|wait| now + wait));
        }
    }

    /// When there is next something to do.
    pub(super) fn next_wake(&self) -> Option<DateTime<Utc>> {
        self.heap.peek().map(|Reverse((time, _))| *time)
    }

    /// The next run that is due, with [`sent`](Self::sent) or [`failed`](Self::failed) to follow.
    pub(super) fn take_due(&mut self, now: DateTime<Utc>) -> Option<Due> {
        loop {
            if self.next_wake()? > now {
                return None;
            }
            let Reverse((_, name)) = self.heap.pop()?;
            let Some(mut slot) = self.slots.remove(&name) else {
                continue;
            };
            let Some(first_due) = self.next_due(&slot.entry, now) else {
                self.insert(slot, now, None);
                continue;
            };
            let due = self.policy(&slot, first_due, now);
            let entry = slot.entry.clone();
            if let Some(due) = due {
                self.slots.insert(name, slot);
                return Some(Due { entry, due });
            }
            tracing::warn!(entry = name, %first_due, "missed runs are passed over");
            slot.entry.last_run_at = Some(rhythm(&slot.entry, first_due, now));
            slot.made_up = 0;
            self.insert(slot, now, None);
        }
    }

    /// A run was sent: the entry as it is to be recorded.
    pub(super) fn sent(&mut self, run: Due, now: DateTime<Utc>) -> Entry {
        let (made_up, _) = self.progress(&run.entry.name);
        let mut entry = run.entry;
        entry.total_run_count += 1;
        entry.last_run_at = Some(match self.missed {
            MissedTicks::RunAll { .. } => run.due,
            MissedTicks::RunOnce { .. } | MissedTicks::Skip { .. } => rhythm(&entry, run.due, now),
        });
        let more = self.next_due(&entry, now).is_some_and(|due| due <= now);
        let slot = Slot {
            entry: entry.clone(),
            made_up: if more { made_up + 1 } else { 0 },
            failures: 0,
        };
        self.insert(slot, now, None);
        entry
    }

    /// A run could not be sent: it stays due, and is tried again after a while.
    pub(super) fn failed(&mut self, run: Due, now: DateTime<Utc>) -> TimeDelta {
        let (made_up, failures) = self.progress(&run.entry.name);
        let failures = failures.saturating_add(1);
        let wait = retry_delay(failures).unwrap_or_default();
        let slot = Slot {
            entry: run.entry,
            made_up,
            failures,
        };
        self.insert(slot, now, Some(now + wait));
        wait
    }

    /// The entries that are done with and enabled still.
    pub(super) fn finished(&self, now: DateTime<Utc>) -> Vec<Entry> {
        let entries = self.slots.values().map(|slot| &slot.entry);
        entries
            .filter(|entry| entry.enabled && entry.is_finished(now))
            .cloned()
            .collect()
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.slots.remove(name);
    }

    fn progress(&self, name: &str) -> (u32, u32) {
        self.slots
            .get(name)
            .map_or((0, 0), |slot| (slot.made_up, slot.failures))
    }

    fn insert(&mut self, slot: Slot, now: DateTime<Utc>, not_before: Option<DateTime<Utc>>) {
        let name = slot.entry.name.clone();
        if let Some(due) = self.next_due(&slot.entry, now) {
            let wake = not_before.map_or(due, |time| due.max(time));
            self.heap.push(Reverse((wake, name.clone())));
        }
        self.slots.insert(name, slot);
    }

    /// When the entry is due, counted from its last run: the same for every beat that knows of that.
    fn next_due(&self, entry: &Entry, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !entry.enabled || entry.is_finished(now) {
            return None;
        }
        let due = match (&entry.schedule, entry.start_time, entry.last_run_at) {
            (Schedule::Clocked(time), ..) if entry.total_run_count == 0 => *time,
            // What has a start is due then, whatever its schedule: django-celery-beat's rule.
            (_, Some(start), None) => start,
            (schedule, _, last_run) => schedule.next_after(last_run.unwrap_or(now), self.zone)?,
        };
        Some(entry.start_time.map_or(due, |start| due.max(start)))
    }

    /// Which of the missed runs is sent now: none if they are all passed over.
    fn policy(
        &self,
        slot: &Slot,
        first_due: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let oldest = match self.missed {
            MissedTicks::RunAll { at_most } => {
                return (slot.made_up < at_most.max(1)).then_some(first_due);
            }
            MissedTicks::RunOnce {
                starting_deadline: Some(deadline),
            } if matches!(slot.entry.schedule, Schedule::Crontab(_)) => deadline,
            MissedTicks::Skip { later_than } if !is_clocked(&slot.entry) => later_than,
            MissedTicks::RunOnce { .. } | MissedTicks::Skip { .. } => return Some(first_due),
        };
        let oldest = TimeDelta::from_std(oldest)
            .ok()
            .and_then(|oldest| now.checked_sub_signed(oldest));
        match oldest {
            Some(oldest) if first_due < oldest => {
                let just_before = oldest - TimeDelta::microseconds(1);
                let before = rhythm(&slot.entry, first_due, just_before);
                let due = slot.entry.schedule.next_after(before, self.zone);
                due.filter(|due| *due <= now)
            }
            _ => Some(first_due),
        }
    }
}

/// From when the next run is counted, once the one that was `due` is done with.
fn rhythm(entry: &Entry, due: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    let time = match &entry.schedule {
        Schedule::Interval(interval) => interval.last_due(due, now),
        _ => now,
    };
    // As far as stores and Python count, so that the next run is due at the same time after a restart.
    time.trunc_subsecs(6)
}

/// Asked for once, at one time: never too late.
fn is_clocked(entry: &Entry) -> bool {
    matches!(entry.schedule, Schedule::Clocked(_))
}

/// One second after the first failure, twice as long after each more.
fn retry_delay(failures: u32) -> Option<TimeDelta> {
    let doublings = failures.checked_sub(1)?.min(6);
    Some(TimeDelta::seconds((1_i64 << doublings).min(LONGEST_RETRY)))
}
