//! Who may do what, and how many questions that takes.

use axum::Router;
use axum::routing::get;
use quintette::auth::{AuthError, AuthErrorKind, User, UserRecord};

use crate::site::{Site, counted};

#[tokio::test]
async fn permissions_come_from_the_user_and_from_groups_in_one_query() {
    let site = Site::new().await;
    let users = site.users();
    let mei = site.user("mei").await;
    users
        .create_permission("shop", "order", "view_order", "Can view order")
        .await
        .unwrap();
    users.create_group("staff").await.unwrap();
    users.grant_group("staff", "shop.view_order").await.unwrap();
    users.add_to_group(&mei, "staff").await.unwrap();
    users.grant(&mei, "auth.add_user").await.unwrap();

    let asks = async |user: User| -> Result<String, AuthError> {
        let one = user.has_perm("auth.add_user").await?;
        let other = user.has_perm("shop.view_order").await?;
        let none = user.has_perm("shop.delete_order").await?;
        let all = user.has_perms(["auth.add_user", "shop.view_order"]).await?;
        let module = user.has_module_perms("shop").await? && !user.has_module_perms("blog").await?;
        Ok(format!(
            "{one} {other} {none} {all} {module} {:?}",
            user.permissions().await?
        ))
    };
    let mut visitor = site.visitor_of(Router::new().route("/", get(asks)));
    visitor.cookie = site.logged_in("mei").await.cookie;
    let (answer, statements) = counted(visitor.get("/")).await;
    assert_eq!(
        answer.body,
        r#"true true false true true {"auth.add_user", "shop.view_order"}"#
    );
    assert_eq!(statements, 2, "the user, and the permissions");
    assert_eq!(users.groups(&mei).await.unwrap(), ["staff"]);
}

#[tokio::test]
async fn a_superuser_may_do_everything_without_a_question() {
    let site = Site::new().await;
    let root = site
        .users()
        .create_superuser("root", "", Some("right"))
        .await
        .unwrap();
    let (may, statements) = counted(async {
        root.has_perm("no.such").await.unwrap() && root.has_module_perms("anything").await.unwrap()
    })
    .await;
    assert!(may);
    assert_eq!(statements, 0);
    assert!(
        root.permissions()
            .await
            .unwrap()
            .contains("auth.delete_user"),
        "all that there are"
    );

    let mut record = root.downcast_ref::<UserRecord>().unwrap().clone();
    record.is_active = false;
    let asleep = site.users().save(&record).await.unwrap();
    assert!(!asleep.has_perm("auth.add_user").await.unwrap());
    assert!(asleep.permissions().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_given_twice_is_given_once_and_what_is_not_there_is_told() {
    let site = Site::new().await;
    let users = site.users();
    let mei = site.user("mei").await;
    for _ in 0..2 {
        users.create_group("staff").await.unwrap();
        users
            .create_permission("shop", "order", "view_order", "Can view order")
            .await
            .unwrap();
        users.grant(&mei, "shop.view_order").await.unwrap();
        users.add_to_group(&mei, "staff").await.unwrap();
        users.grant_group("staff", "shop.view_order").await.unwrap();
    }
    assert_eq!(mei.permissions().await.unwrap().len(), 1);
    for failed in [
        users.grant(&mei, "shop.no_such").await,
        users.grant(&mei, "rubbish").await,
        users.add_to_group(&mei, "nobody").await,
        users.grant_group("nobody", "shop.view_order").await,
    ] {
        assert_eq!(failed.unwrap_err().kind(), AuthErrorKind::Value);
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let site = Site::new().await;
    site.user("mei").await;
    let again = site.users().create_user("mei", "", None).await.unwrap_err();
    assert_eq!(
        (again.kind(), again.status()),
        (AuthErrorKind::Duplicate, 409)
    );
    assert_eq!(
        again.public_message(),
        "There is a user of this name already."
    );
    for bad in ["", &"x".repeat(151), "a\0b"] {
        let made = site.users().create_user(bad, "", None).await;
        assert_eq!(made.unwrap_err().kind(), AuthErrorKind::Value, "{bad:?}");
    }
}

#[tokio::test]
async fn a_name_has_one_spelling() {
    let site = Site::new().await;
    let users = site.users();
    let made = users.create_user("Ame\u{301}lie", "", None).await.unwrap();
    assert_eq!(made.username(), "Am\u{e9}lie");
    let again = users.create_user("Am\u{e9}lie", "", None).await;
    assert_eq!(again.unwrap_err().kind(), AuthErrorKind::Duplicate);
}
