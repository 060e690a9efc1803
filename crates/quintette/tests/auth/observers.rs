//! Who is told of logins and logouts.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::routing::post;
use http::StatusCode;
use quintette::auth::{Auth, AuthObserver, User, Visitor};

use crate::site::{Site, pages};

#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl AuthObserver for Journal {
    async fn user_logged_in(&self, user: &User, visitor: &Visitor) {
        let line = format!(
            "{user} in from {:?} {:?}",
            visitor.address, visitor.user_agent
        );
        self.0.lock().unwrap().push(line);
    }

    async fn user_logged_out(&self, user: Option<&User>, _visitor: &Visitor) {
        let line = format!("{:?} out", user.map(ToString::to_string));
        self.0.lock().unwrap().push(line);
    }

    async fn user_login_failed(&self, username: Option<&str>, _visitor: &Visitor) {
        self.0.lock().unwrap().push(format!("{username:?} failed"));
    }
}

#[tokio::test]
async fn observers_are_told_of_logins_logouts_and_failures() {
    let journal = Journal::default();
    let told = journal.clone();
    let site = Site::built(|_| {}, |builder| builder.observer(journal)).await;
    site.user("mei").await;
    let mut visitor = site.visitor();
    visitor.log_in("mei", "wrong").await;
    visitor.log_in("mei", "right").await;
    visitor.post("/logout", &[]).await;
    visitor.post("/logout", &[]).await;
    assert_eq!(
        *told.0.lock().unwrap(),
        [
            r#"Some("mei") failed"#,
            r#"mei in from Some(192.0.2.1) Some("Firefox")"#,
            r#"Some("mei") out"#,
            "None out",
        ]
    );
}

/// Never comes to an end with a logout.
struct Sluggard;

#[async_trait]
impl AuthObserver for Sluggard {
    async fn user_logged_out(&self, _user: Option<&User>, _visitor: &Visitor) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn an_observer_holds_up_no_logout() {
    let site = Site::built(|_| {}, |builder| builder.observer(Sluggard)).await;
    site.user("mei").await;
    let cookie = site.logged_in("mei").await.cookie;
    // Who logs out hangs up when the store has done its work.
    let hasty = async |auth: Auth| {
        let key = auth.session().key().unwrap();
        let ended = async {
            while auth
                .session()
                .sessions()
                .engine()
                .load(&key)
                .await
                .unwrap()
                .is_some()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = auth.logout() => "told",
            () = ended => "hung up",
        }
    };
    let mut visitor = site.visitor_of(pages().route("/hasty", post(hasty)));
    visitor.cookie = cookie.clone();
    assert_eq!(visitor.post("/hasty", &[]).await.body, "hung up");
    assert_eq!(site.stored(&cookie.unwrap()).await, None);
}

#[tokio::test]
async fn who_logs_out_is_logged_out_also_where_the_users_cannot_be_asked() {
    let site = Site::built(|_| {}, |builder| builder.observer(Journal::default())).await;
    site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    let cookie = visitor.cookie.clone().unwrap();
    site.without_users().await;
    let answer = visitor.post("/logout", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(site.stored(&cookie).await, None);
}
