//! The message of one task: `as_task_v2` of `celery/app/amqp.py`.

use std::borrow::Cow;

use chrono::Utc;
use quintette_core::json::{RawJson, escape_key, write_array, write_object};
use serde_json::{Map, Value};

use super::moment::{Moment, Now};
use super::options::{Reader, wrong};
use super::{Call, SendError};
use crate::app::App;
use crate::arguments::{list, null};
use crate::brokers::{Destination, Exchange, ExchangeKind};
use crate::protocol::compression::Compression;
use crate::protocol::serializer::Serializer;
use crate::protocol::{Message, Properties, TaskHeaders, repr};
use crate::signature::{Options, Signature};

/// The message of a call whose id is known.
pub(super) fn message(app: &App, signature: &Signature, id: &str) -> Result<Call, SendError> {
    let routed = routed(app, signature);
    let options = Reader(&routed);
    let now = Now {
        at: Utc::now(),
        timezone: app.settings().timezone,
    };
    let expires = now.expires(options)?;
    let mut headers = headers(app, signature, options, id, now, expires.as_ref())?.write();
    let body = body(signature, options)?;
    let serializer = serializer(options)?;
    let mut content = serializer.encode(&body)?;
    if let Some(compression) = compression(options)? {
        headers.insert("compression".to_owned(), compression.content_type().into());
        content = compression.compress(&content)?;
    }
    if let Some(own) = routed.get("headers") {
        let own = own.deserialize::<Map<String, Value>>();
        headers.extend(own.map_err(|_| wrong("headers", "must be an object"))?);
    }
    Ok(Call {
        message: Message {
            headers,
            properties: properties(app, options, id, now, expires.as_ref())?,
            content_type: Cow::Borrowed(serializer.content_type()),
            content_encoding: Cow::Borrowed(serializer.content_encoding()),
            body: content.into(),
        },
        destination: destination(app, options)?,
        retry: options.retry()?,
    })
}

/// The options, over those of the route that the settings have for the task.
fn routed(app: &App, signature: &Signature) -> Options {
    let mut options = match app.settings().route(&signature.task) {
        Some(route) => Options::from(route.clone()),
        None => Options::default(),
    };
    options.update(&signature.options);
    options
}

/// Refuses an id that is no text.
pub(crate) fn checked_id(options: &Options) -> Result<(), SendError> {
    Reader(options).name("task_id").map(|_| ())
}

/// The queue of a task that is not told one.
pub(crate) fn queue_of(app: &App, task: &str) -> String {
    let route = app.settings().route(task);
    let queue = route
        .and_then(|route| route.get("queue"))
        .and_then(Value::as_str);
    queue
        .unwrap_or(&app.settings().task_default_queue)
        .to_owned()
}

fn headers(
    app: &App,
    signature: &Signature,
    options: Reader<'_>,
    id: &str,
    now: Now,
    expires: Option<&Moment>,
) -> Result<TaskHeaders, SendError> {
    let kwargs: Vec<_> = signature
        .kwargs
        .iter()
        .map(|(name, value)| (escape_key(name), value))
        .collect();
    let kwargs = kwargs.iter().map(|(name, value)| (&**name, *value));
    let limits = [
        options.limit("time_limit")?,
        options.limit("soft_time_limit")?,
    ];
    if let [Some(hard), Some(soft)] = limits
        && soft > hard
    {
        return Err(wrong(
            "soft_time_limit",
            "must not be more than the time_limit",
        ));
    }
    if signature.task.is_empty() {
        return Err(wrong("task", "must be a task's name, and is empty"));
    }
    let (names, stamps) = stamps(options.0);
    Ok(TaskHeaders {
        task: signature.task.clone(),
        id: id.to_owned(),
        shadow: options.text("shadow")?,
        eta: now.eta(options)?.map(|eta| eta.text),
        expires: expires.map(|expires| expires.text.clone()),
        group: options.text("group_id")?,
        group_index: options.integer("group_index")?,
        retries: options.count("retries")?.unwrap_or(0),
        timelimit: limits,
        root_id: Some(options.text("root_id")?.unwrap_or_else(|| id.to_owned())),
        parent_id: options.text("parent_id")?,
        argsrepr: Some(match options.text("argsrepr")? {
            Some(given) => given,
            None => repr::args_repr(&signature.args),
        }),
        kwargsrepr: Some(match options.text("kwargsrepr")? {
            Some(given) => given,
            None => repr::kwargs_repr(kwargs),
        }),
        origin: Some(app.origin().to_owned()),
        // Where nothing is said, it is for the worker to say what the task itself wants.
        ignore_result: options
            .flag("ignore_result")?
            .or(app.settings().task_ignore_result.then_some(true)),
        replaced_task_nesting: options.integer("replaced_task_nesting")?.unwrap_or(0),
        stamped_headers: names,
        stamps,
        extra: Map::new(),
    })
}

