#![expect(
    clippy::doc_markdown,
    reason = "these comments are the text of --help, where backticks say nothing"
)]

use std::path::PathBuf;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::check::PageUrl;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Django's sessions from the command line: make their table, clear, list, show and check them.
///
/// Settings have Django's names. They come from settings.toml in the working directory (or from the file that
/// QUINTETTE_SETTINGS names) and from the environment, which counts over the file.
#[derive(Clone, Debug, Parser)]
#[command(name = "quintette", version, styles = STYLES, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Examples:
  quintette migrate                    make the tables of the database in DATABASE_URL
  quintette check --deploy             is everything ready for production?
  quintette clearsessions              remove what has expired, daily from cron, say
  quintette sessions list --limit 20   who is here?

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
    /// Make the session table in the database that DATABASE_URL names.
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
    /// sessions until somebody removes them. Caches and cookies expire by themselves.
    #[command(after_help = "Examples:
  quintette clearsessions
  17 3 * * *  cd /srv/shop && quintette clearsessions      (a line of a crontab)")]
    Clearsessions,

    /// List and look into sessions.
    #[command(subcommand, arg_required_else_help = true)]
    Sessions(SessionsCommand),

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
    /// List the sessions that have not expired, in the order of their keys.
    ///
    /// Keys are shortened, since whoever knows a key is that visitor.
    List(ListArguments),

    /// Show what one session holds.
    Show(ShowArguments),
}

/// How to list sessions.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  quintette sessions list --limit 1000
  quintette sessions list --json | jq -r '.[] | select(.user == \"42\") | .expires'")]
pub struct ListArguments {
    /// List so many at the most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,

    /// Print keys in full. They are credentials: keep them out of logs and tickets.
    #[arg(long)]
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
