//! What is stored of a task.

use chrono::{SecondsFormat, Utc};
use quintette_core::json::write_array;
use quintette_core::json::{RawJson, write_object};
use serde_json::Value;

use super::request::Request;
use crate::results::TaskMeta;
use crate::settings::TaskSettings;

/// Fills in what a result says beside its state and its value, as Celery does.
pub(crate) fn describe(meta: &mut TaskMeta, request: &Request, settings: &TaskSettings) {
    meta.children = request.children();
    if meta.status.is_ready() {
        meta.date_done = Some(Utc::now().to_rfc3339_opts(SecondsFormat::Micros, false));
    }
    meta.group_id.clone_from(&request.headers.group);
    meta.parent_id.clone_from(&request.headers.parent_id);
    if settings.result_extended {
        extend(meta, request);
    }
}

fn extend(meta: &mut TaskMeta, request: &Request) {
    let arguments = &request.arguments;
    let args = RawJson::parse(&write_array(arguments.args.iter()));
    let kwargs = arguments
        .kwargs
        .iter()
        .map(|(name, value)| (&**name, value));
    let kwargs = RawJson::parse(&write_object(kwargs));
    let value = |json: Result<RawJson, _>| {
        json.ok()
            .and_then(|json| json.deserialize::<Value>().ok())
            .unwrap_or(Value::Null)
    };
    let extra = &mut meta.extra;
    extra.insert("name".into(), request.headers.task.clone().into());
    extra.insert("args".into(), value(args));
    extra.insert("kwargs".into(), value(kwargs));
    extra.insert("worker".into(), (&*request.hostname).into());
    extra.insert("retries".into(), request.headers.retries.into());
    let queue = &request.delivery_info.routing_key;
    extra.insert("queue".into(), queue.clone().into());
    if let Some(names) = &request.headers.stamped_headers {
        extra.insert("stamped_headers".into(), names.clone().into());
        for name in names {
            if let Some(stamp) = request.headers.stamps.get(name) {
                extra.insert(name.clone(), stamp.clone());
            }
        }
    }
}
