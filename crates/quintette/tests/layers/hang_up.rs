//! A client that closes its connection while the session is being saved.

use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use quintette::sessions::{Session, SessionError, SessionLayer};
use quintette_testkit::{Operation, When};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tower::{Layer, ServiceExt, service_fn};

use crate::site::{Site, sure};

/// One connection to a site that inserts `n` 2 (or flushes, for `/logout`), and the news that its request was dropped.
struct Connection {
    client: TcpStream,
    dropped: oneshot::Receiver<()>,
}

impl Connection {
    async fn open(site: &Site) -> Self {
        let inner = SessionLayer::new(site.sessions.clone()).layer(service_fn(handler));
        let (alive, dropped) = oneshot::channel::<()>();
        let alive = Arc::new(Mutex::new(Some(alive)));
        let service = service_fn(move |request: Request<Incoming>| {
            let guard = alive.lock().unwrap().take();
            let inner = inner.clone();
            async move {
                let response = inner.oneshot(request).await;
                drop(guard);
                response
            }
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (stream, _) = accepted.unwrap();
        let serving = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::spawn(serving);
        Self {
            client: client.unwrap(),
            dropped,
        }
    }

    async fn request(&mut self, path: &str, cookie: &str) {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nCookie: sessionid={cookie}\r\n\r\n");
        self.client.write_all(head.as_bytes()).await.unwrap();
    }

    /// Closes the connection, and waits until the server has given the request up.
    async fn hang_up(self) {
        drop(self.client);
        // The guard is dropped, never sent.
        sure(self.dropped).await.unwrap_err();
    }
}

async fn handler(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, SessionError> {
    let session: &Session = request.extensions().get().unwrap();
    if request.uri().path() == "/logout" {
        session.flush().await?;
    } else {
        session.insert("n", 2)?;
    }
    Ok(Response::default())
}

/// Hangs up while the store is at this operation, and returns what is stored once it has done it.
async fn hung_up_during(operation: Operation, path: &str) -> Option<String> {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let mut before = site.gates.hold(When::Before, operation);
    let mut after = site.gates.hold(When::After, operation);
    let mut connection = Connection::open(&site).await;
    connection.request(path, &cookie).await;
    sure(before.reached()).await;
    connection.hang_up().await;
    assert_eq!(site.stored(&cookie).await.unwrap(), r#"{"n":1}"#);
    before.open();
    sure(after.reached()).await;
    site.stored(&cookie).await
}

#[tokio::test]
async fn a_save_is_finished_though_the_client_hung_up() {
    let stored = hung_up_during(Operation::Replace, "/").await;
    assert_eq!(stored.unwrap(), r#"{"n":2}"#);
}

#[tokio::test]
async fn a_logout_is_finished_though_the_client_hung_up() {
    assert_eq!(hung_up_during(Operation::Delete, "/logout").await, None);
}

#[tokio::test]
async fn a_save_that_has_not_reached_the_store_yet_is_finished_too() {
    let site = Site::new();
    let cookie = site.session(&[("n", json!(1))]).await;
    let mut loading = site.gates.hold(When::Before, Operation::LoadForUpdate);
    let mut after = site.gates.hold(When::After, Operation::Replace);
    let mut connection = Connection::open(&site).await;
    connection.request("/", &cookie).await;
    sure(loading.reached()).await;
    connection.hang_up().await;
    loading.open();
    sure(after.reached()).await;
    assert_eq!(site.stored(&cookie).await.unwrap(), r#"{"n":2}"#);
}
