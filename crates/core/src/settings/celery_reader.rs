//! From gathered values to [`CelerySettings`].

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::celery::CelerySettings;
use super::database_url::SecretUrl;
use super::reader::Reader;
use super::value;

impl Reader {
    pub(super) fn celery(&mut self) -> CelerySettings {
        let mut settings = CelerySettings::default();
        self.celery_broker(&mut settings);
        self.celery_tasks(&mut settings);
        self.celery_results(&mut settings);
        self.celery_worker(&mut settings);
        settings
    }

    fn celery_broker(&mut self, settings: &mut CelerySettings) {
        self.read("CELERY_BROKER_URL", &mut settings.broker_url, url);
        let mut options = Map::new();
        self.read("CELERY_BROKER_TRANSPORT_OPTIONS", &mut options, |value| {
            let options = object(value)?;
            options.get("visibility_timeout").map(seconds).transpose()?;
            options
                .get("global_keyprefix")
                .map(value::text)
                .transpose()?;
            Ok(options)
        });
        if let Some(Ok(timeout)) = options.get("visibility_timeout").map(seconds) {
            settings.visibility_timeout = timeout;
        }
        if let Some(Ok(prefix)) = options.get("global_keyprefix").map(value::text) {
            settings.global_keyprefix = prefix;
        }
        self.read(
            "CELERY_ACCEPT_CONTENT",
            &mut settings.accept_content,
            value::some_texts,
        );
        self.read(
            "CELERY_MAX_BODY_SIZE",
            &mut settings.max_body_size,
            value::bytes,
        );
        self.read("CELERY_TIMEZONE", &mut settings.timezone, value::time_zone);
    }

    fn celery_tasks(&mut self, settings: &mut CelerySettings) {
        self.read(
            "CELERY_TASK_DEFAULT_QUEUE",
            &mut settings.task_default_queue,
            value::text,
        );
        for (name, kind) in [
            ("DEFAULT_QUEUE_TYPE", &mut settings.task_default_queue_type),
            (
                "CREATE_MISSING_QUEUE_TYPE",
                &mut settings.task_create_missing_queue_type,
            ),
        ] {
            self.read(&format!("CELERY_TASK_{name}"), kind, queue_type);
        }
        self.read(
            "CELERY_TASK_DEFAULT_EXCHANGE_TYPE",
            &mut settings.task_default_exchange_type,
            exchange_type,
        );
        self.read(
            "CELERY_TASK_CREATE_MISSING_QUEUE_EXCHANGE_TYPE",
            &mut settings.task_create_missing_queue_exchange_type,
            value::optional(exchange_type),
        );
        self.read("CELERY_TASK_ROUTES", &mut settings.task_routes, routes);
        self.read(
            "CELERY_TASK_QUEUE_MAX_PRIORITY",
            &mut settings.task_queue_max_priority,
            value::optional(priority),
        );
        self.read(
            "CELERY_TASK_DEFAULT_PRIORITY",
            &mut settings.task_default_priority,
            value::optional(priority),
        );
        self.read(
            "CELERY_TASK_SOFT_TIME_LIMIT",
            &mut settings.task_soft_time_limit,
            value::optional(seconds),
        );
        self.read(
            "CELERY_TASK_TIME_LIMIT",
            &mut settings.task_time_limit,
            value::optional(seconds),
        );
        self.read(
            "CELERY_TASK_DEFAULT_RATE_LIMIT",
            &mut settings.task_default_rate_limit,
            value::optional(rate),
        );
        for (name, flag) in [
            ("TASK_ACKS_LATE", &mut settings.task_acks_late),
            (
                "TASK_ACKS_ON_FAILURE_OR_TIMEOUT",
                &mut settings.task_acks_on_failure_or_timeout,
            ),
            ("TASK_IGNORE_RESULT", &mut settings.task_ignore_result),
            (
                "TASK_INHERIT_PARENT_PRIORITY",
                &mut settings.task_inherit_parent_priority,
            ),
            ("TASK_SEND_SENT_EVENT", &mut settings.task_send_sent_event),
            (
                "TASK_STORE_ERRORS_EVEN_IF_IGNORED",
                &mut settings.task_store_errors_even_if_ignored,
            ),
            ("TASK_TRACK_STARTED", &mut settings.task_track_started),
        ] {
            self.read(&format!("CELERY_{name}"), flag, value::boolean);
        }
    }

    fn celery_results(&mut self, settings: &mut CelerySettings) {
        self.read(
            "CELERY_RESULT_BACKEND",
            &mut settings.result_backend,
            value::optional(url),
        );
        let mut prefix = None;
        self.read(
            "CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS",
            &mut prefix,
            |value| {
                object(value)?
                    .get("global_keyprefix")
                    .map(value::text)
                    .transpose()
            },
        );
        settings.result_global_keyprefix = prefix.unwrap_or_default();
        self.read(
            "CELERY_RESULT_EXPIRES",
            &mut settings.result_expires,
            |value| {
                let expires = value::optional(seconds_or_none)(value)?;
                Ok(expires.filter(|expires| !expires.is_zero()))
            },
        );
        self.read(
            "CELERY_RESULT_EXTENDED",
            &mut settings.result_extended,
            value::boolean,
        );
        self.read(
            "CELERY_RESULT_SERIALIZER",
            &mut settings.result_serializer,
            serializer,
        );
        self.read(
            "CELERY_RESULT_CHORD_RETRY_INTERVAL",
            &mut settings.result_chord_retry_interval,
            seconds,
        );
        self.read(
            "CELERY_CHORD_DEADLINE",
            &mut settings.chord_deadline,
            seconds,
        );
    }

