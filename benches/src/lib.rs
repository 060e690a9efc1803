//! What the peers have in common: the standard session, the raw handlers, a server on a loopback port, and a start that is not timed.

pub mod begin;
pub mod raw;
pub mod standard;

use axum::Router;
use axum::http::{HeaderMap, header};
use tokio::net::TcpListener;

/// Serves `routes` on the loopback port that `PORT` names, until the process ends.
///
/// # Errors
///
/// Where `PORT` is no free port.
pub async fn serve(routes: Router) -> Result<(), raw::Failure> {
    let port: u16 = std::env::var("PORT")?.parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}

/// The value of the cookie `sessionid`, as a handler without a library finds it.
pub fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::COOKIE)?
        .to_str()
        .ok()?
        .split(';')
        .find_map(|pair| pair.trim().strip_prefix("sessionid="))
}
