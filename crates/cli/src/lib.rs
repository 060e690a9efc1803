//! The `quintette` command, as a library: what `manage.py` does for sessions and users in Django, and `celery`
//! for tasks.
//!
//! | command | Django's |
//! | --- | --- |
//! | `quintette migrate` | `manage.py migrate` |
//! | `quintette clearsessions` | `manage.py clearsessions` |
//! | `quintette sessions list`, `quintette sessions show` | `Session.objects` and `get_decoded()` in `manage.py shell` |
//! | `quintette sessions list --user`, `quintette sessions revoke` | (nothing) |
//! | `quintette createsuperuser`, `quintette changepassword` | `manage.py createsuperuser`, `manage.py changepassword` |
//! | `quintette tasks send`, `quintette tasks inspect` … | `celery call`, `celery inspect` … |
//! | `quintette check` | `manage.py check` |
//!
//! Each command is a module. It exits with 0 where it did what it was asked, with 1 where it could not, and with 2 where it
//! was not asked properly.

mod arguments;
mod check;
mod clearsessions;
mod error;
mod log;
mod migrate;
mod output;
mod progress;
mod sessions;
mod tasks;
mod users;

use std::process::ExitCode;

use clap::CommandFactory;
use quintette::settings::{Settings, SettingsError};

pub use arguments::{
    Arguments, ChangepasswordArguments, CheckArguments, Command, CreatesuperuserArguments,
    DeadCommand, DeadQueue, InspectArguments, Level, ListArguments, PurgeArguments, Question,
    ResultArguments, RevokeArguments, SendArguments, SessionsCommand, ShowArguments, TasksCommand,
    TasksRevokeArguments,
};
pub use check::PageUrl;

use error::Error;

/// Runs one command, tells what came of it, and gives the exit code.
pub async fn run(arguments: Arguments) -> ExitCode {
    let log = log::collect();
    let result = Box::pin(dispatch(arguments, &log)).await;
    log.print();
    match result {
        Ok(code) => code,
        // `quintette sessions list | head` has read what it wanted.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(arguments: Arguments, log: &log::Log) -> Result<ExitCode, Error> {
    let settings = || settings(&arguments);
    match &arguments.command {
        Command::Migrate => migrate::run(&settings()?).await?,
        Command::Clearsessions => clearsessions::run(settings()?).await?,
        Command::Sessions(SessionsCommand::List(list)) => {
            Box::pin(unless_interrupted(sessions::list::run(settings()?, list))).await?;
        }
        Command::Sessions(SessionsCommand::Show(show)) => {
            sessions::show::run(settings()?, show, log).await?;
        }
        Command::Sessions(SessionsCommand::Revoke(revoke)) => {
            unless_interrupted(sessions::revoke::run(settings()?, revoke)).await?;
        }
        Command::Tasks(command) => {
            let done = Box::pin(tasks::run(arguments.settings.as_deref(), command));
            unless_interrupted(done).await?;
        }
        Command::Createsuperuser(wanted) => {
            unless_interrupted(users::createsuperuser::run(settings()?, wanted)).await?;
        }
        Command::Changepassword(wanted) => {
            unless_interrupted(users::changepassword::run(settings()?, wanted)).await?;
        }
        Command::Check(check) => return check::run(settings(), check, log).await,
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            // Into memory first, since clap_complete panics where its output is a closed pipe.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, "quintette", &mut script);
            std::io::Write::write_all(&mut std::io::stdout(), &script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C ends the work and not the program, so that a terminal is left as it was.
async fn unless_interrupted(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::select! {
        done = work => done,
        Ok(()) = tokio::signal::ctrl_c() => Err(Error::Other("interrupted".to_owned())),
    }
}

fn settings(arguments: &Arguments) -> Result<Settings, SettingsError> {
    match &arguments.settings {
        Some(file) => Settings::loader().toml_file(file).environment().load(),
        None => Settings::load(),
    }
}
