//! What is particular to sessions in MySQL and MariaDB, on a real MariaDB.

mod connections;
mod faults;
mod locks;
mod schema;
mod values;

use std::sync::{Arc, LazyLock};

use chrono::{TimeDelta, Utc};
use quintette::db::Database;
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{
    Created, Receipt, Record, Replaced, Revision, SessionData, SessionEngine, SessionKey,
};
use quintette::settings::Settings;
use quintette_testkit::servers::{MariaDb, Proxy};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

/// One server for all tests that leave it running, with a database for each.
static SERVER: LazyLock<MariaDb> = LazyLock::new(|| MariaDb::start().unwrap());

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
    format!("mysql://root@{}/{database}", proxy.address())
}

fn record(data: &SessionData) -> Record<'_> {
    Record {
        data,
        expires_at: Utc::now() + TimeDelta::days(1),
    }
}

fn parsed(key: &str) -> SessionKey {
    SessionKey::parse(key).unwrap()
}

async fn stored(engine: &DbEngine) -> (SessionKey, Revision) {
    let key = SessionKey::random().unwrap();
    let created = engine.create(&key, &record(&SessionData::default())).await;
    let Created::Stored(receipt) = created.unwrap() else {
        panic!("a random key is free");
    };
    (key, receipt.revision.unwrap())
}

fn receipt(replaced: Replaced) -> Receipt {
    match replaced {
        Replaced::Stored(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

async fn connection(url: &str) -> MySqlConnection {
    MySqlConnection::connect(url).await.unwrap()
}

async fn execute(url: &str, statements: &[&str]) {
    let mut connection = connection(url).await;
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe((*statement).to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

async fn text(url: &str, query: &'static str) -> String {
    sqlx::query_scalar(query)
        .fetch_one(&mut connection(url).await)
        .await
        .unwrap()
}

async fn count(url: &str, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(&mut connection(url).await)
        .await
        .unwrap()
}
