//! A visitor with a browser that keeps one cookie, in a shop of its own.

use std::fmt::Write as _;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use quintette::settings::Settings;
use shop::app::Shop;
use shop::config::Config;
use tower::ServiceExt as _;

/// Opens a shop with these settings, and nothing from the environment.
pub(crate) async fn open_shop(directory: &Path, settings: &[(&str, &str)]) -> Shop {
    let loader = Settings::loader().variables(settings.iter().copied());
    let config = Config::load(directory.to_owned(), loader).unwrap();
    Shop::open(config).await.unwrap()
}

#[derive(Clone)]
pub(crate) struct Visitor {
    router: Router,
    pub(crate) cookie: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Visitor {
    pub(crate) fn of(shop: &Shop) -> Self {
        Self {
            router: shop.router(),
            cookie: None,
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, String::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        let fields: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        self.send(Method::POST, path, fields.join("&")).await
    }

    /// Sends a form, which must lead to `target`, and goes there.
    pub(crate) async fn post_and_follow(
        &mut self,
        path: &str,
        form: &[(&str, &str)],
        target: &str,
    ) -> Page {
        let page = self.post(path, form).await;
        assert_eq!(
            (page.status, page.location()),
            (StatusCode::SEE_OTHER, target),
            "{}",
            page.body
        );
        self.get(target).await
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> Page {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, format!("sessionid={cookie}"));
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let page = Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        self.keep_cookie(&page);
        page
    }

    fn keep_cookie(&mut self, page: &Page) {
        let Some(set) = page.set_cookie() else { return };
        let (cookie, attributes) = set.split_once("; ").unwrap();
        let value = cookie.strip_prefix("sessionid=").unwrap();
        let deleted = attributes.contains("Max-Age=0");
        self.cookie = (!deleted).then(|| value.to_owned());
    }
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    pub(crate) fn set_cookie(&self) -> Option<&str> {
        self.headers
            .get(header::SET_COOKIE)
            .map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        assert!(
            self.body.contains(text),
            "{text:?} is not in the page:\n{}",
            self.body
        );
    }

    #[track_caller]
    pub(crate) fn hides(&self, text: &str) {
        assert!(
            !self.body.contains(text),
            "{text:?} is in the page:\n{}",
            self.body
        );
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
}
