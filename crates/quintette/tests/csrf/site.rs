//! A site behind the layer, and requests to it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::{HeaderName, SET_COOKIE, VARY};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use quintette::csrf::{Csrf, CsrfLayer};
use quintette::sessions::{SessionError, SessionLayer, Sessions};
use quintette::settings::Settings;
use quintette_testkit::MemoryEngine;
use tower::ServiceExt;

/// Django's test secret, and two tokens that carry it.
pub(crate) const SECRET: &str = "lcccccccX2kcccccccY2jcccccccssIC";
pub(crate) const MASKED: &str = "1bcdefghij2bcdefghij3bcdefghij4bcdefghij5bcdefghij6bcdefghijABCD";
pub(crate) const TOKEN: &str = "2JgchWvM1tpxT2lfz9aydoXW9yT1DN3NdLiejYxOOlzzV4nhBbYqmqZYbAV3V5Bf";

pub(crate) fn settings(configure: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::new("a secret that is for tests alone");
    settings.allowed_hosts = vec!["www.example.com".to_owned()];
    settings.secure_proxy_ssl_header = Some(("x-forwarded-proto".to_owned(), "https".to_owned()));
    configure(&mut settings);
    settings.check().unwrap();
    settings
}

async fn token(csrf: Csrf) -> Result<String, SessionError> {
    csrf.token().await
}

async fn echo(body: String) -> String {
    body
}

/// `/token` answers a token, `/rotate` changes the secret, anything else answers the body that it got.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/token", any(token))
        .route("/rotate", any(async |csrf: Csrf| csrf.rotate()))
        .fallback(echo)
}

pub(crate) fn site(configure: impl FnOnce(&mut Settings)) -> Router {
    routes().layer(CsrfLayer::new(settings(configure)))
}

/// The same, with the secret in sessions; and the sessions.
pub(crate) fn site_with_sessions(configure: impl FnOnce(&mut Settings)) -> (Router, Sessions) {
    let settings = Arc::new(settings(|settings| {
        settings.csrf_use_sessions = true;
        configure(settings);
    }));
    let sessions = Sessions::new(Arc::new(MemoryEngine::new()), settings.clone());
    let app = routes()
        .layer(CsrfLayer::new(settings))
        .layer(SessionLayer::new(sessions.clone()));
    (app, sessions)
}

/// A request, put together piece by piece. By default a POST to the site from nowhere.
pub(crate) struct Sent {
    request: http::request::Builder,
    body: Body,
}

pub(crate) fn request(method: Method, path: &str) -> Sent {
    Sent {
        request: Request::builder()
            .method(method)
            .uri(path)
            .header("host", "www.example.com"),
        body: Body::empty(),
    }
}

pub(crate) fn get_request(path: &str) -> Sent {
    request(Method::GET, path)
}

/// A POST whose visitor has the secret.
pub(crate) fn post() -> Sent {
    request(Method::POST, "/form").cookie(SECRET)
}

impl Sent {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value.as_bytes());
        self
    }

    /// A header as Django's tests write it: each character a byte.
    pub(crate) fn latin1_header(mut self, name: &str, value: &str) -> Self {
        let bytes: Vec<u8> = value.chars().map(|c| u8::try_from(c).unwrap()).collect();
        self.request = self.request.header(name, bytes);
        self
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        self.request = self.request.uri(path);
        self
    }

    pub(crate) fn cookie(self, secret: &str) -> Self {
        self.header("cookie", &format!("csrftoken={secret}"))
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        let headers = self.request.headers_mut().unwrap();
        headers.insert("host", host.parse().unwrap());
        self
    }

    pub(crate) fn over_https(self) -> Self {
        self.header("x-forwarded-proto", "https")
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("x-csrftoken", token)
    }

    pub(crate) fn form(self, form: &str) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned())
    }

    pub(crate) fn form_token(self, token: &str) -> Self {
        self.form(&format!("a=b&csrfmiddlewaretoken={token}&c=d"))
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn to(self, site: &Router) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let response = site.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.into()).unwrap(),
        }
    }

    /// The reason of the 403 that answers this, as `DEBUG` shows it.
    pub(crate) async fn reason(self, configure: impl FnOnce(&mut Settings)) -> String {
        let answer = self.to(&debugging(configure)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
        answer.reason()
    }
}

pub(crate) fn debugging(configure: impl FnOnce(&mut Settings)) -> Router {
    site(|settings| {
        settings.debug = true;
        configure(settings);
    })
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    fn all(&self, name: HeaderName) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    pub(crate) fn vary(&self) -> Vec<&str> {
        self.all(VARY)
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.all(SET_COOKIE)
    }

    /// What the one `Set-Cookie` holds.
    pub(crate) fn cookie(&self) -> Option<&str> {
        let cookies = self.set_cookies();
        assert!(cookies.len() < 2, "{cookies:?}");
        let (_, value) = cookies.first()?.split(';').next()?.split_once('=')?;
        Some(value)
    }

    /// What the page of a developer gives as the reason.
    pub(crate) fn reason(&self) -> String {
        let (_, reason) = self.body.split_once("<pre>").unwrap();
        let (reason, _) = reason.split_once("</pre>").unwrap();
        reason.replace("&#x27;", "'")
    }
}

/// The secret in a token: Django's `_unmask_cipher_token`, once more.
pub(crate) fn unmask(token: &str) -> String {
    const CHARS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    assert_eq!(token.len(), 64, "{token}");
    let (mask, cipher) = token.split_at(32);
    let index = |letter| CHARS.find(letter).unwrap();
    let pairs = cipher.chars().zip(mask.chars());
    let places = pairs.map(|(letter, mask)| (index(letter) + 62 - index(mask)) % 62);
    places
        .map(|place| char::from(CHARS.as_bytes()[place]))
        .collect()
}
