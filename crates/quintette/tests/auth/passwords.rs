//! Passwords as a login meets them.

use http::StatusCode;
use quintette::auth::UserRecord;
use quintette::auth::hashers::{Md5, PasswordHasher as _};

use crate::site::Site;

const PBKDF2: &str = "django.contrib.auth.hashers.PBKDF2PasswordHasher";
const MD5: &str = "django.contrib.auth.hashers.MD5PasswordHasher";

async fn encoded(site: &Site) -> String {
    let user = site.users().by_username("mei").await.unwrap().unwrap();
    user.downcast_ref::<UserRecord>().unwrap().password.clone()
}

#[tokio::test]
async fn a_login_hashes_an_outdated_password_anew_and_keeps_the_user_logged_in() {
    let site = Site::new().await;
    site.user("mei").await;
    assert!(encoded(&site).await.starts_with("md5$"));
    let hashers = vec![PBKDF2.to_owned(), MD5.to_owned()];
    let site = site
        .restarted(|settings| settings.password_hashers = hashers)
        .await;
    let mut visitor = site.visitor();
    assert_eq!(
        visitor.log_in("mei", "wrong").await.status,
        StatusCode::FORBIDDEN
    );
    assert!(
        encoded(&site).await.starts_with("md5$"),
        "not with a wrong one"
    );
    visitor.log_in("mei", "right").await;
    assert!(encoded(&site).await.starts_with("pbkdf2_sha256$"));
    assert_eq!(visitor.who().await, "mei");
}

#[tokio::test]
async fn of_two_logins_at_once_that_hash_a_password_anew_both_stay_logged_in() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    for round in 0..10 {
        let mut record = mei.downcast_ref::<UserRecord>().unwrap().clone();
        // With a salt that is too short by now.
        record.password = Md5::new().encode("right", &format!("salt{round}")).unwrap();
        site.users().save(&record).await.unwrap();
        let (mut one, mut other) = (site.visitor(), site.visitor());
        tokio::join!(one.log_in("mei", "right"), other.log_in("mei", "right"));
        assert_eq!(
            (one.who().await, other.who().await),
            ("mei".into(), "mei".into())
        );
    }
}

#[tokio::test]
async fn a_user_without_a_password_cannot_log_in_by_one() {
    let site = Site::new().await;
    let mei = site
        .users()
        .create_user("mei", "m@example.com", None)
        .await
        .unwrap();
    for guess in ["", "!", "None", mei.record().password()] {
        let answer = site.visitor().log_in("mei", guess).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{guess:?}");
    }
    assert!(!site.users().check_password(&mei, "").await.unwrap());
    assert!(
        site.users()
            .for_password_reset("m@example.com")
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_reset_token_is_good_once_and_for_its_user() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    let jun = site.user("jun").await;
    let token = site.authentication.make_password_reset_token(&mei);
    assert!(site.authentication.check_password_reset_token(&mei, &token));
    assert!(!site.authentication.check_password_reset_token(&jun, &token));
    let mei = site.users().set_password(&mei, Some("new")).await.unwrap();
    assert!(
        !site.authentication.check_password_reset_token(&mei, &token),
        "used"
    );
    let token = site.authentication.make_password_reset_token(&mei);
    site.visitor().log_in("mei", "new").await;
    let mei = site.users().by_username("mei").await.unwrap().unwrap();
    assert!(
        !site.authentication.check_password_reset_token(&mei, &token),
        "logged in since"
    );
}

#[tokio::test]
async fn mail_for_a_reset_goes_to_the_active_users_of_an_address() {
    let site = Site::new().await;
    let mei = site.user("mei").await;
    let found = site
        .users()
        .for_password_reset("MEI@Example.com")
        .await
        .unwrap();
    assert_eq!(found, std::slice::from_ref(&mei));
    let mut record = mei.downcast_ref::<UserRecord>().unwrap().clone();
    record.is_active = false;
    site.users().save(&record).await.unwrap();
    assert!(
        site.users()
            .for_password_reset("mei@example.com")
            .await
            .unwrap()
            .is_empty()
    );
}
