use chrono::Utc;
use quintette_core::time::TimeZone;
use sqlx::{AssertSqlSafe, Connection};

use super::connections::Connections;
use super::session_table::to_text;
use crate::db::migrations::{Migrated, Migration};

/// The same statements that `manage.py sqlmigrate` prints, so that both sides find the schema they know.
const MIGRATIONS: &[Migration] = &[Migration {
    app: "sessions",
    name: "0001_initial",
    table: "django_session",
    statements: &[
        r#"CREATE TABLE "django_session" ("session_key" varchar(40) NOT NULL PRIMARY KEY, "session_data" text NOT NULL, "expire_date" datetime NOT NULL)"#,
        r#"CREATE INDEX "django_session_expire_date_a5c62663" ON "django_session" ("expire_date")"#,
    ],
}];

/// Where Django notes which migrations were made (django/db/migrations/recorder.py).
const RECORDER: &str = r#"CREATE TABLE IF NOT EXISTS "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL)"#;

pub(super) async fn migrate(
    connections: &Connections,
    time_zone: TimeZone,
) -> Result<Vec<Migrated>, sqlx::Error> {
    let mut connection = connections.acquire().await?;
    // Immediate: two programs that start at once do not both find the tables missing.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(RECORDER).execute(&mut *transaction).await?;
    let mut migrated = Vec::new();
    for migration in MIGRATIONS {
        let recorded: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM django_migrations WHERE app = ? AND name = ?)",
        )
        .bind(migration.app)
        .bind(migration.name)
        .fetch_one(&mut *transaction)
        .await?;
        if recorded {
            continue;
        }
        let made: bool = sqlx::query_scalar(HAS_TABLE)
            .bind(migration.table)
            .fetch_one(&mut *transaction)
            .await?;
        if !made {
            for statement in migration.statements {
                sqlx::query(AssertSqlSafe(*statement))
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        sqlx::query("INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)")
            .bind(migration.app)
            .bind(migration.name)
            .bind(to_text(Utc::now(), time_zone))
            .execute(&mut *transaction)
            .await?;
        migrated.push(Migrated {
            app: migration.app,
            name: migration.name,
        });
    }
    transaction.commit().await?;
    Ok(migrated)
}

const HAS_TABLE: &str =
    "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?)";

pub(super) async fn has_table(connections: &Connections, table: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(HAS_TABLE)
        .bind(table)
        .fetch_one(&mut *connections.acquire().await?)
        .await
}
