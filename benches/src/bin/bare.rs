//! axum with nothing around it.

use axum::Router;
use axum::routing::get;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    quintette_benches::serve(Router::new().route("/bench/none", get(async || "ok"))).await
}
