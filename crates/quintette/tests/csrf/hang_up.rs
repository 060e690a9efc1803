//! A client that closes its connection in the middle of its form; over hyper's own server, without axum.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use quintette::csrf::{CsrfLayer, ReplayBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, service_fn};

use crate::site::{SECRET, TOKEN, settings};

async fn echo(request: Request<ReplayBody<Incoming>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::new(Full::new(body)))
}

/// A server, and how many of its connections have ended.
async fn serve() -> (SocketAddr, Arc<AtomicUsize>) {
    let service = CsrfLayer::new(settings(|_| {})).layer(service_fn(echo));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            let count = count.clone();
            tokio::spawn(async move {
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                let _ = connection.await;
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    (address, ended)
}

fn head(length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\nCookie: csrftoken={SECRET}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn hyper_alone_hands_the_form_on() {
    let (address, _) = serve().await;
    let form = format!("csrfmiddlewaretoken={TOKEN}&a=b");
    let (first, last) = form.split_at(30);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head(form.len()).as_bytes()).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    tokio::task::yield_now().await;
    stream.write_all(last.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(&form),
        "{answer}"
    );
}

#[tokio::test]
async fn a_caller_that_vanishes_leaves_nothing_behind() {
    let (address, ended) = serve().await;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head(1_000).as_bytes()).await.unwrap();
        stream.write_all(b"csrfmiddlewaretoken=").await.unwrap();
        drop(stream);
    }
    let all_end = async {
        while ended.load(Ordering::Relaxed) < 50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all_end)
        .await
        .expect("a connection is still held");
}
