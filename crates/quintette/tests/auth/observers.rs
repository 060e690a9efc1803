//! Who is told of logins and logouts.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use quintette::auth::{AuthObserver, User, Visitor};

use crate::site::Site;

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
