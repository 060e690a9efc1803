//! What a page shows and costs: the context processors behind the layers that give them what they know.

mod auth;
mod csrf;
mod debug;
mod errors;
mod escaping;
mod laziness;
mod messages;
mod own;
mod request;
mod settings;
mod site;
mod waiting;
