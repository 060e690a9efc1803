//! The tables of users on a real database of each kind.

mod failures;
mod permissions;
mod pools;
mod sessions;
mod users;

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, SubsecRound, Utc};
use quintette_core::settings::{Settings, UserModel};
use quintette_testkit::servers::{MariaDb, Postgres};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::{NewUser, UserKey, UserRow, UserTables};
use crate::db::Database;

static POSTGRES: LazyLock<Postgres> = LazyLock::new(|| Postgres::start().unwrap());
static MARIADB: LazyLock<MariaDb> = LazyLock::new(|| MariaDb::start().unwrap());

/// A migrated database of one kind.
struct Site {
    kind: &'static str,
    url: String,
    database: Database,
    tables: Arc<dyn UserTables>,
    _directory: TempDir,
}

/// The databases, one of each kind that this was built with.
async fn sites() -> Vec<Site> {
    sites_of(&UserModel::default()).await
}

async fn sites_of(model: &UserModel) -> Vec<Site> {
    let mut sites = Vec::new();
    for kind in ["sqlite", "postgres", "mariadb"] {
        let directory = tempfile::tempdir().unwrap();
        let url = match kind {
            "sqlite" => format!("sqlite://{}/db.sqlite3", directory.path().display()),
            "postgres" => POSTGRES.new_database().unwrap(),
            _ => MARIADB.new_database().unwrap(),
        };
        let mut settings = Settings::new("a secret that is for tests alone");
        settings.database_url = Some(url.parse().unwrap());
        settings.auth_user_model = model.clone();
        let database = Database::create(&settings).await.unwrap();
        database.migrate().await.unwrap();
        sites.push(Site {
            kind,
            url,
            tables: database.user_tables(model).await.unwrap(),
            database,
            _directory: directory,
        });
    }
    sites
}

impl Site {
    /// As an application would that has tables of its own.
    async fn execute(&self, statement: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        match self.kind {
            "sqlite" => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                statement.execute(&mut connection).await.map(drop)
            }
            "postgres" => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                statement.execute(&mut connection).await.map(drop)
            }
            _ => {
                let mut connection = MySqlConnection::connect(&self.url).await.unwrap();
                statement.execute(&mut connection).await.map(drop)
            }
        }
        .unwrap();
    }
}

fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

fn new_user(username: &str) -> NewUser {
    NewUser {
        password: "pbkdf2_sha256$1$salt$hash".to_owned(),
        is_superuser: false,
        username: username.to_owned(),
        first_name: "Åsa".to_owned(),
        last_name: "Lind".to_owned(),
        email: format!("{username}@example.com"),
        is_staff: true,
        is_active: true,
        date_joined: now(),
    }
}

async fn made(tables: &Arc<dyn UserTables>, username: &str) -> UserRow {
    let id = tables.insert_user(&new_user(username)).await.unwrap();
    tables.user(UserKey::Id(&id)).await.unwrap().unwrap()
}
