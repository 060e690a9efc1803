use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher as _;

/// Remembers the newest calls, by id, number of tries and of replacements.
///
/// It keeps hashes, sixteen bytes for a call. They are keyed by chance, so nobody can send two ids that are taken for one.
#[derive(Debug)]
pub(crate) struct Memory {
    hasher: RandomState,
    known: HashSet<u64>,
    order: VecDeque<u64>,
    most: usize,
}

impl Memory {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            known: HashSet::new(),
            order: VecDeque::new(),
            most,
        }
    }

    /// `false` where it was known.
    pub(crate) fn insert(&mut self, id: &str, attempt: (u32, i64)) -> bool {
        let hash = self.hasher.hash_one((id, attempt));
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    pub(crate) fn contains(&self, id: &str, attempt: (u32, i64)) -> bool {
        !self.known.is_empty() && self.known.contains(&self.hasher.hash_one((id, attempt)))
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn the_newest_are_remembered_and_a_retry_is_another_call() {
        let mut memory = Memory::new(2);
        assert!(memory.insert("a", (0, 0)));
        assert!(!memory.insert("a", (0, 0)));
        assert!(memory.insert("a", (1, 0)));
        assert!(memory.insert("b", (0, 0)));
        assert!(!memory.contains("a", (0, 0)));
        assert!(memory.contains("a", (1, 0)));
        assert!(memory.contains("b", (0, 0)));
    }
}
