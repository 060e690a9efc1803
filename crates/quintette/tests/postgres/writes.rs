use std::sync::Arc;
use std::time::Duration;

use quintette::sessions::engines::DbEngine;
use quintette::sessions::{
    Replaced, Revision, SessionData, SessionEngine, SessionError, SessionErrorKind, SessionKey,
};
use sqlx::{Connection, PgConnection};

use super::{record, rows, site, stored, touch};

type Written = tokio::task::JoinHandle<Result<Replaced, SessionError>>;

fn write(engine: &Arc<DbEngine>, row: &(SessionKey, Revision)) -> Written {
    let (engine, (key, seen)) = (engine.clone(), row.clone());
    tokio::spawn(async move { touch(&engine, &key, &seen).await })
}

#[tokio::test]
async fn of_writes_that_come_together_each_is_done_or_told_why_not() {
    let (engine, url) = site().await;
    let mut stored_rows = Vec::new();
    for _ in 0..40 {
        stored_rows.push(stored(&engine).await);
    }
    let changed = Revision::from("what nobody stored".to_owned());
    let stale = (stored_rows[0].0.clone(), changed);
    let unknown = (SessionKey::random().unwrap(), stale.1.clone());
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    // Writes wait for it, so that they come together.
    sqlx::query("LOCK TABLE django_session IN SHARE MODE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let done: Vec<_> = stored_rows.iter().map(|row| write(&engine, row)).collect();
    let (stale, unknown) = (write(&engine, &stale), write(&engine, &unknown));
    tokio::time::sleep(Duration::from_millis(100)).await;
    transaction.rollback().await.unwrap();
    for written in done {
        assert!(matches!(
            written.await.unwrap().unwrap(),
            Replaced::Stored(_)
        ));
    }
    assert!(matches!(stale.await.unwrap().unwrap(), Replaced::Conflict));
    assert!(matches!(unknown.await.unwrap().unwrap(), Replaced::Gone));
}

#[tokio::test]
async fn of_writes_of_one_session_that_come_together_one_is_done() {
    let (engine, url) = site().await;
    let (key, seen) = stored(&engine).await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE django_session IN SHARE MODE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let writers = (0..40).map(|n: u32| {
        let (engine, key, seen) = (engine.clone(), key.clone(), seen.clone());
        tokio::spawn(async move {
            let mut data = SessionData::default();
            data.insert("n", i64::from(n).into());
            engine.replace(&key, &seen, &record(&data)).await.unwrap()
        })
    });
    let writers: Vec<_> = writers.collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    transaction.rollback().await.unwrap();
    let mut done = Vec::new();
    for writer in writers {
        if let Replaced::Stored(receipt) = writer.await.unwrap() {
            done.push(receipt.revision.unwrap());
        }
    }
    assert_eq!(done.len(), 1);
    let found = engine.load(&key).await.unwrap().unwrap();
    assert_eq!(found.revision, done.pop());
}

#[tokio::test]
async fn rows_that_somebody_holds_delay_no_others() {
    let (engine, url) = site().await;
    let mut stored_rows = Vec::new();
    for _ in 0..20 {
        stored_rows.push(stored(&engine).await);
    }
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT FROM django_session WHERE session_key = $1 FOR UPDATE")
        .bind(stored_rows[10].0.as_str())
        .execute(&mut *transaction)
        .await
        .unwrap();
    let mut writes: Vec<_> = stored_rows.iter().map(|row| write(&engine, row)).collect();
    let held = writes.remove(10);
    for written in writes {
        assert!(matches!(
            written.await.unwrap().unwrap(),
            Replaced::Stored(_)
        ));
    }
    assert!(!held.is_finished());
    transaction.rollback().await.unwrap();
    assert!(matches!(held.await.unwrap().unwrap(), Replaced::Stored(_)));
}

#[tokio::test]
async fn one_that_the_server_refuses_fails_no_other() {
    let (engine, url) = site().await;
    let mut stored_rows = Vec::new();
    for _ in 0..20 {
        stored_rows.push(stored(&engine).await);
    }
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for statement in [
        "CREATE TABLE refused (session_key text)",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF EXISTS (SELECT 1 FROM refused r WHERE r.session_key = NEW.session_key) \
         THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON django_session FOR EACH ROW EXECUTE FUNCTION refuse()",
    ] {
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    sqlx::query("INSERT INTO refused VALUES ($1)")
        .bind(stored_rows[10].0.as_str())
        .execute(&mut connection)
        .await
        .unwrap();
    let mut writes: Vec<_> = stored_rows.iter().map(|row| write(&engine, row)).collect();
    let refused = writes.remove(10).await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), SessionErrorKind::Unavailable);
    for written in writes {
        assert!(matches!(
            written.await.unwrap().unwrap(),
            Replaced::Stored(_)
        ));
    }
}

#[tokio::test]
async fn a_write_gives_up_waiting_for_a_row_before_its_caller_does() {
    let (engine, url) = site().await;
    let row = stored(&engine).await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT FROM django_session FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let deletes = [
        engine.delete(&row.0, None).await,
        engine.delete(&row.0, Some(&row.1)).await,
    ];
    for deleted in deletes {
        let error = deleted.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable, "{error}");
    }
    let error = write(&engine, &row).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Unavailable, "{error}");
    let waiting = "SELECT pid::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND datname = current_database()";
    assert_eq!(rows(&url, waiting).await, [""; 0]);
    transaction.rollback().await.unwrap();
    assert!(engine.load(&row.0).await.unwrap().is_some());
}
