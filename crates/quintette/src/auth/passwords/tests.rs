use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, yield_now};

use super::*;
use crate::auth::hashers::{HashingErrorKind, PasswordHasher, UnreadableHash};

/// A hasher whose work takes until it is let through, which counts.
#[derive(Clone, Debug, Default)]
struct Gate(Arc<State>);

#[derive(Debug, Default)]
struct State {
    open: Mutex<usize>,
    opened: Condvar,
    running: AtomicUsize,
    most: AtomicUsize,
    done: AtomicUsize,
}

impl Gate {
    fn open(&self, times: usize) {
        *self.0.open.lock().unwrap() += times;
        self.0.opened.notify_all();
    }

    fn count(&self, counter: impl Fn(&State) -> &AtomicUsize) -> usize {
        counter(&self.0).load(Ordering::SeqCst)
    }

    async fn until(&self, counter: impl Fn(&State) -> &AtomicUsize, number: usize) {
        while self.count(&counter) != number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl PasswordHasher for Gate {
    fn algorithm(&self) -> &'static str {
        "gate"
    }

    fn encode(&self, password: &str, _salt: &str) -> Result<String, HashingError> {
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(running, Ordering::SeqCst);
        let mut open = self
            .0
            .opened
            .wait_while(self.0.open.lock().unwrap(), |open| *open == 0)
            .unwrap();
        *open -= 1;
        drop(open);
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.done.fetch_add(1, Ordering::SeqCst);
        assert_ne!(password, "panic");
        Ok(format!("gate${password}"))
    }

    fn verify(&self, password: &str, encoded: &str) -> Result<bool, UnreadableHash> {
        Ok(self
            .encode(password, "")
            .is_ok_and(|again| again == encoded))
    }

    fn must_update(&self, _encoded: &str) -> bool {
        false
    }
}

fn gated(threads: usize, waiting: usize) -> (PasswordHashing, Gate) {
    let gate = Gate::default();
    let hashers =
        PasswordHashers::new([Arc::new(gate.clone()) as Arc<dyn PasswordHasher>]).unwrap();
    let hashing = PasswordHashing::new(hashers)
        .with_threads(threads)
        .with_waiting(waiting);
    (hashing, gate)
}

/// A service on one thread: whatever blocks it, blocks all.
fn service() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn login(hashing: &PasswordHashing) -> JoinHandle<Result<Verification, HashingError>> {
    let hashing = hashing.clone();
    tokio::spawn(async move { hashing.check_password("right", "gate$right").await })
}

fn free_places(hashing: &PasswordHashing) -> usize {
    hashing.places.available_permits()
}

#[test]
fn a_flood_of_logins_stops_no_other_page() {
    service().block_on(async {
        let (hashing, gate) = gated(2, 1_000);
        let logins: Vec<_> = (0..1_000).map(|_| login(&hashing)).collect();
        gate.until(|state| &state.running, 2).await;
        // Another page, on the only thread that serves, while two hash and 998 wait.
        let page = tokio::spawn(async {
            yield_now().await;
            "page"
        });
        assert_eq!(page.await.unwrap(), "page");
        assert_eq!(gate.count(|state| &state.done), 0);

        gate.open(1_000);
        for login in logins {
            assert!(login.await.unwrap().unwrap().is_correct());
        }
        assert_eq!(gate.count(|state| &state.most), 2);
        assert_eq!(free_places(&hashing), 1_002);
    });
}

#[test]
fn whoever_finds_the_line_full_is_told_at_once() {
    service().block_on(async {
        let (hashing, gate) = gated(1, 2);
        let logins = [login(&hashing), login(&hashing), login(&hashing)];
        gate.until(|state| &state.running, 1).await;
        let busy = hashing
            .check_password("right", "gate$right")
            .await
            .unwrap_err();
        assert_eq!(busy.kind(), HashingErrorKind::Busy);
        assert_eq!((busy.status(), busy.retry_after()), (503, Some(5)));
        assert_eq!(
            hashing.make_password("new").await.unwrap_err().kind(),
            HashingErrorKind::Busy
        );
        assert_eq!(
            hashing.check_nobody("new").await.unwrap_err().kind(),
            HashingErrorKind::Busy
        );

        gate.open(4);
        for login in logins {
            assert!(login.await.unwrap().unwrap().is_correct());
        }
        assert!(
            hashing
                .check_password("right", "gate$right")
                .await
                .unwrap()
                .is_correct()
        );
    });
}

#[test]
fn whoever_leaves_the_line_frees_a_place() {
    service().block_on(async {
        let (hashing, gate) = gated(1, 1);
        let first = login(&hashing);
        gate.until(|state| &state.running, 1).await;
        let waits = login(&hashing);
        yield_now().await;
        assert_eq!(free_places(&hashing), 0);
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled());
        assert_eq!(free_places(&hashing), 1);

        let next = login(&hashing);
        gate.open(2);
        assert!(first.await.unwrap().unwrap().is_correct());
        assert!(next.await.unwrap().unwrap().is_correct());
        assert_eq!(gate.count(|state| &state.done), 2);
    });
}

#[test]
fn a_hash_that_nobody_waits_for_keeps_its_thread_until_it_ends() {
    service().block_on(async {
        let (hashing, gate) = gated(1, 1);
        let leaves = login(&hashing);
        gate.until(|state| &state.running, 1).await;
        leaves.abort();
        assert!(leaves.await.unwrap_err().is_cancelled());
        assert_eq!(free_places(&hashing), 1);

        let next = login(&hashing);
        yield_now().await;
        assert_eq!(gate.count(|state| &state.running), 1);
        gate.open(2);
        assert!(next.await.unwrap().unwrap().is_correct());
        assert_eq!(gate.count(|state| &state.most), 1);
    });
}

#[test]
fn a_hasher_that_panics_is_an_error_and_takes_no_place_with_it() {
    service().block_on(async {
        let (hashing, gate) = gated(1, 0);
        gate.open(2);
        let error = hashing.make_password("panic").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.status()),
            (HashingErrorKind::Failed, 500)
        );
        assert_eq!(hashing.make_password("new").await.unwrap(), "gate$new");
    });
}

#[cfg(feature = "axum")]
#[test]
fn too_many_at_once_is_a_503_that_says_when_to_come_back() {
    use axum_core::response::IntoResponse as _;

    let response = HashingError::busy(64).into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
}
