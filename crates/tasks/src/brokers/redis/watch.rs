//! Signs of life, leases, and what others have left behind.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::Value;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::restore::Reason;
use super::scripts::{BEAT, CLOSE, RENEW};
use super::session::Session;
use super::{Core, text};
use crate::redis::Failure;

/// How often a worker gives a sign of life.
const BEATS: Duration = Duration::from_secs(2);

/// After how many seconds without one it is dead.
const DEAD_AFTER: &str = "15";

/// For how many seconds nobody is called dead after nobody gave a sign of life for so long: then Redis was away, and not they.
const GRACE: &str = "6";

/// How often is looked for what is due.
const LOOKS: Duration = Duration::from_secs(1);

/// Leases are renewed so often at least: workers in Python may have a shorter visibility timeout.
const RENEWALS: Duration = Duration::from_mins(1);

/// How often queues that expire are bound anew, so that nobody sweeps their tables.
const BINDINGS: Duration = Duration::from_mins(10);

/// After how long what could not be acknowledged is given back.
const DOUBT: Duration = Duration::from_secs(15);

/// How many tags are renewed in one step.
const BATCH: usize = 1000;

/// Works for as long as somebody has the session.
pub(super) async fn watch(session: Weak<Session>, visibility: Duration) {
    let renewal = (visibility / 4).clamp(Duration::from_millis(50), RENEWALS);
    let pause = renewal.min(LOOKS);
    let mut beaten = Instant::now();
    let mut renewed = Instant::now();
    let mut bound = Instant::now();
    loop {
        sleep(pause).await;
        let Some(session) = session.upgrade() else {
            return;
        };
        if bound.elapsed() >= BINDINGS {
            bound = Instant::now();
            heard(session.bind_again().await, "bind queues anew");
        }
        if session.no_ack() {
            continue;
        }
        if beaten.elapsed() >= BEATS {
            beaten = Instant::now();
            heard(session.beat().await, "give a sign of life");
        }
        if renewed.elapsed() >= renewal {
            renewed = Instant::now();
            heard(session.renew().await, "renew leases");
        }
        heard(session.give_up(DOUBT).await, "give back");
        heard(session.core.restore_all_due().await, "put back what is due");
    }
}

/// The name of a worker that takes no more and may still acknowledge.
pub(super) fn closed(worker: &str) -> String {
    format!("{worker}.")
}

fn heard(done: Result<(), Failure>, doing: &str) {
    if let Err(failure) = done {
        debug!(target: "quintette::tasks", %failure, "could not {doing}; trying again");
    }
}

impl Session {
    async fn beat(&self) -> Result<(), Failure> {
        let closed = closed(&self.worker);
        let mut dead = self.core.beat(&self.worker, false).await?;
        if dead.is_none() && self.is_closed() {
            dead = self.core.beat(&closed, false).await?;
        }
        let Some(dead) = dead else {
            if !self.is_closed() {
                warn!(target: "quintette::tasks", "this worker was silent for so long that others took over what it held");
                self.close();
            }
            return Ok(());
        };
        for worker in dead {
            self.core.bury(&worker).await?;
        }
        Ok(())
    }

    async fn renew(&self) -> Result<(), Failure> {
        for held in self.held().chunks(BATCH) {
            let keys = [self.core.keys.unacked_index.as_bytes()];
            let tags: Vec<_> = held.iter().map(String::as_bytes).collect();
            self.core.link.script_again(&RENEW, &keys, &tags).await?;
        }
        Ok(())
    }
}

impl Core {
    /// A sign of life. Who is dead; `None` where the worker itself is.
    pub(super) async fn beat(
        &self,
        worker: &str,
        is_first: bool,
    ) -> Result<Option<Vec<String>>, Failure> {
        let keys = [self.keys.workers.as_bytes(), self.keys.grace.as_bytes()];
        let first: &[u8] = if is_first { b"1" } else { b"0" };
        let arguments = [
            worker.as_bytes(),
            first,
            DEAD_AFTER.as_bytes(),
            GRACE.as_bytes(),
        ];
        match self.link.script_again(&BEAT, &keys, &arguments).await? {
            Value::Array(dead) => dead
                .into_iter()
                .map(text)
                .collect::<Result<_, _>>()
                .map(Some),
            _ => Ok(None),
        }
    }

    /// Puts back all that a dead worker held. It can take nothing any more.
    async fn bury(&self, worker: &str) -> Result<(), Failure> {
        let name = worker.trim_end_matches('.');
        let mut cursor = "0".to_owned();
        loop {
            let mut commands = redis::pipe();
            let scan = commands.cmd("ZSCAN").arg(&self.keys.unacked_index);
            scan.arg(&cursor)
                .arg("MATCH")
                .arg(format!("{name}:*"))
                .arg("COUNT")
                .arg(1000);
            let answer = self.link.pipeline_again(&commands).await?.pop();
            let Some(Value::Array(answer)) = answer else {
                return Err(Failure::unexpected());
            };
            let mut answer = answer.into_iter();
            let (Some(next), Some(Value::Array(found))) = (answer.next(), answer.next()) else {
                return Err(Failure::unexpected());
            };
            let tags = found.into_iter().step_by(2).map(text);
            let mut tags = tags.collect::<Result<Vec<_>, _>>()?;
            let number = |tag: &String| tag.rsplit(':').next().and_then(|n| n.parse::<u64>().ok());
            tags.sort_unstable_by_key(|tag| std::cmp::Reverse(number(tag)));
            self.restore(&tags, Reason::Lost).await?;
            cursor = text(next)?;
            if cursor == "0" {
                break;
            }
        }
        self.leave(worker).await
    }

    /// One worker less.
    pub(super) async fn leave(&self, worker: &str) -> Result<(), Failure> {
        let mut commands = redis::pipe();
        let leave = commands.cmd("ZREM").arg(&self.keys.workers);
        leave.arg(worker).arg(closed(worker));
        self.link.pipeline_again(&commands).await.map(drop)
    }

    async fn restore_all_due(&self) -> Result<(), Failure> {
        while self.restore_due().await? > 0 {}
        Ok(())
    }

    /// Puts back what a request took whose answer was lost, as soon as Redis answers again.
    pub(super) async fn reclaim(self: Arc<Self>, worker: String, tags: Vec<String>) {
        loop {
            let closed = closed(&worker);
            let keys = [self.keys.workers.as_bytes()];
            let arguments = [worker.as_bytes(), closed.as_bytes()];
            // The request may still be on its way: from now on it takes nothing.
            let done = async {
                self.link.script_again(&CLOSE, &keys, &arguments).await?;
                self.restore(&tags, Reason::Returned).await
            };
            match done.await {
                Ok(()) => return,
                Err(failure) => {
                    debug!(target: "quintette::tasks", %failure, "could not put back what was taken; trying again");
                }
            }
            sleep(LOOKS).await;
        }
    }
}
