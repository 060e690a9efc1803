//! One GET over a connection of its own. Redirects are not followed, and bodies not read.

use std::time::Duration;

use http::header::{ACCEPT, COOKIE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PageUrl;
use super::set_cookie::SetCookie;
use crate::error::Error;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The head of a response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// Asks for the page, with this cookie or none.
pub(super) async fn get(page: &PageUrl, cookie: Option<&SetCookie>) -> Result<Answer, Error> {
    let failed = |reason: String| Error::Other(format!("http://{} {reason}", page.authority));
    match timeout(PATIENCE, exchange(page, cookie)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(reason)) => Err(failed(reason)),
        Err(_) => Err(failed(format!(
            "has not answered for {} seconds",
            PATIENCE.as_secs()
        ))),
    }
}

async fn exchange(page: &PageUrl, cookie: Option<&SetCookie>) -> Result<Answer, String> {
    let stream = TcpStream::connect((page.host.as_str(), page.port))
        .await
        .map_err(|error| format!("cannot be reached, is the service running? ({error})"))?;
    let broken = |error: hyper::Error| format!("does not answer as a web server does ({error})");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let connection = tokio::spawn(connection);
    let request =
        request(page, cookie).map_err(|error| format!("cannot be asked for ({error})"))?;
    let answer = sender.send_request(request).await.map_err(broken);
    // What is left of the body is nobody's concern.
    connection.abort();
    let (head, _body) = answer?.into_parts();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
    })
}

fn request(
    page: &PageUrl,
    cookie: Option<&SetCookie>,
) -> Result<Request<Empty<Bytes>>, http::Error> {
    let mut request = Request::get(&page.path_and_query)
        .header(HOST, &page.authority)
        .header(USER_AGENT, concat!("quintette/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*");
    if let Some(cookie) = cookie {
        let mut value =
            HeaderValue::from_bytes(format!("{}={}", cookie.name, cookie.value).as_bytes())?;
        value.set_sensitive(true);
        request = request.header(COOKIE, value);
    }
    request.body(Empty::new())
}
