//! Calls put together: chains, groups, chords, and a task over many items.
//!
//! ```
//! use quintette_tasks::canvas::{chain, chord, group};
//! use quintette_tasks::{Signature, Task};
//!
//! static ADD: Task<(i64, i64), i64> = Task::new("shop.add", &["x", "y"]);
//! let sum = Signature::new("shop.tsum");
//!
//! let one_after_the_other = chain([ADD.s((2, 3))?, Signature::new("shop.add").args((4,))?])?;
//! let at_once = group([ADD.s((1, 1))?, ADD.s((2, 2))?])?;
//! let and_then = chord([ADD.s((1, 1))?, ADD.s((2, 2))?], sum)?;
//! assert_eq!(and_then.subtask_type.as_deref(), Some("chord"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! They are signatures of the shape that Python gives them, and go through Python's workers as through Rust's: `celery/canvas.py` of
//! Celery 5.7.

mod after;
mod apply;
mod build;
mod builtins;
mod chord;
mod compose;
mod freeze;
mod link;
mod node;
mod replace;
mod steps;
mod unlock;

pub(crate) use after::{on_failure, on_success, part_done};
pub(crate) use apply::{Given, Planner};
pub use build::{chain, chord, chunks, group, map, starmap};
pub(crate) use builtins::builtins;
pub(crate) use link::{link, link_error, stamp};
pub use node::CanvasError;
pub(crate) use node::Node;
pub(crate) use replace::replace;

#[cfg(test)]
mod tests;
