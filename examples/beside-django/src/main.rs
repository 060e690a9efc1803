//! Greets whoever is logged in on the Django site, and sends the others there to log in.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use quintette::auth::{AuthLayer, Authentication, User};
use quintette::db::Database;
use quintette::sessions::{self, Session, SessionError, SessionLayer};
use quintette::settings::Settings;

async fn hello(user: User, session: Session) -> Result<String, SessionError> {
    let visits = session
        .update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)
        .await?;
    Ok(format!("Hello, {user}. Visit number {visits}.\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Arc::new(Settings::load()?);
    let database = Database::connect(&settings).await?;
    let sessions = sessions::connect_with(&database, settings.clone()).await?;
    let authentication = Authentication::connect(&database, settings).await?;
    let app = Router::new()
        .route("/rust/", get(hello))
        .layer(AuthLayer::new(authentication))
        .layer(SessionLayer::new(sessions));
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
