//! What is particular to sessions in MySQL and MariaDB, on a real MariaDB.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use quintette::db::{Database, Migrated, MysqlDatabase};
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{
    Created, Deleted, Receipt, Record, Replaced, Revision, SessionData, SessionEngine,
    SessionErrorKind, SessionKey,
};
use quintette::settings::Settings;
use quintette_testkit::servers::{MariaDb, Proxy};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, MySqlPool};

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

mod schema {
    use super::*;

    const SESSION: &str = "CREATE TABLE `django_session` (
  `session_key` varchar(40) NOT NULL,
  `session_data` longtext NOT NULL,
  `expire_date` datetime(6) NOT NULL,
  PRIMARY KEY (`session_key`),
  KEY `django_session_expire_date_a5c62663` (`expire_date`)
) ENGINE=InnoDB";

    const MIGRATIONS: &str = "CREATE TABLE `django_migrations` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `app` varchar(255) NOT NULL,
  `name` varchar(255) NOT NULL,
  `applied` datetime(6) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB";

    const MADE: [Migrated; 1] = [Migrated {
        app: "sessions",
        name: "0001_initial",
    }];

    async fn shown(url: &str, query: &'static str) -> String {
        let (_, shown): (String, String) = sqlx::query_as(query)
            .fetch_one(&mut connection(url).await)
            .await
            .unwrap();
        shown
    }

    #[tokio::test]
    async fn the_tables_are_those_that_django_makes() {
        let (_, url) = site().await;
        let session = shown(&url, "SHOW CREATE TABLE django_session").await;
        assert!(session.starts_with(SESSION), "{session}");
        let migrations = shown(&url, "SHOW CREATE TABLE django_migrations").await;
        assert!(migrations.starts_with(MIGRATIONS), "{migrations}");
        let recorded = "SELECT GROUP_CONCAT(app, '.', name) FROM django_migrations";
        assert_eq!(text(&url, recorded).await, "sessions.0001_initial");
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
        assert_eq!(
            count(&url, "SELECT COUNT(*) FROM django_migrations").await,
            1
        );
    }

    #[tokio::test]
    async fn a_migration_that_was_cut_short_is_completed() {
        let statements = [
            "CREATE TABLE django_session (session_key varchar(40) NOT NULL PRIMARY KEY, \
             session_data longtext NOT NULL, expire_date datetime(6) NOT NULL)",
            "CREATE INDEX django_session_expire_date_a5c62663 ON django_session (expire_date)",
        ];
        for done in 0..=2 {
            let url = SERVER.new_database().unwrap();
            execute(&url, &statements[..done]).await;
            let database = Database::connect(&settings(&url)).await.unwrap();
            assert_eq!(database.migrate().await.unwrap(), MADE);
            assert_eq!(database.migrate().await.unwrap(), []);
            let session = shown(&url, "SHOW CREATE TABLE django_session").await;
            assert!(session.starts_with(SESSION), "{session}");
        }
    }

    #[tokio::test]
    async fn what_is_migrated_is_left_alone_by_a_user_without_rights() {
        let (_, url) = site().await;
        let (_, name) = url.rsplit_once('/').unwrap();
        let grant = format!("GRANT SELECT ON {name}.* TO reader@'127.0.0.1'");
        execute(&url, &["CREATE USER reader@'127.0.0.1'", &grant]).await;
        let settings = settings(&url.replace("root@", "reader@"));
        let database = Database::connect(&settings).await.unwrap();
        assert_eq!(database.migrate().await.unwrap(), []);
        let engine = DbEngine::new(&database, &settings).await.unwrap();
        assert!(engine.load(&parsed("12345678")).await.unwrap().is_none());
        let data = SessionData::default();
        let created = engine.create(&parsed("12345678"), &record(&data)).await;
        let error = created.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        assert!(error.to_string().contains("granted"), "{error}");
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
        execute(&url, &["DROP TABLE django_session"]).await;
        let error = engine.load(&parsed("12345678")).await.unwrap_err();
        assert!(error.to_string().contains("quintette migrate"), "{error}");
    }
}

mod values {
    use super::*;

    /// Databases whose tables Django has made over the years, and that administrators have.
    const CHARACTER_SETS: [&str; 4] = [
        "utf8mb4",
        "utf8mb4 COLLATE utf8mb4_bin",
        "utf8mb3 COLLATE utf8mb3_unicode_ci",
        "latin1",
    ];

