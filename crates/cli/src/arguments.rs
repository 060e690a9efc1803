#![expect(
    clippy::doc_markdown,
    reason = "these comments are the text of --help, where backticks say nothing"
)]

mod tasks;

use std::path::PathBuf;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::check::PageUrl;

pub use tasks::{
    DeadCommand, DeadQueue, InspectArguments, PurgeArguments, Question, ResultArguments,
    SendArguments, TasksCommand, TasksRevokeArguments,
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Django's sessions and users, and Celery's tasks, from the command line: what manage.py and celery do for them.
///
/// Settings have Django's names. They come from settings.toml in the working directory (or from the file that
/// QUINTETTE_SETTINGS names) and from the environment, which counts over the file.
#[derive(Clone, Debug, Parser)]
#[command(name = "quintette", version, styles = STYLES, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Examples:
  quintette migrate                      make the tables in DATABASE_URL
  quintette createsuperuser              somebody who may do everything
  quintette check --deploy               is everything ready for production?
  quintette clearsessions                remove what has expired: daily, say
  quintette sessions list --user mei     where is she logged in?
  quintette sessions revoke --user mei   log her out everywhere
  quintette tasks inspect active         what do the workers do?

Exit codes: 0 done, 1 failed or found errors, 2 wrong usage.")]
pub struct Arguments {
    /// Read this settings file in place of settings.toml.
    #[arg(long, global = true, display_order = 900, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub settings: Option<PathBuf>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What there is to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make the tables of sessions and users in the database that DATABASE_URL names.
    ///
    /// An SQLite file that is missing is made, and the tables of CACHES with it. What Django has migrated is left alone,
    /// and what is made here Django finds migrated.
    #[command(after_help = "Examples:
  quintette migrate
  DATABASE_URL=sqlite:///srv/shop/db.sqlite3 quintette migrate")]
    Migrate,

    /// Remove expired sessions.
    ///
    /// In batches, so that visitors never wait for long. Run it daily: the database and file engines keep expired
    /// sessions until somebody removes them. Caches and cookies expire by themselves. The list of where each user is
    /// logged in forgets what was not used for 400 days.
    #[command(after_help = "Examples:
  quintette clearsessions
  17 3 * * *  cd /srv/shop && quintette clearsessions      (a line of a crontab)")]
    Clearsessions,

    /// List sessions, look into them, and end them.
    #[command(subcommand, arg_required_else_help = true)]
    Sessions(SessionsCommand),

    /// Call tasks, and look after queues and workers: what the celery command does.
    ///
    /// CELERY_BROKER_URL says where, and CELERY_RESULT_BACKEND where results are. No SECRET_KEY is needed.
    #[command(subcommand, arg_required_else_help = true)]
    #[command(after_help = "Examples:
  quintette tasks send shop.tasks.add 2 3 --wait 10
  quintette tasks inspect active
  quintette tasks dead list")]
    Tasks(TasksCommand),

    /// Make a user who may do everything.
    ///
    /// Asks for the name, the e-mail address and the password, which is not shown. With --noinput, asks for nothing: what
    /// no option gives is taken from the variables DJANGO_SUPERUSER_USERNAME, DJANGO_SUPERUSER_EMAIL and
    /// DJANGO_SUPERUSER_PASSWORD, and AUTH_PASSWORD_VALIDATORS are not asked. Without a password, nobody can log in as
    /// that user until `quintette changepassword` has given one.
    #[command(after_help = "Examples:
  quintette createsuperuser
  DJANGO_SUPERUSER_PASSWORD=\"$(cat password)\" quintette createsuperuser --noinput --username mei --email \"\"")]
    Createsuperuser(CreatesuperuserArguments),

    /// Give a user another password, which ends all sessions of that user.
    ///
    /// Asks for it twice, and does not show it. AUTH_PASSWORD_VALIDATORS must like it.
    #[command(after_help = "Examples:
  quintette changepassword mei
  docker exec -it shop quintette changepassword mei")]
    Changepassword(ChangepasswordArguments),

    /// Find what is wrong with the settings, the store, or a page.
    ///
    /// Reads the settings, connects to the store, and tries it with a session that is deleted again. With --url, looks at
    /// a running service from outside instead, as a browser would.
    Check(CheckArguments),

    /// Print a completion script for a shell.
    #[command(after_help = "Examples:
  quintette completions bash > ~/.local/share/bash-completion/completions/quintette
  quintette completions zsh > ~/.zfunc/_quintette
  quintette completions fish > ~/.config/fish/completions/quintette.fish")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What there is to do with single sessions.
