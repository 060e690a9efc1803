//! The `quintette` command, as a library: what `manage.py` does for sessions in Django.
//!
//! | command | Django's |
//! | --- | --- |
//! | `quintette migrate` | `manage.py migrate` |
//! | `quintette clearsessions` | `manage.py clearsessions` |
//! | `quintette sessions list`, `quintette sessions show` | `Session.objects` and `get_decoded()` in `manage.py shell` |
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
mod sessions;

use std::process::ExitCode;

use clap::CommandFactory;
use quintette::settings::{Settings, SettingsError};

pub use arguments::{
    Arguments, CheckArguments, Command, Level, ListArguments, SessionsCommand, ShowArguments,
};
pub use check::PageUrl;

use error::Error;

/// Runs one command, tells what came of it, and gives the exit code.
pub async fn run(arguments: Arguments) -> ExitCode {
    let log = log::collect();
    let result = dispatch(arguments, &log).await;
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
            sessions::list::run(settings()?, list).await?;
        }
        Command::Sessions(SessionsCommand::Show(show)) => {
            sessions::show::run(settings()?, show, log).await?;
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

fn settings(arguments: &Arguments) -> Result<Settings, SettingsError> {
    match &arguments.settings {
        Some(file) => Settings::loader().toml_file(file).environment().load(),
        None => Settings::load(),
    }
}
