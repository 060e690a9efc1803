//! The library behind one HTTP contract, so that a Django which serves the same routes can be held against it.
//!
//! Every setting comes from the environment by its Django name. Each route is a few lines over the public API.

mod accounts;
mod arguments;
mod beat;
mod bench;
mod context;
mod csrf;
mod described;
mod enqueue;
mod messages;
mod ops;
mod signing;
mod tasks;
mod worker;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};
use quintette::auth::{AuthLayer, Authentication};
use quintette::csrf::CsrfLayer;
use quintette::db::{Database, QueryLogLayer};
use quintette::messages::MessagesLayer;
use quintette::sessions::{self, SessionLayer, Sessions, TimeoutLayer};
use quintette::settings::Settings;
use quintette::time::TimeZone;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let level = match command.as_deref() {
        Some("worker") => LevelFilter::INFO,
        // A forged cookie is worth a line of information, but not thousands of them under load.
        _ => LevelFilter::WARN,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .init();
    let done = match command.as_deref() {
        Some("beat") => beat::run().await,
        Some("worker") => worker::run(arguments).await,
        Some("enqueue") => enqueue::run(arguments).await,
        _ => serve().await,
    };
    match done {
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
    let (sessions, authentication) = connect(settings.into()).await?;
    let port: u16 = std::env::var("PORT")
        .unwrap_or_else(|_| "8001".into())
        .parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut app = app(sessions, authentication);
    if std::env::var_os("CELERY_BROKER_URL").is_some() {
        app = app.merge(tasks::routes(arguments::app()?));
    }
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(stopped())
    .await?;
    Ok(())
}

/// The sessions, and the users where there are some: a test of sessions needs no table of users, nor a database.
async fn connect(
    settings: Arc<Settings>,
) -> Result<(Sessions, Option<Authentication>), Box<dyn Error>> {
    let database = match Database::connect(&settings).await {
        Ok(database) => database,
        Err(error) if settings.session_engine.uses_database() => return Err(error.into()),
        Err(error) => {
            if settings.database_url.is_some() {
                eprintln!("probe: there are no users: {error}");
            }
            return Ok((sessions::connect(settings).await?, None));
        }
    };
    let sessions = sessions::connect_with(&database, settings.clone()).await?;
    let authentication = Authentication::connect(&database, settings).await;
    let authentication = authentication
        .inspect_err(|error| eprintln!("probe: there are no users: {error}"))
        .ok();
    Ok((sessions, authentication))
}

/// Layers in Django's order, the outermost last: sessions, the timeout, CSRF, users, messages.
fn app(sessions: Sessions, authentication: Option<Authentication>) -> Router {
    let settings = sessions.settings();
    let csrf = CsrfLayer::new(settings.clone());
    let checked = Router::new()
        .route("/csrf/token", get(csrf::token))
        .route("/csrf/protected", any(csrf::ok))
        .layer(csrf.clone());
    let exempt = match authentication {
        Some(authentication) => pages(settings)
            .merge(accounts::routes())
            .layer(AuthLayer::new(authentication)),
        None => pages(settings),
    };
    let routes = exempt
        .layer(csrf.exempt())
        .merge(checked)
        .merge(benchmarks());
    let routes = match settings.session_expire_seconds {
        Some(_) => routes.layer(TimeoutLayer::new(settings)),
        None => routes,
    };
    let queries = QueryLogLayer::new(settings);
    routes.layer(SessionLayer::new(sessions)).layer(queries)
}

/// What sessions cost, and nothing else.
fn benchmarks() -> Router {
    Router::new()
        .route("/bench/none", get(bench::none))
        .route("/bench/fill", get(bench::fill))
        .route("/bench/read", get(bench::read))
        .route("/bench/write", get(bench::write))
        .route("/bench/incr", get(bench::incr))
        .route("/bench/new", get(bench::new))
}

/// What needs no table of users, and is not checked for CSRF.
fn pages(settings: &Settings) -> Router {
    let signing = Router::new()
        .route("/signing/dumps", post(signing::dumps))
        .route("/signing/loads", post(signing::loads))
        .with_state(settings.secret_key.clone());
    Router::new()
        .route("/ops", post(ops::run).with_state(TimeZone::from(settings)))
        .merge(signing)
        .route("/csrf/exempt", post(csrf::ok))
        .route("/messages/add", post(messages::add))
        .route("/messages/list", get(messages::list))
        .route("/messages/ignore", get(messages::ignore))
        .merge(context::routes(settings))
        .layer(MessagesLayer::new(settings))
}

async fn stopped() {
    // Without the signal handler there is nothing to wait for but the end of the process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
