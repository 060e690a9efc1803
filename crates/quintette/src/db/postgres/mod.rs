//! Django's tables on `PostgreSQL`, as Django keeps them there.
//!
//! `expire_date` is a `timestamp with time zone`: an instant, whatever `USE_TZ` and `TIME_ZONE` say. Django without
//! `USE_TZ` tells the server its `TIME_ZONE` and reads and writes local times; the server keeps the same instants.
//!
//! SELECTs that come together go as one, and so do UPDATEs, which then wait for the disk once.
//!
//! # Behind `PgBouncer`
//!
//! Statements are prepared once for each connection. Behind `PgBouncer` in its mode `transaction` that takes version 1.21
//! or later, with `max_prepared_statements` above zero.

#[cfg(feature = "auth")]
mod auth_schema;
mod cache_table;
mod dialect;
mod migrations;
mod session_table;
mod updates;
mod url;
#[cfg(feature = "auth")]
mod user_tables;

use std::sync::Arc;

use async_trait::async_trait;
use quintette_core::session::{SessionError, SessionErrorKind};
#[cfg(feature = "auth")]
use quintette_core::settings::UserModel;
use quintette_core::settings::{SecretUrl, Settings};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{ConnectOptions, Postgres};
use tokio::time::Instant;

use super::connections::{Connections, Server};
use super::error::missing_table;
use super::failure::{Failure, not_read, not_written};
use super::{CacheTable, Driver, Migrated, SessionTable, TableName};
#[cfg(feature = "auth")]
use super::{DatabaseError, UserTables};
use cache_table::PostgresCacheTable;
use session_table::PostgresSessionTable;
use url::Location;
#[cfg(feature = "auth")]
use user_tables::PostgresUserTables;

/// A `PostgreSQL` database: by its URL, or the pool of an application that has one.
#[derive(Clone, Debug)]
pub struct PostgresDatabase {
    connections: Connections<Postgres>,
    place: Arc<str>,
    #[cfg(feature = "auth")]
    user_model: UserModel,
}

impl PostgresDatabase {
    /// Uses the pool that the application has. How many connections there are and how they are made is the
    /// application's choice; `SESSION_STORE_TIMEOUT` bounds each statement here, too.
    ///
    /// ```
    /// # async fn example(settings: &quintette::settings::Settings) -> Result<(), Box<dyn std::error::Error>> {
    /// use quintette::db::{Database, PostgresDatabase};
    ///
    /// let pool = sqlx::PgPool::connect("postgres://shop@localhost/shop").await?;
    /// let database = Database::from(PostgresDatabase::from_pool(pool, settings));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pool(pool: PgPool, settings: &Settings) -> Self {
        Self {
            place: place(&pool.connect_options()),
            connections: Connections::pool(pool, settings.session_store_timeout),
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
        let database = Self {
            place: place(&options),
            connections: Connections::own(
                options.disable_statement_logging(),
                max_connections,
                settings.session_store_timeout,
            ),
            #[cfg(feature = "auth")]
            user_model: settings.auth_user_model.clone(),
        };
        let deadline = Instant::now() + settings.session_store_timeout;
        match database.connections.acquire(deadline).await {
            Ok(_) => Ok(database),
            Err(failure) => Err(cannot_open(&database.place, failure)),
        }
    }
}

/// The server and the database, without the password.
fn place(options: &PgConnectOptions) -> Arc<str> {
    let database = options
        .get_database()
        .unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{database} of PostgreSQL at {}", socket.display()),
        None => format!(
            "{database} of PostgreSQL at {}:{}",
            options.get_host(),
            options.get_port()
        ),
    }
    .into()
}

#[async_trait]
impl Driver for PostgresDatabase {
    async fn migrate(&self) -> Result<Vec<Migrated>, SessionError> {
        migrations::migrate(self)
            .await
            .map_err(|failure| not_written::<Postgres>(&self.place, failure))
    }

    async fn session_table(&self) -> Result<Arc<dyn SessionTable>, SessionError> {
        let found = migrations::has_table(&self.connections, "django_session").await;
        match found {
            Ok(true) => {}
            Ok(false) => return Err(missing_table(&self.place).into()),
            Err(failure) => return Err(not_read::<Postgres>(&self.place, failure)),
        }
        Ok(Arc::new(PostgresSessionTable::new(self.clone())))
    }

    async fn create_cache_table(&self, name: TableName) -> Result<bool, SessionError> {
        PostgresCacheTable::create(self.clone(), name).await
    }

    async fn cache_table(&self, name: TableName) -> Result<Arc<dyn CacheTable>, SessionError> {
        let table = PostgresCacheTable::open(self.clone(), name).await?;
        Ok(Arc::new(table))
    }

    #[cfg(feature = "auth")]
    async fn user_tables(&self, model: &UserModel) -> Result<Arc<dyn UserTables>, DatabaseError> {
        let tables = PostgresUserTables::open(self.clone(), model).await?;
        Ok(Arc::new(tables))
    }
}

fn cannot_open(place: &str, failure: Failure) -> SessionError {
    let error = failure.error;
    let advice = match &*error {
        sqlx::Error::Database(error) => Postgres::advice(error.as_ref()),
        sqlx::Error::Io(_) => {
            Some("it cannot be reached: check host and port, and that the server runs")
        }
        sqlx::Error::Tls(_) => Some(
            "there is no encrypted connection to it: check sslmode, and enable one of sqlx's tls features in Cargo.toml",
        ),
        _ => None,
    };
    let advice = advice.unwrap_or("it cannot be used");
    SessionError::new(
        SessionErrorKind::Unavailable,
        format!("DATABASE_URL: the database {place}: {advice} ({error})"),
    )
    .with_source(error)
}
