//! A due entry on its way to the broker.

use std::error::Error;
use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::entry::Entry;
use crate::app::App;
use crate::signature::Signature;

/// Of ids that beat makes. Random, and the same for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x6a1f_0c2e_57d9_4b0b_9c3e_e1b7_42d8_a5f6);

/// One run of an entry.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tick {
    /// The id of the task: the same whenever and by whomever this run is sent.
    pub id: String,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// What is sent.
    pub entry: Entry,
}

impl Tick {
    /// The run of an entry that was due at this time, in the beat of this name.
    ///
    /// The id is a UUID of version 5 over the names of the beat and of the entry, and the due time in microseconds.
    pub fn new(beat: &str, entry: Entry, due: DateTime<Utc>) -> Self {
        let time = due.to_rfc3339_opts(SecondsFormat::Micros, true);
        let run = [beat, &entry.name, &time].join("\n");
        Self {
            id: Uuid::new_v5(&NAMESPACE, run.as_bytes()).to_string(),
            due,
            entry,
        }
    }

    /// The call as it is sent: under this run's id, and with the header `celery_beat_task` beside the entry's own.
    pub fn signature(&self) -> Signature {
        let signature = self.entry.signature.clone();
        let mut headers = match signature.options.value("headers") {
            Some(Value::Object(headers)) => headers,
            _ => Map::new(),
        };
        headers.insert("celery_beat_task".to_owned(), Value::Bool(true));
        signature
            .option("task_id", &*self.id)
            .option("headers", headers)
    }
}

/// Sends what is due.
#[async_trait]
pub trait TickSender: Debug + Send + Sync {
    /// Sends this run, and returns when the broker has it.
    ///
    /// # Errors
    ///
    /// Whatever kept it from the broker. Beat tries the run again, with the same id.
    ///
    /// # Cancellation
    ///
    /// The run may have been sent or not. Beat tries again, with the same id.
    async fn send(&self, tick: &Tick) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Whether a run of this id is known to have been sent, as by a result that is kept for it.
    ///
    /// Asked for the first run of an entry after this beat became the leader only: the last leader may have died after
    /// it sent that, and before it recorded so. Where nothing can tell, `false`, which is the default.
    ///
    /// # Errors
    ///
    /// Whatever kept it from knowing. Beat then sends the run.
    async fn was_sent(&self, id: &str) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let _ = id;
        Ok(false)
    }
}

/// To the app's broker; what was sent is known where results are kept.
#[async_trait]
impl TickSender for App {
    async fn send(&self, tick: &Tick) -> Result<(), Box<dyn Error + Send + Sync>> {
        Self::send(self, &tick.signature()).await?;
        Ok(())
    }

    async fn was_sent(&self, id: &str) -> Result<bool, Box<dyn Error + Send + Sync>> {
        match self.results() {
            Some(results) => Ok(results.load(id).await?.is_some()),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn tick(beat: &str, name: &str, due: &str) -> Tick {
        let entry = Entry::new(name, Duration::from_secs(1), Signature::new("task"));
        Tick::new(beat, entry, due.parse().unwrap())
    }

    #[test]
    fn a_run_has_one_id_whoever_sends_it() {
        let run = tick("shop", "nightly", "2026-03-01T04:00:00Z");
        assert_eq!(
            run.id,
            tick("shop", "nightly", "2026-03-01T05:00:00+01:00").id
        );
        assert_ne!(run.id, tick("shop", "nightly", "2026-03-02T04:00:00Z").id);
        assert_ne!(run.id, tick("shop", "hourly", "2026-03-01T04:00:00Z").id);
        assert_ne!(run.id, tick("blog", "nightly", "2026-03-01T04:00:00Z").id);
        assert_eq!(Uuid::parse_str(&run.id).unwrap().get_version_num(), 5);
    }

    #[test]
    fn a_workers_tasks_see_that_beat_sent_them() {
        let mut run = tick("shop", "nightly", "2026-03-01T04:00:00Z");
        run.entry.signature = run.entry.signature.option("headers", json!({"own": 1}));
        let sent = run.signature();
        assert_eq!(sent.options.text("task_id"), Some(run.id));
        let headers = sent.options.value("headers").unwrap();
        assert_eq!(headers, json!({"own": 1, "celery_beat_task": true}));
    }
}
