//! `POST /ops`: operations on the request's session, in order.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use quintette::json::{self, RawJson};
use quintette::sessions::{Expiry, Session, SessionError, SessionKey};
use quintette::time::TimeZone;
use serde::{Deserialize, Deserializer, Serialize};

/// What may stand in an operation. Which of it must, its name decides.
#[derive(Deserialize)]
struct Fields {
    op: String,
    key: Option<String>,
    #[serde(default, deserialize_with = "present")]
    value: Option<RawJson>,
    #[serde(default, deserialize_with = "present")]
    default: Option<RawJson>,
    values: Option<RawJson>,
    by: Option<i64>,
    ms: Option<u64>,
    status: Option<u16>,
}

/// A field that is there, though it may be null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RawJson>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

enum Op {
    Get(String, Option<RawJson>),
    Set(String, RawJson),
    Del(String),
    Pop(String, Option<RawJson>),
    SetDefault(String, RawJson),
    Update(Vec<(String, RawJson)>),
    Has(String),
    Keys,
    Values,
    Items,
    Clear,
    Flush,
    CycleKey,
    Save,
    IsEmpty,
    Key,
    Accessed,
    Modified,
    SetExpiry(Option<Expiry>),
    ExpiryAge,
    ExpiresAtBrowserClose,
    SetTestCookie,
    TestCookieWorked,
    DeleteTestCookie,
    Incr(String, i64),
    Sleep(Duration),
    Respond(StatusCode),
}

/// One operation's result.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(RawJson),
    Error(&'static str),
}

#[derive(Serialize)]
struct Answers {
    results: Vec<Answer>,
}

pub(crate) async fn run(
    State(time_zone): State<TimeZone>,
    session: Session,
    body: Bytes,
) -> Response {
    let ops = match parse(&body, time_zone) {
        Ok(ops) => ops,
        Err(error) => {
            let body = Json(serde_json::json!({ "error": error }));
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
    };
    let mut status = StatusCode::OK;
    let mut results = Vec::with_capacity(ops.len());
    for op in ops {
        if let Op::Respond(wanted) = op {
            status = wanted;
        }
        match perform(&session, op).await {
            Ok(answer) => results.push(answer),
            Err(error) => return error.into_response(),
        }
    }
    (status, Json(Answers { results })).into_response()
}

fn parse(body: &[u8], time_zone: TimeZone) -> Result<Vec<Op>, String> {
    let fields: Vec<Fields> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    fields
        .into_iter()
        .map(|fields| {
            let name = fields.op.clone();
            op(fields, time_zone)
                .ok_or_else(|| format!("{name:?} is no operation with these fields"))
        })
        .collect()
}

/// The operation, where it has a known name and the fields it needs.
fn op(fields: Fields, time_zone: TimeZone) -> Option<Op> {
    let Fields {
        op,
        key,
        value,
        default,
        values,
        by,
        ms,
        status,
    } = fields;
    Some(match op.as_str() {
        "get" => Op::Get(key?, default),
        "set" => Op::Set(key?, value?),
        "del" => Op::Del(key?),
        "pop" => Op::Pop(key?, default),
        "setdefault" => Op::SetDefault(key?, value?),
        "update" => {
            let members = json::parse_object(values?.as_str().as_bytes()).ok()?;
            let members = members
                .into_iter()
                .map(|(key, value)| (json::unescape_key(&key).into_owned(), value));
            Op::Update(members.collect())
        }
        "has" => Op::Has(key?),
        "keys" => Op::Keys,
        "values" => Op::Values,
        "items" => Op::Items,
        "clear" => Op::Clear,
        "flush" => Op::Flush,
        "cycle_key" => Op::CycleKey,
        "save" => Op::Save,
        "is_empty" => Op::IsEmpty,
        "key" => Op::Key,
        "accessed" => Op::Accessed,
        "modified" => Op::Modified,
        "set_expiry" => Op::SetExpiry(expiry(&value?, time_zone)?),
        "expiry_age" => Op::ExpiryAge,
        "expires_at_browser_close" => Op::ExpiresAtBrowserClose,
        "set_test_cookie" => Op::SetTestCookie,
        "test_cookie_worked" => Op::TestCookieWorked,
        "delete_test_cookie" => Op::DeleteTestCookie,
        "incr" => Op::Incr(key?, by?),
        "sleep" => Op::Sleep(Duration::from_millis(ms?)),
        "respond" => Op::Respond(
            StatusCode::from_u16(status.filter(|status| (200..600).contains(status))?).ok()?,
        ),
        _ => return None,
    })
}

#[expect(
    clippy::option_option,
    reason = "no expiry at all is one of the values that may be given"
)]
fn expiry(value: &RawJson, time_zone: TimeZone) -> Option<Option<Expiry>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Seconds(i64),
        In { r#in: f64 },
        At { at: String },
    }
    Some(match value.deserialize::<Option<Value>>().ok()? {
        None => None,
        Some(Value::Seconds(seconds)) => Some(Expiry::seconds(seconds)),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the contract's seconds are few"
        )]
        Some(Value::In { r#in }) => Some(TimeDelta::microseconds((r#in * 1e6) as i64).into()),
        Some(Value::At { at }) => Some(Expiry::At(time_zone.parse(&at)?)),
    })
}

