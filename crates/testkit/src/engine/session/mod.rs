//! What a [`Session`](quintette_core::session::Session) promises to a handler, over this engine.

mod concurrent;
mod cost;
mod expiry;
mod failures;
mod interrupted;
mod requests;

use super::store::Store;
use crate::case::Case;

pub(super) fn cases() -> Vec<Case<Store>> {
    [
        requests::cases(),
        expiry::cases(),
        cost::cases(),
        concurrent::cases(),
        interrupted::cases(),
        failures::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
