//! The built `quintette` command, as a person runs it: in a directory, with an environment of its own.

mod check;
mod check_url;
mod clearsessions;
mod migrate;
mod sessions;
mod site;
mod tasks;
mod terminal;
mod usage;
mod user_sessions;
mod users;
