//! Django's tables on SQLite, as Django keeps them there: dates are naive text, in UTC with `USE_TZ`.

#[cfg(feature = "auth")]
mod auth_schema;
mod cache_table;
mod connections;
mod migrations;
mod session_table;
#[cfg(feature = "auth")]
mod user_tables;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use quintette_core::session::{SessionError, SessionErrorKind};
#[cfg(feature = "auth")]
use quintette_core::settings::UserModel;
use quintette_core::settings::{Settings, SqliteLocation};
use quintette_core::time::TimeZone;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool};
use tokio::time::Instant;

#[cfg(feature = "auth")]
use super::UserTables;
use super::error::{DatabaseError, DatabaseErrorKind, missing_table, translate};
use super::{CacheTable, Driver, Migrated, SessionTable, TableName};
use cache_table::SqliteCacheTable;
use connections::{Connections, Lease};
use session_table::SqliteSessionTable;
#[cfg(feature = "auth")]
use user_tables::SqliteUserTables;
use writer::Writer;

/// An SQLite file, or the pool of an application that has one.
#[derive(Clone, Debug)]
pub struct SqliteDatabase {
    reader: Connections,
    writer: Writer,
    place: Arc<str>,
    /// The file that was opened, where it is ours to watch.
    file: Option<FileIdentity>,
    time_zone: TimeZone,
    #[cfg(feature = "auth")]
    user_model: UserModel,
}

/// Which file a path named when it was opened.
#[derive(Clone, Debug)]
struct FileIdentity {
    path: Arc<Path>,
    device_and_inode: (u64, u64),
}

impl SqliteDatabase {
    /// Uses the pool that the application has. Its journal mode and its time-outs are the application's.
    ///
    /// ```
    /// # async fn example(settings: &quintette::settings::Settings) -> Result<(), Box<dyn std::error::Error>> {
    /// use quintette::db::{Database, SqliteDatabase};
    ///
    /// let pool = sqlx::SqlitePool::connect("sqlite:shop.sqlite3").await?;
    /// let database = Database::from(SqliteDatabase::from_pool(pool, settings));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pool(pool: SqlitePool, settings: &Settings) -> Self {
        let place = pool
            .connect_options()
            .get_filename()
            .display()
            .to_string()
            .into();
        Self {
            reader: Connections::Pool(pool.clone()),
            writer: Writer::Alone(Connections::Pool(pool)),
            place,
            file: None,
            time_zone: settings.into(),
            #[cfg(feature = "auth")]
            user_model: settings.auth_user_model.clone(),
        }
    }

    pub(super) async fn open(
        location: &SqliteLocation,
        settings: &Settings,
        create: bool,
    ) -> Result<Self, SessionError> {
        let SqliteLocation::File(path) = location else {
            return Ok(Self::open_in_memory(settings));
        };
        if !create && !path.exists() {
            return Err(SessionError::new(
                SessionErrorKind::Misconfigured,
                format!(
                    "DATABASE_URL names {}, which does not exist: run `quintette migrate` (or Django's \
                     `manage.py migrate`) to make it",
                    path.display()
                ),
            ));
        }
        let timeout = settings.session_store_timeout;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(create)
            // For as long as another process writes. Half of what a request waits, since it may stand behind another one
            // that waits in vain; what is locked then is an error, and what has begun is not cut short.
            .busy_timeout(timeout / 2)
            // Readers and a writer go on side by side; Django reads and writes such a file as any other.
            .journal_mode(SqliteJournalMode::Wal);
        let mut writer = open_first(&options, timeout)
            .await
            .map_err(|error| cannot_open(path, error))?;
        check_writable(&mut writer)
            .await
            .map_err(|error| cannot_open(path, error))?;
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Ok(Self {
            writer: Writer::together(writer, timeout),
            reader: Connections::own(options, cores.clamp(4, 8), timeout),
            place: path.display().to_string().into(),
            file: device_and_inode(path).map(|device_and_inode| FileIdentity {
                path: path.as_path().into(),
                device_and_inode,
            }),
            time_zone: settings.into(),
            #[cfg(feature = "auth")]
            user_model: settings.auth_user_model.clone(),
        })
    }

    /// That the path still names the file that is open. What is written to a file that somebody has deleted or put
    /// another in place of would be acknowledged, and gone with this process.
    fn check_place(&self) -> Result<(), DatabaseError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        // A look into the directory, which the kernel has in memory: no thread is needed for it.
        if device_and_inode(&file.path) == Some(file.device_and_inode) {
            return Ok(());
        }
        Err(DatabaseError::new(
            DatabaseErrorKind::Unavailable,
            format!(
                "the database {} was deleted or replaced while it was in use: restart this program",
                file.path.display()
            ),
        ))
    }

    /// One connection for all, that is never closed: with it, the database would go.
    fn open_in_memory(settings: &Settings) -> Self {
        let options = SqliteConnectOptions::new().in_memory(true);
        let connections = Connections::own(options, 1, settings.session_store_timeout);
        Self {
            reader: connections.clone(),
            writer: Writer::Alone(connections),
            place: ":memory:".into(),
            file: None,
            time_zone: settings.into(),
            #[cfg(feature = "auth")]
            user_model: settings.auth_user_model.clone(),
        }
    }
}

