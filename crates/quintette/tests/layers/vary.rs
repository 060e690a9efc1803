//! `Vary: Cookie`, beside what the handler says the response varies on.

use axum::response::AppendHeaders;
use http::header::VARY;
use quintette::sessions::{Session, SessionError};

use crate::site::Site;

/// What becomes of these `Vary` headers of a handler that reads its session.
async fn merged<const N: usize>(varies: [&'static str; N]) -> Vec<String> {
    let handler = async move |session: Session| -> Result<_, SessionError> {
        session.get::<u64>("n").await?;
        Ok(AppendHeaders(varies.map(|vary| (VARY, vary))))
    };
    let answer = Site::new().visitor(handler).get("/").await;
    answer.vary().into_iter().map(Into::into).collect()
}

#[tokio::test]
async fn cookie_joins_what_the_handler_varies_on() {
    assert_eq!(merged([]).await, ["Cookie"]);
    assert_eq!(
        merged(["Accept-Encoding"]).await,
        ["Accept-Encoding, Cookie"]
    );
    assert_eq!(
        merged(["Accept-Encoding,  Accept-Language"]).await,
        ["Accept-Encoding, Accept-Language, Cookie"]
    );
    assert_eq!(merged([""]).await, ["Cookie"]);
}

#[tokio::test]
async fn several_headers_become_one() {
    assert_eq!(
        merged(["Origin", "Accept-Encoding"]).await,
        ["Origin, Accept-Encoding, Cookie"]
    );
}

#[tokio::test]
async fn cookie_is_there_once_in_whatever_case() {
    assert_eq!(merged(["cookie"]).await, ["cookie"]);
    assert_eq!(merged(["Accept, COOKIE"]).await, ["Accept, COOKIE"]);
    assert_eq!(merged(["Accept", "Cookie"]).await, ["Accept", "Cookie"]);
    assert_eq!(merged(["X-Cookie"]).await, ["X-Cookie, Cookie"]);
}

#[tokio::test]
async fn what_varies_on_everything_stays_so() {
    assert_eq!(merged(["*"]).await, ["*"]);
    assert_eq!(merged(["Accept-Encoding, *"]).await, ["*"]);
}

#[tokio::test]
async fn an_untouched_session_leaves_vary_alone() {
    let handler = async || AppendHeaders([(VARY, "Origin"), (VARY, "*")]);
    let answer = Site::new().visitor(handler).get("/").await;
    assert_eq!(answer.vary(), ["Origin", "*"]);
}
