use quintette::db::Database;
use quintette::sessions::engines::DbEngine;
use quintette::sessions::{SessionData, SessionEngine, SessionErrorKind, SessionKey};
use sqlx::{Connection, PgConnection};

use super::{SERVER, record, rows, settings, site};

#[tokio::test]
async fn the_tables_are_those_that_django_makes() {
    let (_, url) = site().await;
    let columns = rows(
        &url,
        "SELECT format('%s.%s %s%s %s %s', table_name, column_name, data_type, \
         '(' || character_maximum_length || ')', is_nullable, identity_generation) \
         FROM information_schema.columns WHERE table_name IN ('django_migrations', 'django_session') ORDER BY 1",
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
    let recorded = rows(
        &url,
        "SELECT name FROM django_migrations WHERE app = 'sessions'",
    )
    .await;
    assert_eq!(recorded, ["0001_initial"]);
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
    let recorded = "SELECT count(*) || ' ' || count(DISTINCT app || name) FROM django_migrations";
    assert_eq!(rows(&url, recorded).await, [format!("{made} {made}")]);
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

#[cfg(feature = "auth")]
#[tokio::test]
async fn what_is_missing_of_the_permissions_is_made_again_and_nothing_else() {
    let (_, url) = site().await;
    let all = "SELECT c.app_label || '.' || c.model || '.' || p.codename || '.' || p.name FROM auth_permission p \
        JOIN django_content_type c ON c.id = p.content_type_id ORDER BY 1";
    let before = rows(&url, all).await;
    assert_eq!(before.len(), 20);
    assert!(before.contains(&"auth.user.add_user.Can add user".to_owned()));
    for statement in [
        "DELETE FROM auth_permission WHERE codename LIKE '%session' OR codename = 'view_user'",
        "DELETE FROM django_content_type WHERE app_label = 'sessions'",
        "UPDATE auth_permission SET name = 'May enter users' WHERE codename = 'add_user'",
    ] {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let database = Database::connect(&settings(&url)).await.unwrap();
    assert_eq!(database.migrate().await.unwrap(), []);
    let mut expected = before;
    for name in &mut expected {
        *name = name.replace("Can add user", "May enter users");
    }
    assert_eq!(rows(&url, all).await, expected);
}
