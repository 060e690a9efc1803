use quintette::sessions::SessionEngine;
use sqlx::{Connection, PgConnection, Row};

use super::{site, stored};

#[tokio::test]
async fn what_a_request_holds_or_touches_stays_and_nobody_waits() {
    let (engine, url) = site().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO django_session SELECT 'expired ' || n, '', now() - make_interval(secs => n % 700) \
         FROM generate_series(1, 2000) n",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let (live, _) = stored(&engine).await;
    let mut transaction = connection.begin().await.unwrap();
    let held = sqlx::query(
        "UPDATE django_session SET expire_date = now() + interval '1 day' \
         WHERE session_key IN ('expired 3', 'expired 699', 'expired 2000')",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    assert_eq!(held.rows_affected(), 3);
    let mut told = Vec::new();
    let cleared = engine
        .clear_expired(&mut |cleared| told.push(cleared.removed))
        .await
        .unwrap();
    assert_eq!(cleared.removed, 1997);
    assert_eq!(told.first(), Some(&0));
    assert!(told.len() > 4, "in batches: {told:?}");
    transaction.commit().await.unwrap();
    let cleared = engine.clear_expired(&mut |_| {}).await.unwrap();
    assert_eq!(cleared.removed, 0);
    let left: i64 = sqlx::query("SELECT COUNT(*) FROM django_session")
        .fetch_one(&mut connection)
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 4);
    assert!(engine.load(&live).await.unwrap().is_some());
}
