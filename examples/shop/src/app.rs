//! The shop as a web service: its routes, and what stands before them.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use quintette::auth::{AuthLayer, Authentication};
use quintette::csrf::CsrfLayer;
use quintette::db::{Database, QueryLogLayer};
use quintette::messages::MessagesLayer;
use quintette::sessions::{self, SessionKey, SessionLayer, Sessions, TimeoutLayer};
use quintette::templates::Templates;

use crate::accounts::{self, PasswordResets};
use crate::config::{Config, JobsConfig, StartError};
use crate::error::ShopError;
use crate::jobs::{Background, Jobs, Tools};
use crate::pages;
use crate::place::place;
use crate::store::Store;
use crate::{cart, catalogue, checkout, session_page, staff};

/// In bytes. The longest form that is accepted, an order, has fewer than 3,000 when every character is escaped.
const LONGEST_BODY: usize = 16 * 1024;

/// What all addresses begin with that are good for a new password.
const RESET_LINKS: &str = "/password-reset/";

/// An open shop.
#[derive(Clone, Debug)]
pub struct Shop {
    store: Store,
    templates: Templates,
    sessions: Sessions,
    authentication: Authentication,
    password_resets: PasswordResets,
    jobs: Jobs,
    jobs_config: JobsConfig,
    tools: Tools,
}

impl Shop {
    /// Opens the shop: makes the tables that are missing, and connects the sessions and the users.
    ///
    /// # Errors
    ///
    /// Where the database or the sessions' store cannot be used.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let file = config.database_file();
        let jobs = Jobs::open(&config)?;
        let settings = Arc::new(config.settings.clone());
        // Users are in the database, wherever the sessions are.
        let database = Database::create(&settings).await?;
        database.migrate().await?;
        let store = Store::open(&file)
            .await
            .map_err(|source| StartError::Store { path: file, source })?;
        let tools = Tools::of(&config, store.clone())?;
        let sessions = sessions::connect_with(&database, settings.clone()).await?;
        // A cache is not spoken to before it is asked for something: the answer is that there is no such session.
        let key = SessionKey::random()?;
        let answer = sessions.engine().load(&key).await;
        answer.map_err(|source| StartError::NoAnswer {
            place: place(sessions.settings()),
            source,
        })?;
        let authentication = Authentication::connect(&database, settings.clone()).await?;
        staff::create_permissions(&authentication).await?;
        Ok(Self {
            store,
            templates: pages::templates(settings),
            sessions,
            password_resets: PasswordResets::new(authentication.clone(), config.mailer),
            authentication,
            jobs,
            jobs_config: config.jobs,
            tools,
        })
    }

    /// Begins what runs beside the pages: the schedule, and a worker where the settings want one in this process.
    ///
    /// # Errors
    ///
    /// Calls that cannot be written.
    pub fn start_background(&self) -> Result<Background, StartError> {
        let background = Background::start(&self.jobs, &self.tools, &self.jobs_config);
        background.map_err(|error| StartError::Schedule(Box::new(error)))
    }

    /// The shop's pages.
    pub fn router(&self) -> Router {
        self.pages_with_sessions()
            // What follows the session layer needs no session.
            .route("/style.css", get(style))
            .route("/favicon.svg", get(favicon))
            .fallback(async || ShopError::NotFound)
            .layer(DefaultBodyLimit::max(LONGEST_BODY))
            .layer(middleware::map_response_with_state(
                self.templates.clone(),
                pages::dress_errors,
            ))
            .layer(middleware::map_response(add_headers))
            .layer(middleware::from_fn(log))
            .with_state(self.clone())
    }

    fn pages_with_sessions(&self) -> Router<Self> {
        let settings = self.sessions.settings();
        let times_out = settings.session_expire_seconds.is_some()
            || settings.session_expire_absolute_seconds.is_some();
        let pages = Router::new()
            .route("/", get(catalogue::index))
            .route("/products/{slug}", get(catalogue::product))
            .route("/cart", get(cart::show))
            .route("/cart/add", post(cart::add))
            .route("/cart/quantity", post(cart::set_quantity))
            .route("/cart/remove", post(cart::remove))
            .route("/checkout", get(checkout::form).post(checkout::place))
            .route("/orders/{number}", get(checkout::order))
            .route("/session", get(session_page::show))
            .route("/session/expiry", post(session_page::set_expiry))
            .route("/session/cycle", post(session_page::cycle_key))
            .route("/session/flush", post(session_page::flush))
            .merge(accounts::routes())
            .merge(staff::routes());
        // Django's order, from the inside out: the layer that is added last sees a request first. None of them asks a store
        // before a handler or a template does.
        let pages = pages
            .layer(MessagesLayer::new(settings))
            .layer(AuthLayer::new(self.authentication.clone()))
            .layer(CsrfLayer::new(settings.clone()).with_failure_response(pages::csrf_failure));
        let pages = if times_out {
            pages.layer(TimeoutLayer::new(settings))
        } else {
            pages
        };
        pages
            .layer(SessionLayer::new(self.sessions.clone()))
            .layer(QueryLogLayer::new(settings))
    }

    /// Closes the database, once nothing uses it any more.
    pub async fn close(&self) {
        self.store.close().await;
    }
}

impl FromRef<Shop> for Store {
    fn from_ref(shop: &Shop) -> Self {
        shop.store.clone()
    }
}

impl FromRef<Shop> for Jobs {
    fn from_ref(shop: &Shop) -> Self {
        shop.jobs.clone()
    }
}

impl FromRef<Shop> for Tools {
    fn from_ref(shop: &Shop) -> Self {
        shop.tools.clone()
    }
}

impl FromRef<Shop> for Templates {
    fn from_ref(shop: &Shop) -> Self {
        shop.templates.clone()
    }
}

impl FromRef<Shop> for Sessions {
    fn from_ref(shop: &Shop) -> Self {
        shop.sessions.clone()
    }
}

impl FromRef<Shop> for PasswordResets {
    fn from_ref(shop: &Shop) -> Self {
        shop.password_resets.clone()
    }
}

async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        // Its address changes with its content.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, pages::STYLE)
}

async fn favicon() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, include_str!("../assets/favicon.svg"))
}

/// Nothing is loaded from elsewhere, no script runs, no form goes elsewhere, and no other site shows a page in a frame.
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

async fn add_headers(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A page shows one visitor's cart, also when the browser goes back to it.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A line for each request, for whoever asks with `RUST_LOG=shop=debug`.
async fn log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = match request.uri().path() {
        // Whoever reads the log could use the link.
        path if path.starts_with(RESET_LINKS) => format!("{RESET_LINKS}…"),
        path => path.to_owned(),
    };
    let begin = Instant::now();
    let response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), elapsed = ?begin.elapsed());
    response
}
