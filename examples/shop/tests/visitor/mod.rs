//! A visitor with a browser that keeps its cookies, in a shop of its own.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use quintette::auth::Authentication;
use quintette::db::Database;
use quintette::settings::Settings;
use shop::app::Shop;
use shop::config::Config;
use shop::mail::{Mail, Mailer};
use tower::ServiceExt as _;

/// The shop's address, as a browser knows it.
const HOST: &str = "127.0.0.1:8000";

/// A page with a form, for whoever needs a token.
const FORM: &str = "/products/sencha";

/// Quick, so that the tests are; the shop's own takes a second and more without optimization.
const CHEAP_HASHER: &str = "django.contrib.auth.hashers.MD5PasswordHasher";

/// Opens a shop with these settings, and nothing from the environment.
pub(crate) async fn open_shop(directory: &Path, settings: &[(&str, &str)]) -> Shop {
    open_shop_with_mail(directory, settings).await.0
}

/// The same, and the mails that reset passwords.
pub(crate) async fn open_shop_with_mail(
    directory: &Path,
    settings: &[(&str, &str)],
) -> (Shop, Receiver<Mail>) {
    let (sender, mails) = channel();
    let shop = open_shop_with(directory, settings, |config| {
        config.mailer = Mailer::new(move |mail| {
            // A test that does not read its mail has let go of it.
            let _ = sender.send(mail);
        });
    });
    (shop.await, mails)
}

/// A shop whose process runs tasks, whatever its broker.
pub(crate) async fn open_working_shop(directory: &Path, settings: &[(&str, &str)]) -> Shop {
    open_shop_with(directory, settings, |config| config.jobs.works_here = true).await
}

/// The same, with a configuration that was changed.
pub(crate) async fn open_shop_with(
    directory: &Path,
    settings: &[(&str, &str)],
    change: impl FnOnce(&mut Config),
) -> Shop {
    let loader = Settings::loader()
        .default("PASSWORD_HASHERS", vec![CHEAP_HASHER])
        .variables(settings.iter().copied());
    let mut config = Config::load(directory.to_owned(), loader).unwrap();
    change(&mut config);
    Shop::open(config).await.unwrap()
}

/// Gives a user of the shop in this directory permissions: as Django's admin would, or the quintette command for a superuser.
pub(crate) async fn grant(directory: &Path, username: &str, permissions: &[&str]) {
    let url = format!("sqlite://{}/shop.sqlite3", directory.display());
    let settings = [("SECRET_KEY", "not used for this"), ("DATABASE_URL", &url)];
    let settings = Settings::loader().variables(settings).load().unwrap();
    let database = Database::connect(&settings).await.unwrap();
    let authentication = Authentication::connect(&database, settings).await.unwrap();
    let users = authentication.users().unwrap();
    let user = users.by_username(username).await.unwrap().unwrap();
    for permission in permissions {
        users.grant(&user, permission).await.unwrap();
    }
}

#[derive(Clone)]
pub(crate) struct Visitor {
    router: Router,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Further headers of each request, such as those of a proxy.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
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
            cookies: BTreeMap::new(),
            headers: Vec::new(),
        }
    }

    /// The key of the session, where there is one.
    pub(crate) fn session(&self) -> Option<&str> {
        self.cookies.get("sessionid").map(String::as_str)
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, String::new()).await
    }

    /// Sends a form with the token of the visitor, who has seen a page with a form before.
    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        if !self.cookies.contains_key("csrftoken") {
            self.get(FORM).await;
        }
        let token = self.cookies["csrftoken"].clone();
        let form = [form, &[("csrfmiddlewaretoken", &*token)]].concat();
        self.post_as_it_is(path, &form).await
    }

    /// Sends a form with these fields and no other.
    pub(crate) async fn post_as_it_is(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
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
        assert!(page.status.is_redirection(), "{}", page.body);
        assert_eq!(page.location(), target);
        self.get(target).await
    }

    /// Makes an account, and is logged in with it.
    pub(crate) async fn sign_up(&mut self, username: &str, password: &str) {
        let email = format!("{username}@example.com");
        let form = [
            ("username", username),
            ("email", &email),
            ("password1", password),
            ("password2", password),
        ];
        self.post_and_follow("/signup", &form, "/account")
            .await
            .shows(username);
    }

    pub(crate) async fn log_in(&mut self, username: &str, password: &str) -> Page {
        let form = [("username", username), ("password", password)];
        self.post("/login", &form).await
    }

    /// Whether the shop takes the visitor for somebody.
    pub(crate) async fn is_logged_in(&mut self) -> bool {
        self.get("/account").await.status == StatusCode::OK
    }

    async fn send(&mut self, method: Method, path: &str, body: String) -> Page {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, HOST)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        if !self.cookies.is_empty() {
            let cookies = self.cookies.iter();
            let cookies: Vec<String> = cookies
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(header::COOKIE, cookies.join("; "));
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
        self.keep_cookies(&page);
        page
    }

    fn keep_cookies(&mut self, page: &Page) {
        for set in page.set_cookies() {
            let (cookie, attributes) = set.split_once("; ").unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
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

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(header::SET_COOKIE).iter();
        cookies.map(|value| value.to_str().unwrap()).collect()
    }

    /// The cookie of this name that it sets, with its attributes.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        let mut cookies = self.set_cookies().into_iter();
        cookies.find(|set| set.split('=').next() == Some(name))
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

    /// What is between the two texts, the first time.
    #[track_caller]
    pub(crate) fn between(&self, before: &str, after: &str) -> &str {
        let (_, rest) = self.body.split_once(before).unwrap();
        rest.split_once(after).unwrap().0
    }
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
}
