//! Connections to Redis, for messages and for results.

mod failure;
mod link;
mod locate;
mod place;
mod script;

pub(crate) use failure::{Failure, FailureKind};
pub(crate) use link::{Connection, Link};
pub(crate) use place::Place;
pub(crate) use script::Script;
