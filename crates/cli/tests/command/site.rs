use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use quintette::auth::MODEL_BACKEND;
use quintette::auth::tokens::session_auth_hash;
use quintette::sessions::{Codec, SessionData};
use quintette::settings::Settings;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

pub(crate) const SECRET_KEY: &str = "f7Qw2mZ9xKd4Rt8Lp1Vb6Ns3Hc5Jg0Yu-never-printed-aeiou";

/// A directory to run the command in, and the variables to run it with.
pub(crate) struct Site {
    directory: TempDir,
    variables: Vec<(OsString, OsString)>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    /// An empty directory, and an environment that has nothing but `PATH`.
    pub(crate) fn empty() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    /// With a `SECRET_KEY`.
    pub(crate) fn new() -> Self {
        Self::empty().with("SECRET_KEY", SECRET_KEY)
    }

    /// With a database that `quintette migrate` has made.
    pub(crate) fn migrated() -> Self {
        let site = Self::new().with("DATABASE_URL", "sqlite://shop.sqlite3");
        assert_eq!(site.run(&["migrate"]).code, 0);
        site
    }

    pub(crate) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quintette"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the command to its end. Whatever it was: it printed no key and no password, and did not panic.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().unwrap();
        let ran = Ran {
            code: status.code().expect("not killed by a signal"),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        };
        for secret in ["never-printed", "hunter2"] {
            assert!(
                !ran.stdout.contains(secret) && !ran.stderr.contains(secret),
                "{ran:?}"
            );
        }
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        assert!(
            !ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'),
            "colours in a pipe: {ran:?}"
        );
        ran
    }

    /// The settings of this site, for tests that make sessions with the library.
    pub(crate) fn settings(&self) -> Settings {
        let text = |value: &OsString| value.to_str().unwrap().to_owned();
        let variables = self
            .variables
            .iter()
            .map(|(name, value)| (text(name), text(value)));
        let mut settings = Settings::loader().variables(variables).load().unwrap();
        settings.database_url = Some(
            format!("sqlite://{}", self.database().display())
                .parse()
                .unwrap(),
        );
        settings
    }

    /// The variables that the command is run with.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        let text = |value: &OsString| value.to_str().unwrap().to_owned();
        let variables = self.variables.iter();
        variables.map(move |(name, value)| (text(name), text(value)))
    }

    fn database(&self) -> PathBuf {
        self.path("shop.sqlite3")
    }

    /// Puts sessions with these keys into the table, all with the same stored text and expiry date.
    pub(crate) async fn insert_stored(&self, keys: &[String], stored: &str, expires: &str) {
        let pool = open(&self.database()).await;
        let mut transaction = pool.begin().await.unwrap();
        for key in keys {
            sqlx::query("INSERT INTO django_session VALUES (?, ?, ?)")
                .bind(key)
                .bind(stored)
                .bind(expires)
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
        pool.close().await;
    }

    /// As [`insert_stored`](Self::insert_stored), of a JSON text that is signed as Django signs it.
    pub(crate) async fn insert(&self, keys: &[String], json: &str, expires: &str) {
        let data = SessionData::from_json(json.as_bytes()).unwrap();
        let stored = Codec::new(&self.settings()).encode(&data).unwrap();
        self.insert_stored(keys, &stored, expires).await;
    }

    /// How many rows the session table has.
    pub(crate) async fn rows(&self) -> i64 {
        let pool = open(&self.database()).await;
        sqlx::query_scalar("SELECT COUNT(*) FROM django_session")
            .fetch_one(&pool)
            .await
            .unwrap()
    }

    /// What a session holds by which this user is logged in, as Django makes it.
    pub(crate) async fn login(&self, username: &str) -> String {
        let pool = open(&self.database()).await;
        let (id, password): (i64, String) =
            sqlx::query_as("SELECT id, password FROM auth_user WHERE username = ?")
                .bind(username)
                .fetch_one(&pool)
                .await
                .unwrap();
        let proof = session_auth_hash(&password, &self.settings().secret_key);
        format!(
            r#"{{"_auth_user_id":"{id}","_auth_user_backend":"{MODEL_BACKEND}","_auth_user_hash":"{proof}"}}"#
        )
    }

    /// Runs a statement on the database.
    pub(crate) async fn execute(&self, statement: &'static str) {
        let pool = open(&self.database()).await;
        sqlx::query(AssertSqlSafe(statement))
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
    }
}

async fn open(path: &Path) -> SqlitePool {
    SqlitePool::connect_with(SqliteConnectOptions::new().filename(path))
        .await
        .unwrap()
}

/// Keys like Django's, in their order.
pub(crate) fn keys(number: usize) -> Vec<String> {
    (0..number)
        .map(|index| format!("{index:08}aaaaaaaaaaaaaaaaaaaaaaaa"))
        .collect()
}