#[async_trait]
impl Driver for SqliteDatabase {
    async fn migrate(&self) -> Result<Vec<Migrated>, SessionError> {
        migrations::migrate(self)
            .await
            .map_err(|error| translate(&self.place, error))
    }

    async fn session_table(&self) -> Result<Arc<dyn SessionTable>, SessionError> {
        let found = migrations::has_table(&self.reader, "django_session").await;
        if !found.map_err(|error| translate(&self.place, error))? {
            return Err(missing_table(&self.place).into());
        }
        Ok(Arc::new(SqliteSessionTable::new(self.clone())))
    }

    async fn create_cache_table(&self, name: TableName) -> Result<bool, SessionError> {
        SqliteCacheTable::create(self.clone(), name).await
    }

    async fn cache_table(&self, name: TableName) -> Result<Arc<dyn CacheTable>, SessionError> {
        let table = SqliteCacheTable::open(self.clone(), name).await?;
        Ok(Arc::new(table))
    }

    #[cfg(feature = "auth")]
    async fn user_tables(&self, model: &UserModel) -> Result<Arc<dyn UserTables>, DatabaseError> {
        let tables = SqliteUserTables::open(self.clone(), model).await?;
        Ok(Arc::new(tables))
    }
}

#[cfg(unix)]
fn device_and_inode(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;

    let metadata = path.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn device_and_inode(_path: &Path) -> Option<(u64, u64)> {
    None
}

/// The connection that sets the file to WAL. Of two programs that do so at once, SQLite tells one that the file is
/// locked, however long its busy timeout is: it tries again for as long as a request would wait.
async fn open_first(
    options: &SqliteConnectOptions,
    timeout: Duration,
) -> Result<Lease, sqlx::Error> {
    let deadline = Instant::now() + timeout;
    loop {
        let opened = Connections::own(options.clone(), 1, timeout)
            .acquire()
            .await;
        match opened {
            Err(error) if is_locked(&error) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
}

/// `SQLITE_BUSY` and its extended codes (<https://sqlite.org/rescode.html>).
fn is_locked(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

/// Tells a read-only database at start-up, and not with the first visitor's cart.
async fn check_writable(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    for statement in ["BEGIN IMMEDIATE", "ROLLBACK"] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

fn cannot_open(path: &Path, error: sqlx::Error) -> SessionError {
    let hint = match error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .as_deref()
    {
        // https://sqlite.org/rescode.html
        Some("5" | "6" | "261" | "517") => {
            "another program holds it locked: end that program's transaction"
        }
        Some(code) if code.parse().is_ok_and(|code: i32| code & 0xff == 8) => {
            "it is read-only: give this user the right to write to it and to its directory"
        }
        Some("14" | "1038" | "526") => {
            "it cannot be opened: check that its directory exists and may be written"
        }
        Some("26") => "it is no SQLite database",
        _ => "it cannot be used",
    };
    SessionError::new(
        SessionErrorKind::Unavailable,
        format!("DATABASE_URL: {}: {hint} ({error})", path.display()),
    )
    .with_source(error)
}
