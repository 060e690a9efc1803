//! What the shop is started with: a directory for its data, and the settings.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use quintette::auth::AuthError;
use quintette::sessions::SessionError;
use quintette::settings::{
    DatabaseUrl, Loader, SessionEngineName, Settings, SettingsError, SqliteLocation,
};

use quintette_tasks::beat::schedule::Crontab;
use quintette_tasks::{AppError, SendError};

use crate::mail::Mailer;
use crate::post::PostOffice;

/// Django's own generator makes keys of this many characters, and its deployment check asks for them.
const SHORTEST_SECRET_KEY: usize = 50;

/// How many wrong passwords a name may be given before it has to wait, unless `LOGIN_FAILURE_LIMIT` says otherwise.
const LOGIN_FAILURE_LIMIT: u32 = 5;

/// The file of tasks and of their results.
const TASKS: &str = "tasks.sqlite3";

/// When the nightly sales report is written, unless `SHOP_REPORT_SCHEDULE` says otherwise.
const REPORT_SCHEDULE: &str = "0 3 * * *";

/// Whom a shop on this machine answers: what stands between a forged `Host` and the links in its mails.
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What new passwords are asked, unless `AUTH_PASSWORD_VALIDATORS` says otherwise: what a new Django project asks.
const PASSWORD_VALIDATORS: [&str; 4] = [
    "UserAttributeSimilarityValidator",
    "MinimumLengthValidator",
    "CommonPasswordValidator",
    "NumericPasswordValidator",
];

/// Where the shop keeps its data, and the settings it follows.
#[derive(Debug)]
pub struct Config {
    /// The directory of the database, the secret key, and of sessions in files.
    pub data_directory: PathBuf,
    /// Quintette's settings.
    pub settings: Settings,
    /// Where mails go that reset passwords: to the console.
    pub mailer: Mailer,
    /// What the shop does beside its pages.
    pub jobs: JobsConfig,
}

/// What the shop does beside its pages, and where.
#[derive(Clone, Debug)]
pub struct JobsConfig {
    /// When the sales report of the day before is written: at 03:00 by default.
    pub report_schedule: Crontab,
    /// The mail server of confirmations, such as `smtp://127.0.0.1:25`; `None`, the folder `mail`, by default.
    pub smtp_url: Option<String>,
    /// Whether this process runs tasks: by default, where they are in the shop's own file.
    pub works_here: bool,
    /// Where the schedule's last runs are noted.
    pub beat_file: PathBuf,
}

impl JobsConfig {
    fn new(data_directory: &Path, settings: &Settings) -> Self {
        Self {
            report_schedule: REPORT_SCHEDULE
                .parse()
                .expect("it is a crontab's five fields"),
            smtp_url: None,
            works_here: settings.celery.broker_url.reveal() == broker_url(data_directory),
            beat_file: data_directory.join("beat-schedule"),
        }
    }

    /// Takes what variables of these names say.
    ///
    /// # Errors
    ///
    /// A value that cannot be read.
    pub fn read(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), StartError> {
        let variable = |name| variable(name).filter(|text| !text.is_empty());
        let wrong = |name, value: String, advice: String| StartError::Variable {
            name,
            value,
            advice,
        };
        if let Some(text) = variable("SHOP_REPORT_SCHEDULE") {
            self.report_schedule = text
                .parse()
                .map_err(|error| wrong("SHOP_REPORT_SCHEDULE", text, format!("{error}")))?;
        }
        if let Some(text) = variable("SHOP_WORKER") {
            self.works_here = match text.as_str() {
                "0" => false,
                "1" => true,
                _ => {
                    let advice = "set it to 1 for a worker in the shop's process, or to 0 for none";
                    return Err(wrong("SHOP_WORKER", text, advice.to_owned()));
                }
            };
        }
        self.smtp_url = variable("SHOP_SMTP_URL").or(self.smtp_url.take());
        Ok(())
    }

    /// Where confirmations go.
    pub(crate) fn post_office(&self, data_directory: &Path) -> Result<PostOffice, StartError> {
        match &self.smtp_url {
            Some(url) => PostOffice::smtp(url).ok_or_else(|| StartError::Variable {
                name: "SHOP_SMTP_URL",
                value: url.clone(),
                advice: "write smtp://host:port of a server that asks for no login, or leave it out for a folder".to_owned(),
            }),
            None => Ok(PostOffice::Folder(data_directory.join("mail"))),
        }
    }
}

