use chrono::Utc;
#[cfg(feature = "auth")]
use quintette_core::settings::UserModel;
use quintette_core::time::TimeZone;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::SqliteDatabase;
#[cfg(feature = "auth")]
use super::auth_schema;
use super::connections::Connections;
use super::session_table::to_text;
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
                r#"CREATE TABLE "django_session" ("session_key" varchar(40) NOT NULL PRIMARY KEY, "session_data" text NOT NULL, "expire_date" datetime NOT NULL)"#,
                r#"CREATE INDEX "django_session_expire_date_a5c62663" ON "django_session" ("expire_date")"#,
            ],
        )],
    }
}

/// Where Django notes which migrations were made (django/db/migrations/recorder.py).
const RECORDER: &str = r#"CREATE TABLE IF NOT EXISTS "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL)"#;

fn migrations(database: &SqliteDatabase) -> Vec<Migration> {
    #[cfg(feature = "auth")]
    let auth = auth_schema::migrations(&database.user_model);
    #[cfg(not(feature = "auth"))]
    let (auth, _) = (Vec::new(), database);
    std::iter::once(sessions()).chain(auth).collect()
}

pub(super) async fn migrate(database: &SqliteDatabase) -> Result<Vec<Migrated>, sqlx::Error> {
    let mut connection = database.reader.acquire().await?;
    // Immediate: two programs that start at once do not both find the tables missing.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(RECORDER).execute(&mut *transaction).await?;
    let recorded = sqlx::query_as(History::SELECT)
        .fetch_all(&mut *transaction)
        .await?;
    let mut history = History(recorded);
    let mut migrated = Vec::new();
    for migration in migrations(database) {
        if history.calls_for(&migration) {
            make(&mut transaction, &migration, database.time_zone).await?;
            history.add(&migration);
            migrated.extend(migration.migrated());
        }
    }
    #[cfg(feature = "auth")]
    if history.has(CONTENT_TYPES_ARE_WHOLE) {
        make_permissions(&mut transaction, &database.user_model).await?;
    }
    transaction.commit().await?;
    Ok(migrated)
}

async fn make(
    transaction: &mut SqliteConnection,
    migration: &Migration,
    time_zone: TimeZone,
) -> Result<(), sqlx::Error> {
    for table in &migration.tables {
        let made: bool = sqlx::query_scalar(HAS_TABLE)
            .bind(&*table.name)
            .fetch_one(&mut *transaction)
            .await?;
        if made {
            continue;
        }
        for statement in &table.statements {
            sqlx::query(AssertSqlSafe(&**statement))
                .execute(&mut *transaction)
                .await?;
        }
    }
    for name in migration.names {
        sqlx::query("INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)")
            .bind(&*migration.app)
            .bind(name)
            .bind(to_text(Utc::now(), time_zone))
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// What is missing of the content types and the permissions. Django may make the same ones at the same time.
#[cfg(feature = "auth")]
async fn make_permissions(
    transaction: &mut SqliteConnection,
    user_model: &UserModel,
) -> Result<(), sqlx::Error> {
    let there: Vec<_> = sqlx::query_as(permissions::SELECT)
        .fetch_all(&mut *transaction)
        .await?;
    let models = ContentType::all(user_model).into_iter();
    for content_type in models.filter(|content_type| !content_type.is_complete(&there)) {
        let insert = "INSERT INTO django_content_type (app_label, model) VALUES (?, ?) ON CONFLICT DO NOTHING";
        sqlx::query(insert)
            .bind(&content_type.app_label)
            .bind(&content_type.model)
            .execute(&mut *transaction)
            .await?;
        for (codename, name) in content_type.permissions() {
            let insert = "INSERT INTO auth_permission (name, content_type_id, codename) \
                SELECT ?, id, ? FROM django_content_type WHERE app_label = ? AND model = ? ON CONFLICT DO NOTHING";
            sqlx::query(insert)
                .bind(name)
                .bind(codename)
                .bind(&content_type.app_label)
                .bind(&content_type.model)
                .execute(&mut *transaction)
                .await?;
        }
    }
    Ok(())
}

const HAS_TABLE: &str =
    "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?)";

pub(super) async fn has_table(connections: &Connections, table: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(HAS_TABLE)
        .bind(table)
        .fetch_one(&mut *connections.acquire().await?)
        .await
}
