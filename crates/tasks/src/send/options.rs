//! Options as the types that they must be of.

use std::time::Duration;

use quintette_core::json::RawJson;
use serde::de::DeserializeOwned;

use super::SendError;
use crate::signature::{Options, RetryPolicy};

/// A hundred years: what is longer is a mistake.
const LONGEST: f64 = 3.2e9;

/// Reads options, and says which one is wrong.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a Options);

pub(super) fn wrong(name: &'static str, what: impl Into<String>) -> SendError {
    SendError::Option {
        name,
        what: what.into(),
    }
}

impl Reader<'_> {
    fn read<T: DeserializeOwned>(
        self,
        name: &'static str,
        what: &str,
    ) -> Result<Option<T>, SendError> {
        let value = self.0.read(name);
        value.map_err(|_| wrong(name, format!("must be {what}, not {}", self.shown(name))))
    }

    fn shown(self, name: &str) -> String {
        let value = self.0.get(name).map_or("null", RawJson::as_str);
        value.chars().take(60).collect()
    }

    pub(super) fn text(self, name: &'static str) -> Result<Option<String>, SendError> {
        self.read(name, "a text")
    }

    /// A text that names something.
    pub(super) fn name(self, name: &'static str) -> Result<Option<String>, SendError> {
        match self.text(name)? {
            Some(text) if text.is_empty() => Err(wrong(name, "must not be empty")),
            Some(text) if text.len() > 255 => Err(wrong(name, "must not be longer than 255 bytes")),
            other => Ok(other),
        }
    }

    pub(super) fn flag(self, name: &'static str) -> Result<Option<bool>, SendError> {
        self.read(name, "true or false")
    }

    pub(super) fn integer(self, name: &'static str) -> Result<Option<i64>, SendError> {
        self.read(name, "an integer")
    }

    pub(super) fn count(self, name: &'static str) -> Result<Option<u32>, SendError> {
        self.read(name, "an integer from 0")
    }

    pub(super) fn priority(self) -> Result<Option<u8>, SendError> {
        self.read("priority", "an integer from 0 to 255")
    }

    /// Seconds, which may be negative: a time that is past.
    pub(super) fn seconds(self, name: &'static str) -> Result<Option<f64>, SendError> {
        match self.read::<f64>(name, "a number of seconds")? {
            Some(seconds) if seconds.abs() > LONGEST => Err(wrong(
                name,
                "must be a number of seconds within a hundred years",
            )),
            other => Ok(other),
        }
    }

    pub(super) fn limit(self, name: &'static str) -> Result<Option<f64>, SendError> {
        match self.seconds(name)? {
            Some(seconds) if seconds < 0.0 => Err(wrong(name, "must not be negative")),
            other => Ok(other),
        }
    }

    pub(super) fn retry(self) -> Result<RetryPolicy, SendError> {
        let mut policy = RetryPolicy::default();
        if self.flag("retry")? == Some(false) {
            policy.max_retries = 0;
            return Ok(policy);
        }
        let name = "retry_policy";
        let what = "an object of max_retries, interval_start, interval_step and interval_max";
        let Some(given) = self.read::<serde_json::Map<String, serde_json::Value>>(name, what)?
        else {
            return Ok(policy);
        };
        let unfit = || wrong(name, format!("must be {what}"));
        for (key, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            let wait = |value: &serde_json::Value| {
                let seconds = value
                    .as_f64()
                    .filter(|seconds| (0.0..=3600.0).contains(seconds));
                seconds.map(Duration::from_secs_f64).ok_or_else(unfit)
            };
            match key.as_str() {
                "max_retries" => {
                    let times = value.as_u64().and_then(|times| times.try_into().ok());
                    policy.max_retries = times.ok_or_else(unfit)?;
                }
                "interval_start" => policy.interval_start = wait(value)?,
                "interval_step" => policy.interval_step = wait(value)?,
                "interval_max" => policy.interval_max = wait(value)?,
                _ => {}
            }
        }
        Ok(policy)
    }

    /// Signatures: one, or a list of them.
    pub(super) fn signatures(self, name: &'static str) -> Result<Vec<RawJson>, SendError> {
        let list = self.0.list(name);
        for signature in &list {
            crate::signature::Signature::from_json(signature).map_err(|error| {
                wrong(
                    name,
                    format!("must be a signature or a list of them: {error}"),
                )
            })?;
        }
        Ok(list)
    }
}