impl Config {
    /// From `SHOP_DATA`, `settings.toml` and the environment. Makes the directory and the secret key where they are
    /// missing.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be made or written, or a setting is wrong.
    pub fn from_environment() -> Result<Self, StartError> {
        let directory = std::env::var_os("SHOP_DATA").filter(|path| !path.is_empty());
        let mut config = Self::load(
            directory.map_or_else(|| "shop-data".into(), PathBuf::from),
            Settings::loader().settings_file().environment(),
        )?;
        config.jobs.read(|name| std::env::var(name).ok())?;
        Ok(config)
    }

    /// From what `loader` has gathered, with the shop's defaults below it.
    ///
    /// # Errors
    ///
    /// As [`from_environment`](Self::from_environment).
    pub fn load(data_directory: PathBuf, loader: Loader) -> Result<Self, StartError> {
        make_private(&data_directory).map_err(|source| StartError::DataDirectory {
            path: data_directory.clone(),
            source,
        })?;
        let secret_key = secret_key(&data_directory.join("secret_key"))?;
        let mut settings = loader
            .default("SECRET_KEY", secret_key)
            .default("SESSION_TIMEOUT_REDIRECT", "/session")
            .default("ALLOWED_HOSTS", LOCAL_HOSTS.to_vec())
            .default("LOGIN_URL", "/login")
            .default("LOGIN_REDIRECT_URL", "/account")
            .default("LOGOUT_REDIRECT_URL", "/")
            .default("LOGIN_FAILURE_LIMIT", LOGIN_FAILURE_LIMIT)
            .default("AUTH_PASSWORD_VALIDATORS", password_validators())
            .default("CELERY_BROKER_URL", broker_url(&data_directory))
            .default("CELERY_RESULT_BACKEND", result_backend(&data_directory))
            .load()?;
        let file = data_directory.join("shop.sqlite3");
        settings
            .database_url
            .get_or_insert(DatabaseUrl::Sqlite(SqliteLocation::File(file)));
        if settings.session_engine == SessionEngineName::File
            && settings.session_file_path.is_none()
        {
            let directory = data_directory.join("sessions");
            make_private(&directory).map_err(|source| StartError::DataDirectory {
                path: directory.clone(),
                source,
            })?;
            settings.session_file_path = Some(directory);
        }
        let jobs = JobsConfig::new(&data_directory, &settings);
        Ok(Self {
            data_directory,
            settings,
            mailer: Mailer::console(),
            jobs,
        })
    }

    /// How somebody becomes staff, who sees all orders: the shop makes no account of its own, whose password all would know.
    pub fn staff_hint(&self) -> String {
        let database = match &self.settings.database_url {
            Some(DatabaseUrl::Sqlite(SqliteLocation::File(path))) => {
                format!("DATABASE_URL='sqlite://{}'", path.display())
            }
            // It may hold a password.
            _ => "DATABASE_URL=…".to_owned(),
        };
        let key = self.data_directory.join("secret_key");
        format!(
            "SECRET_KEY=\"$(cat '{}')\" {database} cargo run --release -p quintette-cli -- createsuperuser",
            key.display()
        )
    }

    /// The `SQLite` file of products and orders; and of users and sessions, unless `DATABASE_URL` names another.
    pub fn database_file(&self) -> PathBuf {
        self.data_directory.join("shop.sqlite3")
    }
}

/// Tasks wait in a file, so that what was queued survives a restart, and no server is needed.
fn broker_url(data_directory: &Path) -> String {
    format!("sqla+sqlite:///{}", data_directory.join(TASKS).display())
}

/// Also where the broker is another: the shop and its workers share `SHOP_DATA` anyway.
fn result_backend(data_directory: &Path) -> String {
    format!("db+sqlite:///{}", data_directory.join(TASKS).display())
}

