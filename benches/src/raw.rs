//! The handlers that use a store's client by themselves: no session, no signature, nobody else to be careful of.
//! What is stored is as large as what the probe stores, and they count as it does.

use std::error::Error;
use std::future::Future;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::get;
use chrono::{DateTime, TimeDelta, Utc};
use quintette_core::json::RawJson;
use quintette_core::session::{Codec, SessionData, SessionKey};
use quintette_core::settings::Settings;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{serve, session_cookie, standard::Standard};

/// Any error of a client.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Three statements of a store's client.
pub trait Store: Clone + Send + Sync + 'static {
    /// Stores `text` under a new key, for two weeks.
    fn insert(&self, key: &str, text: &str) -> impl Future<Output = Result<(), Failure>> + Send;
    /// What is stored under a key and has not expired.
    fn select(&self, key: &str) -> impl Future<Output = Result<Option<String>, Failure>> + Send;
    /// Replaces what is stored under a key, for another two weeks.
    fn update(&self, key: &str, text: &str) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What is stored: the counter, and all the rest, which a handler that counts has no reason to parse.
#[derive(Serialize, Deserialize)]
struct Visitor<'a> {
    n: i64,
    #[serde(borrow)]
    rest: &'a RawValue,
}

#[derive(Clone)]
struct Handlers<S> {
    store: S,
    rest: Box<RawValue>,
}

type Reply = Result<String, StatusCode>;

/// The standard session as a cache holds it: about 1 KB of plain JSON.
///
/// # Errors
///
/// Where the standard session is no JSON.
pub fn plain() -> Result<Box<RawValue>, Failure> {
    Ok(serde_json::value::to_raw_value(&Standard::default())?)
}

/// The standard session as `django_session` holds it, compressed and signed; here it is only so many bytes.
///
/// # Errors
///
/// Where the standard session cannot be encoded.
pub fn compressed() -> Result<Box<RawValue>, Failure> {
    let json = RawJson::from_value(&Standard::default())?;
    let data = SessionData::from_json(json.as_str().as_bytes())?;
    let stored = Codec::new(&Settings::new("a long and random text")).encode(&data)?;
    Ok(serde_json::value::to_raw_value(&stored)?)
}

/// Serves `/bench/fill`, `/bench/read` and `/bench/write` from a store, with `rest` beside the counter.
///
/// # Errors
///
/// Where the server does not start.
pub async fn serve_from<S: Store>(store: S, rest: Box<RawValue>) -> Result<(), Failure> {
    let routes = Router::new()
        .route("/bench/fill", get(fill::<S>))
        .route("/bench/read", get(read::<S>))
        .route("/bench/write", get(write::<S>))
        .with_state(Handlers { store, rest });
    serve(routes).await
}

/// When what is stored now expires.
#[must_use]
pub fn expire_date() -> DateTime<Utc> {
    Utc::now() + TimeDelta::weeks(2)
}

async fn fill<S: Store>(
    State(handlers): State<Handlers<S>>,
) -> Result<impl IntoResponse, StatusCode> {
    let key = SessionKey::random().map_err(failed)?;
    let visitor = Visitor {
        n: 0,
        rest: &handlers.rest,
    };
    let text = serde_json::to_string(&visitor).map_err(failed)?;
    handlers
        .store
        .insert(key.as_str(), &text)
        .await
        .map_err(failed)?;
    let cookie = format!("sessionid={}; Path=/", key.as_str());
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), "ok"))
}

async fn read<S: Store>(State(handlers): State<Handlers<S>>, headers: HeaderMap) -> Reply {
    let key = session_cookie(&headers).ok_or(StatusCode::BAD_REQUEST)?;
    let text = found(&handlers.store, key).await?;
    let visitor: Visitor = serde_json::from_str(&text).map_err(failed)?;
    Ok(visitor.n.to_string())
}

async fn write<S: Store>(State(handlers): State<Handlers<S>>, headers: HeaderMap) -> Reply {
    let key = session_cookie(&headers).ok_or(StatusCode::BAD_REQUEST)?;
    let text = found(&handlers.store, key).await?;
    let mut visitor: Visitor = serde_json::from_str(&text).map_err(failed)?;
    visitor.n += 1;
    let changed = serde_json::to_string(&visitor).map_err(failed)?;
    handlers.store.update(key, &changed).await.map_err(failed)?;
    Ok(visitor.n.to_string())
}

async fn found<S: Store>(store: &S, key: &str) -> Reply {
    store
        .select(key)
        .await
        .map_err(failed)?
        .ok_or(StatusCode::NOT_FOUND)
}

fn failed(error: impl std::fmt::Display) -> StatusCode {
    eprintln!("raw handler: {error}");
    StatusCode::INTERNAL_SERVER_ERROR
}
