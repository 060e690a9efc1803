//! A handler that reads and writes rows of `django_session` with sqlx on MariaDB by itself.
//!
//! `DATABASE_URL` is an empty database. `OPTIONS` says which pool: `sqlx` (as `MySqlPool::connect` makes it), or `unpinged` (the same without
//! a ping before each use).

use chrono::Utc;
use quintette_benches::raw::{self, Failure, Store, expire_date};
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};

#[derive(Clone)]
struct Rows(MySqlPool);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let pool = MySqlPoolOptions::new()
        .test_before_acquire(std::env::var("OPTIONS")? != "unpinged")
        .connect(&std::env::var("DATABASE_URL")?)
        .await?;
    for statement in [
        "CREATE TABLE `django_session` (`session_key` varchar(40) NOT NULL PRIMARY KEY, `session_data` longtext NOT NULL, `expire_date` datetime(6) NOT NULL)",
        "CREATE INDEX `django_session_expire_date_a5c62663` ON `django_session` (`expire_date`)",
    ] {
        sqlx::query(statement).execute(&pool).await?;
    }
    raw::serve_from(Rows(pool), raw::compressed()?).await
}

impl Store for Rows {
    async fn insert(&self, key: &str, text: &str) -> Result<(), Failure> {
        sqlx::query(
            "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?)",
        )
        .bind(key)
        .bind(text)
        .bind(expire_date().naive_utc())
        .execute(&self.0)
        .await?;
        Ok(())
    }

    async fn select(&self, key: &str) -> Result<Option<String>, Failure> {
        let query = sqlx::query_scalar(
            "SELECT session_data FROM django_session WHERE session_key = ? AND expire_date > ?",
        );
        Ok(query
            .bind(key)
            .bind(Utc::now().naive_utc())
            .fetch_optional(&self.0)
            .await?)
    }

    async fn update(&self, key: &str, text: &str) -> Result<(), Failure> {
        sqlx::query(
            "UPDATE django_session SET session_data = ?, expire_date = ? WHERE session_key = ?",
        )
        .bind(text)
        .bind(expire_date().naive_utc())
        .bind(key)
        .execute(&self.0)
        .await?;
        Ok(())
    }
}
