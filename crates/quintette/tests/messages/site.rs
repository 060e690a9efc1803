//! A site whose pages are handlers of a test, and a visitor whose browser keeps cookies.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::response::Response;
use axum::routing::any;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use quintette::json::RawJson;
use quintette::messages::{Message, Messages, MessagesLayer};
use quintette::sessions::{SessionError, SessionLayer, Sessions};
use quintette::settings::{MessageStorageName, Settings};
use quintette::signing::{Keys, cookie_signer};
use quintette_testkit::{CountingEngine, GatedEngine, MemoryEngine};
use tower::ServiceExt;

/// The key that `django.py` signs with.
pub(crate) const SECRET_KEY: &str = "a secret that is for tests alone";

pub(crate) const STORAGES: [MessageStorageName; 3] = [
    MessageStorageName::Fallback,
    MessageStorageName::Cookie,
    MessageStorageName::Session,
];

pub(crate) struct Site {
    pub(crate) sessions: Sessions,
    pub(crate) counter: Arc<CountingEngine>,
    pub(crate) gates: Arc<GatedEngine>,
}

impl Site {
    pub(crate) fn new(storage: MessageStorageName) -> Self {
        Self::with(storage, |_| {})
    }

    pub(crate) fn with(storage: MessageStorageName, configure: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(SECRET_KEY);
        settings.message_storage = storage;
        configure(&mut settings);
        settings.check().unwrap();
        let gates = Arc::new(GatedEngine::new(Arc::new(MemoryEngine::new())));
        let counter = Arc::new(CountingEngine::new(gates.clone()));
        Self {
            sessions: Sessions::new(counter.clone(), settings),
            counter,
            gates,
        }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor {
            sessions: self.sessions.clone(),
            cookies: BTreeMap::new(),
        }
    }
}

/// A browser: it sends the cookies that it was last given.
#[derive(Clone)]
pub(crate) struct Visitor {
    sessions: Sessions,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Visitor {
    pub(crate) fn with_cookie(mut self, name: &str, value: impl Into<String>) -> Self {
        self.cookies.insert(name.to_owned(), value.into());
        self
    }

    /// Asks for a page that is this handler.
    pub(crate) async fn get<H: Handler<T, ()>, T: 'static>(&mut self, handler: H) -> Answer {
        let app = Router::new()
            .fallback(any(handler))
            .layer(MessagesLayer::new(self.sessions.settings()))
            .layer(SessionLayer::new(self.sessions.clone()));
        let mut request = Request::new(Body::empty());
        if !self.cookies.is_empty() {
            let pairs = self.cookies.iter();
            let pairs: Vec<_> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let header = HeaderValue::from_bytes(pairs.join("; ").as_bytes()).unwrap();
            request.headers_mut().insert(header::COOKIE, header);
        }
        let answer = Answer::read(app.oneshot(request).await.unwrap()).await;
        for (name, value) in answer.cookies() {
            if value == "\"\"" {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// What a page shows that takes the messages.
    pub(crate) async fn reads(&mut self) -> String {
        self.get(show).await.body
    }

    /// The JSON in the cookie of messages, if there is one.
    pub(crate) fn in_cookie(&self) -> Option<String> {
        self.cookies.get("messages").map(|value| signed_json(value))
    }

    /// The text under `_messages` in the session, if there is one.
    pub(crate) async fn in_session(&self) -> Option<String> {
        let session = self.cookies.get("sessionid")?;
        let session = self.sessions.session(Some(session));
        session.get("_messages").await.unwrap()
    }

    /// What is in the cookie and what is in the session, as texts of messages.
    pub(crate) async fn stored(&self) -> [Vec<String>; 2] {
        let in_session = self.in_session().await;
        [self.in_cookie(), in_session].map(|json| texts(json.as_deref().unwrap_or("[]")))
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) set_cookies: Vec<String>,
    pub(crate) vary: Vec<String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let all = |name| {
            let values = head.headers.get_all(name).iter();
            values
                .map(|value| value.to_str().unwrap().to_owned())
                .collect()
        };
        Self {
            status: head.status,
            set_cookies: all(header::SET_COOKIE),
            vary: all(header::VARY),
            body: String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap(),
        }
    }

    /// Names and values of the cookies that are set.
    fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.set_cookies.iter().map(|header| {
            let pair = header.split(';').next().unwrap();
            pair.split_once('=').unwrap()
        })
    }

    /// The `Set-Cookie` header of messages, if there is one.
    pub(crate) fn messages_cookie(&self) -> Option<&str> {
        let headers = self.set_cookies.iter().map(String::as_str);
        headers
            .into_iter()
            .find(|header| header.starts_with("messages="))
    }
}

/// A page that takes the messages: each as `tags:text`, in a line of its own.
pub(crate) async fn show(messages: Messages) -> Result<String, SessionError> {
    Ok(lines(&messages.take().await?))
}

/// A page that looks at the messages without taking them.
pub(crate) async fn peek(messages: Messages) -> Result<String, SessionError> {
    let shown = lines(&messages.peek().await?);
    assert_eq!(messages.len().await?, shown.lines().count());
    Ok(shown)
}

pub(crate) fn lines(messages: &[Message]) -> String {
    let line = |message: &Message| [&message.tags(), ":", message.message(), "\n"].concat();
    messages.iter().map(line).collect()
}

/// What [`show`] makes of messages that say these and are of level `INFO`.
pub(crate) fn infos<T: AsRef<str>>(texts: &[T]) -> String {
    let line = |text: &T| ["info:", text.as_ref(), "\n"].concat();
    texts.iter().map(line).collect()
}

/// The JSON text that a cookie of messages carries.
pub(crate) fn signed_json(cookie: &str) -> String {
    let signer = cookie_signer(&Keys::new(SECRET_KEY), "django.contrib.messages");
    String::from_utf8(signer.unsign_bytes(cookie, None).unwrap()).unwrap()
}

/// A cookie of messages that carries this.
pub(crate) fn signed(json: &str) -> String {
    let signer = cookie_signer(&Keys::new(SECRET_KEY), "django.contrib.messages");
    signer.sign_bytes(json.as_bytes(), true)
}

/// The texts of the messages in a JSON list, and what else is in it as it is.
fn texts(json: &str) -> Vec<String> {
    let list: Vec<serde_json::Value> = RawJson::parse(json).unwrap().deserialize().unwrap();
    let text = |item: &serde_json::Value| item.get(3).unwrap_or(item).as_str().unwrap().to_owned();
    list.iter().map(text).collect()
}

/// Text of this length that zlib cannot make much shorter, the same for the same number.
pub(crate) fn text(number: u64, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut state = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let letters = (0..length).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(ALPHABET[(state >> 33) as usize % 62])
    });
    letters.collect()
}
