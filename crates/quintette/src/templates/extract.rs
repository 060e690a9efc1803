//! A request's templates as axum extractors, and errors as responses.

use std::convert::Infallible;

use axum::response::Html;
use axum_core::extract::{FromRef, FromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use minijinja::Value;

use super::{TemplateError, TemplateRequest, Templates};

impl<S: Sync> FromRequestParts<S> for TemplateRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::from(&*parts))
    }
}

/// The application's templates for one request: an axum extractor, where the `Router`'s state is or has [`Templates`].
///
/// ```
/// use axum::response::Html;
/// use axum::{Router, routing::get};
/// use quintette::settings::Settings;
/// use quintette::templates::minijinja::{Environment, context};
/// use quintette::templates::{TemplateError, TemplatePage, Templates};
///
/// async fn orders(page: TemplatePage) -> Result<Html<String>, TemplateError> {
///     page.render("orders.html", context! { orders => ["a kettle"] }).await
/// }
///
/// # let environment = Environment::new();
/// let templates = Templates::new(environment, Settings::new("a secret"));
/// let app: Router = Router::new().route("/orders", get(orders)).with_state(templates);
/// ```
#[derive(Clone, Debug)]
pub struct TemplatePage {
    templates: Templates,
    request: TemplateRequest,
}

impl TemplatePage {
    /// The template with these values, as an HTML response. Django's `render(request, template, context)`.
    ///
    /// # Errors
    ///
    /// As [`Templates::render`].
    ///
    /// # Cancellation
    ///
    /// As [`Templates::render`].
    pub async fn render(
        &self,
        template: &str,
        context: impl Into<Value>,
    ) -> Result<Html<String>, TemplateError> {
        let page = self.templates.render(&self.request, template, context);
        page.await.map(Html)
    }

    /// The request that the page answers.
    pub fn request(&self) -> &TemplateRequest {
        &self.request
    }
}

impl<S: Sync> FromRequestParts<S> for TemplatePage
where
    Templates: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self {
            templates: Templates::from_ref(state),
            request: TemplateRequest::from(&*parts),
        })
    }
}

impl IntoResponse for TemplateError {
    fn into_response(self) -> Response {
        self.log();
        let status =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.public_message().to_owned()).into_response();
        if let Some(seconds) = self.retry_after() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
