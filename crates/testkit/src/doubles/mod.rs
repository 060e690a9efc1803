//! Engines for tests: one in memory, and wrappers that count, hold and fail.

mod counting;
mod gated;
mod memory;

use std::fmt;

pub use counting::CountingEngine;
pub use gated::{Gate, GatedEngine, When};
pub use memory::MemoryEngine;

/// The operations of a [`SessionEngine`](quintette_core::session::SessionEngine).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// `load`.
    Load,
    /// `load_for_update`.
    LoadForUpdate,
    /// `create`.
    Create,
    /// `replace`.
    Replace,
    /// `touch`.
    Touch,
    /// `delete`.
    Delete,
    /// `clear_expired`.
    ClearExpired,
    /// `list`.
    List,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::LoadForUpdate => "load_for_update",
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Touch => "touch",
            Self::Delete => "delete",
            Self::ClearExpired => "clear_expired",
            Self::List => "list",
        })
    }
}
