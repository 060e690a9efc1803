//! `/auth/*`: users, logins, permissions, passwords.

use axum::extract::{FromRequest, Path, Query, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use quintette::auth::{Auth, AuthError, Credentials, User};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/auth/login", post(login))
        .route("/auth/logout", post(logout))
        .route("/auth/user", get(user))
        .route("/auth/required", get(required))
        .route("/auth/perm/{permission}", get(permitted))
        .route("/auth/password", post(change_password))
        .route("/auth/set-password", post(set_password))
        .route("/auth/make", post(make))
        .route("/auth/reset-token", get(reset_token))
        .route("/auth/check-reset-token", get(check_reset_token))
        .route("/auth/hash", post(hash))
        .route("/auth/check", post(check))
}

/// A form; 400 where a field is missing.
struct Form<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let form = axum::Form::<T>::from_request(request, state).await;
        form.map(|form| Self(form.0))
            .map_err(|rejection| refused(&rejection.to_string()))
    }
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

async fn login(auth: Auth, Form(form): Form<Login>) -> Result<Response, AuthError> {
    let credentials = Credentials::new(form.username, form.password);
    let Some(user) = auth.authenticate(&credentials).await? else {
        return Ok((StatusCode::FORBIDDEN, Json(json!({ "user": null }))).into_response());
    };
    auth.login(&user).await?;
    Ok(Json(json!({ "user": user.username() })).into_response())
}

async fn logout(auth: Auth) -> Result<Json<Value>, AuthError> {
    auth.logout().await?;
    Ok(Json(json!({})))
}

async fn user(user: Option<User>) -> Result<Json<Value>, AuthError> {
    let Some(user) = user else {
        return Ok(Json(json!({
            "id": null,
            "username": null,
            "is_authenticated": false,
            "is_staff": false,
            "is_superuser": false,
            "permissions": [],
        })));
    };
    Ok(Json(json!({
        "id": user.id().parse::<i64>().ok(),
        "username": user.username(),
        "is_authenticated": true,
        "is_staff": user.is_staff(),
        "is_superuser": user.is_superuser(),
        "permissions": *user.permissions().await?,
    })))
}

async fn required(user: User) -> Json<Value> {
    Json(json!({ "user": user.username() }))
}

async fn permitted(
    user: Option<User>,
    Path(permission): Path<String>,
) -> Result<Response, AuthError> {
    let permitted = match user {
        Some(user) => user.has_perm(&permission).await?,
        None => false,
    };
    let status = if permitted {
        StatusCode::OK
    } else {
        StatusCode::FORBIDDEN
    };
    Ok((status, Json(json!({}))).into_response())
}

#[derive(Deserialize)]
struct Password {
    password: String,
}

async fn change_password(
    auth: Auth,
    user: Option<User>,
    Form(form): Form<Password>,
) -> Result<Response, AuthError> {
    let Some(user) = user else {
        return Ok((StatusCode::FORBIDDEN, Json(json!({ "user": null }))).into_response());
    };
    let users = auth.authentication().users()?;
    let user = users.set_password(&user, Some(&form.password)).await?;
    auth.update_session_auth_hash(&user).await?;
    Ok(Json(json!({})).into_response())
}

async fn set_password(auth: Auth, Form(form): Form<Login>) -> Result<Response, AuthError> {
    let users = auth.authentication().users()?;
    let Some(user) = users.by_username(&form.username).await? else {
        return Ok(no_such_user(&form.username));
    };
    users.set_password(&user, Some(&form.password)).await?;
    Ok(Json(json!({})).into_response())
}

#[derive(Deserialize)]
struct NewUser {
    username: String,
    password: String,
    superuser: Option<String>,
}

async fn make(auth: Auth, Form(form): Form<NewUser>) -> Result<Json<Value>, AuthError> {
    let users = auth.authentication().users()?;
    let password = Some(form.password.as_str());
    if matches!(
        form.superuser.as_deref(),
        Some("true" | "True" | "1" | "on")
    ) {
        users.create_superuser(&form.username, "", password).await?;
    } else {
        users.create_user(&form.username, "", password).await?;
    }
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct Reset {
    username: String,
    token: Option<String>,
}

async fn reset_token(auth: Auth, Query(query): Query<Reset>) -> Result<Response, AuthError> {
    let authentication = auth.authentication();
    let Some(user) = authentication.users()?.by_username(&query.username).await? else {
        return Ok(no_such_user(&query.username));
    };
    let token = authentication.make_password_reset_token(&user);
    Ok(Json(json!({ "token": token })).into_response())
}

async fn check_reset_token(auth: Auth, Query(query): Query<Reset>) -> Result<Response, AuthError> {
    let Some(token) = query.token else {
        return Ok(refused("token is missing"));
    };
    let authentication = auth.authentication();
    let user = authentication.users()?.by_username(&query.username).await?;
    let valid = user.is_some_and(|user| authentication.check_password_reset_token(&user, &token));
    Ok(Json(json!({ "valid": valid })).into_response())
}

#[derive(Deserialize)]
struct NewHash {
    password: String,
    algorithm: String,
}

async fn hash(auth: Auth, Form(form): Form<NewHash>) -> Response {
    let hashing = auth.authentication().hashing();
    match hashing
        .make_password_with(&form.algorithm, &form.password)
        .await
    {
        Ok(encoded) => Json(json!({ "encoded": encoded })).into_response(),
        Err(error) => refused(&error.to_string()),
    }
}

#[derive(Deserialize)]
struct Hash {
    password: String,
    encoded: String,
}

async fn check(auth: Auth, Form(form): Form<Hash>) -> Result<Json<Value>, AuthError> {
    let hashing = auth.authentication().hashing();
    let verification = hashing
        .check_password(&form.password, &form.encoded)
        .await?;
    Ok(Json(json!({ "valid": verification.is_correct() })))
}

fn no_such_user(username: &str) -> Response {
    refused(&format!("no user is called {username:?}"))
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response()
}
