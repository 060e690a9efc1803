//! `/bench/*`: the same work here, in Django, and in the peers.

use quintette::sessions::{Session, SessionError};
use serde::Serialize;

#[derive(Serialize)]
struct Line {
    sku: String,
    qty: u32,
    price: &'static str,
    name: String,
}

impl Line {
    fn new(index: u32) -> Self {
        Self {
            sku: format!("SKU-{index:05}"),
            qty: index + 1,
            price: "19.99",
            name: format!("Product number {index} with a name"),
        }
    }
}

pub(crate) async fn none() -> &'static str {
    "ok"
}

/// Stores the standard session.
pub(crate) async fn fill(session: Session) -> Result<&'static str, SessionError> {
    let cart: Vec<_> = (0..10).map(Line::new).collect();
    session.insert("_auth_user_id", "42")?;
    session.insert(
        "_auth_user_backend",
        "django.contrib.auth.backends.ModelBackend",
    )?;
    session.insert("_auth_user_hash", "a".repeat(64))?;
    session.insert("cart", cart)?;
    session.insert("n", 0)?;
    Ok("ok")
}

pub(crate) async fn read(session: Session) -> Result<String, SessionError> {
    let n: i64 = session.get("n").await?.unwrap_or(0);
    Ok(n.to_string())
}

pub(crate) async fn write(session: Session) -> Result<String, SessionError> {
    let n = session.get("n").await?.unwrap_or(0_i64).saturating_add(1);
    session.insert("n", n)?;
    Ok(n.to_string())
}

pub(crate) async fn incr(session: Session) -> Result<String, SessionError> {
    let n = session
        .update("n", |n: Option<i64>| n.unwrap_or(0).saturating_add(1))
        .await?;
    Ok(n.to_string())
}

pub(crate) async fn new(session: Session) -> Result<&'static str, SessionError> {
    session.insert("n", 1)?;
    Ok("ok")
}
