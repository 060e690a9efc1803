//! Doing things at once.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use crate::doubles::Gate;

/// Runs the task `count` times at once, each in a task of its own, all from one starting line.
pub(crate) async fn race<T, Fut>(count: usize, task: impl Fn(usize) -> Fut) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let line = Arc::new(Barrier::new(count));
    let start = |n| {
        let (line, task) = (line.clone(), task(n));
        tokio::spawn(async move {
            line.wait().await;
            task.await
        })
    };
    let tasks: Vec<_> = (0..count).map(start).collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(joined(task).await);
    }
    results
}

/// What a task has returned; where it panicked, so does the case.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("a task of the case was stopped: {error}"),
        },
    }
}

/// Waits until the task stands at the gate. One that ends without having come there fails the case.
pub(crate) async fn stands_at<T>(gate: &mut Gate, task: &mut JoinHandle<T>) {
    tokio::select! {
        () = gate.reached() => {}
        _ = task => panic!("it has ended without the operation that was to be held"),
    }
}

/// Up to two milliseconds, at random: what a handler does between reading and writing.
pub(crate) async fn pause() {
    let random = RandomState::new().hash_one(0_u8);
    tokio::time::sleep(Duration::from_micros(random % 2_000)).await;
}
