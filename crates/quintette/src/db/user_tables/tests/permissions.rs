use super::super::Permission;
use super::*;

fn named(permissions: &[Permission]) -> Vec<String> {
    let names = permissions
        .iter()
        .map(|permission| format!("{}.{}", permission.app_label, permission.codename));
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn those_of_the_user_and_those_of_the_groups_are_found_each_once() {
    for site in sites().await {
        let (asa, bo) = (
            made(&site.tables, "asa").await,
            made(&site.tables, "bo").await,
        );
        let tables = &site.tables;
        for group in ["editors", "admins", "empty"] {
            tables.create_group(group).await.unwrap();
            tables.create_group(group).await.unwrap();
        }
        for (group, codename) in [
            ("editors", "add_user"),
            ("editors", "change_user"),
            ("admins", "delete_user"),
        ] {
            for _ in 0..2 {
                assert!(
                    tables.grant_group(group, "auth", codename).await.unwrap(),
                    "{}",
                    site.kind
                );
            }
        }
        for _ in 0..2 {
            assert!(tables.grant(&asa.id, "auth", "add_user").await.unwrap());
            assert!(tables.grant(&asa.id, "auth", "view_group").await.unwrap());
            assert!(tables.add_to_group(&asa.id, "editors").await.unwrap());
            assert!(tables.add_to_group(&asa.id, "empty").await.unwrap());
            assert!(tables.add_to_group(&bo.id, "admins").await.unwrap());
        }
        assert_eq!(
            named(&tables.permissions(&asa.id).await.unwrap()),
            ["auth.add_user", "auth.change_user", "auth.view_group"],
            "{}",
            site.kind
        );
        assert_eq!(
            named(&tables.permissions(&bo.id).await.unwrap()),
            ["auth.delete_user"]
        );
        assert_eq!(tables.groups(&asa.id).await.unwrap(), ["editors", "empty"]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_given() {
    for site in sites().await {
        let asa = made(&site.tables, "asa").await;
        let tables = &site.tables;
        tables.create_group("editors").await.unwrap();
        assert!(
            !tables.grant(&asa.id, "auth", "fly").await.unwrap(),
            "{}",
            site.kind
        );
        assert!(!tables.grant(&asa.id, "shop", "add_user").await.unwrap());
        assert!(!tables.grant("4711", "auth", "add_user").await.unwrap());
        assert!(!tables.add_to_group(&asa.id, "nobodies").await.unwrap());
        assert!(!tables.add_to_group("4711", "editors").await.unwrap());
        assert!(
            !tables
                .grant_group("nobodies", "auth", "add_user")
                .await
                .unwrap()
        );
        assert!(!tables.grant_group("editors", "auth", "fly").await.unwrap());
        assert_eq!(tables.permissions(&asa.id).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_permission_is_made_once_and_a_superusers_are_all_that_there_are() {
    for site in sites().await {
        let asa = made(&site.tables, "asa").await;
        let tables = &site.tables;
        let before = named(&tables.all_permissions().await.unwrap());
        assert_eq!(before.len(), 20, "{}: {before:?}", site.kind);
        for model in ["article", "article", "comment"] {
            let made = tables.create_permission("blog", model, "publish", "Can publish");
            made.await.unwrap();
        }
        let after = named(&tables.all_permissions().await.unwrap());
        let new: Vec<_> = after.iter().filter(|name| !before.contains(name)).collect();
        assert_eq!(new, ["blog.publish"]);
        assert_eq!(after.len(), 21);
        assert!(tables.grant(&asa.id, "blog", "publish").await.unwrap());
        assert_eq!(
            named(&tables.permissions(&asa.id).await.unwrap()),
            ["blog.publish"]
        );
    }
}
