//! The users, as the examples of axum-login keep them: a table, and the passwords checked by password-auth on a blocking
//! thread. A login writes no `last_login` there, and none here.

use std::fmt;

use axum_login::{AuthUser, AuthnBackend, UserId};
use password_auth::verify_password;
use pbkdf2::password_hash::rand_core::OsRng;
use pbkdf2::password_hash::{PasswordHasher, SaltString};
use pbkdf2::{Params, Pbkdf2};
use serde::Deserialize;
use tower_sessions_sqlx_store::sqlx::{self, SqlitePool};

#[derive(Clone)]
pub struct User {
    pub id: i64,
    pub username: String,
    password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        self.password.as_bytes()
    }
}

#[derive(Deserialize)]
pub struct Credentials {
    username: String,
    password: String,
}

#[derive(Clone)]
pub struct Backend {
    pool: SqlitePool,
}

/// The database, or a lost thread.
#[derive(Debug)]
pub struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

type Row = (i64, String, String);

fn user((id, username, password): Row) -> User {
    User {
        id,
        username,
        password,
    }
}

impl Backend {
    /// Makes the table and `mei`.
    pub async fn with_one_user(pool: SqlitePool, iterations: u32) -> Result<Self, Failed> {
        sqlx::query(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, password TEXT NOT NULL)",
        )
        .execute(&pool)
        .await?;
        sqlx::query("INSERT INTO users (username, password) VALUES (?, ?)")
            .bind("mei")
            .bind(hashed("correct horse", iterations)?)
            .execute(&pool)
            .await?;
        Ok(Self { pool })
    }

    pub async fn user_called(&self, username: &str) -> Result<Option<User>, Failed> {
        let row = sqlx::query_as("SELECT id, username, password FROM users WHERE username = ?")
            .bind(username)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(user))
    }
}

fn hashed(password: &str, iterations: u32) -> Result<String, Failed> {
    let params = Params {
        rounds: iterations,
        output_length: 32,
    };
    let salt = SaltString::generate(&mut OsRng);
    let hash = Pbkdf2.hash_password_customized(password.as_bytes(), None, None, params, &salt);
    let hash = hash.map_err(|error| Failed(error.to_string()))?;
    Ok(hash.to_string())
}

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = Credentials;
    type Error = Failed;

    async fn authenticate(&self, credentials: Credentials) -> Result<Option<User>, Failed> {
        let Some(user) = self.user_called(&credentials.username).await? else {
            return Ok(None);
        };
        tokio::task::spawn_blocking(move || {
            verify_password(credentials.password, &user.password)
                .is_ok()
                .then_some(user)
        })
        .await
        .map_err(|error| Failed(error.to_string()))
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<User>, Failed> {
        let row = sqlx::query_as("SELECT id, username, password FROM users WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(user))
    }
}
