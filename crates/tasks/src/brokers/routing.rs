//! Which queues an exchange chooses.

use std::sync::Arc;

use super::ExchangeKind;

/// A queue that is bound to an exchange.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) pattern: String,
    pub(super) queue: Arc<str>,
}

impl Binding {
    /// Whether a message with that key goes to the queue.
    pub(super) fn takes(&self, kind: ExchangeKind, key: &str) -> bool {
        match kind {
            ExchangeKind::Direct => self.pattern == key,
            ExchangeKind::Topic => fits(&self.pattern, key),
            ExchangeKind::Fanout => true,
        }
    }
}

/// Whether a key fits a topic's pattern: `*` is one word and `#` any number of them.
///
/// Only the last `#` is ever taken back, so that this takes no more than words × words steps whatever the pattern.
fn fits(pattern: &str, key: &str) -> bool {
    let pattern: Vec<_> = pattern.split('.').collect();
    let key: Vec<_> = if key.is_empty() {
        Vec::new()
    } else {
        key.split('.').collect()
    };
    let (mut p, mut k, mut last) = (0, 0, None);
    while k < key.len() {
        match pattern.get(p) {
            Some(&"#") => {
                last = Some((p, k));
                p += 1;
            }
            Some(&word) if word == "*" || word == key[k] => {
                p += 1;
                k += 1;
            }
            _ => {
                let Some((hash, taken)) = last else {
                    return false;
                };
                last = Some((hash, taken + 1));
                p = hash + 1;
                k = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|&word| word == "#") || (key.is_empty() && pattern == [""])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_fit_as_rabbitmq_says() {
        for (pattern, key, expected) in [
            ("task.#", "task.sent", true),
            ("task.#", "task", true),
            ("task.#", "worker.online", false),
            ("task.*", "task.sent", true),
            ("task.*", "task", false),
            ("task.*", "task.sent.now", false),
            ("#", "", true),
            ("#", "a.b.c", true),
            ("*.b.#", "a.b", true),
            ("#.b.#.c", "a.b.b.x.c", true),
            ("#.b.#.c", "a.b.b.x", false),
            ("#.celery", "0.1.celery", true),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
        ] {
            assert_eq!(fits(pattern, key), expected, "{pattern} {key}");
        }
    }
}
