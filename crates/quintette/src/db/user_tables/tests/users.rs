use crate::db::DatabaseErrorKind;

use super::*;

#[tokio::test]
async fn a_user_is_found_by_id_and_by_name_as_it_was_made() {
    for site in sites().await {
        let new = new_user("asa");
        let id = site.tables.insert_user(&new).await.unwrap();
        let by_id = site.tables.user(UserKey::Id(&id)).await.unwrap().unwrap();
        assert_eq!(
            by_id,
            UserRow {
                id: id.clone(),
                password: new.password,
                last_login: None,
                is_superuser: false,
                username: "asa".to_owned(),
                first_name: "Åsa".to_owned(),
                last_name: "Lind".to_owned(),
                email: "asa@example.com".to_owned(),
                is_staff: true,
                is_active: true,
                date_joined: new.date_joined,
            },
            "{}",
            site.kind
        );
        let by_name = site.tables.user(UserKey::Username("asa")).await.unwrap();
        assert_eq!(by_name.unwrap(), by_id);
    }
}

#[tokio::test]
async fn what_is_no_users_key_is_nobody() {
    for site in sites().await {
        made(&site.tables, "asa").await;
        for id in [
            "",
            "one",
            "1e0",
            "1; DROP TABLE auth_user",
            "0",
            "-1",
            "99999999999",
            "9223372036854775808",
            "\0",
            "1\0",
            "１",
        ] {
            let found = site.tables.user(UserKey::Id(id)).await.unwrap();
            assert_eq!(found, None, "{}: {id:?}", site.kind);
            assert!(!site.tables.set_password(id, "x").await.unwrap());
            assert!(!site.tables.delete_user(id).await.unwrap());
            assert_eq!(site.tables.permissions(id).await.unwrap(), []);
        }
        for name in ["", "nobody", "asa\0", "' OR 1=1 --", "as%", "{user}", "🦀"] {
            let found = site.tables.user(UserKey::Username(name)).await.unwrap();
            assert_eq!(found, None, "{}: {name:?}", site.kind);
        }
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    for site in sites().await {
        let asa = made(&site.tables, "asa").await;
        let mut bo = made(&site.tables, "bo").await;
        assert_ne!(asa.id, bo.id);
        let error = site.tables.insert_user(&new_user("asa")).await.unwrap_err();
        assert_eq!(error.kind(), DatabaseErrorKind::Duplicate, "{}", site.kind);
        bo.username = "asa".to_owned();
        let error = site.tables.update_user(&bo).await.unwrap_err();
        assert_eq!(error.kind(), DatabaseErrorKind::Duplicate, "{}", site.kind);
    }
}

#[tokio::test]
async fn users_who_come_at_once_get_ids_of_their_own() {
    for site in sites().await {
        let making = (0..20).map(|n| {
            let tables = site.tables.clone();
            tokio::spawn(async move { made(&tables, &format!("user{n}")).await })
        });
        for (n, made) in making.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(made.await.unwrap().username, format!("user{n}"));
        }
    }
}

#[tokio::test]
async fn every_field_is_updated() {
    for site in sites().await {
        let mut user = made(&site.tables, "asa").await;
        user.password = "!unusable".to_owned();
        user.last_login = Some(now());
        user.is_superuser = true;
        user.username = "åsa".to_owned();
        user.first_name = String::new();
        user.last_name = "x".repeat(150);
        user.email = String::new();
        user.is_staff = false;
        user.is_active = false;
        user.date_joined -= chrono::TimeDelta::days(400);
        assert!(site.tables.update_user(&user).await.unwrap());
        // What is the same already counts as written.
        assert!(site.tables.update_user(&user).await.unwrap());
        let found = site.tables.user(UserKey::Id(&user.id)).await.unwrap();
        assert_eq!(found.unwrap(), user, "{}", site.kind);
        user.id = "4711".to_owned();
        user.username = "other".to_owned();
        assert!(!site.tables.update_user(&user).await.unwrap());
    }
}

