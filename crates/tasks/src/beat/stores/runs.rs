//! The last runs of entries that the program defines, by their names.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::super::entry::Entry;

/// When an entry last ran, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    #[serde(with = "rfc3339")]
    pub(super) last_run_at: DateTime<Utc>,
    pub(super) total_run_count: u64,
}

pub(super) type Runs = BTreeMap<String, Run>;

impl Run {
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        Some(Self {
            last_run_at: entry.last_run_at?,
            total_run_count: entry.total_run_count,
        })
    }
}

/// The entries, each as it last ran.
pub(super) fn with_runs(entries: &[Entry], runs: &Runs) -> Vec<Entry> {
    let with_run = |entry: &Entry| {
        let mut entry = entry.clone();
        if let Some(run) = runs.get(&entry.name) {
            entry.last_run_at = Some(run.last_run_at);
            entry.total_run_count = run.total_run_count;
        }
        entry
    };
    entries.iter().map(with_run).collect()
}

/// The runs of the entries that there are: those that are new count from now, and those that are gone are forgotten, so
/// that one which comes back is not due at once.
pub(super) fn installed(entries: &[Entry], before: &Runs) -> Runs {
    let run = |entry: &Entry| {
        let run = before.get(&entry.name).copied().or(Run::of(entry))?;
        Some((entry.name.clone(), run))
    };
    entries.iter().filter_map(run).collect()
}

/// A time as a person can read it, with offset and microseconds.
mod rfc3339 {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(super) fn serialize<S: Serializer>(
        time: &DateTime<Utc>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?;
        Ok(time.to_utc())
    }
}
