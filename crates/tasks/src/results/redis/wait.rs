//! Waiting for results: one subscription of the process for all who wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::Core;
use crate::redis::{Connection, Link};
use crate::results::{ResultError, ResultErrorKind, TaskMeta};

/// How often is looked for a result of which nobody told.
const LOOKS: Duration = Duration::from_secs(2);

/// The same where nobody can tell.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a store that cannot be reached is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many subscriptions are made at once.
const BATCH: usize = 500;

/// Those who wait, by the keys of their results.
#[derive(Clone)]
pub(super) struct Waiters(Arc<Inner>);

struct Inner {
    link: Link,
    waiting: Mutex<HashMap<String, watch::Sender<()>>>,
    requests: Mutex<Option<mpsc::UnboundedSender<Request>>>,
    connection: Mutex<Option<Connection>>,
}

enum Request {
    Subscribe(String, oneshot::Sender<()>),
    Unsubscribe(String),
}

/// One who waits.
struct Waiter {
    waiters: Waiters,
    key: String,
    told: Option<watch::Receiver<()>>,
}

impl Core {
    pub(super) async fn wait(
        &self,
        id: &str,
        limit: Option<Duration>,
    ) -> Result<Option<TaskMeta>, ResultError> {
        let until_ready = async {
            let mut waiter = self.waiters.enter(self.task(id));
            let mut is_subscribed = false;
            let mut failing_since = None;
            loop {
                // First to listen and then to look: else what comes between is missed.
                if !is_subscribed || self.waiters.is_lost() {
                    is_subscribed = self.waiters.subscribe(&waiter.key).await;
                }
                waiter.note();
                match self.load(id).await {
                    Ok(Some(meta)) if meta.status.is_ready() => return Ok(meta),
                    Ok(_) => failing_since = None,
                    Err(error) => {
                        let since = *failing_since.get_or_insert_with(Instant::now);
                        let is_passing = error.kind() == ResultErrorKind::Unavailable;
                        if !is_passing || since.elapsed() >= PATIENCE {
                            return Err(error);
                        }
                        sleep(PAUSE).await;
                        continue;
                    }
                }
                let look = if is_subscribed { LOOKS } else { PAUSE };
                let _ = timeout(look, waiter.told()).await;
            }
        };
        match limit {
            None => until_ready.await.map(Some),
            Some(limit) => match timeout(limit, until_ready).await {
                Ok(meta) => meta.map(Some),
                Err(_) => self
                    .load(id)
                    .await
                    .map(|meta| meta.filter(|meta| meta.status.is_ready())),
            },
        }
    }
}

impl Waiters {
    pub(super) fn new(link: Link) -> Self {
        Self(Arc::new(Inner {
            link,
            waiting: Mutex::default(),
            requests: Mutex::default(),
            connection: Mutex::default(),
        }))
    }

    fn enter(&self, key: String) -> Waiter {
        let mut waiting = lock(&self.0.waiting);
        let sender = waiting.entry(key.clone()).or_default();
        let told = Some(sender.subscribe());
        drop(waiting);
        Waiter {
            waiters: self.clone(),
            key,
            told,
        }
    }

    /// Whether the server is listened to; `false` where it cannot be.
    async fn subscribe(&self, key: &str) -> bool {
        let (done, answer) = oneshot::channel();
        self.request(Request::Subscribe(key.to_owned(), done));
        answer.await.is_ok()
    }

    /// Whether the connection on which was listened is over.
    fn is_lost(&self) -> bool {
        let connection = lock(&self.0.connection);
        connection.as_ref().is_none_or(Connection::is_over)
    }

    fn request(&self, request: Request) {
        let mut requests = lock(&self.0.requests);
        let request = match &*requests {
            Some(sender) => match sender.send(request) {
                Ok(()) => return,
                // The runtime that it worked in has ended.
                Err(unsent) => unsent.0,
            },
            None => request,
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (sender, receiver) = mpsc::unbounded_channel();
        if sender.send(request).is_ok() {
            runtime.spawn(listen(Arc::downgrade(&self.0), receiver));
            *requests = Some(sender);
        }
    }
}

impl Waiter {
    /// What was told until now is known.
    fn note(&mut self) {
        if let Some(told) = &mut self.told {
            told.mark_unchanged();
        }
    }

    async fn told(&mut self) {
        if let Some(told) = &mut self.told {
            let _ = told.changed().await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.told = None;
        let mut waiting = lock(&self.waiters.0.waiting);
        let is_last = |sender: &watch::Sender<()>| sender.receiver_count() == 0;
        if waiting.get(&self.key).is_some_and(is_last) {
            waiting.remove(&self.key);
            drop(waiting);
            let key = std::mem::take(&mut self.key);
            self.waiters.request(Request::Unsubscribe(key));
        }
    }
}

/// Subscribes and unsubscribes in the order in which it is asked to.
async fn listen(waiters: std::sync::Weak<Inner>, mut requests: mpsc::UnboundedReceiver<Request>) {
    let mut batch = Vec::new();
    while requests.recv_many(&mut batch, BATCH).await > 0 {
        let Some(waiters) = waiters.upgrade() else {
            return;
        };
        let mut answers = Vec::new();
        let mut commands = redis::pipe();
        for request in batch.drain(..) {
            match request {
                Request::Subscribe(key, answer) => {
                    commands.cmd("SUBSCRIBE").arg(key);
                    answers.push(answer);
                }
                // Another one may have come to wait for it.
                Request::Unsubscribe(key) if !lock(&waiters.waiting).contains_key(&key) => {
                    commands.cmd("UNSUBSCRIBE").arg(key);
                }
                Request::Unsubscribe(_) => {}
            }
        }
        if commands.is_empty() || (answers.is_empty() && waiters.is_lost()) {
            continue;
        }
        if let Ok(connection) = waiters.connect().await
            && connection.pipeline(&commands).await.is_ok()
        {
            for answer in answers {
                // Whoever asked may have gone.
                let _ = answer.send(());
            }
        }
    }
}

impl Inner {
    fn is_lost(&self) -> bool {
        let connection = lock(&self.connection);
        connection.as_ref().is_none_or(Connection::is_over)
    }

    async fn connect(self: &Arc<Self>) -> Result<Connection, crate::redis::Failure> {
        if let Some(connection) = lock(&self.connection).clone()
            && !connection.is_over()
        {
            return Ok(connection);
        }
        let waiters = Arc::downgrade(self);
        let heard = move |push| {
            if let Some(waiters) = waiters.upgrade() {
                waiters.hear(&push);
            }
        };
        let connection = self.link.connect(heard).await?;
        *lock(&self.connection) = Some(connection.clone());
        Ok(connection)
    }

    fn hear(&self, push: &PushInfo) {
        match (&push.kind, push.data.first()) {
            (PushKind::Message, Some(Value::BulkString(key))) => {
                if let Ok(key) = std::str::from_utf8(key)
                    && let Some(sender) = lock(&self.waiting).get(key)
                {
                    sender.send_replace(());
                }
            }
            (PushKind::Disconnection, _) => {
                for sender in lock(&self.waiting).values() {
                    sender.send_replace(());
                }
            }
            _ => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
