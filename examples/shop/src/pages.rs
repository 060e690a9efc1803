//! From values to HTML. Templates and styles are part of the program.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::Serialize;

use crate::cart::{Cart, MAX_QUANTITY};
use crate::error::ShopError;

pub(crate) const STYLE: &str = include_str!("../assets/style.css");

/// HTML is escaped wherever the template's name ends in `.html`: minijinja's default.
const TEMPLATES: [(&str, &str); 11] = [
    ("art.html", include_str!("../templates/art.html")),
    ("base.html", include_str!("../templates/base.html")),
    ("bill.html", include_str!("../templates/bill.html")),
    ("cart.html", include_str!("../templates/cart.html")),
    (
        "catalogue.html",
        include_str!("../templates/catalogue.html"),
    ),
    ("checkout.html", include_str!("../templates/checkout.html")),
    ("error.html", include_str!("../templates/error.html")),
    ("leaves.svg", include_str!("../assets/leaves.svg")),
    ("order.html", include_str!("../templates/order.html")),
    ("product.html", include_str!("../templates/product.html")),
    ("session.html", include_str!("../templates/session.html")),
];

/// The shop's templates. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    environment: Arc<Environment<'static>>,
}

impl Pages {
    pub(crate) fn new() -> Self {
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
        Self {
            environment: Arc::new(environment),
        }
    }

    /// A page of the visitor who has this cart. `template` is the file's name without `.html`.
    pub(crate) fn page(
        &self,
        template: &str,
        cart: &Cart,
        values: impl Serialize,
    ) -> Result<Html<String>, ShopError> {
        let page =
            context! { here => template, cart_count => cart.count(), ..Value::from(Serde(values)) };
        Ok(Html(self.render(template, page)?))
    }

    fn error_page(&self, status: StatusCode) -> Result<Html<String>, minijinja::Error> {
        let (title, text) = explanation(status);
        let page = context! { title, text, status => status.as_u16() };
        Ok(Html(self.render("error", page)?))
    }

    fn render(&self, template: &str, page: Value) -> Result<String, minijinja::Error> {
        self.environment
            .get_template(&format!("{template}.html"))?
            .render(page)
    }
}

/// Gives every error the shop's look: a handler's, the session layer's, and the framework's.
pub(crate) async fn dress_errors(State(pages): State<Pages>, response: Response) -> Response {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_page = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let Ok(page) = pages.error_page(status) else {
        return response;
    };
    // `Retry-After`, `Allow` and the cookie stay.
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut dressed = page.into_response();
    *dressed.status_mut() = parts.status;
    dressed.headers_mut().extend(parts.headers);
    dressed
}

fn explanation(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => (
            "This shelf is empty",
            "There is no such page. Perhaps the address is mistyped, or the product is gone.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "Not this way",
            "This address takes forms, or shows a page, but not the other.",
        ),
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
    }
}

/// 1250 cents are €12.50.
fn price(cents: i64) -> String {
    format!("€{}.{:02}", cents / 100, cents % 100)
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
