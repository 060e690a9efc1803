//! Names of kombu's in Redis, and of what is kept beside it.

/// Between a queue's name and a priority, and between the parts of a binding.
pub(super) const SEPARATOR: &str = "\u{6}\u{16}";

/// The priorities that have a list of their own; the lower runs first.
pub(super) const STEPS: [u8; 4] = [0, 3, 6, 9];

/// All keys begin with `global_keyprefix`.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
    db: i64,
    pub(super) unacked: String,
    pub(super) unacked_index: String,
    /// Who takes messages, by the time of their last sign of life.
    pub(super) workers: String,
    /// There while nobody is called dead, since nobody could give a sign of life.
    pub(super) grace: String,
    pub(super) binding_deadlines: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, db: i64) -> Self {
        let name = |name: &str| format!("{prefix}{name}");
        Self {
            db,
            unacked: name("unacked"),
            unacked_index: name("unacked_index"),
            workers: name("quintette.workers"),
            grace: name("quintette.grace"),
            binding_deadlines: name("_kombu.binding_deadlines"),
            prefix: prefix.to_owned(),
        }
    }

    /// The list of a queue at one of the [`STEPS`].
    pub(super) fn queue(&self, queue: &str, step: u8) -> String {
        if step == 0 {
            format!("{}{queue}", self.prefix)
        } else {
            format!("{}{queue}{SEPARATOR}{step}", self.prefix)
        }
    }

    /// All lists of a queue.
    pub(super) fn lists(&self, queue: &str) -> [String; 4] {
        STEPS.map(|step| self.queue(queue, step))
    }

    pub(super) fn binding(&self, exchange: &str) -> String {
        format!("{}_kombu.binding.{exchange}", self.prefix)
    }

    pub(super) fn binding_permanent(&self, exchange: &str) -> String {
        format!("{}_kombu.binding_permanent.{exchange}", self.prefix)
    }

    /// The channel that a fanout is published on.
    pub(super) fn channel(&self, exchange: &str, routing_key: &str) -> String {
        let (prefix, db) = (&self.prefix, self.db);
        if routing_key.is_empty() {
            format!("{prefix}/{db}.{exchange}")
        } else {
            format!("{prefix}/{db}.{exchange}/{routing_key}")
        }
    }

    /// The pattern that a queue of a fanout exchange listens to.
    pub(super) fn pattern(&self, exchange: &str, routing_key: &str) -> String {
        let channel = self.channel(&escape(exchange), &routing_key.replace('#', "*"));
        format!("{}{}", escape(&self.prefix), &channel[self.prefix.len()..])
    }
}

/// The step of a priority.
pub(super) fn step(priority: i64) -> u8 {
    let priority = priority.clamp(0, 9);
    let steps = STEPS.into_iter().rev();
    steps
        .into_iter()
        .find(|step| i64::from(*step) <= priority)
        .unwrap_or(0)
}

/// A name that means itself in a pattern of channels.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for char in name.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_go_to_the_step_below_them() {
        let steps: Vec<u8> = (-1..=11).map(step).collect();
        assert_eq!(steps, [0, 0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9]);
    }

    #[test]
    fn names_are_those_of_kombu() {
        let keys = Keys::new("app:", 2);
        assert_eq!(keys.queue("celery", 0), "app:celery");
        assert_eq!(keys.queue("celery", 3), "app:celery\x06\x163");
        assert_eq!(keys.binding("celery"), "app:_kombu.binding.celery");
        assert_eq!(
            keys.channel("celeryev", "worker.#"),
            "app:/2.celeryev/worker.#"
        );
        assert_eq!(
            keys.pattern("celeryev", "worker.#"),
            "app:/2.celeryev/worker.*"
        );
        assert_eq!(keys.pattern("a[1]", ""), "app:/2.a\\[1\\]");
    }
}
