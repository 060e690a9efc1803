//! What the layer adds to a request whose handler does not touch the session.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use divan::{Bencher, black_box};
use http::{Request, Response, header};
use quintette::cookie;
use quintette::sessions::engines::SignedCookiesEngine;
use quintette::sessions::{SessionLayer, Sessions};
use quintette::settings::Settings;
use tower_layer::Layer;
use tower_service::Service;

fn main() {
    divan::main();
}

/// As a browser sends it that also carries somebody's analytics.
const COOKIES: &str = "_ga=GA1.1.1234567890.1234567890; csrftoken=aBcDeFgHiJkLmNoPqRsTuVwXyZ012345; \
                       sessionid=abcdefghijklmnopqrstuvwxyz012345; theme=dark";

#[derive(Clone)]
struct Handler;

impl Service<Request<()>> for Handler {
    type Response = Response<&'static str>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<()>) -> Self::Future {
        ready(Ok(Response::new("ok")))
    }
}

fn request() -> Request<()> {
    Request::builder()
        .header(header::COOKIE, COOKIES)
        .body(())
        .expect("the cookies are a header's value")
}

fn call<S: Service<Request<()>>>(service: &mut S, request: Request<()>) -> bool {
    let mut response = pin!(service.call(request));
    response
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[divan::bench]
fn without_layer(bencher: Bencher) {
    bencher
        .with_inputs(request)
        .bench_values(|request| call(&mut Handler, request));
}

#[divan::bench]
fn untouched(bencher: Bencher) {
    let settings = Settings::new("a long and random text");
    let sessions = Sessions::new(Arc::new(SignedCookiesEngine::new(&settings)), settings);
    let layer = SessionLayer::new(sessions);
    bencher
        .with_inputs(request)
        .bench_values(|request| call(&mut layer.layer(Handler), request));
}

#[divan::bench]
fn cookie_scan(bencher: Bencher) {
    bencher.bench(|| cookie::value([black_box(COOKIES.as_bytes())], "sessionid").is_some());
}
