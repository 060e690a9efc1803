//! From values to HTML. Templates and styles are part of the program.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{self, Environment, context};
use quintette::csrf::CsrfFailure;
use quintette::settings::Settings;
use quintette::templates::{ContextProcessor, TemplateError, TemplateRequest, Templates};

use crate::cart::{Cart, MAX_QUANTITY};

pub(crate) const STYLE: &str = include_str!("../assets/style.css");

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../templates/", $name)))),*]
    };
}

/// HTML is escaped wherever the template's name ends in `.html`: minijinja's default.
const TEMPLATES: [(&str, &str); 25] = files![
    "account.html",
    "art.html",
    "base.html",
    "bill.html",
    "cart.html",
    "catalogue.html",
    "checkout.html",
    "devices.html",
    "error.html",
    "fields.html",
    "leaves.svg",
    "login.html",
    "order.html",
    "orders.html",
    "password_change.html",
    "password_reset.html",
    "password_reset_confirm.html",
    "password_reset_sent.html",
    "product.html",
    "session.html",
    "sign_up.html",
    "staff_import.html",
    "staff_orders.html",
    "staff_prices.html",
    "staff_reports.html",
];

/// The shop's templates. Besides what a page is given, all can name `user`, `perms`, `messages`, `csrf_input` and `request`
/// (Django's context processors), and `cart_count`.
pub(crate) fn templates(settings: Arc<Settings>) -> Templates {
    let mut environment = Environment::new();
    // Lines that hold nothing but a block leave none behind.
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    environment.set_syntax(syntax.expect("the delimiters are minijinja's own"));
    for (name, source) in TEMPLATES {
        environment
            .add_template(name, source)
            .expect("every template is part of the program, and a test renders it");
    }
    environment.add_filter("price", price);
    environment.add_global("max_quantity", MAX_QUANTITY);
    environment.add_global("style_version", style_version());
    Templates::new(environment, settings).with_processor(CartCount)
}

/// How many pieces are in the cart, for the head of each page.
struct CartCount;

#[async_trait]
impl ContextProcessor for CartCount {
    fn names(&self) -> &[&str] {
        &["cart_count"]
    }

    async fn values(&self, request: &TemplateRequest) -> Result<Value, TemplateError> {
        let cart = match request.session() {
            Some(session) => Cart::of(session).await?,
            None => Cart::default(),
        };
        Ok(context! { cart_count => cart.count() })
    }
}

/// Why a request was refused, for its page, where the status alone does not say it.
#[derive(Clone)]
struct Told {
    title: &'static str,
    text: String,
}

/// What a form without a good token gets; its page is made by [`dress_errors`], as all of them.
pub(crate) fn csrf_failure(failure: &CsrfFailure<'_>) -> Response<&'static str> {
    let mut text = "It is not certain that this form came from a page of the shop, so nothing was done. Go back, reload \
                    the page, and try again. The shop needs its cookie for that: allow it, where cookies are blocked."
        .to_owned();
    if failure.debug() {
        text = format!("{text} DEBUG is on, so here is why: {}", failure.reason());
    }
    let mut response = Response::new("");
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.extensions_mut().insert(Told {
        title: "That form is not ours",
        text,
    });
    response
}

/// Gives every error the shop's look: a handler's, that of a layer, and the framework's.
pub(crate) async fn dress_errors(
    State(templates): State<Templates>,
    response: Response,
) -> Response {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_page = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let told = response.extensions().get::<Told>().cloned();
    let told = told.unwrap_or_else(|| explanation(status, response.headers()));
    let Ok(page) = error_page(&templates, status, told) else {
        return response;
    };
    // `Retry-After`, `Allow` and the cookies stay.
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut dressed = page.into_response();
    *dressed.status_mut() = parts.status;
    dressed.headers_mut().extend(parts.headers);
    dressed
}

/// Without context processors: what they would ask may be what has failed.
fn error_page(
    templates: &Templates,
    status: StatusCode,
    told: Told,
) -> Result<Html<String>, minijinja::Error> {
    let Told { title, text } = told;
    let page = context! { title, text, status => status.as_u16() };
    let template = templates.environment().get_template("error.html")?;
    Ok(Html(template.render(page)?))
}

fn explanation(status: StatusCode, headers: &HeaderMap) -> Told {
    let (title, text) = match status {
        StatusCode::NOT_FOUND => (
            "This shelf is empty",
            "There is no such page. Perhaps the address is mistyped, or the product is gone.",
        ),
        StatusCode::FORBIDDEN => (
            "Staff only",
            "The account that you are logged in with may not see this page.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "Not this way",
            "This address takes forms, or shows a page, but not the other.",
        ),
        StatusCode::TOO_MANY_REQUESTS => {
            return Told {
                title: "Too many wrong passwords",
                text: format!(
                    "Several wrong passwords were given for this account, so it takes none for a while. Try again in {}.",
                    wait(headers)
                ),
            };
        }
        StatusCode::SERVICE_UNAVAILABLE => (
            "Back in a moment",
            "The shop cannot look up your visit just now. Try again in a few seconds, and check your cart if you were \
             changing it.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            "That is too much",
            "The form is longer than anything the shop asks for.",
        ),
        StatusCode::BAD_REQUEST => (
            "That did not work",
            "The request cannot be read; or your session ended while it was being answered, perhaps in another window.",
        ),
        status if status.is_client_error() => (
            "That form cannot be read",
            "Something in it is missing, or is no number from 1 to 99. Go back, and try again.",
        ),
        _ => (
            "Something broke",
            "The fault is on our side, and the server’s log says what it was.",
        ),
    };
    Told {
        title,
        text: text.to_owned(),
    }
}

/// What `Retry-After` says, in words.
fn wait(headers: &HeaderMap) -> String {
    let seconds = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    seconds.map_or("a few minutes".to_owned(), |seconds| {
        crate::times::in_words(chrono::TimeDelta::seconds(seconds))
    })
}

/// 1250 cents are €12.50.
pub(crate) fn price(cents: i64) -> String {
    format!("€{}", decimal(cents))
}

/// 1250 cents are 12.50.
pub(crate) fn decimal(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Changes whenever the style sheet does, so that a browser may keep it for ever.
fn style_version() -> String {
    let mut hasher = DefaultHasher::new();
    STYLE.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_two_decimals() {
        assert_eq!(price(1_205), "€12.05");
        assert_eq!(price(0), "€0.00");
    }
}
