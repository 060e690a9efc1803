//! Django's tables on MySQL and MariaDB, as Django keeps them there: dates are naive `datetime(6)`, in UTC with `USE_TZ`.
//!
//! What our own connections set for themselves is in `dialect.rs`. An application's pool is used as it is: its isolation
//! level and its time-outs are the application's.

#[cfg(feature = "auth")]
mod auth_schema;
mod cache_table;
mod dialect;
mod migrations;
mod session_table;
mod statements;
mod url;
#[cfg(feature = "auth")]
mod user_tables;

use std::sync::Arc;

use async_trait::async_trait;
use quintette_core::session::{SessionError, SessionErrorKind};
#[cfg(feature = "auth")]
use quintette_core::settings::UserModel;
use quintette_core::settings::{SecretUrl, Settings};
use quintette_core::time::TimeZone;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool};
use sqlx::{MySql, Row};
use tokio::time::Instant;

use super::connections::{Connections, Server};
use super::failure::{Failure, not_read, not_written};
use super::{CacheTable, Driver, Migrated, SessionTable, TableName};
#[cfg(feature = "auth")]
use super::{DatabaseError, UserTables};
use cache_table::MysqlCacheTable;
use session_table::MysqlSessionTable;
use url::Location;
#[cfg(feature = "auth")]
use user_tables::MysqlUserTables;

/// A MySQL or MariaDB database: by its URL, or the pool of an application that has one.
#[derive(Clone, Debug)]
pub struct MysqlDatabase {
    connections: Connections<MySql>,
    place: Arc<str>,
    time_zone: TimeZone,
    #[cfg(feature = "auth")]
    user_model: UserModel,
}

impl MysqlDatabase {
    /// Uses the pool that the application has. How many connections there are and how they are made is the
    /// application's choice; `SESSION_STORE_TIMEOUT` bounds each statement here, too.
    ///
    /// ```
    /// # async fn example(settings: &quintette::settings::Settings) -> Result<(), Box<dyn std::error::Error>> {
    /// use quintette::db::{Database, MysqlDatabase};
    ///
    /// let pool = sqlx::MySqlPool::connect("mysql://shop@localhost/shop").await?;
    /// let database = Database::from(MysqlDatabase::from_pool(pool, settings));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pool(pool: MySqlPool, settings: &Settings) -> Self {
        Self {
            place: place(&pool.connect_options()),
            connections: Connections::pool(pool, settings.session_store_timeout),
            time_zone: settings.into(),
            #[cfg(feature = "auth")]
            user_model: settings.auth_user_model.clone(),
        }
    }

    /// Opens the database, with one connection, so that what is wrong is told when the program starts.
    pub(super) async fn open(url: &SecretUrl, settings: &Settings) -> Result<Self, SessionError> {
        let Location {
            options,
            max_connections,
        } = Location::parse(url)?;
        let timeout = settings.session_store_timeout;
        let database = Self {
            place: place(&options),
            connections: Connections::own(options, max_connections, timeout),
            time_zone: settings.into(),
            #[cfg(feature = "auth")]
            user_model: settings.auth_user_model.clone(),
        };
        let deadline = Instant::now() + timeout;
        match database.connections.acquire(deadline).await {
            Ok(_) => Ok(database),
            Err(failure) => Err(cannot_open(&database.place, &failure)),
        }
    }
}

#[async_trait]
impl Driver for MysqlDatabase {
    async fn migrate(&self) -> Result<Vec<Migrated>, SessionError> {
        let migrated = migrations::migrate(self).await;
        let migrated = migrated.map_err(|failure| not_written::<MySql>(&self.place, failure))?;
        migrated.ok_or_else(|| {
            SessionError::new(
                SessionErrorKind::Unavailable,
                format!(
                    "another program has been migrating {} for almost a minute: try again when it is done",
                    self.place
                ),
            )
        })
    }

    async fn session_table(&self) -> Result<Arc<dyn SessionTable>, SessionError> {
        // Fails where there is no such table, and asks in the same breath what else has to be known.
        let rows = self.connections.read(|| {
            sqlx::query(
                "SELECT @@max_allowed_packet, @@autocommit, \
                 (SELECT COUNT(*) FROM django_session WHERE session_key = '')",
            )
        });
        let rows = rows
            .await
            .map_err(|failure| not_read::<MySql>(&self.place, failure))?;
        let commits = rows
            .first()
            .and_then(|row| row.try_get_unchecked::<i64, _>(1).ok());
        if commits == Some(0) {
            return Err(SessionError::new(
                SessionErrorKind::Misconfigured,
                does_not_commit(&self.place),
            ));
        }
        let largest_packet = rows
            .first()
            .and_then(|row| row.try_get_unchecked::<u64, _>(0).ok());
        let largest_packet = largest_packet
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(usize::MAX);
        Ok(Arc::new(MysqlSessionTable::new(
            self.clone(),
            largest_packet,
        )))
    }

    async fn create_cache_table(&self, name: TableName) -> Result<bool, SessionError> {
        MysqlCacheTable::create(self.clone(), name).await
    }

    async fn cache_table(&self, name: TableName) -> Result<Arc<dyn CacheTable>, SessionError> {
        let table = MysqlCacheTable::open(self.clone(), name).await?;
        Ok(Arc::new(table))
    }

    #[cfg(feature = "auth")]
    async fn user_tables(&self, model: &UserModel) -> Result<Arc<dyn UserTables>, DatabaseError> {
        let tables = MysqlUserTables::open(self.clone(), model).await?;
        Ok(Arc::new(tables))
    }
}

fn does_not_commit(place: &str) -> String {
    format!(
        "the connections to {place} do not commit: SET autocommit = 1, on the server or in the pool's after_connect"
    )
}

/// The server and the database, without user and password.
fn place(options: &MySqlConnectOptions) -> Arc<str> {
    let database = options.get_database().unwrap_or_default();
    match options.get_socket() {
        Some(socket) => format!("{database} of MySQL at {}", socket.display()),
        None => format!(
            "{database} of MySQL at {}:{}",
            options.get_host(),
            options.get_port()
        ),
    }
    .into()
}

fn cannot_open(place: &str, failure: &Failure) -> SessionError {
    let error = failure.error.clone();
    let advice = match &*error {
        sqlx::Error::Database(error) => MySql::advice(error.as_ref()),
        sqlx::Error::Io(_) => {
            Some("it cannot be reached: check host and port, and that the server runs")
        }
        sqlx::Error::Tls(_) => Some(
            "there is no encrypted connection to it: check ssl-mode, and enable one of sqlx's tls features in Cargo.toml",
        ),
        _ => None,
    };
    let advice = advice.unwrap_or("it cannot be used");
    SessionError::new(
        SessionErrorKind::Unavailable,
        format!("DATABASE_URL: {place}: {advice} ({error})"),
    )
    .with_source(error)
}
