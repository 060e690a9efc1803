//! Thousands of logins at once.

use std::sync::{Arc, Condvar, Mutex};

use http::StatusCode;
use quintette::auth::hashers::{
    HashingError, Md5, PasswordHasher, PasswordHashers, UnreadableHash,
};
use quintette::auth::passwords::PasswordHashing;

use crate::site::Site;

/// Hashes nothing until it is let go.
#[derive(Clone, Debug, Default)]
struct Slow {
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Slow {
    fn wait(&self) {
        let (open, changed) = &*self.open;
        let guard = open.lock().unwrap();
        drop(changed.wait_while(guard, |open| !*open).unwrap());
    }

    fn let_go(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

impl PasswordHasher for Slow {
    fn algorithm(&self) -> &'static str {
        "md5"
    }

    fn encode(&self, password: &str, salt: &str) -> Result<String, HashingError> {
        Md5::new().encode(password, salt)
    }

    fn verify(&self, password: &str, encoded: &str) -> Result<bool, UnreadableHash> {
        self.wait();
        Md5::new().verify(password, encoded)
    }

    fn must_update(&self, _encoded: &str) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_logins_is_turned_away_and_other_pages_are_answered_meanwhile() {
    let slow = Slow::default();
    let hashers = PasswordHashers::new([Arc::new(slow.clone()) as _]).unwrap();
    let hashing = PasswordHashing::new(hashers)
        .with_threads(1)
        .with_waiting(64);
    let site = Site::built(|_| {}, |builder| builder.hashing(hashing)).await;
    site.user("mei").await;
    let (answers, mut answered) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..2_000 {
        let (mut visitor, answers) = (site.visitor(), answers.clone());
        tokio::spawn(async move {
            let answer = visitor.log_in("mei", "wrong").await;
            answers.send(answer).unwrap();
        });
    }
    // One password is being looked at, and will be until the end; 64 wait for it.
    for _ in 0..20 {
        assert_eq!(site.visitor().who().await, "a stranger");
        assert_eq!(site.visitor().get("/cart").await.status, StatusCode::OK);
    }
    for _ in 0..2_000 - 65 {
        let answer = answered.recv().await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.header("retry-after").is_some());
    }
    slow.let_go();
    for _ in 0..65 {
        let answer = answered.recv().await.unwrap();
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
}
