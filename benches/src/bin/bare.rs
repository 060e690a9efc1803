//! axum with nothing around it.

use axum::Router;
use axum::routing::get;

#[tokio::main]
async fn main() -> Result<(), quintette_benches::raw::Failure> {
    quintette_benches::serve(Router::new().route("/bench/none", get(async || "ok"))).await
}