#[tokio::test]
async fn a_password_is_replaced_only_where_it_is_the_one_that_was_seen() {
    for site in sites().await {
        let user = made(&site.tables, "asa").await;
        let tables = &site.tables;
        assert!(
            !tables
                .replace_password(&user.id, "another", "new")
                .await
                .unwrap()
        );
        assert!(
            tables
                .replace_password(&user.id, &user.password, "new")
                .await
                .unwrap()
        );
        assert!(
            !tables
                .replace_password(&user.id, &user.password, "newer")
                .await
                .unwrap()
        );
        assert!(tables.set_password(&user.id, "set").await.unwrap());
        let time = now();
        assert!(tables.set_last_login(&user.id, time).await.unwrap());
        let found = tables.user(UserKey::Id(&user.id)).await.unwrap().unwrap();
        assert_eq!(found.password, "set");
        assert_eq!(found.last_login, Some(time), "{}", site.kind);
        let wanted = UserRow {
            password: found.password.clone(),
            last_login: found.last_login,
            ..user
        };
        assert_eq!(found, wanted);
    }
}

#[tokio::test]
async fn an_address_is_found_in_whatever_case_and_no_other_is() {
    for site in sites().await {
        for (name, email) in [
            ("asa", "Asa@Example.com"),
            ("other", "asa@EXAMPLE.COM"),
            ("odd", "mıke@example.com"),
            ("none", ""),
            ("wild", "a_a@example.com"),
        ] {
            let user = NewUser {
                email: email.to_owned(),
                ..new_user(name)
            };
            site.tables.insert_user(&user).await.unwrap();
        }
        let mut found = site.tables.users_by_email("ASA@example.com").await.unwrap();
        found.sort_by(|a, b| a.username.cmp(&b.username));
        let names: Vec<_> = found.iter().map(|user| user.username.as_str()).collect();
        assert_eq!(names, ["asa", "other"], "{}", site.kind);
        for other in [
            "mike@example.com",
            "%",
            "asa@example.com ",
            "asa@example.com\0",
        ] {
            assert_eq!(
                site.tables.users_by_email(other).await.unwrap(),
                [],
                "{}: {other:?}",
                site.kind
            );
        }
    }
}

#[tokio::test]
async fn a_deleted_user_is_gone_with_all_that_it_was_given() {
    for site in sites().await {
        let (asa, bo) = (
            made(&site.tables, "asa").await,
            made(&site.tables, "bo").await,
        );
        let tables = &site.tables;
        tables.create_group("editors").await.unwrap();
        for user in [&asa, &bo] {
            assert!(tables.add_to_group(&user.id, "editors").await.unwrap());
            assert!(tables.grant(&user.id, "auth", "add_user").await.unwrap());
        }
        assert!(tables.delete_user(&asa.id).await.unwrap());
        assert!(!tables.delete_user(&asa.id).await.unwrap());
        assert_eq!(tables.user(UserKey::Id(&asa.id)).await.unwrap(), None);
        assert_eq!(tables.groups(&asa.id).await.unwrap(), Vec::<String>::new());
        assert_eq!(tables.groups(&bo.id).await.unwrap(), ["editors"]);
        assert_eq!(tables.permissions(&bo.id).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_text_that_is_too_long_is_refused_by_servers() {
    for site in sites().await {
        if site.kind == "sqlite" {
            // SQLite takes any length, from Django as well.
            continue;
        }
        let error = site.tables.insert_user(&new_user(&"x".repeat(151))).await;
        assert_eq!(
            error.unwrap_err().kind(),
            DatabaseErrorKind::Refused,
            "{}",
            site.kind
        );
        let error = site.tables.insert_user(&new_user("nul\0")).await;
        if site.kind == "postgres" {
            assert_eq!(error.unwrap_err().kind(), DatabaseErrorKind::Refused);
        }
    }
}

#[tokio::test]
async fn a_user_model_of_another_app_has_tables_of_its_own() {
    let model = "shop.Customer".parse().unwrap();
    for site in sites_of(&model).await {
        let user = made(&site.tables, "asa").await;
        let tables = &site.tables;
        tables.create_group("editors").await.unwrap();
        assert!(tables.add_to_group(&user.id, "editors").await.unwrap());
        assert!(
            tables
                .grant(&user.id, "shop", "view_customer")
                .await
                .unwrap()
        );
        assert_eq!(tables.permissions(&user.id).await.unwrap().len(), 1);
        assert!(tables.delete_user(&user.id).await.unwrap());
        assert_eq!(site.database.migrate().await.unwrap(), []);
        let error = site
            .database
            .user_tables(&UserModel::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("quintette migrate"), "{error}");
        assert!(error.to_string().contains("auth_user"), "{error}");
    }
}
