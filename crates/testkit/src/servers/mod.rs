//! Private servers for tests, and a proxy that breaks the connections to them. Linux alone.
mod error;
mod mariadb;
mod memcached;
mod place;
mod postgres;
mod process;
mod redis;
mod resp;
mod server;

pub use error::ServerError;
pub use mariadb::MariaDb;
pub use memcached::Memcached;
pub use postgres::Postgres;
pub use redis::Redis;
