//! A handler that reads and writes rows of `django_session` with sqlx on PostgreSQL by itself.
//!
//! `DATABASE_URL` is an empty database. `OPTIONS` says which pool: `sqlx` (as `PgPool::connect` makes it), or `unpinged` (the same without a
//! ping before each use).

use chrono::Utc;
use quintette_benches::raw::{self, Failure, Store, expire_date};
use sqlx::postgres::{PgPool, PgPoolOptions};

#[derive(Clone)]
struct Rows(PgPool);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let pool = PgPoolOptions::new()
        .test_before_acquire(std::env::var("OPTIONS")? != "unpinged")
        .connect(&std::env::var("DATABASE_URL")?)
        .await?;
    for statement in [
        r#"CREATE TABLE "django_session" ("session_key" varchar(40) NOT NULL PRIMARY KEY, "session_data" text NOT NULL, "expire_date" timestamp with time zone NOT NULL)"#,
        r#"CREATE INDEX "django_session_session_key_c0390e0f_like" ON "django_session" ("session_key" varchar_pattern_ops)"#,
        r#"CREATE INDEX "django_session_expire_date_a5c62663" ON "django_session" ("expire_date")"#,
    ] {
        sqlx::query(statement).execute(&pool).await?;
    }
    raw::serve_from(Rows(pool), raw::compressed()?).await
}

impl Store for Rows {
    async fn insert(&self, key: &str, text: &str) -> Result<(), Failure> {
        sqlx::query("INSERT INTO django_session (session_key, session_data, expire_date) VALUES ($1, $2, $3)")
            .bind(key)
            .bind(text)
            .bind(expire_date())
            .execute(&self.0)
            .await?;
        Ok(())
    }

    async fn select(&self, key: &str) -> Result<Option<String>, Failure> {
        let query = sqlx::query_scalar(
            "SELECT session_data FROM django_session WHERE session_key = $1 AND expire_date > $2",
        );
        Ok(query
            .bind(key)
            .bind(Utc::now())
            .fetch_optional(&self.0)
            .await?)
    }

    async fn update(&self, key: &str, text: &str) -> Result<(), Failure> {
        sqlx::query(
            "UPDATE django_session SET session_data = $1, expire_date = $2 WHERE session_key = $3",
        )
        .bind(text)
        .bind(expire_date())
        .bind(key)
        .execute(&self.0)
        .await?;
        Ok(())
    }
}
