//! Opens the shop: `cargo run --release -p shop`.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use shop::app::Shop;
use shop::config::{Config, StartError, port};
use shop::place::place;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal;
use tracing_subscriber::EnvFilter;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long requests that are under way may take to end, once the shop closes.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        None => open().await,
        Some("worker") => work(&arguments[1..]).await,
        Some("--help" | "-h") => {
            help();
            Ok(())
        }
        Some(argument) => Err(StartError::Argument(argument.to_owned())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

const HELP: &str = "\
Five Leaves, the demonstration shop of Quintette. It needs no configuration.

  shop                  open the shop
  shop worker [QUEUE]…  run tasks, from the queues celery and mail or from these alone

Variables:
  PORT                  the port to listen on (8000; 0 for any)
  SHOP_DATA             the directory of its database and its secret key (shop-data)
  SHOP_REPORT_SCHEDULE  when the sales report of the day before is written, as a crontab has it (0 3 * * *)
  SHOP_SMTP_URL         the mail server of confirmations, such as smtp://127.0.0.1:25 (a folder, SHOP_DATA/mail)
  SHOP_WORKER           whether the shop's process runs tasks: 1 or 0 (1, unless CELERY_BROKER_URL names a broker)
  RUST_LOG              shop=debug logs a line for each request

All of Quintette's settings are taken from settings.toml and the environment, such as SESSION_ENGINE, DATABASE_URL,
CACHE_URL, SESSION_COOKIE_AGE, LOGIN_FAILURE_LIMIT and SECURE_PROXY_SSL_HEADER; and Celery's, such as CELERY_BROKER_URL
and CELERY_RESULT_BACKEND. Without these, tasks and results are in SHOP_DATA/tasks.sqlite3.

With a broker, a worker runs beside the shop, with the same SHOP_DATA and the same settings:

  CELERY_BROKER_URL=redis://127.0.0.1:6379/0 shop
  CELERY_BROKER_URL=redis://127.0.0.1:6379/0 shop worker

No account is there at first: visitors sign up. Staff, who see all orders, are made by the quintette command with the
shop's DATABASE_URL (which the shop says when it opens):

  SECRET_KEY=\"$(cat shop-data/secret_key)\" DATABASE_URL=sqlite://shop-data/shop.sqlite3 \\
      cargo run --release -p quintette-cli -- createsuperuser
";

fn help() {
    let _ = write!(io::stdout(), "{HELP}");
}

/// The names of queues follow, or nothing.
async fn work(queues: &[String]) -> Result<(), StartError> {
    match queues.iter().find(|name| name.starts_with('-')) {
        Some(option) if option == "--help" || option == "-h" => {
            help();
            Ok(())
        }
        Some(option) => Err(StartError::Argument(option.clone())),
        None => shop::jobs::worker::run(queues).await,
    }
}

async fn open() -> Result<(), StartError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let config = Config::from_environment()?;
    let port = port()?;
    let failed = |source| StartError::Listen { port, source };
    // Taken now, so that a port in use is told at once; listened on when the shop is open, so that a proxy sends nobody
    // to a closed door.
    let socket = bind(port).map_err(failed)?;
    let sessions = place(&config.settings);
    let staff = config.staff_hint();
    let tasks = tasks(&config);
    let shop = Shop::open(config).await?;
    let listener = socket.listen(BACKLOG).map_err(failed)?;
    if let Ok(address) = listener.local_addr() {
        // Whoever closed the output does not read it; the shop goes on.
        let _ = writeln!(
            io::stdout(),
            "Five Leaves is open at http://{address} (sessions: {sessions})\nTo see all orders, be staff: {staff}\n{tasks}"
        );
    }
    let background = shop.start_background()?;
    serve(listener, &shop).await;
    background.stop().await;
    shop.close().await;
    Ok(())
}

/// Who runs tasks.
fn tasks(config: &Config) -> &'static str {
    if config.jobs.works_here {
        "Tasks run in this process."
    } else {
        "Tasks wait for a worker beside it: start `shop worker` with the same variables."
    }
}

fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of a shop that was here before do not keep the port. (On Windows this would let two listen.)
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

async fn serve(listener: TcpListener, shop: &Shop) {
    // Where each visitor comes from is part of what their devices are told apart by, and of how wrong passwords are counted.
    let service = shop
        .router()
        .into_make_service_with_connect_info::<SocketAddr>();
    let (closing, closed) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move {
        stop_signal().await;
        let _ = closing.send(());
    });
    let deadline = async move {
        // Where the sender is gone, the server has ended by itself.
        let _ = closed.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        _ = server => {}
        () = deadline => tracing::warn!("some requests did not end in time"),
    }
}

/// Ctrl-C, or what `kill` and service managers send.
async fn stop_signal() {
    #[cfg(unix)]
    if let Ok(mut terminate) = signal::unix::signal(signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = signal::ctrl_c().await;
}
