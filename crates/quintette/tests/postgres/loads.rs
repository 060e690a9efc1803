use quintette::sessions::{SessionEngine, SessionKey};
use sqlx::{Connection, PgConnection};

use super::{site, stored};

#[tokio::test]
async fn loads_that_come_together_travel_together_and_each_gets_its_own() {
    let (engine, url) = site().await;
    let mut keys = Vec::new();
    for _ in 0..40 {
        keys.push(stored(&engine).await);
    }
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE django_session")
        .execute(&mut *transaction)
        .await
        .unwrap();
    // Each session twice, and unknown ones between them.
    let loads = (0..120).map(|n| {
        let engine = engine.clone();
        let known = keys.get(n % 60).cloned();
        tokio::spawn(async move {
            let key = known.as_ref().map(|(key, _)| key.clone());
            let key = key.unwrap_or_else(|| SessionKey::random().unwrap());
            let found = engine.load(&key).await.unwrap();
            let revision = found.and_then(|found| found.revision);
            assert_eq!(revision, known.map(|(_, revision)| revision));
        })
    });
    let loads: Vec<_> = loads.collect();
    let statements = loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        )
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
        if waiting > 0 {
            break waiting;
        }
    };
    assert!(statements <= 4, "{statements} at once");
    transaction.rollback().await.unwrap();
    for load in loads {
        load.await.unwrap();
    }
}
