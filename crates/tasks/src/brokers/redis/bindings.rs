//! Which queues an exchange leads to: kombu's tables of bindings.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::Value;

use super::keys::SEPARATOR;
use super::scripts::BIND;
use super::{Core, text};
use crate::brokers::{Exchange, ExchangeKind, Queue};
use crate::redis::Failure;

/// How long a table is believed.
const AGE: Duration = Duration::from_secs(1);

/// How many queues and tables are remembered.
const REMEMBERED: usize = 4096;

/// kombu keeps the table of an expiring queue for an hour at least.
const SHORTEST_LIFE: Duration = Duration::from_hours(1);

#[derive(Debug, Default)]
pub(super) struct Bindings {
    declared: Mutex<HashSet<Queue>>,
    tables: Mutex<HashMap<String, (Instant, Table)>>,
}

type Table = Arc<[Binding]>;

#[derive(Debug)]
struct Binding {
    routing_key: String,
    queue: String,
}

/// Events go over a fanout exchange here, as Celery does it (`celery.events.get_exchange`).
pub(super) fn kind(exchange: &Exchange) -> ExchangeKind {
    match exchange.kind {
        ExchangeKind::Topic if exchange.name == "celeryev" => ExchangeKind::Fanout,
        kind => kind,
    }
}

impl Core {
    /// Binds a queue, unless this client has done so.
    pub(super) async fn declare_once(&self, queue: &Queue) -> Result<(), Failure> {
        if lock(&self.bindings.declared).contains(queue) {
            return Ok(());
        }
        self.declare(queue).await?;
        let mut declared = lock(&self.bindings.declared);
        if declared.len() >= REMEMBERED {
            declared.clear();
        }
        declared.insert(queue.clone());
        Ok(())
    }

    pub(super) async fn declare(&self, queue: &Queue) -> Result<(), Failure> {
        let exchange = &queue.exchange;
        if exchange.name.is_empty() {
            return Ok(());
        }
        let member = member(queue);
        let table = self.keys.binding(&exchange.name);
        let Some(expires) = queue.expires else {
            let mut commands = redis::pipe();
            commands.cmd("SADD").arg(&table).arg(&member);
            // Or a kombu drops the table with its last queue that expires.
            let permanent = self.keys.binding_permanent(&exchange.name);
            commands.cmd("SADD").arg(permanent).arg(&member);
            return self.link.pipeline_again(&commands).await.map(drop);
        };
        let life = (expires * 2).max(SHORTEST_LIFE).as_millis().to_string();
        let keys = [table.as_bytes(), self.keys.binding_deadlines.as_bytes()];
        let arguments = [member.as_bytes(), exchange.name.as_bytes(), life.as_bytes()];
        self.link.script_again(&BIND, &keys, &arguments).await?;
        Ok(())
    }

    /// Takes a queue's binding back, and deletes what is in it.
    pub(super) async fn delete(&self, queue: &Queue) -> Result<(), Failure> {
        let mut commands = redis::pipe();
        let (member, exchange) = (member(queue), &queue.exchange.name);
        let tables = [
            self.keys.binding(exchange),
            self.keys.binding_permanent(exchange),
        ];
        for table in tables {
            commands.cmd("SREM").arg(table).arg(&member);
        }
        commands.cmd("DEL").arg(&self.keys.lists(&queue.name)[..]);
        lock(&self.bindings.declared).remove(queue);
        self.link.pipeline_again(&commands).await.map(drop)
    }

    /// The queues that a message goes to.
    pub(super) async fn route(
        &self,
        exchange: &Exchange,
        routing_key: &str,
    ) -> Result<Vec<String>, Failure> {
        if exchange.name.is_empty() {
            return Ok(vec![routing_key.to_owned()]);
        }
        let known = lock(&self.bindings.tables).get(&exchange.name).cloned();
        if let Some((at, table)) = known
            && at.elapsed() < AGE
        {
            let queues = matching(&table, exchange.kind, routing_key);
            if !queues.is_empty() {
                return Ok(queues);
            }
        }
        let table = self.read_table(&exchange.name).await?;
        let queues = matching(&table, exchange.kind, routing_key);
        let mut tables = lock(&self.bindings.tables);
        if tables.len() >= REMEMBERED {
            tables.clear();
        }
        tables.insert(exchange.name.clone(), (Instant::now(), table));
        Ok(queues)
    }

