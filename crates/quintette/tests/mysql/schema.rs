use std::borrow::Cow;

use quintette::db::{Database, Migrated};
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{SessionData, SessionEngine, SessionErrorKind};

use super::{SERVER, connection, count, execute, parsed, record, settings, site, text};

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

const MADE: Migrated = Migrated {
    app: Cow::Borrowed("sessions"),
    name: "0001_initial",
};

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
    let recorded = "SELECT GROUP_CONCAT(name) FROM django_migrations WHERE app = 'sessions'";
    assert_eq!(text(&url, recorded).await, "0001_initial");
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
    for recorded in [
        "SELECT COUNT(*) FROM django_migrations",
        "SELECT COUNT(DISTINCT app, name) FROM django_migrations",
    ] {
        assert_eq!(usize::try_from(count(&url, recorded).await), Ok(made));
    }
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
        assert!(database.migrate().await.unwrap().contains(&MADE));
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

#[cfg(feature = "auth")]
#[tokio::test]
async fn tables_of_users_that_were_cut_short_are_completed() {
    let tables = [
        "django_content_type",
        "auth_permission",
        "auth_group",
        "auth_group_permissions",
        "auth_user",
        "auth_user_groups",
        "auth_user_user_permissions",
        "quintette_user_session",
    ];
    let (_, whole) = site().await;
    let mut made = Vec::new();
    for table in tables {
        let mut connection = connection(&whole).await;
        let show = sqlx::AssertSqlSafe(format!("SHOW CREATE TABLE {table}"));
        let (_, sql): (String, String) = sqlx::query_as(show)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        // How many rows there have been is no part of it.
        let (sql, options) = sql.split_once(" AUTO_INCREMENT=").unwrap_or((&sql, ""));
        let charset = options
            .split_once(" DEFAULT")
            .map_or("", |(_, charset)| charset);
        made.push(if charset.is_empty() {
            sql.to_owned()
        } else {
            format!("{sql} DEFAULT{charset}")
        });
    }
    for done in [1, 3, 5, 6, 8] {
        let url = SERVER.new_database().unwrap();
        let statements: Vec<_> = made[..done].iter().map(String::as_str).collect();
        execute(&url, &statements).await;
        let database = Database::connect(&settings(&url)).await.unwrap();
        assert_eq!(database.migrate().await.unwrap().len(), 16);
        assert_eq!(database.migrate().await.unwrap(), []);
        assert_eq!(
            count(&url, "SELECT COUNT(*) FROM auth_permission").await,
            20
        );
        let names =
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()";
        assert_eq!(count(&url, names).await, 10);
    }
}
