//! `quintette tasks result`.

use std::io::Write as _;

use quintette_tasks::results::{State, TaskMeta};
use quintette_tasks::{App, AsyncResult, OutcomeError};

use crate::arguments::ResultArguments;
use crate::error::Error;
use crate::output::{BAD, FAINT, GOOD, harmless, styled};
use crate::sessions::json_text::pretty;

/// Prints state and result.
pub(crate) async fn run(app: &App, arguments: &ResultArguments) -> Result<(), Error> {
    let result: AsyncResult = AsyncResult::new(app, &arguments.id);
    if let Some(timeout) = arguments.wait {
        match result.get(Some(timeout)).await {
            // What it was is read below.
            Ok(_) | Err(OutcomeError::Failed(_) | OutcomeError::TimedOut) => {}
            Err(error) => return Err(Error::Other(error.to_string())),
        }
    }
    let meta = result.meta().await?;
    if arguments.json {
        let text = meta.as_ref().map_or_else(
            || "null".to_owned(),
            |meta| meta.to_json().as_str().to_owned(),
        );
        writeln!(anstream::stdout(), "{text}")?;
    } else {
        print(meta.as_ref())?;
    }
    let state = meta.map_or(State::Pending, |meta| meta.status);
    if state.is_failure() {
        return Err(Error::Other("the task failed".to_owned()));
    }
    if arguments.wait.is_some() && !state.is_ready() {
        return Err(Error::Other("the task was not ready in time".to_owned()));
    }
    Ok(())
}

fn print(meta: Option<&TaskMeta>) -> Result<(), Error> {
    let mut out = anstream::stdout();
    let Some(meta) = meta else {
        writeln!(
            out,
            "{}: it waits, or there never was such a task, or its result has expired",
            styled(FAINT, State::Pending)
        )?;
        return Ok(());
    };
    let style = match meta.status {
        State::Success => GOOD,
        state if state.is_failure() => BAD,
        _ => FAINT,
    };
    let state = styled(style, harmless(meta.status_name()));
    match &meta.date_done {
        Some(date) => writeln!(out, "{state} {}", styled(FAINT, harmless(date)))?,
        None => writeln!(out, "{state}")?,
    }
    match meta.exception() {
        Some(exception) => writeln!(out, "{}", harmless(&exception.to_string()))?,
        None => writeln!(out, "{}", pretty(&meta.result, 0))?,
    }
    for line in meta.traceback.as_deref().unwrap_or_default().lines() {
        writeln!(out, "  {}", harmless(line))?;
    }
    Ok(())
}
