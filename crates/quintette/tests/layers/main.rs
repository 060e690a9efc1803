//! What a visitor sees of the layers: requests in, responses and cookies out, over axum, bare hyper and bare tower.

#![cfg(all(feature = "axum", feature = "sqlite"))]

mod axum_app;
mod bare_hyper;
mod body;
mod cookie;
mod cost;
mod hang_up;
mod hostile_cookies;
mod interrupted;
mod log;
mod missing_layer;
mod site;
mod store_down;
mod streaming;
mod timeout;
mod vary;
