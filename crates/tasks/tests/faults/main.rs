//! Workers, brokers and networks that fail in mid-load, counted over thousands of tasks: of those that are acknowledged late none
//! is lost, of those that are acknowledged early none runs twice, nothing hangs, and nobody restarts what is alive.

mod book;
mod eta;
mod load;
mod poison;
mod rabbitmq;
mod redis;
mod results;
mod scenes;
mod site;
mod workers;

use std::time::Duration;

/// Nothing that goes on takes so long, on however slow a machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs what blocks, such as starting a server, while the load goes on.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// Waits until something is so.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, waited).await;
    assert!(in_time.is_ok(), "in vain: {what}");
}
