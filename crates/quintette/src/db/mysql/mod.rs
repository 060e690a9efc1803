//! Django's tables on MySQL and MariaDB, as Django keeps them there: dates are naive `datetime(6)`, in UTC with `USE_TZ`.

mod error;
mod migrations;
mod session_table;

use std::sync::Arc;

use async_trait::async_trait;
use quintette_core::session::{SessionError, SessionErrorKind};
use quintette_core::settings::{SecretUrl, Settings};
use quintette_core::time::TimeZone;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};

use super::error::missing_table;
use super::{Driver, Migrated, SessionTable};
use error::translate;
use session_table::MysqlSessionTable;

/// A MySQL or MariaDB database, or the pool of an application that has one.
#[derive(Clone, Debug)]
pub struct MysqlDatabase {
    pool: MySqlPool,
    place: Arc<str>,
    time_zone: TimeZone,
}

impl MysqlDatabase {
    /// Uses the pool that the application has. Its time-outs are the application's.
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
        let place = place(&pool.connect_options()).into();
        Self {
            pool,
            place,
            time_zone: settings.into(),
        }
    }

    pub(super) async fn open(url: &SecretUrl, settings: &Settings) -> Result<Self, SessionError> {
        let options = parse(url)?;
        let place: Arc<str> = place(&options).into();
        let pool = MySqlPoolOptions::new().max_connections(16).connect_with(options).await.map_err(|error| translate(&place, error))?;
        Ok(Self {
            pool,
            place,
            time_zone: settings.into(),
        })
    }
}

#[async_trait]
impl Driver for MysqlDatabase {
    async fn migrate(&self) -> Result<Vec<Migrated>, SessionError> {
        let connection = self.pool.acquire().await;
        let mut connection = connection
            .map_err(|error| translate(&self.place, error))?
            .detach();
        migrations::migrate(&mut connection, self.time_zone, &self.place).await
    }

    async fn session_table(&self) -> Result<Arc<dyn SessionTable>, SessionError> {
        let failed = |error| translate(&self.place, error);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        let found = migrations::has_table(&mut connection, "django_session").await;
        if !found.map_err(failed)? {
            return Err(missing_table(&self.place));
        }
        let largest_packet: u64 = sqlx::query_scalar("SELECT @@max_allowed_packet")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        let largest_packet = usize::try_from(largest_packet).unwrap_or(usize::MAX);
        Ok(Arc::new(MysqlSessionTable::new(self.clone(), largest_packet)))
    }
}

fn parse(url: &SecretUrl) -> Result<MySqlConnectOptions, SessionError> {
    let options: MySqlConnectOptions = url.reveal().parse().map_err(|error: sqlx::Error| {
        SessionError::new(
            SessionErrorKind::Misconfigured,
            format!("DATABASE_URL names {url}, which is no URL of a MySQL or MariaDB server: {error}"),
        )
    })?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err(SessionError::new(
            SessionErrorKind::Misconfigured,
            format!(
                "DATABASE_URL names {url}, a server, but no database there: write mysql://user:password@host/database"
            ),
        ));
    }
    Ok(options)
}

/// The server and the database, without the user and the password.
fn place(options: &MySqlConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    match options.get_socket() {
        Some(socket) => format!("{database} at {}", socket.display()),
        None => format!("{database} at {}:{}", options.get_host(), options.get_port()),
    }
}
