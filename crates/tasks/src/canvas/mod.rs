//! What comes after a task: callbacks, chains, chords.

mod after;

pub(crate) use after::{builtins, on_failure, on_success, part_done, replace};
