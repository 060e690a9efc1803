//! Thousands of logins at once.

use http::StatusCode;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_logins_is_turned_away_and_other_pages_are_answered_meanwhile() {
    let pbkdf2 = "django.contrib.auth.hashers.PBKDF2PasswordHasher".to_owned();
    let site = Site::with(|settings| settings.password_hashers = vec![pbkdf2]).await;
    site.user("mei").await;
    let flood: Vec<_> = (0..2_000)
        .map(|_| {
            let mut visitor = site.visitor();
            tokio::spawn(async move { visitor.log_in("mei", "wrong").await })
        })
        .collect();
    // As long as passwords wait, and they do: the pages are answered before most of the flood has been looked at.
    for _ in 0..20 {
        assert_eq!(site.visitor().who().await, "a stranger");
    }
    let mut turned_away = 0;
    for login in flood {
        let answer = login.await.unwrap();
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(answer.header("retry-after").is_some());
            turned_away += 1;
        } else {
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
        }
    }
    assert!(turned_away > 1_000, "{turned_away}");
}
