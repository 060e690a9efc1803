use chrono::{SubsecRound, Utc};
use quintette_core::session::{SessionError, SessionErrorKind};
use quintette_core::time::TimeZone;
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlConnection;

use super::error::{is_made_already, translate};
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

/// Where Django notes which migrations were made (django/db/migrations/recorder.py).
const RECORDER: &str = "CREATE TABLE `django_migrations` (`id` bigint AUTO_INCREMENT NOT NULL PRIMARY KEY, `app` varchar(255) NOT NULL, `name` varchar(255) NOT NULL, `applied` datetime(6) NOT NULL)";

/// How many seconds a program waits for another one that migrates the same database.
const PATIENCE: i32 = 60;

/// Such a lock belongs to a server, so its name holds the database's, cut to the 64 characters that it may have.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('quintette.', SHA1(DATABASE())), ?)";
const UNLOCK: &str = "DO RELEASE_LOCK(CONCAT('quintette.', SHA1(DATABASE())))";

/// The connection is one of its own: the lock goes with it, should this be cancelled.
pub(super) async fn migrate(
    connection: &mut MySqlConnection,
    time_zone: TimeZone,
    place: &str,
) -> Result<Vec<Migrated>, SessionError> {
    let failed = |error| translate(place, error);
    let locked: Option<i64> = sqlx::query_scalar(LOCK)
        .bind(PATIENCE)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if locked != Some(1) {
        return Err(SessionError::new(
            SessionErrorKind::Unavailable,
            format!("another program has been migrating {place} for {PATIENCE} seconds: try again when it is done"),
        ));
    }
    let migrated = migrate_locked(connection, time_zone).await.map_err(failed);
    let unlocked = sqlx::query(UNLOCK).execute(connection).await.map_err(failed);
    let migrated = migrated?;
    unlocked?;
    Ok(migrated)
}

async fn migrate_locked(
    connection: &mut MySqlConnection,
    time_zone: TimeZone,
) -> Result<Vec<Migrated>, sqlx::Error> {
    // Looked for first, since a user who may not create tables is not let to say IF NOT EXISTS either.
    if !has_table(connection, "django_migrations").await? {
        make(connection, RECORDER).await?;
    }
    let mut migrated = Vec::new();
    for migration in MIGRATIONS {
        let recorded: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM django_migrations WHERE app = ? AND name = ?",
        )
        .bind(migration.app)
        .bind(migration.name)
        .fetch_one(&mut *connection)
        .await?;
        if recorded > 0 {
            continue;
        }
        // Each CREATE is a transaction by itself here. What an earlier run made, and did not come to record, is left as it is.
        for statement in migration.statements {
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

async fn make(connection: &mut MySqlConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    match sqlx::query(AssertSqlSafe(statement)).execute(connection).await {
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
