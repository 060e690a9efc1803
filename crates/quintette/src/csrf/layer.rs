use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use quintette_core::settings::Settings;
use tower_layer::Layer;

use super::CsrfService;
use super::failure::CsrfFailure;
use super::origin::TrustedOrigins;
use super::page;
use crate::http::PathPatterns;

/// Refuses what other sites make a visitor's browser send. See [the module](super).
#[derive(Clone, Debug)]
pub struct CsrfLayer {
    rules: Rules,
}

type FailureResponse = dyn Fn(&CsrfFailure<'_>) -> Response<Full<Bytes>> + Send + Sync;

/// What a layer and its services share.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) settings: Arc<Settings>,
    pub(super) trusted_origins: Arc<TrustedOrigins>,
    pub(super) exempt: bool,
    pub(super) exempt_paths: Arc<PathPatterns>,
    pub(super) failure_response: Arc<FailureResponse>,
}

impl CsrfLayer {
    /// With the settings `CSRF_*`, `ALLOWED_HOSTS`, `SECURE_PROXY_SSL_HEADER`, `USE_X_FORWARDED_*`,
    /// `DATA_UPLOAD_MAX_MEMORY_SIZE` and `DEBUG`.
    pub fn new(settings: impl Into<Arc<Settings>>) -> Self {
        let settings = settings.into();
        Self {
            rules: Rules {
                trusted_origins: Arc::new(TrustedOrigins::new(&settings.csrf_trusted_origins)),
                settings,
                exempt: false,
                exempt_paths: Arc::default(),
                failure_response: Arc::new(page::forbidden),
            },
        }
    }

    /// The same layer, which hands out tokens and checks nothing: for a group of routes that others may send to, such as
    /// the hooks of a payment service. Django's `csrf_exempt`.
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use quintette::csrf::CsrfLayer;
    /// # use quintette::settings::Settings;
    /// # fn app(settings: Settings) -> Router {
    /// let csrf = CsrfLayer::new(settings);
    /// let hooks = Router::new().route("/hooks/paid", post(async || "noted")).layer(csrf.clone().exempt());
    /// let pages = Router::new().route("/order", post(async || "ordered")).layer(csrf);
    /// pages.merge(hooks)
    /// # }
    /// ```
    #[must_use]
    pub fn exempt(mut self) -> Self {
        self.rules.exempt = true;
        self
    }

    /// The same layer, which does not check requests for these paths: each is a whole path, or ends in `*` and stands for
    /// all that begin so. Paths are compared decoded, and with the whole path of the request, also in a nested `Router`.
    ///
    /// A path that could be taken for another one (with `..`, `//`, a backslash, a semicolon, an encoded slash, point or
    /// letter that needs no encoding) is never exempt.
    ///
    /// ```
    /// # use quintette::csrf::CsrfLayer;
    /// # use quintette::settings::Settings;
    /// let csrf = CsrfLayer::new(Settings::new("a secret")).exempt_paths(["/webhook", "/api/*"]);
    /// ```
    #[must_use]
    pub fn exempt_paths(mut self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Arc::make_mut(&mut self.rules.exempt_paths).extend(paths);
        self
    }

    /// The same layer, which answers what it refuses with this. Django's `CSRF_FAILURE_VIEW`.
    ///
    /// ```
    /// # use http::{Response, StatusCode};
    /// # use quintette::csrf::CsrfLayer;
    /// # use quintette::settings::Settings;
    /// let csrf = CsrfLayer::new(Settings::new("a secret")).with_failure_response(|failure| {
    ///     let text = if failure.debug() { failure.reason().to_string() } else { "Reload the page.".to_owned() };
    ///     let mut response = Response::new(text);
    ///     *response.status_mut() = StatusCode::FORBIDDEN;
    ///     response
    /// });
    /// ```
    #[must_use]
    pub fn with_failure_response<T: Into<Bytes>>(
        mut self,
        response: impl Fn(&CsrfFailure<'_>) -> Response<T> + Send + Sync + 'static,
    ) -> Self {
        let answer =
            move |failure: &CsrfFailure<'_>| response(failure).map(|body| Full::new(body.into()));
        self.rules.failure_response = Arc::new(answer);
        self
    }
}

impl<S> Layer<S> for CsrfLayer {
    type Service = CsrfService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CsrfService::new(inner, self.rules.clone())
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("trusted_origins", &self.trusted_origins)
            .field("exempt", &self.exempt)
            .field("exempt_paths", &self.exempt_paths)
            .finish_non_exhaustive()
    }
}
