//! `GET /context`: a template that knows nothing but what the context processors give.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use quintette::settings::Settings;
use quintette::templates::minijinja::Environment;
use quintette::templates::{TemplateError, TemplatePage, Templates, formatter};

pub(crate) fn routes(settings: &Settings) -> Router {
    let mut environment = Environment::new();
    environment.set_formatter(formatter);
    environment
        .add_template("context.html", include_str!("../templates/context.html"))
        .expect("the template is part of the program");
    Router::new()
        .route("/context", get(context))
        .with_state(Templates::new(environment, settings.clone()))
}

async fn context(page: TemplatePage) -> Result<Html<String>, TemplateError> {
    page.render("context.html", ()).await
}
