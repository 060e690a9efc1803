//! The queues, and who takes from them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::brokers::routing::Binding;
use crate::brokers::{Delivery, Exchange, ExchangeKind, Queue};
use crate::protocol::Message;

/// At most so many messages come at once: who takes without a limit leaves some for the others.
const BATCH: usize = 256;

/// Everything that the broker knows.
#[derive(Default)]
pub(super) struct Queues {
    by_name: HashMap<Arc<str>, Stored>,
    exchanges: HashMap<String, (ExchangeKind, Vec<Binding>)>,
    taking: HashMap<u64, Taking>,
    parked: BTreeMap<(Instant, u64), Entry>,
    counter: u64,
}

/// A queue.
struct Stored {
    ready: BTreeMap<Place, Entry>,
    settings: Queue,
    used: Instant,
}

/// A message's place in its queue: the higher priority first, then the older.
type Place = (Reverse<u8>, u64);

/// A message in a queue, or on its way to be acknowledged.
#[derive(Clone)]
struct Entry {
    place: Place,
    queue: Arc<str>,
    exchange: Arc<str>,
    routing_key: Arc<str>,
    message: Message,
    expires: Option<Instant>,
    deliveries: u32,
}

/// A consumer.
struct Taking {
    queues: Vec<Arc<str>>,
    next_queue: usize,
    prefetch: u32,
    no_ack: bool,
    held: HashMap<u64, Entry>,
    woken: Arc<Notify>,
}

impl Queues {
    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Makes a queue and its binding, where they are missing.
    pub(super) fn declare(&mut self, queue: &Queue) -> Arc<str> {
        let now = Instant::now();
        let known = self.by_name.get_key_value(queue.name.as_str());
        let name: Arc<str> = if let Some((name, _)) = known {
            name.clone()
        } else {
            self.drop_unused();
            queue.name.as_str().into()
        };
        let stored = self.by_name.entry(name.clone()).or_insert_with(|| Stored {
            ready: BTreeMap::new(),
            settings: queue.clone(),
            used: now,
        });
        stored.used = now;
        let Exchange {
            name: exchange,
            kind,
            ..
        } = &queue.exchange;
        if !exchange.is_empty() {
            let (_, bindings) = self
                .exchanges
                .entry(exchange.clone())
                .or_insert_with(|| (*kind, Vec::new()));
            let binding = Binding {
                pattern: queue.routing_key.clone(),
                queue: name.clone(),
            };
            if !bindings.contains(&binding) {
                bindings.push(binding);
            }
        }
        name
    }

