use sqlx::{MySqlPool, PgPool, SqlitePool};

use crate::db::{MysqlDatabase, PostgresDatabase, SqliteDatabase};

use super::*;

#[tokio::test]
async fn an_application_hands_over_the_pool_that_it_has() {
    for site in sites().await {
        let settings = Settings::new("a secret that is for tests alone");
        let database: Database = match site.kind {
            "sqlite" => {
                let pool = SqlitePool::connect(&site.url).await.unwrap();
                SqliteDatabase::from_pool(pool, &settings).into()
            }
            "postgres" => {
                let pool = PgPool::connect(&site.url).await.unwrap();
                PostgresDatabase::from_pool(pool, &settings).into()
            }
            _ => {
                let pool = MySqlPool::connect(&site.url).await.unwrap();
                MysqlDatabase::from_pool(pool, &settings).into()
            }
        };
        assert_eq!(database.migrate().await.unwrap(), []);
        let tables = database
            .user_tables(&settings.auth_user_model)
            .await
            .unwrap();
        let user = made(&tables, "asa").await;
        assert!(tables.grant(&user.id, "auth", "add_user").await.unwrap());
        assert!(tables.set_password(&user.id, "new").await.unwrap());
        let found = site
            .tables
            .user(UserKey::Username("asa"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.password, "new", "{}", site.kind);
        assert!(tables.delete_user(&user.id).await.unwrap());
        assert_eq!(
            site.tables.user(UserKey::Username("asa")).await.unwrap(),
            None
        );
    }
}

#[tokio::test]
async fn a_pool_that_does_not_commit_is_told() {
    use sqlx::Executor;
    use sqlx::mysql::MySqlPoolOptions;

    let site = sites().await.pop().unwrap();
    let pool = MySqlPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute("SET autocommit = 0").await?;
            Ok(())
        })
    });
    let settings = Settings::new("a secret that is for tests alone");
    let pool = pool.connect(&site.url).await.unwrap();
    let database = Database::from(MysqlDatabase::from_pool(pool, &settings));
    let error = database
        .user_tables(&settings.auth_user_model)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("autocommit"), "{error}");
}