fn stamps(options: &Options) -> (Option<Vec<String>>, Map<String, Value>) {
    let Ok(names) = options.read::<Vec<String>>("stamped_headers") else {
        return (None, Map::new());
    };
    let stamp = |name: &String| Some((name.clone(), options.get(name)?.deserialize().ok()?));
    let stamps = names.iter().flatten().filter_map(stamp).collect();
    (names, stamps)
}

/// `[args, kwargs, embed]`, with what is JSON already as it is.
fn body(signature: &Signature, options: Reader<'_>) -> Result<RawJson, SendError> {
    let names: Vec<_> = signature
        .kwargs
        .keys()
        .map(|name| escape_key(name))
        .collect();
    let kwargs = names
        .iter()
        .map(|name| &**name)
        .zip(signature.kwargs.values());
    let some = |name: &'static str| {
        let signatures = options.signatures(name)?;
        Ok::<_, SendError>(if signatures.is_empty() {
            null()
        } else {
            list(&signatures)
        })
    };
    let chord = match options.signatures("chord")?.as_slice() {
        [] => null(),
        [chord] => chord.clone(),
        _ => return Err(wrong("chord", "must be one signature")),
    };
    let text = format!(
        r#"[{},{},{{"callbacks":{},"errbacks":{},"chain":{},"chord":{chord}}}]"#,
        write_array(signature.args.iter()),
        write_object(kwargs),
        some("link")?,
        some("link_error")?,
        some("chain")?,
    );
    Ok(RawJson::parse(&text)?)
}

fn serializer(options: Reader<'_>) -> Result<Serializer, SendError> {
    let Some(name) = options.text("serializer")? else {
        return Ok(Serializer::Json);
    };
    Serializer::from_name(&name).ok_or_else(|| {
        wrong(
            "serializer",
            format!("{name:?} is none of json, pickle, msgpack and yaml"),
        )
    })
}

fn compression(options: Reader<'_>) -> Result<Option<Compression>, SendError> {
    let name = options.text("compression")?;
    let known = name.map(|name| Compression::from_name(&name));
    known
        .transpose()
        .map_err(|error| wrong("compression", error.to_string()))
}

fn properties(
    app: &App,
    options: Reader<'_>,
    id: &str,
    now: Now,
    expires: Option<&Moment>,
) -> Result<Properties, SendError> {
    let expiration = expires.map(|expires| {
        let left = expires.at.signed_duration_since(now.at).num_milliseconds();
        u64::try_from(left).unwrap_or(0)
    });
    let priority = options.priority()?.or(app.settings().task_default_priority);
    Ok(Properties {
        correlation_id: Some(id.to_owned()),
        reply_to: Some(match options.text("reply_to")? {
            Some(queue) => queue,
            None => app.oid().to_owned(),
        }),
        priority: Some(priority.unwrap_or(0)),
        expiration,
        transient: options
            .0
            .get("delivery_mode")
            .is_some_and(|mode| matches!(mode.as_str(), "1" | "\"transient\"")),
    })
}

/// The queue by the default exchange, but where the exchange is no direct one, or both it and the key are given.
fn destination(app: &App, options: Reader<'_>) -> Result<Destination, SendError> {
    let name = options.name("queue")?;
    let queue = app.queue(
        name.as_deref()
            .unwrap_or(&app.settings().task_default_queue),
    );
    if queue.name.is_empty() {
        return Err(wrong(
            "queue",
            "is not said, and CELERY_TASK_DEFAULT_QUEUE is empty",
        ));
    }
    let kind = match options.text("exchange_type")?.as_deref() {
        None => queue.exchange.kind,
        Some("direct") => ExchangeKind::Direct,
        Some("topic") => ExchangeKind::Topic,
        Some("fanout") => ExchangeKind::Fanout,
        Some(other) => {
            return Err(wrong(
                "exchange_type",
                format!("{other:?} is none of direct, topic and fanout"),
            ));
        }
    };
    let exchange = options.text("exchange")?.filter(|name| !name.is_empty());
    let key = options.text("routing_key")?.filter(|key| !key.is_empty());
    if kind == ExchangeKind::Direct && (exchange.is_none() || key.is_none()) {
        return Ok(Destination::queue(queue));
    }
    Ok(Destination {
        exchange: Exchange {
            name: exchange.unwrap_or_else(|| queue.exchange.name.clone()),
            kind,
            durable: true,
        },
        routing_key: key.unwrap_or_else(|| queue.routing_key.clone()),
        may_be_dropped: false,
        declare: Some(Box::new(queue)),
    })
}
