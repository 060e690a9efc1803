use std::time::Duration;

use chrono::{SubsecRound, Utc};
use quintette_core::time::TimeZone;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, MySql};
use tokio::time::Instant;

use super::dialect::is_made_already;
use crate::db::connections::Connections;
use crate::db::failure::Failure;
use crate::db::migrations::{Migrated, Migration};

/// The same statements that `manage.py sqlmigrate` prints, so that both sides find the schema they know.
const MIGRATIONS: &[Migration] = &[Migration {
    app: "sessions",
    name: "0001_initial",
    table: "django_session",
    statements: &[
        "CREATE TABLE `django_session` (`session_key` varchar(40) NOT NULL PRIMARY KEY, `session_data` longtext NOT NULL, `expire_date` datetime(6) NOT NULL)",
        "CREATE INDEX `django_session_expire_date_a5c62663` ON `django_session` (`expire_date`)",
    ],
}];

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
pub(super) async fn migrate(
    connections: &Connections<MySql>,
    time_zone: TimeZone,
) -> Result<Option<Vec<Migrated>>, Failure> {
    let deadline = Instant::now() + TIMEOUT;
    let mut lease = connections.acquire(deadline).await?;
    // Where this is cut short, the connection is closed, and the lock goes with it.
    lease
        .run(deadline, move |connection| {
            Box::pin(migrate_on(connection, time_zone))
        })
        .await
}

async fn migrate_on(
    connection: &mut MySqlConnection,
    time_zone: TimeZone,
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
    let migrated = migrate_locked(connection, time_zone).await;
    sqlx::query(WAIT_NO_MORE).execute(&mut *connection).await?;
    sqlx::query(UNLOCK).execute(connection).await?;
    migrated.map(Some)
}

async fn migrate_locked(
    connection: &mut MySqlConnection,
    time_zone: TimeZone,
) -> Result<Vec<Migrated>, sqlx::Error> {
    // Looked for first: a user who may not create a table may not say IF NOT EXISTS either.
    if !has_table(connection, "django_migrations").await? {
        make(connection, RECORDER).await?;
    }
    let mut migrated = Vec::new();
    for migration in MIGRATIONS {
        let recorded: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM django_migrations WHERE app = ? AND name = ?")
                .bind(migration.app)
                .bind(migration.name)
                .fetch_one(&mut *connection)
                .await?;
        if recorded > 0 {
            continue;
        }
        // No transaction holds several CREATEs together here. What an earlier run made, and did not come to record, is
        // left as it is, and what it did not come to is made. The first statement makes the table.
        let made = has_table(connection, migration.table).await?;
        for statement in migration.statements.iter().skip(made.into()) {
            make(connection, statement).await?;
        }
        sqlx::query("INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)")
            .bind(migration.app)
            .bind(migration.name)
            .bind(time_zone.to_naive(Utc::now()).trunc_subsecs(6))
            .execute(&mut *connection)
            .await?;
        migrated.push(Migrated {
            app: migration.app,
            name: migration.name,
        });
    }
    Ok(migrated)
}

async fn make(
    connection: &mut MySqlConnection,
    statement: &'static str,
) -> Result<(), sqlx::Error> {
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