    async fn site_in(character_set: &str) -> (Arc<DbEngine>, String) {
        let url = SERVER.new_database().unwrap();
        let alter = format!("ALTER DATABASE CHARACTER SET {character_set}");
        execute(&url, &[&alter]).await;
        (engine(&settings(&url)).await, url)
    }

    #[tokio::test]
    async fn a_key_in_other_letters_or_with_spaces_is_another_key() {
        for character_set in CHARACTER_SETS {
            let (engine, _) = site_in(character_set).await;
            let data = SessionData::default();
            let created = engine.create(&parsed("abcdefgh"), &record(&data)).await;
            let Created::Stored(receipt) = created.unwrap() else {
                panic!("the table is empty");
            };
            let seen = receipt.revision.unwrap();
            for key in [
                "ABCDEFGH",
                "abcdefgh ",
                "ábcdefgh",
                "abcdefgh\0",
                "abcdefgh🍵",
            ] {
                let key = parsed(key);
                assert!(engine.load(&key).await.unwrap().is_none());
                let replaced = engine.replace(&key, &seen, &record(&data)).await.unwrap();
                assert!(matches!(replaced, Replaced::Gone));
                let touched = engine.touch(&key, &seen, &record(&data)).await.unwrap();
                assert!(matches!(touched, Replaced::Gone));
                for seen in [None, Some(&seen)] {
                    assert_eq!(engine.delete(&key, seen).await.unwrap(), Deleted::Gone);
                }
            }
            assert!(engine.load(&parsed("abcdefgh")).await.unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn a_key_that_the_server_takes_for_another_one_is_taken() {
        let (engine, _) = site().await;
        let data = SessionData::default();
        for key in ["abcdefgh", "ABCDEFGH", "abcdefgh "] {
            let created = engine.create(&parsed(key), &record(&data)).await.unwrap();
            assert_eq!(
                matches!(created, Created::Taken),
                key != "abcdefgh",
                "{key:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_key_that_the_column_cannot_hold_is_refused_and_not_cut() {
        let (engine, url) = site_in("latin1").await;
        let data = SessionData::default();
        for key in ["k".repeat(41), "열쇠열쇠열쇠열쇠".to_owned()] {
            let created = engine.create(&parsed(&key), &record(&data)).await;
            assert_eq!(created.unwrap_err().kind(), SessionErrorKind::Value);
        }
        assert_eq!(count(&url, "SELECT COUNT(*) FROM django_session").await, 0);
    }

    #[tokio::test]
    async fn data_in_other_letters_is_other_data() {
        let (engine, url) = site().await;
        let (key, seen) = stored(&engine).await;
        let upper = "UPDATE django_session SET session_data = UPPER(session_data)";
        execute(&url, &[upper]).await;
        let data = SessionData::default();
        let replaced = engine.replace(&key, &seen, &record(&data)).await.unwrap();
        assert!(matches!(replaced, Replaced::Conflict));
        let touched = engine.touch(&key, &seen, &record(&data)).await.unwrap();
        assert!(matches!(touched, Replaced::Conflict));
        let deleted = engine.delete(&key, Some(&seen)).await.unwrap();
        assert_eq!(deleted, Deleted::Conflict);
    }

    #[tokio::test]
    async fn what_somebody_left_in_the_column_is_replaced() {
        for character_set in CHARACTER_SETS {
            let (engine, url) = site_in(character_set).await;
            let (key, _) = stored(&engine).await;
            execute(
                &url,
                &["UPDATE django_session SET session_data = 'caf\u{e9} '"],
            )
            .await;
            let found = engine.load(&key).await.unwrap().unwrap();
            assert!(found.data.is_empty());
            let data = SessionData::default();
            let seen = found.revision.unwrap();
            receipt(engine.replace(&key, &seen, &record(&data)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn writing_what_is_there_already_is_written() {
        let (engine, _) = site().await;
        let (key, seen) = stored(&engine).await;
        let data = SessionData::default();
        let record = record(&data);
        for _ in 0..2 {
            receipt(engine.touch(&key, &seen, &record).await.unwrap());
        }
    }

    #[tokio::test]
    async fn an_expiry_is_utc_or_local_as_use_tz_says() {
        for (use_tz, column) in [
            (true, "2100-01-02 03:04:05.000006"),
            (false, "2100-01-02 12:04:05.000006"),
        ] {
            let url = SERVER.new_database().unwrap();
            let mut settings = settings(&url);
            settings.use_tz = use_tz;
            settings.time_zone = "Asia/Seoul".parse().unwrap();
            let engine = engine(&settings).await;
            let (key, _) = stored(&engine).await;
            let seen = engine.load(&key).await.unwrap().unwrap().revision.unwrap();
            let data = SessionData::default();
            let expires_at: DateTime<Utc> = "2100-01-02T03:04:05.000006Z".parse().unwrap();
            let record = Record {
                data: &data,
                expires_at,
            };
            receipt(engine.touch(&key, &seen, &record).await.unwrap());
            let stored = text(&url, "SELECT CAST(expire_date AS CHAR) FROM django_session");
            assert_eq!(stored.await, column);
            let found = engine.load(&key).await.unwrap().unwrap();
            assert_eq!(found.expires_at, Some(expires_at));
        }
    }

    #[tokio::test]
    async fn a_date_of_zeros_has_expired() {
        let (engine, url) = site().await;
        let (key, _) = stored(&engine).await;
        execute(
            &url,
            &["SET sql_mode = ''; UPDATE django_session SET expire_date = '0000-00-00'"],
        )
        .await;
        assert!(engine.load(&key).await.unwrap().is_none());
        let cleared = engine.clear_expired(&mut |_| {}).await.unwrap();
        assert_eq!(cleared.removed, 1);
    }
}

mod connections {
    use super::*;

    #[tokio::test]
    async fn an_application_hands_over_the_pool_that_it_has() {
        let url = SERVER.new_database().unwrap();
        let settings = settings(&url);
        let pool = MySqlPool::connect(&url).await.unwrap();
        let database = Database::from(MysqlDatabase::from_pool(pool.clone(), &settings));
        database.migrate().await.unwrap();
        let engine = DbEngine::new(&database, &settings).await.unwrap();
        let (key, _) = stored(&engine).await;
        assert_eq!(count(&url, "SELECT COUNT(*) FROM django_session").await, 1);
        assert!(engine.load(&key).await.unwrap().is_some());
        pool.close().await;
        let error = engine.load(&key).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_pool_that_does_not_commit_is_refused() {
        let (_, url) = site().await;
        let pool = MySqlPoolOptions::new().after_connect(|connection, _| {
            Box::pin(async move {
                let set = sqlx::query("SET autocommit = 0").execute(connection).await;
                set.map(drop)
            })
        });
        let settings = settings(&url);
        let pool = pool.connect(&url).await.unwrap();
        let database = Database::from(MysqlDatabase::from_pool(pool, &settings));
        let error = DbEngine::new(&database, &settings).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Misconfigured);
        assert!(error.to_string().contains("autocommit"), "{error}");
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_url_is_told_at_start_up_without_the_password() {
        let (_, url) = site().await;
        let (server, name) = url.rsplit_once('/').unwrap();
        let address = SERVER.address();
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = unused.local_addr().unwrap();
        drop(unused);
        for (url, told) in [
            (format!("mysql://u:hunter2@{nobody}/shop"), "be reached"),
            (format!("{server}/no_such_database"), "no such database"),
            (
                format!("mysql://u:hunter2@{address}/{name}"),
                "denies access",
            ),
            (
                format!("mariadb://root:hunter2@{address}/{name}"),
                "denies access",
            ),
            (format!("mysql://u:hunter2@{address}"), "no database"),
            (format!("{url}?ssl-mode=required"), "ssl-mode"),
            (format!("{url}?ssl-mode=hunter2"), "ssl-mode"),
            (format!("{url}?pasword=hunter2"), "\"pasword\""),
            (format!("{url}?max_connections=0"), "max_connections"),
            ("mysql://u:hunter2@[oops/x".to_owned(), "DATABASE_URL"),
        ] {
            let mut settings = settings(&url);
            settings.session_store_timeout = Duration::from_millis(500);
            let error = Database::connect(&settings).await.unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(told), "{told}: {text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[tokio::test]
    async fn loads_that_come_together_each_get_their_own() {
        let (engine, url) = site().await;
        let mut keys = Vec::new();
        for _ in 0..40 {
            keys.push(stored(&engine).await);
        }
        // Two connections for 300 loads: most of them wait, and leave together.
        let engine = super::engine(&settings(&format!("{url}?max_connections=2"))).await;
        let loads = (0..300).map(|n| {
            let engine = engine.clone();
            // Each session several times, and unknown ones between them.
            let known = keys.get(n % 60).cloned();
            tokio::spawn(async move {
                let key = known.as_ref().map(|(key, _)| key.clone());
                let key = key.unwrap_or_else(|| SessionKey::random().unwrap());
                let found = engine.load(&key).await.unwrap();
                let revision = found.and_then(|found| found.revision);
                assert_eq!(revision, known.map(|(_, revision)| revision));
            })
        });
        for load in loads.collect::<Vec<_>>() {
            load.await.unwrap();
        }
    }
}

mod locks {
    use super::*;

    /// Holds the row until it is dropped.
    async fn lock(url: &str, key: &SessionKey) -> MySqlConnection {
        let mut connection = connection(url).await;
        sqlx::raw_sql("START TRANSACTION")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("SELECT 1 FROM django_session WHERE session_key = ? FOR UPDATE")
            .bind(key.as_str())
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    #[tokio::test]
    async fn a_row_that_another_program_holds_is_read_and_is_not_written_later() {
        let (engine, url) = site().await;
        let (key, seen) = stored(&engine).await;
        let lock = lock(&url, &key).await;
        assert!(engine.load(&key).await.unwrap().is_some());
        let begun = Instant::now();
        let data = SessionData::default();
        let replaced = engine.replace(&key, &seen, &record(&data)).await;
        let error = replaced.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unavailable);
        assert!(error.to_string().contains("held the row"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        lock.close().await.unwrap();
        let found = engine.load(&key).await.unwrap().unwrap();
        assert_eq!(found.revision, Some(seen));
    }

    #[tokio::test]
    async fn a_clean_up_goes_by_batches_and_tells_how_far_it_is() {
        let (engine, url) = site().await;
        let (live, _) = stored(&engine).await;
        let fill = "INSERT INTO django_session SELECT CONCAT('expired', seq), 'x', \
                    UTC_TIMESTAMP(6) - INTERVAL (seq DIV 700) MINUTE FROM seq_701_to_2700";
        execute(&url, &[fill]).await;
        let mut steps = Vec::new();
        let cleared = engine
            .clear_expired(&mut |cleared| steps.push(cleared.removed))
            .await
            .unwrap();
        assert_eq!((cleared.removed, cleared.expired), (2_000, Some(2_000)));
        assert_eq!(steps[0], 0);
        let largest = steps.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(largest.unwrap() <= 500, "{steps:?}");
        assert!(engine.load(&live).await.unwrap().is_some());
        assert_eq!(count(&url, "SELECT COUNT(*) FROM django_session").await, 1);
    }

    #[tokio::test]
    async fn a_clean_up_waits_for_a_row_that_another_program_holds() {
        let (engine, url) = site().await;
        let (key, _) = stored(&engine).await;
        let expire = "UPDATE django_session SET expire_date = '2001-01-01'";
        execute(&url, &[expire]).await;
        let lock = lock(&url, &key).await;
        let cleaner = engine.clone();
        let clean_up = tokio::spawn(async move { cleaner.clear_expired(&mut |_| {}).await });
        // Longer than a request would wait for the row.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        lock.close().await.unwrap();
        assert_eq!(clean_up.await.unwrap().unwrap().removed, 1);
    }
}

mod faults {
    use super::*;

    #[tokio::test]
    async fn a_restart_costs_a_read_nothing() {
        let server = MariaDb::start().unwrap();
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
        let server = MariaDb::start().unwrap();
        let mut settings = settings(&server.url());
        settings.session_store_timeout = Duration::from_millis(300);
        let engine = engine(&settings).await;
        let (key, seen) = stored(&engine).await;
        server.kill();
        let data = SessionData::default();
        // The connection was used before and is dead: what was sent on it, nobody knows.
        let lost = engine.touch(&key, &seen, &record(&data)).await;
        assert_eq!(lost.unwrap_err().kind(), SessionErrorKind::Unknown);
        for _ in 0..5 {
            let begun = Instant::now();
            let read = engine.load(&key).await.unwrap_err();
            assert_eq!(read.kind(), SessionErrorKind::Unavailable);
            // Nothing was sent.
            let written = engine.touch(&key, &seen, &record(&data)).await;
            assert_eq!(written.unwrap_err().kind(), SessionErrorKind::Unavailable);
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
        receipt(engine.touch(&key, &seen, &record(&data)).await.unwrap());
        let later = Record {
            data: &data,
            expires_at: "2100-01-01T00:00:00Z".parse().unwrap(),
        };
        proxy.cut_before_answer();
        let error = engine.touch(&key, &seen, &later).await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::Unknown);
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
                    let data = SessionData::default();
                    let written = engine.touch(&key, &seen, &record(&data)).await;
                    written.unwrap_err().kind()
                }
            })
        });
        let mut kinds = Vec::new();
        for visitor in visitors.collect::<Vec<_>>() {
            kinds.push(visitor.await.unwrap());
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(kinds.contains(&SessionErrorKind::Unavailable));
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
    async fn a_connection_that_the_server_ended_costs_at_most_an_error() {
        let (engine, url) = site().await;
        for _ in 0..10 {
            let (key, seen) = stored(&engine).await;
            let others = "SELECT COALESCE(GROUP_CONCAT('KILL ', id SEPARATOR ';'), 'DO 1') \
                          FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()";
            execute(&url, &[&text(&url, others).await]).await;
            let data = SessionData::default();
            if let Err(error) = engine.touch(&key, &seen, &record(&data)).await {
                assert_eq!(error.status(), 503, "{error}");
            }
            assert!(engine.load(&key).await.unwrap().is_some());
            receipt(engine.touch(&key, &seen, &record(&data)).await.unwrap());
        }
    }

    /// What is set for the whole server, one after the other.
    #[tokio::test]
    async fn a_server_that_was_set_so_says_why_it_takes_no_write() {
        let server = MariaDb::start().unwrap();
        let url = server.url();
        engine(&settings(&url)).await;
        execute(
            &url,
            &["CREATE USER shop@'127.0.0.1'; GRANT ALL ON quintette.* TO shop@'127.0.0.1'"],
        )
        .await;
        let shop = settings(&url.replace("root@", "shop@"));
        let data: SessionData =
            SessionData::from_json(format!(r#"{{"x":"{}"}}"#, noise(200_000)).as_bytes()).unwrap();
        let key = SessionKey::random().unwrap();
        for (setting, reset, kind, told) in [
            (
                "SET GLOBAL read_only = 1",
                "SET GLOBAL read_only = 0",
                SessionErrorKind::Unavailable,
                "read-only",
            ),
            (
                "SET GLOBAL max_allowed_packet = 65536",
                "SET GLOBAL max_allowed_packet = 16777216",
                SessionErrorKind::TooLarge,
                "max_allowed_packet",
            ),
        ] {
            execute(&url, &[setting]).await;
            let engine = engine(&shop).await;
            let created = engine.create(&key, &record(&data)).await;
            let error = created.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(told), "{error}");
            assert!(engine.load(&key).await.unwrap().is_none());
            execute(&url, &[reset]).await;
        }

        // Whatever it does with connections that do not say: each of ours commits.
        execute(
            &url,
            &["SET GLOBAL autocommit = 0; SET GLOBAL sql_mode = ''"],
        )
        .await;
        let (key, _) = stored(&*engine(&shop).await).await;
        assert!(engine(&shop).await.load(&key).await.unwrap().is_some());

        execute(&url, &["SET GLOBAL max_connections = 10"]).await;
        let shop_url = url.replace("root@", "shop@");
        let mut crowd = Vec::new();
        while let Ok(connection) = MySqlConnection::connect(&shop_url).await {
            crowd.push(connection);
        }
        let mut short = shop.clone();
        short.session_store_timeout = Duration::from_millis(100);
        let error = Database::connect(&short).await.unwrap_err();
        assert!(error.to_string().contains("max_connections"), "{error}");
    }

    /// Text that no compression makes small.
    fn noise(length: usize) -> String {
        let mut state = 1_u64;
        let letters = (0..length).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'A' + u8::try_from((state >> 33) % 26).unwrap())
        });
        letters.collect()
    }
}
