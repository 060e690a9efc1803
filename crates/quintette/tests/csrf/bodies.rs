//! Bodies: read where a form may hold the token, and handed on complete.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use quintette::csrf::{CsrfLayer, ReplayBody};
use quintette::settings::Settings;
use tower::{Layer, ServiceExt, service_fn};

use crate::site::{SECRET, TOKEN, post, settings, site};

const MULTIPART: &str = "multipart/form-data; boundary=x";

/// A body in pieces, that counts how many were asked for and ends with these.
struct Pieces {
    frames: VecDeque<Result<Frame<Bytes>, &'static str>>,
    read: Arc<AtomicUsize>,
}

impl Pieces {
    fn new(pieces: &[&[u8]], end: Option<Result<Frame<Bytes>, &'static str>>) -> Self {
        let data = |piece: &&[u8]| Ok(Frame::data(Bytes::copy_from_slice(piece)));
        Self {
            frames: pieces.iter().map(data).chain(end).collect(),
            read: Arc::default(),
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.read.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(self.frames.pop_front())
    }
}

/// What the handler got, and how often the body had been asked for a piece before it.
type Got = (Result<(Bytes, Option<HeaderMap>), &'static str>, usize);

/// Sends a body over bare tower. `Err` is the refusal.
async fn send(
    request: http::request::Builder,
    body: Pieces,
    configure: impl FnOnce(&mut Settings),
) -> Result<Got, (StatusCode, Bytes)> {
    let read = body.read.clone();
    let got = Arc::new(std::sync::Mutex::new(None));
    let keep = got.clone();
    let handler = service_fn(move |request: Request<ReplayBody<Pieces>>| {
        let (keep, before) = (keep.clone(), read.load(Ordering::Relaxed));
        async move {
            let body = request.into_body().collect().await;
            let body = body.map(|body| {
                let trailers = body.trailers().cloned();
                (body.to_bytes(), trailers)
            });
            *keep.lock().unwrap() = Some((body, before));
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }
    });
    let service = CsrfLayer::new(settings(configure)).layer(handler);
    let request = request
        .header("cookie", format!("csrftoken={SECRET}"))
        .body(body)
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    let got = got.lock().unwrap().take();
    if let Some(got) = got {
        return Ok(got);
    }
    let status = response.status();
    Err((status, response.collect().await.unwrap().to_bytes()))
}

fn sent(content_type: &str) -> http::request::Builder {
    Request::post("/").header("content-type", content_type)
}

fn trailers() -> HeaderMap {
    [(http::header::ETAG, "end".parse().unwrap())]
        .into_iter()
        .collect()
}

fn part(name: &str, value: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n")
}

fn token_part() -> String {
    part("name=\"csrfmiddlewaretoken\"", TOKEN)
}

#[tokio::test]
async fn a_form_reaches_the_handler_byte_for_byte_with_its_trailers() {
    let urlencoded = format!("a=%00+b&csrfmiddlewaretoken={TOKEN}&c=\u{fffd}");
    let multipart = format!("{}{}--x--\r\n", token_part(), part("name=a", "\0b"));
    for (content_type, form) in [
        ("application/x-www-form-urlencoded", urlencoded),
        (
            "Application/X-WWW-Form-Urlencoded; charset=utf-8",
            form_of_nothing_else(),
        ),
        (MULTIPART, multipart),
    ] {
        for size in [1, 7, 1_000] {
            let pieces: Vec<&[u8]> = form.as_bytes().chunks(size).collect();
            let body = Pieces::new(&pieces, Some(Ok(Frame::trailers(trailers()))));
            let (body, _) = send(sent(content_type), body, |_| {}).await.unwrap();
            let (bytes, end) = body.unwrap();
            assert_eq!(bytes, form, "{size}");
            assert_eq!(end, Some(trailers()));
        }
    }
}

fn form_of_nothing_else() -> String {
    format!("csrfmiddlewaretoken={TOKEN}")
}

#[tokio::test]
async fn what_is_no_form_is_handed_on_unread() {
    let json: &[&[u8]] = &[b"{\"csrfmiddlewaretoken\":1}", b"\n"];
    for (method, content_type) in [
        (Method::POST, "application/json"),
        (Method::POST, "text/plain"),
        (Method::POST, "multipart/mixed; boundary=x"),
        (Method::PUT, "application/x-www-form-urlencoded"),
        (Method::PATCH, MULTIPART),
        (Method::GET, "application/x-www-form-urlencoded"),
    ] {
        let request = sent(content_type).method(method.clone());
        let request = request.header("x-csrftoken", TOKEN);
        let (body, read) = send(request, Pieces::new(json, None), |_| {})
            .await
            .unwrap();
        assert_eq!(read, 0, "{method} {content_type}");
        assert_eq!(body.unwrap().0, json.concat());
    }
}

#[tokio::test]
async fn a_refusal_that_needs_no_token_reads_nothing() {
    let body = Pieces::new(&[b"a=b"], None);
    let read = body.read.clone();
    let request = sent("application/x-www-form-urlencoded").header("origin", "https://evil.org");
    let (status, _) = send(request, body, |_| {}).await.unwrap_err();
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(read.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_token_in_a_multipart_form_gets_through_wherever_it_stands() {
    let site = site(|_| {});
    let file = part("name=\"f\"; filename=\"a.bin\"", "\r\n--y\r\n");
    let other = part("name=\"a\"", "b");
    for (form, status) in [
        (format!("{}{file}", token_part()), StatusCode::OK),
        (format!("{file}{other}{}", token_part()), StatusCode::OK),
        (
            format!(
                "{}{}",
                part("name=csrfmiddlewaretoken", "wrong"),
                token_part()
            ),
            StatusCode::OK,
        ),
        (format!("{file}{other}"), StatusCode::FORBIDDEN),
        (
            part("name=csrfmiddlewaretoken; filename=a", TOKEN),
            StatusCode::FORBIDDEN,
        ),
    ] {
        let form = format!("{form}--x--\r\n");
        let sent = post().header("content-type", MULTIPART).body(form.clone());
        let answer = sent.to(&site).await;
        assert_eq!(answer.status, status, "{form}");
        if status == StatusCode::OK {
            assert_eq!(answer.body, form);
        }
    }
}

#[tokio::test]
async fn an_upload_behind_its_token_streams_through_however_large() {
    let token = token_part();
    let file = part("name=f; filename=f", &"x".repeat(100_000));
    let pieces = [token.as_bytes(), b"--x", file.as_bytes(), b"--x--"];
    let (body, read) = send(sent(MULTIPART), Pieces::new(&pieces, None), |settings| {
        settings.data_upload_max_memory_size = Some(1_000);
    })
    .await
    .unwrap();
    assert_eq!(read, 2, "the token was whole with the second piece");
    assert_eq!(body.unwrap().0, pieces.concat());
}

#[tokio::test]
async fn a_form_over_the_limit_is_a_bad_request_and_not_read_to_its_end() {
    fn small(settings: &mut Settings) {
        settings.data_upload_max_memory_size = Some(100);
    }
    let form = form_of_nothing_else();
    let filler = format!("&a={}", "b".repeat(13));
    for (filler, fits) in [
        (&filler[..16], true),
        (&filler[..], true),
        ("&aaaaaaaaaaaaaaaaaa", false),
    ] {
        let whole = format!("{form}{filler}");
        assert_eq!(whole.len() <= 100, fits, "{}", whole.len());
        let site = site(small);
        let answer = post().form(&whole).to(&site).await;
        let expected = if fits {
            StatusCode::OK
        } else {
            StatusCode::BAD_REQUEST
        };
        assert_eq!(answer.status, expected);
    }
    // Its size is not told: it is counted.
    let piece = [b'x'; 60];
    let body = Pieces::new(&[&piece, &piece, &piece, &piece], None);
    let read = body.read.clone();
    let request = sent("application/x-www-form-urlencoded").header("x-csrftoken", TOKEN);
    let (status, text) = send(request, body, small).await.unwrap_err();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(!text.is_empty());
    assert_eq!(read.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn of_a_multipart_form_without_its_token_no_more_is_read_than_the_limit() {
    fn small(settings: &mut Settings) {
        settings.data_upload_max_memory_size = Some(100);
    }
    let file = part("name=f; filename=f", &"x".repeat(100));
    let token = token_part();
    let pieces = [file.as_bytes(), token.as_bytes(), b"--x--"];
    let body = Pieces::new(&pieces, None);
    let read = body.read.clone();
    let (status, _) = send(sent(MULTIPART), body, small).await.unwrap_err();
    assert_eq!(
        (status, read.load(Ordering::Relaxed)),
        (StatusCode::BAD_REQUEST, 1)
    );
    // A script's upload has it in the header.
    let request = sent(MULTIPART).header("x-csrftoken", TOKEN);
    let (body, read) = send(request, Pieces::new(&pieces, None), small)
        .await
        .unwrap();
    assert_eq!((body.unwrap().0, read), (Bytes::from(pieces.concat()), 1));
}

#[tokio::test]
async fn without_a_limit_everything_is_read() {
    let site = site(|settings| settings.data_upload_max_memory_size = None);
    let form = format!("a={}&{}", "b".repeat(3_000_000), form_of_nothing_else());
    let answer = post().form(&form).to(&site).await;
    assert_eq!(
        answer.status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "axum's own limit, for the handler"
    );
    let file = part("name=f; filename=f", &"x".repeat(100_000));
    let form = format!("{file}{}--x--", token_part());
    let sent = post().header("content-type", MULTIPART).body(form);
    assert_eq!(sent.to(&site).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_multipart_form_without_a_boundary_is_a_bad_request() {
    for bad in ["multipart/form-data", "multipart/form-data; boundary="] {
        let sent = post().header("content-type", bad).token(TOKEN);
        let answer = sent.to(&site(|_| {})).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn a_form_that_breaks_off_has_no_token() {
    let form = form_of_nothing_else();
    let broken = || Pieces::new(&[form.as_bytes()], Some(Err("connection lost")));
    let urlencoded = "application/x-www-form-urlencoded";
    let debug = |settings: &mut Settings| settings.debug = true;
    let (status, page) = send(sent(urlencoded), broken(), debug).await.unwrap_err();
    assert_eq!(status, StatusCode::FORBIDDEN);
    let page = String::from_utf8(page.into()).unwrap();
    assert!(page.contains("CSRF token missing."), "{page}");
    // With a token in the header it is the handler that meets the error, whatever the form held until then.
    let wrong = format!("{}--x", part("name=csrfmiddlewaretoken", "wrong"));
    for (content_type, form) in [(urlencoded, &form), (MULTIPART, &wrong)] {
        let broken = Pieces::new(&[form.as_bytes()], Some(Err("connection lost")));
        let request = sent(content_type).header("x-csrftoken", TOKEN);
        let (body, _) = send(request, broken, |_| {}).await.unwrap();
        assert_eq!(body.unwrap_err(), "connection lost");
    }
}
