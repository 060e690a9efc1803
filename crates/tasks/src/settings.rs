//! Celery's settings; they are read where all settings are.

pub use quintette_core::settings::{CelerySettings as TaskSettings, SecretUrl};