    fn drop_unused(&mut self) {
        let expired = |stored: &Stored| {
            let expires = stored.settings.expires;
            expires.is_some_and(|expires| stored.used.elapsed() >= expires)
        };
        let unused: Vec<_> = self
            .by_name
            .iter()
            .filter(|(name, stored)| expired(stored) && !self.is_taken_from(name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &unused {
            self.delete(name);
        }
    }

    fn is_taken_from(&self, name: &Arc<str>) -> bool {
        self.taking.values().any(|it| it.queues.contains(name))
    }

    fn delete(&mut self, name: &Arc<str>) {
        self.by_name.remove(name);
        self.parked.retain(|_, entry| entry.queue != *name);
        self.exchanges.retain(|_, (_, bindings)| {
            bindings.retain(|binding| binding.queue != *name);
            !bindings.is_empty()
        });
    }

    /// Puts a message into the queues that the exchange chooses. `false` where a direct exchange, or the default one, finds none.
    pub(super) fn publish(&mut self, message: &Message, exchange: &Exchange, key: &str) -> bool {
        let names: Vec<Arc<str>> = if exchange.name.is_empty() {
            let name = self
                .by_name
                .get_key_value(key)
                .map(|(name, _)| name.clone());
            name.into_iter().collect()
        } else if let Some((kind, bindings)) = self.exchanges.get(&exchange.name) {
            let taking = bindings.iter().filter(|binding| binding.takes(*kind, key));
            let mut names: Vec<_> = taking.map(|binding| binding.queue.clone()).collect();
            names.sort_unstable();
            names.dedup();
            names
        } else {
            Vec::new()
        };
        let (exchange_name, key): (Arc<str>, Arc<str>) =
            (exchange.name.as_str().into(), key.into());
        for queue in &names {
            let number = self.next_number();
            let Some(stored) = self.by_name.get(queue) else {
                continue;
            };
            let entry = Entry {
                place: (Reverse(stored.priority(message)), number),
                queue: queue.clone(),
                exchange: exchange_name.clone(),
                routing_key: key.clone(),
                message: message.clone(),
                expires: stored.expiry(message),
                deliveries: 0,
            };
            self.put(entry);
        }
        !names.is_empty() || exchange.kind != ExchangeKind::Direct
    }

    /// Puts a message at its place; drops it where the queue is gone.
    fn put(&mut self, entry: Entry) {
        let Some(stored) = self.by_name.get_mut(&entry.queue) else {
            return;
        };
        stored.drop_expired();
        for consumer in self.taking.values() {
            if consumer.queues.contains(&entry.queue) {
                consumer.woken.notify_one();
            }
        }
        stored.ready.insert(entry.place, entry);
    }

    /// Drops what waits in a queue.
    pub(super) fn purge(&mut self, name: &str) -> u64 {
        let stored = self.by_name.get_mut(name);
        stored.map_or(0, |stored| std::mem::take(&mut stored.ready).len() as u64)
    }

    /// How many messages wait in a queue.
    pub(super) fn waiting(&mut self, name: &str) -> u64 {
        self.put_what_is_due();
        let now = Instant::now();
        let Some(stored) = self.by_name.get(name) else {
            return 0;
        };
        let alive = stored.ready.values().filter(|entry| !entry.is_expired(now));
        alive.count() as u64
    }

    /// A new consumer, and what wakes it.
    pub(super) fn begin(&mut self, prefetch: u32, no_ack: bool) -> (u64, Arc<Notify>) {
        let id = self.next_number();
        let woken = Arc::new(Notify::new());
        let taking = Taking {
            queues: Vec::new(),
            next_queue: 0,
            prefetch,
            no_ack,
            held: HashMap::new(),
            woken: woken.clone(),
        };
        self.taking.insert(id, taking);
        (id, woken)
    }

    /// Ends a consumer; what it holds goes back.
    pub(super) fn end(&mut self, consumer: u64) {
        let Some(taking) = self.taking.remove(&consumer) else {
            return;
        };
        for mut entry in taking.held.into_values() {
            entry.deliveries += 1;
            self.put(entry);
        }
        for name in &taking.queues {
            self.leave(name);
        }
    }

    /// Whether the consumer is still there.
    pub(super) fn is_consuming(&self, consumer: u64) -> bool {
        self.taking.contains_key(&consumer)
    }

    /// Takes from another queue, too.
    pub(super) fn add_queue(&mut self, consumer: u64, queue: &Queue) {
        let name = self.declare(queue);
        let Some(taking) = self.taking.get_mut(&consumer) else {
            return;
        };
        if !taking.queues.contains(&name) {
            taking.queues.push(name);
        }
        taking.woken.notify_one();
    }

    /// Takes no more from a queue.
    pub(super) fn cancel_queue(&mut self, consumer: u64, name: &str) {
        let Some(taking) = self.taking.get_mut(&consumer) else {
            return;
        };
        if let Some(at) = taking.queues.iter().position(|queue| **queue == *name) {
            let name = taking.queues.remove(at);
            self.leave(&name);
        }
    }

    /// After a consumer has left a queue: it may have been its last.
    fn leave(&mut self, name: &Arc<str>) {
        let taken_from = self.is_taken_from(name);
        let Some(stored) = self.by_name.get_mut(name) else {
            return;
        };
        stored.used = Instant::now();
        if !taken_from && (stored.settings.auto_delete || stored.settings.exclusive) {
            self.delete(name);
        }
    }

    /// Changes how many messages a consumer may hold.
    pub(super) fn set_prefetch(&mut self, consumer: u64, prefetch: u32) {
        if let Some(taking) = self.taking.get_mut(&consumer) {
            taking.prefetch = prefetch;
            taking.woken.notify_one();
        }
    }

    /// Takes what the consumer may have, one from each of its queues in turn.
    pub(super) fn take(&mut self, consumer: u64) -> Vec<Delivery> {
        self.put_what_is_due();
        let Some(taking) = self.taking.get_mut(&consumer) else {
            return Vec::new();
        };
        let now = Instant::now();
        let (mut taken, mut empty) = (Vec::new(), 0);
        while empty < taking.queues.len() && taken.len() < BATCH && taking.has_room() {
            taking.next_queue = (taking.next_queue + 1) % taking.queues.len();
            let name = &taking.queues[taking.next_queue];
            let stored = self.by_name.get_mut(name);
            let Some(entry) = stored.and_then(|stored| stored.pop(now)) else {
                empty += 1;
                continue;
            };
            empty = 0;
            self.counter += 1;
            let tag = self.counter;
            if taking.no_ack {
                taken.push(entry.deliver(tag));
            } else {
                taken.push(entry.clone().deliver(tag));
                taking.held.insert(tag, entry);
            }
        }
        taken
    }

    /// When the next parked message is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.parked.keys().next().map(|(due, _)| *due)
    }

    fn put_what_is_due(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.parked.first_entry() {
            if first.key().0 > now {
                break;
            }
            let entry = first.remove();
            self.put(entry);
        }
    }

    /// Takes messages out of a consumer's hands: they are done with.
    pub(super) fn done(&mut self, consumer: u64, tags: &[u64]) {
        self.take_back(consumer, tags);
    }

    /// Puts messages back where they were.
    pub(super) fn requeue(&mut self, consumer: u64, tags: &[u64]) {
        for mut entry in self.take_back(consumer, tags) {
            entry.deliveries += 1;
            self.put(entry);
        }
    }

    /// Puts a message aside until it is due. What is parked does not expire in between.
    pub(super) fn park(&mut self, consumer: u64, tag: u64, after: Duration) {
        let due = Instant::now() + after;
        for entry in self.take_back(consumer, &[tag]) {
            self.parked.insert((due, entry.place.1), entry);
        }
        // Those who wait for a later one sleep too long now.
        for taking in self.taking.values() {
            taking.woken.notify_one();
        }
    }

    fn take_back(&mut self, consumer: u64, tags: &[u64]) -> Vec<Entry> {
        let Some(taking) = self.taking.get_mut(&consumer) else {
            return Vec::new();
        };
        taking.woken.notify_one();
        tags.iter()
            .filter_map(|tag| taking.held.remove(tag))
            .collect()
    }
}

impl Stored {
    fn priority(&self, message: &Message) -> u8 {
        let priority = message.properties.priority.unwrap_or(0);
        priority.min(self.settings.max_priority.unwrap_or(u8::MAX))
    }

    fn expiry(&self, message: &Message) -> Option<Instant> {
        let own = message.properties.expiration.map(Duration::from_millis);
        let lifetime = own.into_iter().chain(self.settings.message_ttl).min()?;
        // What lives longer than clocks count does not expire.
        Instant::now().checked_add(lifetime)
    }

    /// Drops what has expired at the head, so that a queue that nobody takes from does not grow for ever.
    fn drop_expired(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.ready.first_entry() {
            if !first.get().is_expired(now) {
                break;
            }
            first.remove();
        }
    }

    fn pop(&mut self, now: Instant) -> Option<Entry> {
        while let Some((_, entry)) = self.ready.pop_first() {
            if !entry.is_expired(now) {
                return Some(entry);
            }
        }
        None
    }
}

impl Entry {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn deliver(self, tag: u64) -> Delivery {
        Delivery {
            tag,
            queue: self.queue,
            exchange: self.exchange.to_string(),
            routing_key: self.routing_key.to_string(),
            redelivered: self.deliveries > 0,
            deliveries: Some(self.deliveries),
            message: Ok(self.message),
        }
    }
}

impl Taking {
    fn has_room(&self) -> bool {
        self.no_ack || self.prefetch == 0 || self.held.len() < self.prefetch as usize
    }
}
