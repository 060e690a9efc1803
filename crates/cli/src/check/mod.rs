//! `quintette check`: the settings, the store, or a page of a running service.

mod auth;
mod report;
mod store;
mod url;

use std::process::ExitCode;

use quintette::settings::{Settings, SettingsError};

use crate::arguments::CheckArguments;
use crate::error::Error;
use crate::log::Log;

use report::{Finding, Report};

pub use url::PageUrl;

/// Checks what was asked for; the exit code tells whether all is well.
pub(crate) async fn run(
    settings: Result<Settings, SettingsError>,
    arguments: &CheckArguments,
    log: &Log,
) -> Result<ExitCode, Error> {
    let report = match &arguments.url {
        Some(page) => url::check(page, settings.ok()).await?,
        None => check_settings(settings, arguments.deploy, log).await?,
    };
    let fails = report.finish()?;
    Ok(match fails {
        Some(level) if level >= arguments.fail_level => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

async fn check_settings(
    settings: Result<Settings, SettingsError>,
    deploy: bool,
    log: &Log,
) -> Result<Report, Error> {
    let mut report = Report::new();
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            report.failed("Settings", "")?;
            for problem in error.problems() {
                report.add(Finding::error(problem.to_string()));
            }
            return Ok(report);
        }
    };
    report.ok("Settings", "")?;
    auth::check_names(&settings, &mut report);
    if deploy {
        for warning in settings.deploy_warnings() {
            report.add(
                Finding {
                    hint: Some(warning.hint),
                    ..Finding::warning(warning.message)
                }
                .with_id(warning.id),
            );
        }
    }
    let can_connect = store::check(settings.clone(), &mut report, log).await?;
    // What keeps sessions from the database was told; it would keep users from it, too.
    if can_connect || !settings.session_engine.uses_database() {
        auth::check_tables(settings, &mut report).await?;
    }
    Ok(report)
}
