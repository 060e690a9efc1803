//! The layer without axum: on hyper's own server over TCP, and on services of any kind of body.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn as hyper_service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use quintette::sessions::{Session, SessionError, SessionLayer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::site::{Site, sure};

async fn visits<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, SessionError> {
    let session = request.extensions().get::<Session>().unwrap().clone();
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1);
    Ok(Response::new(Full::from(visits.await?.to_string())))
}

/// Sends one request over TCP and reads until the server has closed: head and body.
async fn fetch(address: std::net::SocketAddr, cookie: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{cookie}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    sure(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn hyper_alone_keeps_a_session_over_requests() {
    let site = Site::new();
    let service = SessionLayer::new(site.sessions.clone()).layer(service_fn(visits));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });

    let (head, body) = fetch(address, "").await;
    assert_eq!(body, "1");
    let set_cookie = head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    let (pair, _) = set_cookie.split_once(';').unwrap();
    let cookie = format!("Cookie: {pair}\r\n");
    assert_eq!(fetch(address, &cookie).await.1, "2");
    assert_eq!(fetch(address, &cookie).await.1, "3");
    assert_eq!(fetch(address, "").await.1, "1", "another visitor");
    server.abort();
}

#[tokio::test]
async fn a_cookie_header_of_100_kilobytes_is_read() {
    let site = Site::new();
    let cookie = site.session(&[("visits", json!(41))]).await;
    let service = SessionLayer::new(site.sessions.clone()).layer(service_fn(visits));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(service);
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connection.await
    });
    let padding = "a=b; ".repeat(20 * 1024);
    let cookie = format!("Cookie: {padding}sessionid={cookie}\r\n");
    assert_eq!(fetch(address, &cookie).await.1, "42");
    server.await.unwrap().unwrap();
}

/// A service with nothing to spare: no `Clone`, a request without a body, an error and a future of its own.
struct Plain;

impl Service<Request<()>> for Plain {
    type Response = Response<Empty<Bytes>>;
    type Error = &'static str;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let session: &Session = request.extensions().get().unwrap();
        session.insert("n", 1).unwrap();
        ready(if request.uri().path() == "/broken" {
            Err("broken")
        } else {
            Ok(Response::default())
        })
    }
}

#[tokio::test]
async fn any_service_and_any_bodies_will_do() {
    let site = Site::new();
    let service = SessionLayer::new(site.sessions.clone()).layer(Plain);
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert!(response.headers().contains_key(header::SET_COOKIE));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.is_empty());
    assert_eq!(site.count().await, 1);
}

#[tokio::test]
async fn an_error_of_the_service_passes_through_and_saves_nothing() {
    let site = Site::new();
    let service = SessionLayer::new(site.sessions.clone()).layer(Plain);
    let request = Request::get("/broken").body(()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap_err(), "broken");
    assert_eq!(site.counter.take_calls(), []);
}

#[tokio::test]
async fn the_handlers_own_cookies_and_body_stay() {
    let site = Site::new();
    let handler = async |request: Request<String>| -> Result<_, Infallible> {
        let session: &Session = request.extensions().get().unwrap();
        session.insert("n", 1).unwrap();
        let mut response = Response::new(Full::from(request.into_body()));
        let theme = HeaderValue::from_static("theme=dark");
        response.headers_mut().insert(header::SET_COOKIE, theme);
        Ok(response)
    };
    let service = SessionLayer::new(site.sessions.clone()).layer(service_fn(handler));
    let request = Request::new("echo".to_owned());
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let cookies: Vec<_> = head.headers.get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!(cookies[0], "theme=dark");
    assert!(cookies[1].as_bytes().starts_with(b"sessionid="));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "echo");
}

#[test]
fn a_session_goes_wherever_a_task_goes() {
    fn anywhere<T: Send + Sync + Clone + 'static>() {}
    fn movable<T: Send>(_: T) {}
    anywhere::<Session>();
    let session = Site::new().sessions.session(None);
    movable(async move {
        session.get::<u64>("n").await?;
        session.update("n", |n: Option<u64>| n).await?;
        session.cycle_key().await?;
        session.save().await?;
        session.flush().await
    });
    // hyper's own services are no tower services: an adapter of a few lines takes what the layer makes.
    let layered = SessionLayer::new(Site::new().sessions).layer(service_fn(visits::<HeaderMap>));
    let _ = hyper_service_fn(move |request| layered.clone().oneshot(request));
}
