//! Databases: where the `db` and `cached_db` engines keep sessions, and `DatabaseCache` its entries.
//!
//! [`Database::connect`] opens what `DATABASE_URL` names; [`Database::migrate`] makes the tables as Django's migrations
//! make them. An application that has a pool already hands it over, and the engines use it.
//!
//! | `DATABASE_URL` | here | feature |
//! | --- | --- | --- |
//! | `sqlite:///srv/shop/db.sqlite3` | `SqliteDatabase` | `sqlite` |
//! | `postgres://user:password@host:5432/name` | `PostgresDatabase` | `postgres` |
//! | `mysql://user:password@host:3306/name`, also of MariaDB | `MysqlDatabase` | `mysql` |
//!
//! A server's URL takes `max_connections`, and what sqlx understands of the server's own options; an unknown one is an
//! error. Connections are opened when they are needed, and kept.

// The only room that names SQL. Each kind of database is a folder with the same files; what the servers among them share
// stands here.

mod cache_table;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod connections;
mod error;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod failure;
mod migrations;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod outage;
#[cfg(feature = "postgres")]
mod postgres;
pub(crate) mod queries;
pub mod query_log_layer;
mod session_table;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod together;
#[cfg(feature = "auth")]
mod user_tables;

use std::sync::Arc;

use async_trait::async_trait;
use quintette_core::session::{SessionError, SessionErrorKind};
#[cfg(feature = "auth")]
use quintette_core::settings::UserModel;
use quintette_core::settings::{CacheBackend, DatabaseUrl, Settings};

pub(crate) use cache_table::{CacheRow, CacheTable, TableName};
pub use migrations::Migrated;
#[cfg(feature = "mysql")]
pub use mysql::MysqlDatabase;
#[cfg(feature = "postgres")]
pub use postgres::PostgresDatabase;
pub use queries::{Query, QueryLog};
pub use query_log_layer::QueryLogLayer;
pub(crate) use session_table::{SessionRow, SessionTable};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteDatabase;
#[cfg(feature = "auth")]
pub(crate) use {
    error::{DatabaseError, DatabaseErrorKind},
    user_tables::{NewUser, UserKey, UserRow, UserSessionRow, UserTables},
};

/// A database that holds Django's tables. A cheap handle: clones share the connections.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use quintette::db::Database;
/// use quintette::settings::Settings;
///
/// let settings = Settings::load()?;
/// let database = Database::create(&settings).await?;
/// for migrated in database.migrate().await? {
///     println!("{migrated:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Database {
    driver: Arc<dyn Driver>,
}

/// What a kind of database does in its own way.
#[async_trait]
trait Driver: std::fmt::Debug + Send + Sync {
    async fn migrate(&self) -> Result<Vec<Migrated>, SessionError>;

    /// The table `django_session`. Fails where it is not there.
    async fn session_table(&self) -> Result<Arc<dyn SessionTable>, SessionError>;

    /// Makes a table for a cache; `false` where there is one.
    async fn create_cache_table(&self, name: TableName) -> Result<bool, SessionError>;

    /// A cache's table. Fails where it is not there.
    async fn cache_table(&self, name: TableName) -> Result<Arc<dyn CacheTable>, SessionError>;

    /// The tables of users. Fails where they are not there.
    #[cfg(feature = "auth")]
    async fn user_tables(&self, model: &UserModel) -> Result<Arc<dyn UserTables>, DatabaseError>;
}

impl Database {
    /// Opens the database that `DATABASE_URL` names. It must be there: [`create`](Self::create) makes it.
    ///
    /// # Errors
    ///
    /// Where it is missing, cannot be opened or written, or is of a kind that this build does not speak: the message
    /// says what and where. A server that does not answer is told within `SESSION_STORE_TIMEOUT`.
    ///
    /// # Cancellation
    ///
    /// A caller that vanishes leaves no connection behind.
    pub async fn connect(settings: &Settings) -> Result<Self, SessionError> {
        Self::open(settings, false).await
    }