fn password_validators() -> Vec<BTreeMap<&'static str, String>> {
    let validators = PASSWORD_VALIDATORS.iter();
    let named = validators.map(|name| format!("django.contrib.auth.password_validation.{name}"));
    named.map(|name| BTreeMap::from([("NAME", name)])).collect()
}

/// The port to listen on: `PORT`, or 8000. With 0 the system chooses one.
///
/// # Errors
///
/// Where `PORT` is no port's number.
pub fn port() -> Result<u16, StartError> {
    match std::env::var_os("PORT") {
        None => Ok(8000),
        Some(text) => match text.to_str().map(str::parse) {
            Some(Ok(port)) => Ok(port),
            _ => Err(StartError::Port(text.to_string_lossy().into_owned())),
        },
    }
}

/// The database in it holds addresses and carts: it is for the user alone who runs the shop.
fn make_private(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// The key that signs sessions: kept in a file, so that carts survive a restart.
fn secret_key(path: &Path) -> Result<String, StartError> {
    let failed = |source| StartError::SecretKeyFile {
        path: path.to_owned(),
        source,
    };
    let text = match fs::read_to_string(path) {
        // Empty while another process makes it.
        Ok(text) if !text.is_empty() => text,
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => new_secret_key(path).map_err(failed)?,
    };
    let key = text.trim();
    if key.len() < SHORTEST_SECRET_KEY {
        return Err(StartError::SecretKeyTooShort(path.to_owned()));
    }
    Ok(key.to_owned())
}

/// The content of the file, which is made by whoever comes first of several processes that are started at once.
fn new_secret_key(path: &Path) -> io::Result<String> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    // Nobody else can read the file at any moment: it is born with its mode.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if text.is_empty() {
        text = random_key()?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
    }
    Ok(text)
}

/// 256 bits as 64 hexadecimal digits.
fn random_key() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect())
}

/// Why the shop could not be opened, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory is missing and cannot be made.
    #[error("the data directory {} cannot be made ({source}): set SHOP_DATA to a directory that you may write to", path.display())]
    DataDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of the secret key cannot be read or made.
    #[error("{} cannot be read or made ({source}): make its directory yours, or set SHOP_DATA to another", path.display())]
    SecretKeyFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of the secret key holds too little.
    #[error("{} holds fewer than {SHORTEST_SECRET_KEY} characters: delete it, and a new one is made (carts are lost)", .0.display())]
    SecretKeyTooShort(PathBuf),
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The program was called with something.
    #[error(
        "there is no argument {0:?}: the shop has none but `worker` and --help, and follows variables"
    )]
    Argument(String),
    /// `PORT` is no port.
    #[error("PORT is {0:?}: set it to a number from 1 to 65535, or leave it out for 8000")]
    Port(String),
    /// Another of the shop's variables cannot be read.
    #[error("{name} is {value:?}: {advice}")]
    Variable {
        /// Which.
        name: &'static str,
        /// What it is.
        value: String,
        /// What to do.
        advice: String,
    },
    /// No broker can be made of the settings.
    #[error(transparent)]
    Tasks(#[from] AppError),
    /// A task that is called on a schedule cannot be called.
    #[error("the schedule cannot be made: {0}")]
    Schedule(Box<SendError>),
    /// The worker cannot begin.
    #[error(transparent)]
    Worker(#[from] quintette_tasks::worker::WorkerError),
    /// Nothing can listen there.
    #[error(
        "127.0.0.1:{port} cannot be listened on ({source}): stop the program that uses it, or set PORT to another number"
    )]
    Listen {
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The sessions' store cannot be used.
    #[error(transparent)]
    Sessions(#[from] SessionError),
    /// The users cannot be used.
    #[error(transparent)]
    Users(#[from] AuthError),
    /// The sessions' store does not answer.
    #[error("{source} (sessions: {place})")]
    NoAnswer {
        /// Where the sessions are.
        place: String,
        /// What the store, or the way to it, says.
        source: SessionError,
    },
    /// The shop's own tables cannot be used.
    #[error("{} cannot be used ({source}): make it and its directory writable for you, or set SHOP_DATA to another directory", path.display())]
    Store {
        /// The database's file.
        path: PathBuf,
        /// What `SQLite` says.
        source: sqlx::Error,
    },
}
