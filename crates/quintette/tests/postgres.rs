//! What is particular to sessions in PostgreSQL, on a real server.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use quintette::db::{Database, PostgresDatabase};
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{
    Created, Deleted, Record, Replaced, Revision, SessionData, SessionEngine, SessionError,
    SessionErrorKind, SessionKey,
};
use quintette::settings::Settings;
use quintette_testkit::servers::{Postgres, Proxy};
use sqlx::{Connection, PgConnection, PgPool, Row};

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

mod schema {
    use super::*;

    #[tokio::test]
    async fn the_tables_are_those_that_django_makes() {
        let (_, url) = site().await;
        let columns = rows(
            &url,
            "SELECT format('%s.%s %s%s %s %s', table_name, column_name, data_type, \
             '(' || character_maximum_length || ')', is_nullable, identity_generation) \
             FROM information_schema.columns WHERE table_name LIKE 'django\\_%' ORDER BY 1",
        );
        assert_eq!(
            columns.await,
            [
                "django_migrations.app character varying(255) NO ",
                "django_migrations.applied timestamp with time zone NO ",
                "django_migrations.id bigint NO BY DEFAULT",
                "django_migrations.name character varying(255) NO ",
                "django_session.expire_date timestamp with time zone NO ",
                "django_session.session_data text NO ",
                "django_session.session_key character varying(40) NO ",
            ]
        );
        let indexes = rows(
            &url,
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'django_session' ORDER BY indexname",
        );
        assert_eq!(
            indexes.await,
            [
                "CREATE INDEX django_session_expire_date_a5c62663 ON public.django_session USING btree (expire_date)",
                "CREATE UNIQUE INDEX django_session_pkey ON public.django_session USING btree (session_key)",
                "CREATE INDEX django_session_session_key_c0390e0f_like ON public.django_session USING btree \
                 (session_key varchar_pattern_ops)",
            ]
        );
        let recorded = rows(&url, "SELECT app || '.' || name FROM django_migrations").await;
        assert_eq!(recorded, ["sessions.0001_initial"]);
    }

    #[tokio::test]
    async fn programs_that_start_at_once_migrate_once() {
        let url = SERVER.new_database().unwrap();
        let programs = (0..8).map(|_| {
            let settings = settings(&url);
            tokio::spawn(async move {
                let database = Database::connect(&settings).await.unwrap();
                database.migrate().await.unwrap().len()
            })
        });
        let mut made = 0;
        for program in programs.collect::<Vec<_>>() {
            made += program.await.unwrap();
        }
        assert_eq!(made, 1);
    }

