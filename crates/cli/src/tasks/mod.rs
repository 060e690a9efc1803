//! `quintette tasks`.

mod dead;
mod inspect;
mod purge;
mod result;
mod revoke;
mod send;

use std::path::Path;

use quintette_tasks::{App, SendError, TaskSettings};

use crate::arguments::TasksCommand;
use crate::error::Error;
use crate::output::count;
use crate::users::prompt::Terminal;

/// Does what the command says. Of all settings only Celery's are looked at, so that no `SECRET_KEY` is needed.
pub(crate) async fn run(settings: Option<&Path>, command: &TasksCommand) -> Result<(), Error> {
    let app = app(settings)?;
    let speaks_to_workers = matches!(command, TasksCommand::Revoke(_) | TasksCommand::Inspect(_));
    if speaks_to_workers && app.broker().info().transport == "sqla" {
        return Err(Error::Other(
            "CELERY_BROKER_URL is a file, through which nobody can speak to workers: use RabbitMQ or Redis for that"
                .to_owned(),
        ));
    }
    // On the heap: brokers' futures are large.
    let done = match command {
        TasksCommand::Send(arguments) => Box::pin(send::run(&app, arguments)).await,
        TasksCommand::Result(arguments) => Box::pin(result::run(&app, arguments)).await,
        TasksCommand::Revoke(arguments) => Box::pin(revoke::run(&app, arguments)).await,
        TasksCommand::Inspect(arguments) => Box::pin(inspect::run(&app, arguments)).await,
        TasksCommand::Purge(arguments) => Box::pin(purge::run(&app, arguments)).await,
        TasksCommand::Dead(command) => Box::pin(dead::run(&app, command)).await,
    };
    done.map_err(|error| with_place(&app, error))
}

/// Says which broker it was that did not do it.
fn with_place(app: &App, error: Error) -> Error {
    if !matches!(error, Error::Broker(_) | Error::Send(SendError::Broker(_))) {
        return error;
    }
    let info = app.broker().info();
    let port = info.port.map(|port| format!(":{port}")).unwrap_or_default();
    let place = match info.transport {
        "sqla" => format!("sqla+{}", info.hostname),
        transport => format!("{transport}://{}{port}", info.hostname),
    };
    Error::Other(format!("{error} (CELERY_BROKER_URL names {place})"))
}

fn app(file: Option<&Path>) -> Result<App, Error> {
    let settings = match file {
        Some(file) => TaskSettings::loader()
            .toml_file(file)
            .environment()
            .load_celery()?,
        None => TaskSettings::load()?,
    };
    if settings.broker_url.reveal().starts_with("memory:") {
        return Err(Error::Other(
            "CELERY_BROKER_URL is not set, or memory://: such a broker is each process' own memory, and nothing is shared \
             through it. Set it to the broker of the workers, such as redis://127.0.0.1:6379/0, \
             amqp://guest:guest@127.0.0.1:5672// or sqla+sqlite:///tasks.sqlite3"
                .to_owned(),
        ));
    }
    Ok(App::new(settings)?)
}

/// Asks before messages are dropped. `false` where there are none.
async fn may_drop(number: u64, place: &str, is_certain: bool) -> Result<bool, Error> {
    if is_certain || number == 0 {
        return Ok(number > 0);
    }
    let what = format!("{} of {place}", count(number, "message"));
    let terminal = Terminal::open()
        .ok_or_else(|| Error::Other(format!("this would drop {what}: say --yes to it")))?;
    if terminal.confirms(&format!("Drop {what}?")).await? {
        return Ok(true);
    }
    Err(Error::Other("nothing was dropped".to_owned()))
}
