use std::time::Duration;

use chrono::{SubsecRound, Utc};
#[cfg(feature = "auth")]
use quintette_core::settings::UserModel;
use quintette_core::time::TimeZone;
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlConnection;
use tokio::time::Instant;

use super::MysqlDatabase;
#[cfg(feature = "auth")]
use super::auth_schema;
use super::dialect::is_made_already;
use crate::db::failure::Failure;
#[cfg(feature = "auth")]
use crate::db::migrations::CONTENT_TYPES_ARE_WHOLE;
use crate::db::migrations::{History, INITIAL, Migrated, Migration, Table};
#[cfg(feature = "auth")]
use crate::db::user_tables::{permissions, permissions::ContentType};

/// The same statements that `manage.py sqlmigrate` prints, so that both sides find the schema they know.
fn sessions() -> Migration {
    Migration {
        app: "sessions".into(),
        names: INITIAL,
        after: None,
        tables: vec![Table::new(
            "django_session",
            [
                "CREATE TABLE `django_session` (`session_key` varchar(40) NOT NULL PRIMARY KEY, `session_data` longtext NOT NULL, `expire_date` datetime(6) NOT NULL)",
                "CREATE INDEX `django_session_expire_date_a5c62663` ON `django_session` (`expire_date`)",
            ],
        )],
    }
}

/// Where Django notes which migrations were made (django/db/migrations/recorder.py). Its id is of the type that
/// `DEFAULT_AUTO_FIELD` names: a `bigint` in the projects that `startproject` has made since Django 3.2.
const RECORDER: &str = "CREATE TABLE `django_migrations` (`id` bigint AUTO_INCREMENT NOT NULL PRIMARY KEY, `app` varchar(255) NOT NULL, `name` varchar(255) NOT NULL, `applied` datetime(6) NOT NULL)";

/// How long a migration may take, with the wait for another that is under way.
pub(super) const TIMEOUT: Duration = Duration::from_mins(1);

/// How many seconds of it may be spent waiting: for the lock, and for tables that others use.
const PATIENCE: i32 = 50;

/// Such a lock is the server's, and its name has at most 64 characters: the database's name is in it, as a digest.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('quintette.', SHA1(DATABASE())), ?)";
const UNLOCK: &str = "DO RELEASE_LOCK(CONCAT('quintette.', SHA1(DATABASE())))";

/// A table that is in use is waited for longer than a request would.
const WAIT: &str = "SET @quintette_wait = @@lock_wait_timeout, lock_wait_timeout = ?";
const WAIT_NO_MORE: &str = "SET lock_wait_timeout = @quintette_wait";

/// `None` where another program held the lock all the time.
pub(super) async fn migrate(database: &MysqlDatabase) -> Result<Option<Vec<Migrated>>, Failure> {
    let deadline = Instant::now() + TIMEOUT;
    let mut lease = database.connections.acquire(deadline).await?;
    let database = database.clone();
    // Where this is cut short, the connection is closed, and the lock goes with it.
    lease
        .run(deadline, move |connection| {
            Box::pin(migrate_on(connection, database))
        })
        .await
}

fn migrations(database: &MysqlDatabase) -> Vec<Migration> {
    #[cfg(feature = "auth")]
    let auth = auth_schema::migrations(&database.user_model);
    #[cfg(not(feature = "auth"))]
    let (auth, _) = (Vec::new(), database);
    std::iter::once(sessions()).chain(auth).collect()
}

async fn migrate_on(
    connection: &mut MySqlConnection,
    database: MysqlDatabase,
) -> Result<Option<Vec<Migrated>>, sqlx::Error> {
    let locked: Option<i64> = sqlx::query_scalar(LOCK)
        .bind(PATIENCE)
        .fetch_one(&mut *connection)
        .await?;
    if locked != Some(1) {
        return Ok(None);
    }
    sqlx::query(WAIT)
        .bind(PATIENCE)
        .execute(&mut *connection)
        .await?;
    let migrated = migrate_locked(connection, &database).await;
    sqlx::query(WAIT_NO_MORE).execute(&mut *connection).await?;
    sqlx::query(UNLOCK).execute(connection).await?;
    migrated.map(Some)
}

