//! Messages that were taken, and go back.

use quintette_core::json::{RawJson, parse_array};
use redis::Value;
use tracing::warn;

use super::scripts::{CHANGE, DUE, RESTORE};
use super::{Core, count, envelope};
use crate::redis::Failure;

/// How many go back in one step.
const BATCH: usize = 100;

/// What tags of messages begin with that wait for their time.
pub(super) const PARKED: &str = "parked:";

/// Why messages go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Whoever took them does not want them.
    Returned,
    /// Whoever took them is dead.
    Lost,
    /// Their visibility timeout is over, or the time that they were parked until.
    Due,
}

/// One that goes back.
struct Returning {
    tag: String,
    raw: String,
    lists: Vec<String>,
}

impl Returning {
    /// Its entry goes, and nothing comes back.
    fn nowhere(tag: String) -> Self {
        Self {
            tag,
            raw: String::new(),
            lists: Vec::new(),
        }
    }
}

impl Core {
    /// Puts messages back by their tags, so that the last of them is the first to be taken.
    pub(super) async fn restore(&self, tags: &[String], reason: Reason) -> Result<(), Failure> {
        for tags in tags.chunks(BATCH) {
            let mut commands = redis::pipe();
            let fetch = commands.cmd("HMGET").arg(&self.keys.unacked);
            fetch.arg(tags);
            let mut answers = self.link.pipeline_again(&commands).await?;
            let Some(Value::Array(records)) = answers.pop() else {
                return Err(Failure::unexpected());
            };
            self.restore_records(tags.iter().cloned().zip(records), reason)
                .await?;
        }
        Ok(())
    }

    /// Puts back what is due; returns how much was found.
    pub(super) async fn restore_due(&self) -> Result<usize, Failure> {
        let visibility = self.visibility.as_secs_f64().to_string();
        let keys = [
            self.keys.unacked.as_bytes(),
            self.keys.unacked_index.as_bytes(),
        ];
        let batch = BATCH.to_string();
        let arguments = [visibility.as_bytes(), batch.as_bytes()];
        let found = self.link.script_again(&DUE, &keys, &arguments).await?;
        let Value::Array(found) = found else {
            return Err(Failure::unexpected());
        };
        let mut records = Vec::with_capacity(found.len() / 2);
        let mut found = found.into_iter();
        while let (Some(tag), Some(record)) = (found.next(), found.next()) {
            records.push((super::text(tag)?, record));
        }
        let count = records.len();
        self.restore_records(records.into_iter(), Reason::Due)
            .await?;
        Ok(count)
    }

    async fn restore_records(
        &self,
        records: impl Iterator<Item = (String, Value)>,
        reason: Reason,
    ) -> Result<(), Failure> {
        let mut returning = Vec::new();
        for (tag, record) in records {
            returning.push(match record {
                Value::BulkString(record) => self.returning(tag, &record, reason).await?,
                // Acknowledged meanwhile.
                _ => Returning::nowhere(tag),
            });
        }
        if returning.is_empty() {
            return Ok(());
        }
        let visibility = match reason {
            Reason::Due => self.visibility.as_secs_f64().to_string(),
            _ => String::new(),
        };
        let (lists, arguments) = arguments(visibility, &returning);
        let mut keys = vec![
            self.keys.unacked.as_bytes(),
            self.keys.unacked_index.as_bytes(),
        ];
        keys.extend(lists.iter().map(|list| list.as_bytes()));
        let arguments: Vec<_> = arguments.iter().map(String::as_bytes).collect();
        let restored = self.link.script_again(&RESTORE, &keys, &arguments).await?;
        let restored = count(&restored)?;
        if restored > 0 && reason == Reason::Lost {
            warn!(target: "quintette::tasks", restored, "messages of a worker that died are put back");
        }
        Ok(())
    }

