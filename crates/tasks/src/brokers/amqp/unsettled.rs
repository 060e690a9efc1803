use std::collections::BTreeSet;

/// The tags of a channel that the broker waits to hear of.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    tags: BTreeSet<u64>,
    /// The highest tag that was seen. A broker numbers what it delivers on a channel without gaps.
    seen: u64,
}

/// What to send, so that exactly these are acknowledged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acks {
    /// All up to this one.
    pub(super) up_to: Option<u64>,
    /// And each of these.
    pub(super) single: Vec<u64>,
}

impl Unsettled {
    /// A delivery was taken; those before it that were not are still to be.
    pub(super) fn delivered(&mut self, tag: u64) {
        if tag > self.seen {
            self.tags.extend(self.seen + 1..=tag);
            self.seen = tag;
        }
    }

    /// Takes these out. Those that are not waited for are left out: the broker closes a channel that acknowledges twice.
    pub(super) fn acknowledge(&mut self, tags: &BTreeSet<u64>) -> Acks {
        let mut acks = Acks::default();
        while let Some(first) = self.tags.first().copied().filter(|tag| tags.contains(tag)) {
            self.tags.remove(&first);
            acks.up_to = Some(first);
        }
        let after = acks.up_to.map_or(0, |tag| tag + 1);
        let rest = tags.range(after..).copied();
        acks.single = rest.filter(|tag| self.tags.remove(tag)).collect();
        acks
    }

    /// Takes one out that is not acknowledged; `false` where it is not waited for.
    pub(super) fn remove(&mut self, tag: u64) -> bool {
        self.tags.remove(&tag)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_beginning_is_acknowledged_at_once_and_the_rest_one_by_one() {
        let mut unsettled = Unsettled::default();
        unsettled.delivered(3);
        unsettled.delivered(2);
        unsettled.delivered(8);
        let acks = unsettled.acknowledge(&BTreeSet::from([1, 2, 4, 5, 8, 99]));
        assert_eq!(acks.up_to, Some(2));
        assert_eq!(acks.single, [4, 5, 8]);
        let acks = unsettled.acknowledge(&BTreeSet::from([1, 3, 4]));
        assert_eq!(
            acks,
            Acks {
                up_to: Some(3),
                single: vec![]
            }
        );
    }

    proptest! {
        #[test]
        fn exactly_what_was_asked_for_is_acknowledged(
            delivered in 1_u64..60,
            calls in prop::collection::vec(prop::collection::btree_set(1_u64..70, 0..20), 0..8),
        ) {
            let mut unsettled = Unsettled::default();
            unsettled.delivered(delivered);
            let mut broker: BTreeSet<u64> = (1..=delivered).collect();
            let mut expected = broker.clone();
            for tags in calls {
                let acks = unsettled.acknowledge(&tags);
                if let Some(last) = acks.up_to {
                    prop_assert!(broker.contains(&last));
                    broker.retain(|tag| *tag > last);
                }
                for tag in acks.single {
                    prop_assert!(broker.remove(&tag));
                }
                expected.retain(|tag| !tags.contains(tag));
                prop_assert_eq!(&broker, &expected);
            }
        }
    }
}
