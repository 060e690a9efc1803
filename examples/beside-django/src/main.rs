//! Greets whoever is logged in on the Django site, and sends the others there to log in.

use axum::Router;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use quintette::sessions::{self, Session, SessionError, SessionLayer};
use quintette::settings::Settings;

async fn hello(session: Session) -> Result<Response, SessionError> {
    let Some(user) = session.get::<String>("_auth_user_id").await? else {
        return Ok(Redirect::to("/admin/login/?next=/rust/").into_response());
    };
    let visits = session
        .update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)
        .await?;
    Ok(format!("Hello, user {user}. Visit number {visits}.\n").into_response())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions = sessions::connect(Settings::load()?).await?;
    let app = Router::new()
        .route("/rust/", get(hello))
        .layer(SessionLayer::new(sessions));
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
