//! `quintette changepassword`.

use std::io::Write as _;

use quintette::settings::Settings;

use super::Site;
use super::fields::system_username;
use super::passwords::{self, Chosen, Validators, attributes};
use super::prompt::Terminal;
use crate::arguments::ChangepasswordArguments;
use crate::error::Error;
use crate::output::{GOOD, harmless, print_error, styled};

/// As often as Django asks.
const TRIES: u32 = 3;

/// Asks for another password, and gives it to the user.
pub(crate) async fn run(
    settings: Settings,
    arguments: &ChangepasswordArguments,
) -> Result<(), Error> {
    passwords::check_preferred_hasher(&settings)?;
    let named = arguments.username.clone().or_else(system_username);
    let username = named.ok_or_else(|| {
        Error::Other("say whose password: quintette changepassword USERNAME".to_owned())
    })?;
    let site = Site::connect(settings).await?;
    let users = site.authentication.users()?;
    let Some(user) = users.by_username(&username).await? else {
        return Err(Error::Other(format!("there is no user {username:?}")));
    };
    let terminal = Terminal::open().ok_or_else(no_terminal)?;
    let validators = Validators::of(&site.settings)?;
    let shown = harmless(&username);
    let mut out = anstream::stdout();
    writeln!(out, "Changing the password of {shown}.")?;
    for _ in 0..TRIES {
        let Chosen::Password(password) = passwords::choose(terminal).await? else {
            continue;
        };
        if let Err(invalid) = validators.check(&password, &attributes(&user)) {
            print_error(&invalid);
            continue;
        }
        users.set_password(&user, Some(&password)).await?;
        writeln!(
            out,
            "Password {}. Whoever was logged in as {shown} is not any more.",
            styled(GOOD, "changed")
        )?;
        return Ok(());
    }
    Err(Error::Other(format!(
        "nothing is changed after {TRIES} attempts"
    )))
}

fn no_terminal() -> Error {
    Error::Other(
        "there is no terminal to ask on, and a password is taken from nowhere else: run this in one (`ssh -t`, \
         `docker exec -it`)"
            .to_owned(),
    )
}