    /// As [`connect`](Self::connect), and makes an SQLite file that is missing.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn create(settings: &Settings) -> Result<Self, SessionError> {
        Self::open(settings, true).await
    }

    /// Only an SQLite file is created.
    async fn open(settings: &Settings, create: bool) -> Result<Self, SessionError> {
        let _ = create;
        let url = settings.database_url.as_ref().ok_or_else(|| {
            misconfigured(
                "DATABASE_URL is not set, and a database is needed. Set it to something like \
                 sqlite:///srv/shop/db.sqlite3"
                    .to_owned(),
            )
        })?;
        match url {
            #[cfg(feature = "sqlite")]
            DatabaseUrl::Sqlite(location) => {
                let sqlite = SqliteDatabase::open(location, settings, create).await?;
                Ok(sqlite.into())
            }
            #[cfg(feature = "mysql")]
            DatabaseUrl::Mysql(url) => Ok(MysqlDatabase::open(url, settings).await?.into()),
            #[cfg(feature = "postgres")]
            DatabaseUrl::Postgres(url) => Ok(PostgresDatabase::open(url, settings).await?.into()),
            other => Err(misconfigured(format!(
                "DATABASE_URL names {other}, which this program was built without: enable the feature \"{}\" of quintette",
                feature_of(other)
            ))),
        }
    }

    /// Makes what is missing of Django's tables, as Django's migrations do, and says what it made.
    ///
    /// What Django has migrated is left alone; what is made here Django finds migrated. With the feature `auth`, these are
    /// the tables of contenttypes and auth as well, or of the model that `AUTH_USER_MODEL` names, with the permissions that
    /// Django gives each model; and `quintette_user_session`, which is ours.
    ///
    /// # Errors
    ///
    /// Where the database cannot answer or be written.
    ///
    /// # Cancellation
    ///
    /// A migration is made whole or not at all; on MySQL, which can undo no table, what was cut short is completed by the
    /// next one.
    pub async fn migrate(&self) -> Result<Vec<Migrated>, SessionError> {
        self.driver.migrate().await
    }

    /// Makes what is missing of the tables that `CACHES` names for `DatabaseCache`, and returns the names of those it
    /// made: Django's `manage.py createcachetable`.
    ///
    /// # Errors
    ///
    /// Where a `LOCATION` can be no table's name, or the database cannot answer or be written. The tables made until then
    /// stay.
    ///
    /// # Cancellation
    ///
    /// A table that was made stays. On MySQL one that was cut short may lack its index.
    pub async fn create_cache_tables(
        &self,
        settings: &Settings,
    ) -> Result<Vec<String>, SessionError> {
        let mut made = Vec::new();
        for cache in settings.caches.values() {
            if cache.backend != CacheBackend::Database {
                continue;
            }
            for location in &cache.location {
                let name = TableName::parse(location.reveal())?;
                if self.driver.create_cache_table(name).await? {
                    made.push(location.reveal().to_owned());
                }
            }
        }
        Ok(made)
    }

    /// A cache's table. Fails where it is not there.
    pub(crate) async fn cache_table(
        &self,
        name: &str,
    ) -> Result<Arc<dyn CacheTable>, SessionError> {
        self.driver.cache_table(TableName::parse(name)?).await
    }

    /// The table `django_session`. Fails where it is not there.
    pub(crate) async fn session_table(&self) -> Result<Arc<dyn SessionTable>, SessionError> {
        self.driver.session_table().await
    }

    /// The tables of users. Fails where they are not there.
    #[cfg(feature = "auth")]
    pub(crate) async fn user_tables(
        &self,
        model: &UserModel,
    ) -> Result<Arc<dyn UserTables>, DatabaseError> {
        self.driver.user_tables(model).await
    }
}

#[cfg(feature = "sqlite")]
impl From<SqliteDatabase> for Database {
    fn from(sqlite: SqliteDatabase) -> Self {
        Self {
            driver: Arc::new(sqlite),
        }
    }
}

#[cfg(feature = "mysql")]
impl From<MysqlDatabase> for Database {
    fn from(mysql: MysqlDatabase) -> Self {
        Self {
            driver: Arc::new(mysql),
        }
    }
}

#[cfg(feature = "postgres")]
impl From<PostgresDatabase> for Database {
    fn from(postgres: PostgresDatabase) -> Self {
        Self {
            driver: Arc::new(postgres),
        }
    }
}

fn feature_of(url: &DatabaseUrl) -> &'static str {
    match url {
        DatabaseUrl::Postgres(_) => "postgres",
        DatabaseUrl::Mysql(_) => "mysql",
        _ => "sqlite",
    }
}

/// An option of a URL, to be told in an error: unless it is no name, but what follows a `?` in a password.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn option_named(name: &str) -> String {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.bytes().all(is_name) {
        format!("the option {name:?}")
    } else {
        "an option (is there a ? in the password? write it %3F)".to_owned()
    }
}

fn misconfigured(message: String) -> SessionError {
    SessionError::new(SessionErrorKind::Misconfigured, message)
}
