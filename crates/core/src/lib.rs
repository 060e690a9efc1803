//! Formats and contracts.

pub mod json;
pub mod signing;