    #[tokio::test]
    async fn what_is_migrated_is_left_alone_by_a_user_without_rights() {
        let (_, url) = site().await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        for statement in [
            "CREATE ROLE reader LOGIN",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        ] {
            sqlx::query(statement)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        let settings = settings(&url.replace("postgres@", "reader@"));
        let database = Database::connect(&settings).await.unwrap();
        assert_eq!(database.migrate().await.unwrap(), []);

        let engine = DbEngine::new(&database, &settings).await.unwrap();
        let key = SessionKey::random().unwrap();
        assert!(engine.load(&key).await.unwrap().is_none());
        let error = engine
            .create(&key, &record(&SessionData::default()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        assert!(error.to_string().contains("GRANT"), "{error}");
    }

    #[tokio::test]
    async fn a_table_that_is_missing_is_told_with_the_command_that_makes_it() {
        let url = SERVER.new_database().unwrap();
        let settings = settings(&url);
        let database = Database::connect(&settings).await.unwrap();
        let error = DbEngine::new(&database, &settings).await.unwrap_err();
        assert!(error.to_string().contains("quintette migrate"), "{error}");

        database.migrate().await.unwrap();
        let engine = DbEngine::new(&database, &settings).await.unwrap();
        rows(&url, "DROP TABLE django_session").await;
        let error = engine.load(&SessionKey::random().unwrap()).await;
        let error = error.unwrap_err();
        assert!(error.to_string().contains("quintette migrate"), "{error}");
    }
}

mod values {
    use super::*;

    #[tokio::test]
    async fn an_expiry_is_the_same_instant_whatever_the_time_zone() {
        let url = SERVER.new_database().unwrap();
        let mut settings = settings(&url);
        settings.use_tz = false;
        settings.time_zone = "Asia/Seoul".parse().unwrap();
        let engine = engine(&settings).await;
        let key = SessionKey::random().unwrap();
        let expires_at: DateTime<Utc> = "2100-01-02T03:04:05.000006Z".parse().unwrap();
        let data = SessionData::default();
        engine
            .create(
                &key,
                &Record {
                    data: &data,
                    expires_at,
                },
            )
            .await
            .unwrap();
        let found = engine.load(&key).await.unwrap().unwrap();
        assert_eq!(found.expires_at, Some(expires_at));

        // Django without USE_TZ sets its connections' time zone, and reads and writes local times.
        let mut django = PgConnection::connect(&url).await.unwrap();
        let local: String = sqlx::query_scalar(
            "SELECT set_config('TimeZone', 'Asia/Seoul', false) || expire_date::timestamp FROM django_session",
        )
        .fetch_one(&mut django)
        .await
        .unwrap();
        assert_eq!(local, "Asia/Seoul2100-01-02 12:04:05.000006");
        sqlx::query("UPDATE django_session SET expire_date = '2100-01-02 00:00:00'::timestamp")
            .execute(&mut django)
            .await
            .unwrap();
        let found = engine.load(&key).await.unwrap().unwrap();
        assert_eq!(
            found.expires_at.unwrap().to_string(),
            "2100-01-01 15:00:00 UTC"
        );
    }

    #[tokio::test]
    async fn a_session_that_never_expires_is_read() {
        let (engine, url) = site().await;
        let (key, _) = stored(&engine).await;
        rows(&url, "UPDATE django_session SET expire_date = 'infinity'").await;
        assert!(engine.load(&key).await.unwrap().is_some());
        assert_eq!(engine.list(None, 10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_key_that_postgresql_cannot_hold_is_an_unknown_one() {
        let (engine, _) = site().await;
        let (_, seen) = stored(&engine).await;
        let data = SessionData::default();
        let record = record(&data);
        for key in [
            "12345678\0",
            "\0\0\0\0\0\0\0\0",
            &"가".repeat(41),
            &"k".repeat(100_000),
        ] {
            let key = SessionKey::parse(key).unwrap();
            assert!(engine.load(&key).await.unwrap().is_none());
            let replaced = engine.replace(&key, &seen, &record).await.unwrap();
            assert!(matches!(replaced, Replaced::Gone));
            let touched = engine.touch(&key, &seen, &record).await.unwrap();
            assert!(matches!(touched, Replaced::Gone));
            for seen in [None, Some(&seen)] {
                assert_eq!(engine.delete(&key, seen).await.unwrap(), Deleted::Gone);
            }
            engine.list(Some(&key), 10).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_list_is_in_the_order_of_the_bytes_and_uses_an_index() {
        let (engine, url) = site().await;
        let mut keys = Vec::new();
        for key in [
            "aaaaaaaaB",
            "aaaaaaaab",
            "AAAAAAAAA",
            "aaaaaaaa-",
            "zzzzzzzzz",
        ] {
            let key = SessionKey::parse(key).unwrap();
            let created = engine.create(&key, &record(&SessionData::default())).await;
            assert!(matches!(created.unwrap(), Created::Stored(_)));
            keys.push(key);
        }
        keys.sort();
        let mut listed = Vec::new();
        while let Some(page) = engine
            .list(listed.last(), 2)
            .await
            .unwrap()
            .into_iter()
            .next()
        {
            listed.push(page.key);
        }
        assert_eq!(listed, keys);
        let plan = rows(
            &url,
            "EXPLAIN (COSTS OFF) SELECT session_key FROM django_session WHERE session_key ~>~ 'a' \
             ORDER BY session_key USING ~<~ LIMIT 1",
        );
        assert!(plan.await.concat().contains("c0390e0f_like"));
    }
}

mod connections {
    use super::*;

    #[tokio::test]
    async fn an_application_hands_over_the_pool_that_it_has() {
        let url = SERVER.new_database().unwrap();
        let settings = settings(&url);
        let pool = PgPool::connect(&url).await.unwrap();
        let database = Database::from(PostgresDatabase::from_pool(pool.clone(), &settings));
        database.migrate().await.unwrap();
        let engine = DbEngine::new(&database, &settings).await.unwrap();
        let (key, _) = stored(&engine).await;
        let found: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM django_session WHERE session_key = $1")
                .bind(key.as_str())
                .fetch_one(&pool)
                .await
                .unwrap();
        assert_eq!(found, 1);
        assert!(engine.load(&key).await.unwrap().is_some());
        pool.close().await;
        let error = engine.load(&key).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_url_is_told_at_start_up_without_the_password() {
        let address = SERVER.address();
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = unused.local_addr().unwrap();
        drop(unused);
        for (url, told) in [
            (
                format!("postgres://u:hunter2@{nobody}/shop"),
                "cannot be reached",
            ),
            (
                format!("postgres://postgres:hunter2@{address}/no_such_database"),
                "no such database",
            ),
            (
                format!("postgres://nobody:hunter2@{address}/postgres"),
                "check user and password",
            ),
            (
                format!("postgres://postgres:hunter2@{address}/postgres?sslmode=require"),
                "sslmode",
            ),
            (
                format!("postgres://postgres:hunter2@{address}/postgres?sslmode=hunter2"),
                "sslmode",
            ),
            (
                format!("postgres://postgres@{address}/postgres?pasword=hunter2"),
                "\"pasword\"",
            ),
            (
                format!(
                    "postgres://postgres@{address}/postgres?max_connections=0&password=hunter2"
                ),
                "max_connections",
            ),
            ("postgres://u:hunter2@[oops/x".to_owned(), "DATABASE_URL"),
        ] {
            let mut settings = settings(&url);
            settings.session_store_timeout = Duration::from_millis(500);
            let error = Database::connect(&settings).await.unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(told), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[tokio::test]
    async fn no_more_connections_are_opened_than_the_url_allows() {
        let url = SERVER.new_database().unwrap();
        let engine = engine(&settings(&format!(
            "{url}?max_connections=3&conn_max_age=60"
        )))
        .await;
        let writers = (0..32).map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { stored(&engine).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let open = rows(
            &url,
            "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        assert!(["1", "2", "3"].contains(&open.await[0].as_str()));
    }

    #[tokio::test]
    async fn a_caller_that_vanishes_leaves_no_answer_to_the_next() {
        let (engine, url) = site().await;
        let (key, seen) = stored(&engine).await;
        let mut other = PgConnection::connect(&url).await.unwrap();
        let mut transaction = other.begin().await.unwrap();
        sqlx::query("SELECT FROM django_session FOR UPDATE")
            .execute(&mut *transaction)
            .await
            .unwrap();
        let waits = touch(&engine, &key, &seen);
        let vanished = tokio::time::timeout(Duration::from_millis(100), waits).await;
        assert!(vanished.is_err());
        for _ in 0..20 {
            stored(&engine).await;
            assert!(engine.load(&key).await.unwrap().is_some());
        }
        transaction.rollback().await.unwrap();
    }
}

mod loads {
    use super::*;

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
}

mod writes {
    use super::*;

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
}

mod faults {
    use super::*;

    #[tokio::test]
    async fn a_restart_costs_a_read_nothing() {
        let server = Postgres::start().unwrap();
        let engine = engine(&settings(&server.url())).await;
        let (key, _) = stored(&engine).await;
        server.kill();
        server.restart().unwrap();
        assert!(engine.load(&key).await.unwrap().is_some());
        server.restart().unwrap();
        assert!(engine.load(&key).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_server_that_is_down_is_told_within_the_bound_and_service_returns() {
        let server = Postgres::start().unwrap();
        let mut settings = settings(&server.url());
        settings.session_store_timeout = Duration::from_millis(300);
        let engine = engine(&settings).await;
        let (key, seen) = stored(&engine).await;
        server.kill();
        // The connection was used before and is dead: what was sent on it, nobody knows.
        let lost = touch(&engine, &key, &seen).await.unwrap_err();
        assert_eq!(lost.kind(), SessionErrorKind::Unknown);
        for _ in 0..5 {
            let begun = Instant::now();
            let read = engine.load(&key).await.unwrap_err();
            assert_eq!(read.kind(), SessionErrorKind::Unavailable);
            // Nothing was sent.
            let written = touch(&engine, &key, &seen).await.unwrap_err();
            assert_eq!(written.kind(), SessionErrorKind::Unavailable);
            assert!(begun.elapsed() < Duration::from_secs(5));
        }
        server.restart().unwrap();
        let begun = Instant::now();
        while engine.load(&key).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_write_whose_answer_was_lost_is_unknown() {
        let proxy = Proxy::before(SERVER.address()).unwrap();
        let url = SERVER.new_database().unwrap();
        let engine = engine(&settings(&by_way_of(&proxy, &url))).await;
        let (key, seen) = stored(&engine).await;
        let data = SessionData::default();
        // Prepares the statement, so that what is cut below is the answer to its execution.
        let Replaced::Stored(receipt) = touch(&engine, &key, &seen).await.unwrap() else {
            panic!("nobody else writes");
        };
        let later = Record {
            data: &data,
            expires_at: "2100-01-01T00:00:00Z".parse().unwrap(),
        };
        proxy.cut_before_answer();
        let error = engine.touch(&key, &receipt.revision.unwrap(), &later).await;
        assert_eq!(error.unwrap_err().kind(), SessionErrorKind::Unknown);
        assert_eq!(proxy.answers_cut(), 1);
        // As it happens, it was done.
        let found = engine.load(&key).await.unwrap().unwrap();
        assert_eq!(found.expires_at, Some(later.expires_at));
    }

    #[tokio::test]
    async fn a_read_whose_answer_was_lost_is_sent_again() {
        let proxy = Proxy::before(SERVER.address()).unwrap();
        let url = SERVER.new_database().unwrap();
        let engine = engine(&settings(&by_way_of(&proxy, &url))).await;
        let (key, _) = stored(&engine).await;
        proxy.cut_before_answer();
        assert!(engine.load(&key).await.unwrap().is_some());
        assert_eq!(proxy.answers_cut(), 1);
    }

    #[tokio::test]
    async fn a_server_that_hangs_is_answered_for_within_the_bound() {
        let proxy = Proxy::before(SERVER.address()).unwrap();
        let url = SERVER.new_database().unwrap();
        let mut settings = settings(&by_way_of(&proxy, &url));
        settings.session_store_timeout = Duration::from_millis(300);
        let engine = engine(&settings).await;
        let (key, seen) = stored(&engine).await;
        proxy.hang();
        let begun = Instant::now();
        let visitors = (0..64).map(|n| {
            let (engine, key, seen) = (engine.clone(), key.clone(), seen.clone());
            tokio::spawn(async move {
                if n % 2 == 0 {
                    engine.load(&key).await.unwrap_err().kind()
                } else {
                    touch(&engine, &key, &seen).await.unwrap_err().kind()
                }
            })
        });
        let mut kinds = Vec::new();
        for visitor in visitors.collect::<Vec<_>>() {
            kinds.push(visitor.await.unwrap());
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(kinds.contains(&SessionErrorKind::Unknown));
        assert!(kinds.iter().all(|kind| matches!(
            kind,
            SessionErrorKind::Unknown | SessionErrorKind::Unavailable
        )));
        proxy.heal();
        let begun = Instant::now();
        while engine.load(&key).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
    }

    #[tokio::test]
    async fn a_connection_that_the_server_ended_did_not_write() {
        let (engine, url) = site().await;
        for _ in 0..20 {
            let (key, seen) = stored(&engine).await;
            rows(
                &url,
                "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
            let error = engine.delete(&key, Some(&seen)).await;
            if let Err(error) = error {
                assert_eq!(error.kind(), SessionErrorKind::Unavailable, "{error}");
                assert!(engine.load(&key).await.unwrap().is_some());
            }
            let replaced = touch(&engine, &key, &seen).await.unwrap();
            assert!(matches!(replaced, Replaced::Stored(_)));
        }
    }

    #[tokio::test]
    async fn a_read_only_database_is_read_and_says_why_it_takes_no_write() {
        let (_, url) = site().await;
        let url = format!("{url}?options=-c%20default_transaction_read_only%3Don");
        let settings = settings(&url);
        let database = Database::connect(&settings).await.unwrap();
        let engine = DbEngine::new(&database, &settings).await.unwrap();
        let key = SessionKey::random().unwrap();
        assert!(engine.load(&key).await.unwrap().is_none());
        let created = engine.create(&key, &record(&SessionData::default())).await;
        let error = created.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        assert!(error.to_string().contains("standby"), "{error}");
    }

    #[tokio::test]
    async fn a_server_without_connections_to_spare_serves_with_those_that_there_are() {
        let (_, url) = site().await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        for statement in [
            "CREATE ROLE crowd LOGIN CONNECTION LIMIT 2",
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO crowd",
        ] {
            sqlx::query(statement)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        let settings = settings(&url.replace("postgres@", "crowd@"));
        let engine = engine(&settings).await;
        let writers = (0..64).map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { stored(&engine).await })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let error = loop {
            // Which of them it is that finds no room is not ours to say.
            let taken = PgConnection::connect(&url.replace("postgres@", "crowd@")).await;
            match Database::connect(&settings).await {
                Err(error) => break error,
                Ok(_) => drop(taken),
            }
        };
        assert!(error.to_string().contains("max_connections"), "{error}");
    }
}

mod clean_up {
    use super::*;

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
}
