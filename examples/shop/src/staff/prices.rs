//! Many prices at once: a list, and how far its import is.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use minijinja::value::Serde;
use quintette::templates::TemplatePage;
use quintette_tasks::AsyncResult;
use quintette_tasks::results::State as TaskState;
use serde::{Deserialize, Serialize};

use crate::error::ShopError;
use crate::form::Errors;
use crate::jobs::Jobs;
use crate::jobs::price_import::{Imported, Wrong, lines, range};
use crate::pages::decimal;
use crate::store::Store;

/// How many lines one list may have.
const MOST_LINES: usize = 10_000;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PricesForm {
    prices: String,
}

#[derive(Serialize)]
struct PricesPage<'a> {
    form: &'a PricesForm,
    errors: Errors,
    /// The prices of now, to copy.
    sample: String,
}

pub(super) async fn form(
    State(store): State<Store>,
    page: TemplatePage,
) -> Result<Html<String>, ShopError> {
    show_form(&store, &page, &PricesForm::default(), Errors::default()).await
}

async fn show_form(
    store: &Store,
    page: &TemplatePage,
    form: &PricesForm,
    errors: Errors,
) -> Result<Html<String>, ShopError> {
    let products = store.products().await?;
    let prices = products
        .iter()
        .map(|product| format!("{},{}\n", product.slug, decimal(product.price_cents)));
    let values = PricesPage {
        form,
        errors,
        sample: prices.collect(),
    };
    Ok(page.render("staff_prices.html", Serde(values)).await?)
}

pub(super) async fn import(
    State(store): State<Store>,
    State(jobs): State<Jobs>,
    page: TemplatePage,
    Form(form): Form<PricesForm>,
) -> Result<Response, ShopError> {
    let lines = lines(&form.prices);
    let mut errors = Errors::default();
    if lines.is_empty() {
        errors.add("prices", "Write at least one line, such as sencha,9.80.");
    } else if lines.len() > MOST_LINES {
        errors.add(
            "prices",
            format!("Split the list: one may have {MOST_LINES} lines."),
        );
    } else {
        match jobs.import(&lines).await {
            Ok(import) => {
                return Ok(Redirect::to(&format!("/staff/prices/{import}")).into_response());
            }
            Err(error) => {
                tracing::error!("prices are not imported: {error}");
                errors.add(
                    "prices",
                    "The queue of tasks does not answer, so nothing was changed. Try again in a moment.",
                );
            }
        }
    }
    let page = show_form(&store, &page, &form, errors).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// How far an import is.
#[derive(Default, Serialize)]
struct Progress {
    lines: usize,
    done: usize,
    changed: usize,
    wrong: Vec<Wrong>,
    failed: Vec<FailedPart>,
    is_ready: bool,
}

/// A part of the list of which nothing is known but why it failed.
#[derive(Serialize)]
struct FailedPart {
    first: usize,
    last: usize,
    reason: String,
}

pub(super) async fn progress(
    State(jobs): State<Jobs>,
    page: TemplatePage,
    Path(import): Path<String>,
) -> Result<Html<String>, ShopError> {
    let group = jobs.imported(&import).await?;
    let mut progress = Progress {
        is_ready: true,
        ..Progress::default()
    };
    for part in group.results() {
        progress.add(&part).await?;
    }
    Ok(page.render("staff_import.html", Serde(progress)).await?)
}

impl Progress {
    async fn add(&mut self, part: &AsyncResult<Imported>) -> Result<(), ShopError> {
        let (first, last, lines) = range(part.id()).unwrap_or_default();
        self.lines += lines;
        let meta = part.meta().await?;
        let state = meta.as_ref().map_or(TaskState::Pending, |meta| meta.status);
        let Some(meta) = meta.filter(|_| state.is_ready()) else {
            self.is_ready = false;
            return Ok(());
        };
        self.done += lines;
        if let Some(exception) = meta.exception() {
            self.failed.push(FailedPart {
                first,
                last,
                reason: exception.to_string(),
            });
        } else if let Ok(imported) = meta.result.deserialize::<Imported>() {
            self.changed += imported.changed;
            self.wrong.extend(imported.wrong);
        }
        Ok(())
    }
}
