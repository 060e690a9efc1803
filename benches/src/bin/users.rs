//! Users over the library: a page that asks for the user, and a login. There is one user, `mei`, whose password is hashed
//! `ITERATIONS` times, on as many threads as the library chooses, or on `THREADS`.
//!
//! All other settings come from the environment by their Django names; `quintette migrate` has made the tables.

use std::env::var;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use quintette::auth::hashers::{PasswordHashers, Pbkdf2};
use quintette::auth::{
    Auth, AuthError, AuthLayer, Authentication, Credentials, PasswordHashing, User,
};
use quintette::db::Database;
use quintette::sessions::{self, SessionLayer};
use quintette::settings::Settings;
use quintette_benches::raw::Failure;
use quintette_benches::serve;
use quintette_benches::standard::Standard;
use serde::Deserialize;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let settings = Settings::loader().environment().load()?;
    let settings = Arc::new(settings);
    let database = Database::connect(&settings).await?;
    let sessions = sessions::connect_with(&database, settings.clone()).await?;
    let authentication = Authentication::builder(settings)
        .database(&database)
        .hashing(hashing()?)
        .build()
        .await?;
    let users = authentication.users()?;
    users
        .create_user("mei", "mei@example.com", Some("correct horse"))
        .await?;
    let routes = Router::new()
        .route("/bench/fill", get(fill))
        .route("/bench/user", get(user))
        .route("/bench/login", post(login))
        .layer(AuthLayer::new(authentication))
        .layer(SessionLayer::new(sessions));
    serve(routes).await
}

fn hashing() -> Result<PasswordHashing, Failure> {
    let hasher = Pbkdf2::sha256().with_iterations(var("ITERATIONS")?.parse()?);
    let hashing = PasswordHashing::new(PasswordHashers::default().with(hasher));
    Ok(match var("THREADS") {
        Ok(threads) => hashing.with_threads(threads.parse()?),
        Err(_) => hashing,
    })
}

/// The standard session, of `mei`.
async fn fill(auth: Auth) -> Result<Response, AuthError> {
    let standard = Standard::default();
    auth.session().insert("cart", standard.cart)?;
    auth.session().insert("n", standard.n)?;
    let Some(mei) = auth.authentication().users()?.by_username("mei").await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    auth.login(&mei).await?;
    Ok("ok".into_response())
}

async fn user(user: User) -> String {
    user.username().to_owned()
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

async fn login(auth: Auth, Form(form): Form<Login>) -> Result<Response, AuthError> {
    let credentials = Credentials::new(form.username, form.password);
    let Some(user) = auth.authenticate(&credentials).await? else {
        return Ok(StatusCode::FORBIDDEN.into_response());
    };
    auth.login(&user).await?;
    Ok(user.username().to_owned().into_response())
}
