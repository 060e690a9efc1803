//! What was sold, day by day; and a report of today, now.

use std::time::Duration;

use axum::extract::State;
use axum::response::{Html, Redirect};
use chrono::{DateTime, NaiveDate, Utc};
use minijinja::value::Serde;
use quintette::messages::Messages;
use quintette::templates::TemplatePage;
use quintette_tasks::OutcomeError;
use serde::Serialize;

use crate::error::ShopError;
use crate::jobs::report::{self, Report};
use crate::jobs::{Jobs, Tools};
use crate::times::in_full;

/// How many reports the page shows.
const LISTED: usize = 31;
/// How long the page waits for a report before it says that one will come.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct ReportsPage {
    reports: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    date: String,
    written: String,
    report: Report,
}

pub(super) async fn list(
    State(tools): State<Tools>,
    page: TemplatePage,
) -> Result<Html<String>, ShopError> {
    let reports = report::latest(&tools.reports, LISTED).await?;
    let reports = reports.into_iter().map(|report| Shown {
        date: date(report.day),
        written: DateTime::parse_from_rfc3339(&report.written_at)
            .map_or_else(|_| report.written_at.clone(), |at| in_full(at.into())),
        report,
    });
    let values = ReportsPage {
        reports: reports.collect(),
    };
    Ok(page.render("staff_reports.html", Serde(values)).await?)
}

pub(super) async fn run_now(
    State(jobs): State<Jobs>,
    messages: Messages,
) -> Result<Redirect, ShopError> {
    let today = Utc::now().date_naive();
    match jobs.report(today).await {
        Ok(called) => match called.get(Some(PATIENCE)).await {
            Ok(_) => messages.success(format!("The report of {} is written.", date(today))),
            Err(OutcomeError::TimedOut) => messages.info(
                "The report is on its way: it waits for a worker. Load this page again in a moment.",
            ),
            Err(error) => {
                tracing::error!("the sales report of {today}: {error}");
                messages.error("The report could not be written. The log says why.");
            }
        },
        Err(error) => {
            tracing::error!("the sales report of {today} is not queued: {error}");
            messages.error("The report cannot be asked for just now: the queue of tasks does not answer. Try again in a moment.");
        }
    }
    Ok(Redirect::to("/staff/reports"))
}

/// Such as: Thursday, 26 November 2026.
fn date(day: NaiveDate) -> String {
    day.format("%A, %-d %B %Y").to_string()
}
