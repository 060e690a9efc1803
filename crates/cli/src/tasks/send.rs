//! `quintette tasks send`.

use std::io::Write as _;

use quintette_tasks::{App, AsyncResult, OutcomeError, Signature};

use crate::arguments::SendArguments;
use crate::error::Error;
use crate::output::print_note;
use crate::sessions::json_text::pretty;

/// Calls a task, and prints its id; and its result, where that is waited for.
pub(crate) async fn run(app: &App, arguments: &SendArguments) -> Result<(), Error> {
    if arguments.wait.is_some() && app.results().is_none() {
        return Err(Error::Other(
            "there is no result to wait for: set CELERY_RESULT_BACKEND, such as redis://127.0.0.1:6379/0".to_owned(),
        ));
    }
    let sent = app.send(&signature(arguments)?).await?;
    let mut out = anstream::stdout();
    writeln!(out, "{}", sent.id())?;
    if let Some(timeout) = arguments.wait {
        out.flush()?;
        let result = sent.get(Some(timeout)).await;
        match result {
            Ok(result) => writeln!(out, "{}", pretty(&result, 0))?,
            Err(error) => return Err(not_returned(&sent, &error)),
        }
    }
    Ok(())
}

fn not_returned(sent: &AsyncResult, error: &OutcomeError) -> Error {
    if matches!(error, OutcomeError::TimedOut) {
        print_note(&format!(
            "it may still run: `quintette tasks result {}` tells",
            sent.id()
        ));
    }
    Error::Other(error.to_string())
}

fn signature(arguments: &SendArguments) -> Result<Signature, Error> {
    let mut signature = Signature::new(&arguments.name);
    signature.args.clone_from(&arguments.args);
    if let Some(kwargs) = &arguments.kwargs {
        signature.kwargs = kwargs.deserialize().map_err(|_| {
            Error::Other("--kwargs is no JSON object, such as '{\"loudly\": true}'".to_owned())
        })?;
    }
    if let Some(queue) = &arguments.queue {
        signature = signature.queue(queue);
    }
    if let Some(countdown) = arguments.countdown {
        signature = signature.countdown(countdown);
    }
    if let Some(eta) = arguments.eta {
        signature = signature.eta(eta);
    }
    if let Some(expires) = arguments.expires {
        signature = signature.expires_in(expires);
    }
    if let Some(priority) = arguments.priority {
        signature = signature.priority(priority);
    }
    if let Some(id) = &arguments.id {
        signature = signature.task_id(id);
    }
    Ok(signature)
}
