use std::fmt;
use std::sync::Arc;

use crate::json::RawJson;

use super::{SessionData, SessionError};

/// A value computed from what is stored under its key; `None` where the key is to go.
pub(super) type UpdateFn =
    dyn Fn(Option<&RawJson>) -> Result<Option<RawJson>, SessionError> + Send + Sync;

/// One edit of a session.
#[derive(Clone)]
pub(super) enum Change {
    Insert(Box<str>, RawJson),
    InsertIfAbsent(Box<str>, RawJson),
    Update(Box<str>, Arc<UpdateFn>),
    Remove(Box<str>),
    Clear,
}

impl Change {
    pub(super) fn apply(&self, data: &mut SessionData) -> Result<(), SessionError> {
        match self {
            Self::Insert(key, value) => data.insert(key, value.clone()),
            Self::InsertIfAbsent(key, value) => {
                if !data.contains(key) {
                    data.insert(key, value.clone());
                }
            }
            Self::Update(key, update) => match update(data.readable(key)?)? {
                Some(value) => data.insert(key, value),
                None => {
                    data.remove(key);
                }
            },
            Self::Remove(key) => {
                data.remove(key);
            }
            Self::Clear => *data = SessionData::default(),
        }
        Ok(())
    }
}

/// The edits of one request, in order: what a commit replays on the data that is stored by then.
///
/// Replaying edits, and not merging documents, is what keeps a removed key removed: a merge cannot tell "removed
/// here" from "added there".
#[derive(Clone, Default)]
pub(super) struct Changes(Vec<Change>);

impl Changes {
    pub(super) fn push(&mut self, change: Change) {
        match (&change, self.0.last_mut()) {
            (Change::Clear, _) => self.0.clear(),
            // A loop that writes one key again and again leaves one edit.
            (Change::Insert(key, value), Some(Change::Insert(last, old))) if last == key => {
                *old = value.clone();
                return;
            }
            _ => {}
        }
        self.0.push(change);
    }

    pub(super) fn append(&mut self, newer: Self) {
        newer.0.into_iter().for_each(|change| self.push(change));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn starts_with_clear(&self) -> bool {
        matches!(self.0.first(), Some(Change::Clear))
    }

    pub(super) fn replay(&self, data: &mut SessionData) -> Result<(), SessionError> {
        self.0.iter().try_for_each(|change| change.apply(data))
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changes({})", self.0.len())
    }
}