async fn perform(session: &Session, op: Op) -> Result<Answer, SessionError> {
    match op {
        Op::Get(key, default) => return Ok(ok(session.raw(&key).await?.or(default))),
        Op::Del(key) => return remove(session, &key).await,
        Op::Pop(key, default) => {
            let stored = session.raw(&key).await?;
            if stored.is_some() {
                session.remove(&key);
            }
            return Ok(stored.or(default).map_or(KEY_ERROR, Answer::Ok));
        }
        Op::SetDefault(key, value) => return Ok(ok(session.get_or_insert(&key, value).await?)),
        Op::Has(key) => return Ok(ok(session.contains(&key).await?)),
        Op::Keys => return Ok(ok(session.keys().await?)),
        Op::Values => {
            let entries = session.entries().await?.into_iter();
            return Ok(ok(entries.map(|(_, value)| value).collect::<Vec<_>>()));
        }
        Op::Items => return Ok(ok(session.entries().await?)),
        Op::IsEmpty => return Ok(ok(session.is_empty())),
        Op::Key => return Ok(ok(session.key().as_ref().map(SessionKey::as_str))),
        Op::Accessed => return Ok(ok(session.is_accessed())),
        Op::Modified => return Ok(ok(session.is_modified())),
        Op::ExpiryAge => return Ok(ok(session.expiry_age().await?.num_seconds())),
        Op::ExpiresAtBrowserClose => return Ok(ok(session.expires_at_browser_close().await?)),
        Op::TestCookieWorked => return Ok(ok(session.test_cookie_worked().await?)),
        Op::DeleteTestCookie => return remove(session, "testcookie").await,
        Op::Incr(key, by) => {
            let sum = move |n: Option<i64>| n.unwrap_or(0).saturating_add(by);
            return Ok(ok(session.update(&key, sum).await?));
        }
        Op::Set(key, value) => {
            read(session).await?;
            session.insert(&key, value)?;
        }
        Op::Update(values) => {
            read(session).await?;
            session.extend(values)?;
        }
        Op::SetExpiry(expiry) => {
            read(session).await?;
            session.set_expiry(expiry);
        }
        Op::SetTestCookie => {
            read(session).await?;
            session.set_test_cookie();
        }
        Op::Clear => session.clear(),
        Op::Flush => session.flush().await?,
        Op::CycleKey => session.cycle_key().await?,
        Op::Save => drop(session.save().await?),
        Op::Sleep(duration) => tokio::time::sleep(duration).await,
        Op::Respond(_) => {}
    }
    Ok(ok(()))
}

const KEY_ERROR: Answer = Answer::Error("KeyError");

/// Django's dictionary reads before it writes, so that a session which is deleted from here on is missed.
async fn read(session: &Session) -> Result<(), SessionError> {
    session.data().await.map(drop)
}

async fn remove(session: &Session, key: &str) -> Result<Answer, SessionError> {
    if !session.contains(key).await? {
        return Ok(KEY_ERROR);
    }
    session.remove(key);
    Ok(ok(()))
}

fn ok(value: impl Serialize) -> Answer {
    match RawJson::from_value(&value) {
        Ok(value) => Answer::Ok(value),
        Err(_) => Answer::Error("ValueError"),
    }
}
