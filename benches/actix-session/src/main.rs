//! The probe's `/bench/*` routes on actix-session and Redis. `CACHE_URL` is the server and the number of the database.

#[path = "../../src/standard.rs"]
mod standard;

use std::error::Error;

use actix_session::config::PersistentSession;
use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{Key, time::Duration};
use actix_web::error::ErrorInternalServerError;
use actix_web::web::{ServiceConfig, get};
use actix_web::{App, HttpServer};
use standard::Standard;

type Reply = actix_web::Result<String>;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = RedisSessionStore::new(std::env::var("CACHE_URL")?).await?;
    let secret = Key::derive_from(b"a long and random text, long enough");
    let port: u16 = std::env::var("PORT")?.parse()?;
    let server = HttpServer::new(move || {
        let lifecycle = PersistentSession::default().session_ttl(Duration::weeks(2));
        let middleware = SessionMiddleware::builder(store.clone(), secret.clone())
            .cookie_name("sessionid".into())
            .cookie_secure(false)
            .session_lifecycle(lifecycle)
            .build();
        App::new().wrap(middleware).configure(routes)
    })
    .bind(("127.0.0.1", port))?;
    println!("listening on http://127.0.0.1:{port}");
    Ok(server.run().await?)
}

fn routes(routes: &mut ServiceConfig) {
    routes
        .route("/bench/none", get().to(async || "ok"))
        .route("/bench/fill", get().to(fill))
        .route("/bench/read", get().to(read))
        .route("/bench/write", get().to(write));
}

async fn fill(session: Session) -> Reply {
    let standard = Standard::default();
    session
        .insert("_auth_user_id", standard._auth_user_id)
        .map_err(failed)?;
    session
        .insert("_auth_user_backend", standard._auth_user_backend)
        .map_err(failed)?;
    session
        .insert("_auth_user_hash", standard._auth_user_hash)
        .map_err(failed)?;
    session.insert("cart", standard.cart).map_err(failed)?;
    session.insert("n", standard.n).map_err(failed)?;
    Ok("ok".into())
}

async fn read(session: Session) -> Reply {
    let n: i64 = session.get("n").map_err(failed)?.unwrap_or(0);
    Ok(n.to_string())
}

async fn write(session: Session) -> Reply {
    let n = session.get("n").map_err(failed)?.unwrap_or(0_i64) + 1;
    session.insert("n", n).map_err(failed)?;
    Ok(n.to_string())
}

fn failed(error: impl std::fmt::Display) -> actix_web::Error {
    eprintln!("actix-session: {error}");
    ErrorInternalServerError("")
}
