use quintette_testkit::servers::Proxy;

use crate::db::DatabaseErrorKind;

use super::*;

/// The tables on a server, by way of a proxy.
async fn behind_a_proxy(url: &str, address: std::net::SocketAddr) -> (Arc<dyn UserTables>, Proxy) {
    let proxy = Proxy::before(address).unwrap();
    let mut settings = Settings::new("a secret that is for tests alone");
    let through = url.replace(&address.to_string(), &proxy.address().to_string());
    assert_ne!(through, url);
    settings.database_url = Some(through.parse().unwrap());
    let database = Database::connect(&settings).await.unwrap();
    database.migrate().await.unwrap();
    let tables = database.user_tables(&settings.auth_user_model).await;
    (tables.unwrap(), proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_was_lost_is_unknown_and_a_read_is_sent_again() {
    for (url, address) in [
        (POSTGRES.new_database().unwrap(), POSTGRES.address()),
        (MARIADB.new_database().unwrap(), MARIADB.address()),
    ] {
        let (tables, proxy) = behind_a_proxy(&url, address).await;
        let user = made(&tables, "asa").await;
        tables.set_password(&user.id, "first").await.unwrap();
        proxy.cut_before_answer();
        let error = tables.set_password(&user.id, "second").await.unwrap_err();
        assert_eq!(error.kind(), DatabaseErrorKind::Unknown, "{error}");
        assert!(!error.to_string().contains("session"), "{error}");
        assert_eq!(proxy.answers_cut(), 1);
        proxy.heal();
        let found = tables.user(UserKey::Id(&user.id)).await.unwrap().unwrap();
        assert_eq!(found.password, "second");

        made(&tables, "bo").await;
        proxy.cut();
        proxy.heal();
        assert!(
            tables
                .user(UserKey::Username("asa"))
                .await
                .unwrap()
                .is_some()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_told_as_the_database() {
    for (url, address) in [
        (POSTGRES.new_database().unwrap(), POSTGRES.address()),
        (MARIADB.new_database().unwrap(), MARIADB.address()),
    ] {
        let (tables, proxy) = behind_a_proxy(&url, address).await;
        drop(proxy);
        let error = tables.user(UserKey::Id("1")).await.unwrap_err();
        assert_eq!(error.kind(), DatabaseErrorKind::Unavailable, "{error}");
        assert!(error.to_string().starts_with("the database "), "{error}");
    }
}

#[tokio::test]
async fn a_user_to_whom_other_tables_refer_stays_whole() {
    for site in sites().await {
        let user = made(&site.tables, "asa").await;
        assert!(
            site.tables
                .grant(&user.id, "auth", "add_user")
                .await
                .unwrap()
        );
        let id: i64 = user.id.parse().unwrap();
        for statement in [
            "CREATE TABLE diary (user_id integer NOT NULL, FOREIGN KEY (user_id) REFERENCES auth_user (id))".to_owned(),
            format!("INSERT INTO diary (user_id) VALUES ({id})"),
        ] {
            site.execute(&statement).await;
        }
        let error = site.tables.delete_user(&user.id).await.unwrap_err();
        assert_eq!(
            error.kind(),
            DatabaseErrorKind::Refused,
            "{}: {error}",
            site.kind
        );
        assert_eq!(site.tables.permissions(&user.id).await.unwrap().len(), 1);
        site.execute("DELETE FROM diary").await;
        assert!(site.tables.delete_user(&user.id).await.unwrap());
    }
}