    fn celery_worker(&mut self, settings: &mut CelerySettings) {
        self.read(
            "CELERY_WORKER_CONCURRENCY",
            &mut settings.worker_concurrency,
            value::optional(|value| value::count(value).map(|count| count as usize)),
        );
        self.read(
            "CELERY_WORKER_PREFETCH_MULTIPLIER",
            &mut settings.worker_prefetch_multiplier,
            |value| {
                let multiplier = value::integer(value).ok();
                let multiplier = multiplier.and_then(|number| u32::try_from(number).ok());
                multiplier.ok_or_else(|| "write a whole number, or 0 for any number".to_owned())
            },
        );
        self.read(
            "CELERY_WORKER_ETA_TASK_LIMIT",
            &mut settings.worker_eta_task_limit,
            |value| {
                let limit = value::optional(value::count)(value)?;
                Ok(limit.map_or(usize::MAX, |limit| limit as usize))
            },
        );
        self.read(
            "CELERY_WORKER_DELIVERY_LIMIT",
            &mut settings.worker_delivery_limit,
            value::optional(value::count),
        );
        self.read(
            "CELERY_WORKER_STATE_DB",
            &mut settings.worker_state_db,
            value::optional(value::path),
        );
        for (name, flag) in [
            (
                "CELERY_WORKER_SEND_TASK_EVENTS",
                &mut settings.worker_send_task_events,
            ),
            (
                "CELERY_WORKER_ENABLE_REMOTE_CONTROL",
                &mut settings.worker_enable_remote_control,
            ),
        ] {
            self.read(name, flag, value::boolean);
        }
    }
}

fn url(value: &Value) -> Result<SecretUrl, String> {
    let url = value::words(value)?.trim();
    if url.is_empty() {
        return Err("write a URL such as redis://localhost:6379/0".to_owned());
    }
    Ok(SecretUrl::new(url))
}

fn object(value: &Value) -> Result<Map<String, Value>, String> {
    let object = value.as_object().cloned();
    object.ok_or_else(|| "write a table, such as {\"visibility_timeout\": 3600}".to_owned())
}

/// Above zero, in fractions as well.
fn seconds(value: &Value) -> Result<Duration, String> {
    let time = seconds_or_none(value)?;
    if time.is_zero() {
        return Err("write a number of seconds above zero".to_owned());
    }
    Ok(time)
}

fn seconds_or_none(value: &Value) -> Result<Duration, String> {
    #[expect(clippy::cast_precision_loss, reason = "a thousand years are exact")]
    const LONGEST: f64 = value::LONGEST_SECONDS as f64;
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .filter(|seconds| (0.0..=LONGEST).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "write a number of seconds, such as 30 or 0.5".to_owned())
}

fn priority(value: &Value) -> Result<u8, String> {
    let number = value::integer(value).ok();
    let number = number.and_then(|number| u8::try_from(number).ok());
    number.ok_or_else(|| "write a whole number from 0 to 255".to_owned())
}

fn queue_type(value: &Value) -> Result<String, String> {
    match value::words(value)? {
        kind @ ("classic" | "quorum") => Ok(kind.to_owned()),
        _ => Err("write \"classic\" or \"quorum\"".to_owned()),
    }
}

fn exchange_type(value: &Value) -> Result<String, String> {
    match value::words(value)? {
        kind @ ("direct" | "topic" | "fanout") => Ok(kind.to_owned()),
        _ => Err("write \"direct\", \"topic\" or \"fanout\"".to_owned()),
    }
}

fn serializer(value: &Value) -> Result<String, String> {
    match value::words(value)? {
        name @ ("json" | "pickle") => Ok(name.to_owned()),
        _ => Err("write \"json\", or \"pickle\" for the tables of a Celery before 5.7".to_owned()),
    }
}

/// A number is so many in a second.
fn rate(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => format!("{number}/s"),
        _ => String::new(),
    };
    let (number, unit) = text.split_once('/').unwrap_or((&text, "s"));
    let is_rate =
        number.parse::<f64>().is_ok_and(f64::is_finite) && matches!(unit, "s" | "m" | "h");
    if is_rate {
        Ok(text)
    } else {
        Err(
            "write a rate such as \"10/m\": in a second (s), a minute (m) or an hour (h)"
                .to_owned(),
        )
    }
}

type Routes = Vec<(String, Map<String, Value>)>;

/// By name a table of options, or the name of the queue alone; a list of such pairs keeps their order in any file.
fn routes(value: &Value) -> Result<Routes, String> {
    let wanted = || {
        "write routes such as {\"reports.*\": {\"queue\": \"slow\"}}, or a list of pairs of a pattern and a queue's name".to_owned()
    };
    let route = |pattern: &str, route: &Value| match route {
        Value::String(queue) => match json!({ "queue": queue }) {
            Value::Object(route) => Ok((pattern.to_owned(), route)),
            _ => Err(wanted()),
        },
        Value::Object(route) => Ok((pattern.to_owned(), route.clone())),
        _ => Err(wanted()),
    };
    match value {
        Value::Object(routes) => routes
            .iter()
            .map(|(pattern, to)| route(pattern, to))
            .collect(),
        Value::Array(pairs) => pairs
            .iter()
            .map(|pair| match pair.as_array().map(Vec::as_slice) {
                Some([Value::String(pattern), to]) => route(pattern, to),
                _ => Err(wanted()),
            })
            .collect(),
        Value::Null => Ok(Vec::new()),
        _ => Err(wanted()),
    }
}