async fn migrate_locked(
    connection: &mut MySqlConnection,
    database: &MysqlDatabase,
) -> Result<Vec<Migrated>, sqlx::Error> {
    // Looked for first: a user who may not create a table may not say IF NOT EXISTS either.
    if !has_table(connection, "django_migrations").await? {
        make(connection, RECORDER).await?;
    }
    let recorded = sqlx::query_as(History::SELECT)
        .fetch_all(&mut *connection)
        .await?;
    let mut history = History(recorded);
    let mut migrated = Vec::new();
    for migration in migrations(database) {
        if history.calls_for(&migration) {
            make_all(connection, &migration, database.time_zone).await?;
            history.add(&migration);
            migrated.extend(migration.migrated());
        }
    }
    #[cfg(feature = "auth")]
    if history.has(CONTENT_TYPES_ARE_WHOLE) {
        make_permissions(connection, &database.user_model).await?;
    }
    Ok(migrated)
}

async fn make_all(
    connection: &mut MySqlConnection,
    migration: &Migration,
    time_zone: TimeZone,
) -> Result<(), sqlx::Error> {
    for table in &migration.tables {
        // No transaction holds several CREATEs together here. What an earlier run made, and did not come to record, is
        // left as it is, and what it did not come to is made. The first statement makes the table.
        let made = has_table(connection, &table.name).await?;
        for statement in table.statements.iter().skip(made.into()) {
            make(connection, statement).await?;
        }
    }
    // All at once, or what is missing would seem to be left to Django.
    let rows = vec!["(?, ?, ?)"; migration.names.len()].join(", ");
    let insert = format!("INSERT INTO django_migrations (app, name, applied) VALUES {rows}");
    let mut insert = sqlx::query(AssertSqlSafe(insert));
    for name in migration.names {
        insert = insert
            .bind(&*migration.app)
            .bind(name)
            .bind(time_zone.to_naive(Utc::now()).trunc_subsecs(6));
    }
    insert.execute(connection).await?;
    Ok(())
}

/// What is missing of the content types and the permissions. Django may make the same ones at the same time.
#[cfg(feature = "auth")]
async fn make_permissions(
    connection: &mut MySqlConnection,
    user_model: &UserModel,
) -> Result<(), sqlx::Error> {
    let there: Vec<_> = sqlx::query_as(permissions::SELECT)
        .fetch_all(&mut *connection)
        .await?;
    let models = ContentType::all(user_model).into_iter();
    for content_type in models.filter(|content_type| !content_type.is_complete(&there)) {
        sqlx::query("INSERT IGNORE INTO django_content_type (app_label, model) VALUES (?, ?)")
            .bind(&content_type.app_label)
            .bind(&content_type.model)
            .execute(&mut *connection)
            .await?;
        for (codename, name) in content_type.permissions() {
            let insert = "INSERT IGNORE INTO auth_permission (name, content_type_id, codename) \
                SELECT ?, id, ? FROM django_content_type WHERE app_label = ? AND model = ?";
            sqlx::query(insert)
                .bind(name)
                .bind(codename)
                .bind(&content_type.app_label)
                .bind(&content_type.model)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

async fn make(connection: &mut MySqlConnection, statement: &str) -> Result<(), sqlx::Error> {
    let made = sqlx::query(AssertSqlSafe(statement))
        .execute(connection)
        .await;
    match made {
        Err(error) if !is_made_already(&error) => Err(error),
        _ => Ok(()),
    }
}

pub(super) async fn has_table(
    connection: &mut MySqlConnection,
    table: &str,
) -> Result<bool, sqlx::Error> {
    let found: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
    )
    .bind(table)
    .fetch_one(connection)
    .await?;
    Ok(found > 0)
}
