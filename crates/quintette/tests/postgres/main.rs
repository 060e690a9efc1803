//! What is particular to sessions in PostgreSQL, on a real server.

mod clean_up;
mod connections;
mod faults;
mod loads;
mod schema;
mod values;
mod writes;

use std::sync::{Arc, LazyLock};

use chrono::{TimeDelta, Utc};
use quintette::db::Database;
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{
    Created, Record, Replaced, Revision, SessionData, SessionEngine, SessionError, SessionKey,
};
use quintette::settings::Settings;
use quintette_testkit::servers::{Postgres, Proxy};
use sqlx::{Connection, PgConnection};

/// One server for all tests that leave it running, with a database for each.
static SERVER: LazyLock<Postgres> = LazyLock::new(|| Postgres::start().unwrap());

fn settings(url: &str) -> Settings {
    let mut settings = Settings::new("a secret that is for tests alone");
    settings.database_url = Some(url.parse().unwrap());
    settings
}

/// An engine in a new database, with its URL.
async fn site() -> (Arc<DbEngine>, String) {
    let url = SERVER.new_database().unwrap();
    (engine(&settings(&url)).await, url)
}

async fn engine(settings: &Settings) -> Arc<DbEngine> {
    let database = Database::connect(settings).await.unwrap();
    database.migrate().await.unwrap();
    Arc::new(DbEngine::new(&database, settings).await.unwrap())
}

/// The same server by way of a proxy.
fn by_way_of(proxy: &Proxy, url: &str) -> String {
    let (_, database) = url.rsplit_once('/').unwrap();
    format!("postgres://postgres@{}/{database}", proxy.address())
}

fn record(data: &SessionData) -> Record<'_> {
    Record {
        data,
        expires_at: Utc::now() + TimeDelta::days(1),
    }
}

async fn stored(engine: &DbEngine) -> (SessionKey, Revision) {
    let key = SessionKey::random().unwrap();
    let created = engine.create(&key, &record(&SessionData::default())).await;
    let Created::Stored(receipt) = created.unwrap() else {
        panic!("a random key is free");
    };
    (key, receipt.revision.unwrap())
}

/// Moves its expiry, which writes.
async fn touch(
    engine: &DbEngine,
    key: &SessionKey,
    seen: &Revision,
) -> Result<Replaced, SessionError> {
    engine
        .touch(key, seen, &record(&SessionData::default()))
        .await
}

async fn rows(url: &str, query: &'static str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(query)
        .fetch_all(&mut connection)
        .await
        .unwrap()
}
