//! The library behind one HTTP contract, so that a Django which serves the same routes can be held against it.
//!
//! Every setting comes from the environment by its Django name. Each route is a few lines over the public API.

mod bench;
mod csrf;
mod ops;
mod signing;

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use axum::routing::{any, get, post};
use quintette::csrf::CsrfLayer;
use quintette::sessions::{self, SessionLayer, Sessions, TimeoutLayer};
use quintette::settings::Settings;
use quintette::time::TimeZone;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    // A forged cookie is worth a line of information, but not thousands of them under load.
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let settings = Settings::loader()
        .default("ALLOWED_HOSTS", vec!["*"])
        .environment()
        .load()?;
    let sessions = sessions::connect(settings).await?;
    let port: u16 = std::env::var("PORT")
        .unwrap_or_else(|_| "8001".into())
        .parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app(sessions))
        .with_graceful_shutdown(stopped())
        .await?;
    Ok(())
}

/// Layers in Django's order, the outermost last: sessions, then the timeout, then CSRF.
fn app(sessions: Sessions) -> Router {
    let settings = sessions.settings();
    let signing = Router::new()
        .route("/signing/dumps", post(signing::dumps))
        .route("/signing/loads", post(signing::loads))
        .with_state(settings.secret_key.clone());
    let csrf = CsrfLayer::new(settings.clone());
    let protected = Router::new()
        .route("/csrf/token", get(csrf::token))
        .route("/csrf/protected", any(csrf::ok))
        .layer(csrf.clone());
    let routes = Router::new()
        .route("/csrf/exempt", post(csrf::ok))
        .route("/ops", post(ops::run).with_state(TimeZone::from(settings)))
        .route("/bench/none", get(bench::none))
        .route("/bench/fill", get(bench::fill))
        .route("/bench/read", get(bench::read))
        .route("/bench/write", get(bench::write))
        .route("/bench/incr", get(bench::incr))
        .route("/bench/new", get(bench::new))
        .merge(signing)
        .layer(csrf.exempt())
        .merge(protected);
    let routes = match settings.session_expire_seconds {
        Some(_) => routes.layer(TimeoutLayer::new(settings)),
        None => routes,
    };
    routes.layer(SessionLayer::new(sessions))
}

async fn stopped() {
    // Without the signal handler there is nothing to wait for but the end of the process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
