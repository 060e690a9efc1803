//! A handler that reads and writes keys of Redis by itself, over one connection that all requests share, as the redis crate advises.
//!
//! `CACHE_URL` is the server and the number of the database.

use quintette_benches::raw::{self, Failure, Store};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

const TWO_WEEKS: u64 = 14 * 24 * 60 * 60;

#[derive(Clone)]
struct Keys(MultiplexedConnection);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let client = redis::Client::open(std::env::var("CACHE_URL")?)?;
    let connection = client.get_multiplexed_async_connection().await?;
    raw::serve_from(Keys(connection), raw::plain()?).await
}

impl Store for Keys {
    async fn insert(&self, key: &str, text: &str) -> Result<(), Failure> {
        Ok(self.0.clone().set_ex(key, text, TWO_WEEKS).await?)
    }

    async fn select(&self, key: &str) -> Result<Option<String>, Failure> {
        Ok(self.0.clone().get(key).await?)
    }

    async fn update(&self, key: &str, text: &str) -> Result<(), Failure> {
        Ok(self.0.clone().set_ex(key, text, TWO_WEEKS).await?)
    }
}