    /// The queues that a message which a worker in Python left goes back to. What kind of exchange it was, its record does not say.
    pub(super) async fn route_back(
        &self,
        exchange: &str,
        routing_key: &str,
    ) -> Result<Vec<String>, Failure> {
        for kind in [ExchangeKind::Direct, ExchangeKind::Topic] {
            let exchange = Exchange {
                name: exchange.to_owned(),
                kind,
                durable: true,
            };
            let queues = self.route(&exchange, routing_key).await?;
            if !queues.is_empty() {
                return Ok(queues);
            }
        }
        Ok(vec![routing_key.to_owned()])
    }

    async fn read_table(&self, exchange: &str) -> Result<Table, Failure> {
        let mut commands = redis::pipe();
        commands.cmd("SMEMBERS").arg(self.keys.binding(exchange));
        let mut answers = self.link.pipeline_again(&commands).await?;
        let Some(Value::Set(members) | Value::Array(members)) = answers.pop() else {
            return Err(Failure::unexpected());
        };
        let binding = |member| {
            let member = text(member).ok()?;
            let mut parts = member.split(SEPARATOR);
            let (routing_key, queue) = (parts.next()?, parts.nth(1)?);
            Some(Binding {
                routing_key: routing_key.to_owned(),
                queue: queue.to_owned(),
            })
        };
        Ok(members.into_iter().filter_map(binding).collect())
    }
}

/// A binding as kombu writes it; the pattern is a regular expression of Python's.
fn member(queue: &Queue) -> String {
    let pattern = match kind(&queue.exchange) {
        ExchangeKind::Topic => pattern(&queue.routing_key),
        _ => String::new(),
    };
    let parts = [&*queue.routing_key, &pattern, &queue.name];
    parts.join(SEPARATOR)
}

fn pattern(routing_key: &str) -> String {
    let words = routing_key.split('.').map(|word| match word {
        "*" => r"[^\.]+".to_owned(),
        "#" => ".*?".to_owned(),
        word => escape(word),
    });
    let words: Vec<_> = words.collect();
    format!("^{}$", words.join(r"\."))
}

/// What is neither a letter nor a digit stands for itself.
fn escape(word: &str) -> String {
    let mut escaped = String::with_capacity(word.len());
    for char in word.chars() {
        if !char.is_alphanumeric() && !matches!(char, '#' | '*') {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

fn matching(table: &Table, kind: ExchangeKind, routing_key: &str) -> Vec<String> {
    let fits = |binding: &&Binding| match kind {
        ExchangeKind::Topic => fits(binding.routing_key.as_bytes(), routing_key.as_bytes()),
        _ => binding.routing_key == routing_key,
    };
    let mut queues: Vec<_> = table
        .iter()
        .filter(fits)
        .map(|binding| binding.queue.clone())
        .collect();
    queues.sort_unstable();
    queues.dedup();
    queues
}

/// Whether a routing key fits a binding's: `*` is one word, `#` is anything.
fn fits(pattern: &[u8], key: &[u8]) -> bool {
    let words: Vec<&[u8]> = pattern.split(|byte| *byte == b'.').collect();
    // The places in the key up to which the words so far can reach.
    let mut places: HashSet<usize> = HashSet::from([0]);
    for (n, word) in words.iter().enumerate() {
        if n > 0 {
            places = places
                .into_iter()
                .filter(|place| key.get(*place) == Some(&b'.'))
                .map(|place| place + 1)
                .collect();
        }
        places = match *word {
            b"#" => match places.iter().min() {
                Some(first) => (*first..=key.len()).collect(),
                None => return false,
            },
            b"*" => {
                let ends = |place: usize| {
                    let word = key[place..].iter().take_while(|byte| **byte != b'.');
                    (1..=word.count()).map(move |length| place + length)
                };
                places.into_iter().flat_map(ends).collect()
            }
            word => places
                .into_iter()
                .filter(|place| key[*place..].starts_with(word))
                .map(|place| place + word.len())
                .collect(),
        };
    }
    places.contains(&key.len())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_matches_words() {
        for (binding, key, expected) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.*", "a.", false),
            ("a.#", "a.b.c", true),
            ("a.#", "a", false),
            ("#", "", true),
            ("#.c", "a.b.c", true),
            ("*.b.#", "a.b.", true),
            ("a", "ab", false),
        ] {
            assert_eq!(
                fits(binding.as_bytes(), key.as_bytes()),
                expected,
                "{binding} {key}"
            );
        }
    }

    #[test]
    fn a_pattern_is_a_regular_expression_of_kombu() {
        assert_eq!(pattern("task.*.#"), r"^task\.[^\.]+\..*?$");
        assert_eq!(pattern("a-b"), r"^a\-b$");
    }
}
