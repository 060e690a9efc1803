//! `quintette createsuperuser`.

use std::env;
use std::io::Write as _;

use quintette::auth::password_validation::UserAttribute;
use quintette::auth::{AuthErrorKind, User, Users};
use quintette::settings::{Settings, UserModel};

use super::fields::{check_email, check_username, system_username};
use super::passwords::{self, Chosen, Validators};
use super::prompt::Terminal;
use super::{Site, fields};
use crate::arguments::CreatesuperuserArguments;
use crate::error::Error;
use crate::output::{GOOD, print_error, print_note, styled};

/// A user who may do everything, from answers on a terminal or from options and variables.
pub(crate) async fn run(
    settings: Settings,
    arguments: &CreatesuperuserArguments,
) -> Result<(), Error> {
    passwords::check_preferred_hasher(&settings)?;
    let site = Site::connect(settings).await?;
    let users = site.authentication.users()?;
    let wanted = if arguments.noinput {
        without_input(arguments)?
    } else {
        let terminal = Terminal::open().ok_or_else(no_terminal)?;
        let validators = Validators::of(&site.settings)?;
        let username =
            username(terminal, &users, &site.settings.auth_user_model, arguments).await?;
        let email = email(terminal, arguments).await?;
        let password = password(terminal, &validators, &username, &email).await?;
        Wanted {
            username,
            email,
            password: Some(password),
        }
    };
    let user = create(&users, &wanted).await?;
    writeln!(
        anstream::stdout(),
        "Superuser {} {}.",
        user.username(),
        styled(GOOD, "created")
    )?;
    if wanted.password.is_none() {
        print_note(&format!(
            "there is no password to log in with yet: `quintette changepassword {}` asks for one",
            user.username()
        ));
    }
    Ok(())
}

struct Wanted {
    username: String,
    email: String,
    /// Without one, nobody can log in by a password.
    password: Option<String>,
}

async fn create(users: &Users, wanted: &Wanted) -> Result<User, Error> {
    let made = users
        .create_superuser(&wanted.username, &wanted.email, wanted.password.as_deref())
        .await;
    match made {
        Err(error) if error.kind() == AuthErrorKind::Duplicate => {
            Err(Error::Other(taken(&wanted.username)))
        }
        made => Ok(made?),
    }
}

fn taken(username: &str) -> String {
    format!("there is a user {username} already")
}

fn no_terminal() -> Error {
    Error::Other(
        "there is no terminal to ask on: give --noinput with --username and --email, and the password in the variable \
         DJANGO_SUPERUSER_PASSWORD"
            .to_owned(),
    )
}

/// From the options, or else from Django's variables. As in Django, no validator is asked.
fn without_input(arguments: &CreatesuperuserArguments) -> Result<Wanted, Error> {
    let given = |option: &Option<String>, variable: &str| {
        option.clone().or_else(|| env::var(variable).ok())
    };
    let missing = |option: &str, variable: &str| {
        Error::Other(format!(
            "--noinput needs {option}, or the variable {variable}"
        ))
    };
    let username = given(&arguments.username, "DJANGO_SUPERUSER_USERNAME")
        .ok_or_else(|| missing("--username", "DJANGO_SUPERUSER_USERNAME"))?;
    let email = given(&arguments.email, "DJANGO_SUPERUSER_EMAIL")
        .ok_or_else(|| missing("--email (it may be empty)", "DJANGO_SUPERUSER_EMAIL"))?;
    check_username(&username).map_err(Error::Other)?;
    check_email(&email).map_err(Error::Other)?;
    let password = match env::var("DJANGO_SUPERUSER_PASSWORD") {
        Ok(password) => Some(password),
        Err(env::VarError::NotPresent) => None,
        // What it holds is told to nobody.
        Err(env::VarError::NotUnicode(_)) => {
            return Err(Error::Other(
                "DJANGO_SUPERUSER_PASSWORD is not UTF-8".to_owned(),
            ));
        }
    };
    Ok(Wanted {
        username,
        email,
        password,
    })
}

async fn username(
    terminal: Terminal,
    users: &Users,
    model: &UserModel,
    arguments: &CreatesuperuserArguments,
) -> Result<String, Error> {
    if let Some(username) = &arguments.username
        && is_free(users, username).await?
    {
        return Ok(username.clone());
    }
    let default = default_username(users, model).await?;
    let prompt = match &default {
        Some(default) => format!("Username (leave blank to use '{default}'): "),
        None => "Username: ".to_owned(),
    };
    loop {
        let typed = terminal.line(&prompt).await?;
        let username = default
            .clone()
            .filter(|_| typed.is_empty())
            .unwrap_or(typed);
        if is_free(users, &username).await? {
            return Ok(username);
        }
    }
}

/// Whether a user may be called so; where not, the person is told why.
async fn is_free(users: &Users, username: &str) -> Result<bool, Error> {
    if let Err(problem) = check_username(username) {
        print_error(&problem);
        return Ok(false);
    }
    if users.by_username(username).await?.is_some() {
        print_error(&taken(username));
        return Ok(false);
    }
    Ok(true)
}

/// The name of who runs this, unless it is taken. In a table of the application's own it would mean nothing.
async fn default_username(users: &Users, model: &UserModel) -> Result<Option<String>, Error> {
    if *model != UserModel::default() {
        return Ok(None);
    }
    let name = system_username().map(|name| name.replace(' ', "").to_lowercase());
    let Some(name) = name.filter(|name| name.is_ascii() && check_username(name).is_ok()) else {
        return Ok(None);
    };
    let is_taken = users.by_username(&name).await?.is_some();
    Ok((!is_taken).then_some(name))
}

async fn email(terminal: Terminal, arguments: &CreatesuperuserArguments) -> Result<String, Error> {
    if let Some(email) = &arguments.email {
        fields::check_email(email).map_err(Error::Other)?;
        return Ok(email.clone());
    }
    loop {
        let email = terminal.line("Email address: ").await?;
        match check_email(&email) {
            Ok(()) => return Ok(email),
            Err(problem) => print_error(&problem),
        }
    }
}

async fn password(
    terminal: Terminal,
    validators: &Validators,
    username: &str,
    email: &str,
) -> Result<String, Error> {
    let user = [
        UserAttribute::new("username", "username", username),
        UserAttribute::new("email", "email address", email),
    ];
    loop {
        let Chosen::Password(password) = passwords::choose(terminal).await? else {
            continue;
        };
        let Err(invalid) = validators.check(&password, &user) else {
            return Ok(password);
        };
        print_error(&invalid);
        let question = "Bypass password validation and create user anyway?";
        if terminal.confirms(question).await? {
            return Ok(password);
        }
    }
}