    /// Changes a header of a message that is held; `false` where it is not held any more.
    pub(super) async fn set_header(
        &self,
        tag: &str,
        name: &str,
        value: RawJson,
    ) -> Result<bool, Failure> {
        let mut commands = redis::pipe();
        commands.cmd("HGET").arg(&self.keys.unacked).arg(tag);
        let found = self.link.pipeline_again(&commands).await?.pop();
        let Some(Value::BulkString(record)) = found else {
            return Ok(false);
        };
        let changed = std::str::from_utf8(&record).ok().and_then(|record| {
            let (raw, exchange, key) = read(record)?;
            let raw = envelope::with_header(&raw, name, value)?;
            let (exchange, key) = (RawJson::from(&*exchange), RawJson::from(&*key));
            Some(format!("[{raw},{exchange},{key}]"))
        });
        let changed = changed.ok_or_else(Failure::unexpected)?;
        let keys = [self.keys.unacked.as_bytes()];
        let arguments = [tag.as_bytes(), &record, changed.as_bytes()];
        let done = self.link.script_again(&CHANGE, &keys, &arguments).await?;
        Ok(count(&done)? == 1)
    }

    /// What a record says: `[message, exchange, routing_key]`.
    async fn returning(
        &self,
        tag: String,
        record: &[u8],
        reason: Reason,
    ) -> Result<Returning, Failure> {
        let record = String::from_utf8_lossy(record);
        let (raw, queues) = match read(&record) {
            Some((raw, exchange, routing_key)) if exchange.is_empty() => (raw, vec![routing_key]),
            Some((raw, exchange, routing_key)) => {
                (raw, self.route_back(&exchange, &routing_key).await?)
            }
            None => {
                let unreadable = read_unreadable(&record).map(|(raw, queue)| Returning {
                    tag: tag.clone(),
                    raw: raw.to_owned(),
                    lists: vec![self.keys.queue(&queue, 0)],
                });
                return Ok(unreadable.unwrap_or_else(|| {
                    warn!(target: "quintette::tasks", tag, "a record in unacked is none of kombu's: it is dropped");
                    Returning::nowhere(tag)
                }));
            }
        };
        let step = envelope::step_of(&raw);
        let again = match reason {
            Reason::Due if tag.starts_with(PARKED) => None,
            Reason::Due | Reason::Lost | Reason::Returned => envelope::redelivered(&raw),
        };
        Ok(Returning {
            tag,
            raw: again.unwrap_or_else(|| raw.as_str().to_owned()),
            lists: queues
                .iter()
                .map(|queue| self.keys.queue(queue, step))
                .collect(),
        })
    }
}

/// The lists that messages go back to, and the arguments of [`RESTORE`].
fn arguments(visibility: String, returning: &[Returning]) -> (Vec<&str>, Vec<String>) {
    let mut lists: Vec<&str> = Vec::new();
    let mut arguments = vec![visibility];
    for one in returning {
        arguments.push(one.tag.clone());
        arguments.push(one.raw.clone());
        arguments.push(one.lists.len().to_string());
        for list in &one.lists {
            let known = lists.iter().position(|known| known == list);
            let place = known.unwrap_or_else(|| {
                lists.push(list);
                lists.len() - 1
            });
            // After `unacked` and its index; Lua counts from 1.
            arguments.push((place + 3).to_string());
        }
    }
    (lists, arguments)
}

fn read(record: &str) -> Option<(RawJson, String, String)> {
    let record = RawJson::parse(record).ok()?;
    let parts = parse_array(record.as_str().as_bytes()).ok()?;
    let [raw, exchange, routing_key] = parts.as_slice() else {
        return None;
    };
    let exchange: Option<String> = exchange.deserialize().ok()?;
    let routing_key = routing_key.deserialize().ok()?;
    Some((raw.clone(), exchange.unwrap_or_default(), routing_key))
}

/// A record of ours whose message is no JSON: what follows it is, and holds no such mark.
fn read_unreadable(record: &str) -> Option<(&str, String)> {
    let (raw, queue) = record.strip_prefix('[')?.rsplit_once(MARK)?;
    let queue = serde_json::from_str(queue.strip_suffix(']')?).ok()?;
    Some((raw, queue))
}

const MARK: &str = ",\"\",";

/// What follows the message in the record of one that was taken from a queue.
pub(super) fn ending(queue: &str) -> String {
    format!("{MARK}{}]", RawJson::from(queue))
}