#[derive(Clone, Debug, Subcommand)]
pub enum SessionsCommand {
    /// List the sessions that have not expired, in the order of their keys, or those of one user.
    ///
    /// Keys are shortened, since whoever knows a key is that visitor.
    ///
    /// With --user, the most recently used first, with the device and the address that they were last used from. What
    /// Django has made is looked for in the store; a cache alone cannot be searched.
    List(ListArguments),

    /// Show what one session holds.
    Show(ShowArguments),

    /// End sessions: all of a user, one of a user, or those with these keys.
    ///
    /// Keys and ids are those that `quintette sessions list` prints. What has ended is gone from the store, for Django too.
    /// The user can log in again: to keep somebody out, change the password or set is_active to false.
    #[command(arg_required_else_help = true)]
    Revoke(RevokeArguments),
}

/// How to list sessions.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette sessions list --limit 1000
  quintette sessions list --user mei
  quintette sessions list --json | jq -r '.[] | select(.user == \"42\") | .expires'")]
pub struct ListArguments {
    /// List where this user is logged in: by name, or else by id.
    #[arg(long, value_name = "NAME_OR_ID")]
    pub user: Option<String>,

    /// List so many at the most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,

    /// Print keys in full. They are credentials: keep them out of logs and tickets.
    #[arg(long, conflicts_with = "user")]
    pub keys: bool,

    /// Print a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// Which session to show, and how.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette sessions show 3k9x0q2m          (as `sessions list` prints it)
  quintette sessions show 3k9x0q2m7h1c5v8b2n4j6l0p9o3i5u7y --json")]
pub struct ShowArguments {
    /// The session's key, or its first eight or more characters.
    pub key: String,

    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Which sessions to end.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette sessions revoke --user mei
  quintette sessions revoke --user mei --session 5f0c9a1b
  quintette sessions revoke 3k9x0q2m")]
pub struct RevokeArguments {
    /// Sessions' keys, or their first eight or more characters.
    #[arg(value_name = "KEY", required_unless_present = "user")]
    pub keys: Vec<String>,

    /// End the sessions of this user: by name, or else by id.
    #[arg(long, value_name = "NAME_OR_ID", conflicts_with = "keys")]
    pub user: Option<String>,

    /// Only this one of the user's, by its id or the beginning of it.
    #[arg(long, value_name = "ID", requires = "user", conflicts_with = "keys")]
    pub session: Option<String>,

    /// Do not ask whether all of a user's sessions shall end.
    #[arg(long, short)]
    pub yes: bool,
}

/// Whom to make.
#[derive(Args, Clone, Debug)]
pub struct CreatesuperuserArguments {
    /// The name to log in with.
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Username)]
    pub username: Option<String>,

    /// The e-mail address, which may be empty.
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress)]
    pub email: Option<String>,

    /// Ask for nothing.
    #[arg(long, alias = "no-input")]
    pub noinput: bool,
}

/// Whose password to change.
#[derive(Args, Clone, Debug)]
pub struct ChangepasswordArguments {
    /// The user's name. By default, that of whoever runs this.
    #[arg(value_hint = ValueHint::Username)]
    pub username: Option<String>,
}

/// What to check.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette check
  quintette check --deploy --fail-level warning      (in a deployment's pipeline)
  quintette check --url http://127.0.0.1:8000/cart   (a page that uses the session)")]
pub struct CheckArguments {
    /// Also warn of settings that are wrong for production.
    #[arg(long)]
    pub deploy: bool,

    /// Look at this page instead: does its session reach a browser, and come back? Plain http only.
    #[arg(long, value_name = "URL", conflicts_with = "deploy", value_hint = ValueHint::Url)]
    pub url: Option<PageUrl>,

    /// Exit with 1 from this level on.
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = Level::Error)]
    pub fail_level: Level,
}

/// How bad what `quintette check` found is; the worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Allowed, and wrong in most deployments.
    Warning,
    /// Does not work.
    Error,
}
