//! Formats and contracts.
