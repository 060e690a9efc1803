//! What was sold on a day.

use std::path::Path;

use chrono::{Days, NaiveDate, SecondsFormat, Utc};
use quintette_tasks::TaskError;
use serde::{Deserialize, Serialize};

use super::Tools;

/// The sales of a day, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) day: NaiveDate,
    /// ISO 8601.
    pub(crate) written_at: String,
    pub(crate) orders: u32,
    pub(crate) pieces: u32,
    /// With delivery.
    pub(crate) total_cents: i64,
    /// The best sold first.
    pub(crate) products: Vec<Sold>,
}

/// How much of a product was sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sold {
    pub(crate) name: String,
    pub(crate) pieces: u32,
    pub(crate) sum_cents: i64,
}

/// Writes the report of a day, in place of an earlier one of the same day.
pub(super) async fn write(tools: &Tools, day: Option<NaiveDate>) -> Result<Report, TaskError> {
    let now = Utc::now();
    // The nightly run is for the day that has ended.
    let day = day.unwrap_or_else(|| now.date_naive() - Days::new(1));
    let report = Report {
        day,
        written_at: now.to_rfc3339_opts(SecondsFormat::Secs, true),
        ..tools.store.sales(day).await?
    };
    let text = serde_json::to_vec_pretty(&report)?;
    tokio::fs::create_dir_all(&tools.reports).await?;
    // Renamed into its place: nobody reads half of one.
    let path = tools.reports.join(format!("{day}.json"));
    let new = tools
        .reports
        .join(format!(".{day}.{}.new", std::process::id()));
    tokio::fs::write(&new, text).await?;
    tokio::fs::rename(&new, &path).await?;
    Ok(report)
}

/// The latest reports, the latest day first.
pub(crate) async fn latest(directory: &Path, most: usize) -> std::io::Result<Vec<Report>> {
    let mut names = Vec::new();
    let mut entries = match tokio::fs::read_dir(directory).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let day = name.strip_suffix(".json").map(str::parse::<NaiveDate>);
        if let Some(Ok(day)) = day {
            names.push(day);
        }
    }
    names.sort_unstable();
    let mut reports = Vec::new();
    for day in names.into_iter().rev().take(most) {
        let text = tokio::fs::read(directory.join(format!("{day}.json"))).await?;
        match serde_json::from_slice(&text) {
            Ok(report) => reports.push(report),
            Err(error) => tracing::warn!("the sales report of {day} cannot be read: {error}"),
        }
    }
    Ok(reports)
}
