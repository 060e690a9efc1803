//! Databases with the tables that django-celery-beat's migrations made.

use quintette_core::time::TimeZone;
use quintette_tasks::beat::DjangoStore;
use sqlx::{AssertSqlSafe, MySqlPool, PgPool, SqlitePool};
use tempfile::TempDir;

use super::places::{MARIADB, POSTGRES};

const UTC: TimeZone = TimeZone {
    use_tz: true,
    zone: chrono_tz::Tz::UTC,
};

#[derive(Debug)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    Mysql(MySqlPool),
}

/// One of the databases, as Django left it.
#[derive(Debug)]
pub(crate) struct Tables {
    url: String,
    pool: Pool,
    _directory: TempDir,
}

impl Tables {
    /// One of each kind.
    pub(crate) async fn all() -> Vec<Self> {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite://{}/db.sqlite3", directory.path().display());
        let postgres = POSTGRES.new_database().unwrap();
        let mysql = MARIADB.new_database().unwrap();
        let pool = Pool::Sqlite(
            SqlitePool::connect(&format!("{sqlite}?mode=rwc"))
                .await
                .unwrap(),
        );
        let sqlite = Self::new(sqlite, pool, directory, include_str!("tables/sqlite.sql")).await;
        let pool = Pool::Postgres(PgPool::connect(&postgres).await.unwrap());
        let unused = tempfile::tempdir().unwrap();
        let postgres = Self::new(postgres, pool, unused, include_str!("tables/postgres.sql")).await;
        let pool = Pool::Mysql(MySqlPool::connect(&mysql).await.unwrap());
        let unused = tempfile::tempdir().unwrap();
        let tables = [
            "SET FOREIGN_KEY_CHECKS = 0; ",
            include_str!("tables/mysql.sql"),
        ]
        .concat();
        let mysql = Self::new(mysql, pool, unused, &tables).await;
        vec![sqlite, postgres, mysql]
    }

    async fn new(url: String, pool: Pool, directory: TempDir, tables: &str) -> Self {
        let tables_of = Self {
            url,
            pool,
            _directory: directory,
        };
        tables_of.run(tables).await;
        tables_of
    }

    pub(crate) fn store(&self) -> DjangoStore {
        self.store_in(UTC)
    }

    pub(crate) fn store_in(&self, zone: TimeZone) -> DjangoStore {
        DjangoStore::open(&self.url, zone).unwrap()
    }

    /// Times are written with a `Z` here, and as each database has them there.
    pub(crate) async fn run(&self, sql: &str) {
        match &self.pool {
            Pool::Sqlite(pool) => {
                let sql = AssertSqlSafe(sql.replace("Z'", "'"));
                sqlx::raw_sql(sql).execute(pool).await.unwrap();
            }
            Pool::Postgres(pool) => {
                let sql = AssertSqlSafe(sql.to_owned());
                sqlx::raw_sql(sql).execute(pool).await.unwrap();
            }
            Pool::Mysql(pool) => {
                let sql = AssertSqlSafe(sql.replace("Z'", "'"));
                sqlx::raw_sql(sql).execute(pool).await.unwrap();
            }
        }
    }

    /// One value, as text; times without their zone.
    pub(crate) async fn text(&self, column: &str, from: &str) -> Option<String> {
        let column = match &self.pool {
            Pool::Postgres(_) if column.contains("_at") || column.contains("last_") => {
                format!("{column} AT TIME ZONE 'UTC'")
            }
            _ => column.to_owned(),
        };
        let sql = format!("SELECT CAST({column} AS char(26)) FROM django_celery_beat_{from}");
        let sql = AssertSqlSafe(sql);
        let text: Option<String> = match &self.pool {
            Pool::Sqlite(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Pool::Postgres(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
            Pool::Mysql(pool) => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap(),
        };
        text.map(|text| text.trim().to_owned())
    }
}
