//! A server, as those see it who ask it: connected when it is needed, and known to be down while it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quintette_core::cache::CacheError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::{self, Claim, Connection, End, Failure, Reply, Request};
use super::servers::Address;

/// How many requests may wait to be taken up.
const QUEUE: usize = 1024;

/// The time between two attempts to reach a server that is down: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// The longest time that such an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);

/// After this many attempts in which nobody asked, the next one waits until somebody does.
const UNWANTED: u32 = 120;

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    address: Address,
    /// How long an operation may take.
    timeout: Duration,
    /// How long the server may be silent: a little less, so that it is known to hang before anybody asks it again.
    patience: Duration,
    health: Arc<Health>,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
}

/// A command, and what can be said of it before it is sent.
#[derive(Clone, Debug)]
pub(super) struct Command {
    bytes: Bytes,
    epoch: Option<u64>,
    stores: Option<usize>,
    writes: bool,
}

impl Command {
    /// It changes nothing, and can be sent twice.
    pub(super) fn read(bytes: Vec<u8>) -> Self {
        Self {
            bytes: bytes.into(),
            epoch: None,
            stores: None,
            writes: false,
        }
    }

    /// It changes something.
    pub(super) fn write(bytes: Vec<u8>) -> Self {
        Self {
            writes: true,
            ..Self::read(bytes)
        }
    }

    /// It means something on this connection alone.
    pub(super) fn on(self, epoch: u64) -> Self {
        Self {
            epoch: Some(epoch),
            ..self
        }
    }

    /// It stores a key and a value of this many bytes.
    pub(super) fn storing(self, size: usize) -> Self {
        Self {
            stores: Some(size),
            ..self
        }
    }
}

impl Server {
    pub(super) fn new(address: Address, timeout: Duration) -> Self {
        Self {
            address,
            timeout,
            patience: timeout / 16 * 15,
            health: Arc::default(),
            requests: Mutex::default(),
        }
    }

    /// The answer to this command. Where the connection turns out to be dead, what was not sent, or can be sent twice,
    /// gets another one, once.
    pub(super) async fn call(&self, command: Command) -> Result<Reply, CacheError> {
        let deadline = Instant::now() + self.timeout;
        let mut called = self.attempt(&command, deadline).await;
        if let Err(Failure::Lost { sent, .. }) = called
            && !(sent && command.writes)
        {
            called = self.attempt(&command, deadline).await;
        }
        called.map_err(|failure| match failure {
            Failure::Lost { sent: true, .. } | Failure::TimedOut { sent: true }
                if command.writes =>
            {
                CacheError::unknown(failure)
            }
            _ => CacheError::new(failure),
        })
    }

    async fn attempt(&self, command: &Command, deadline: Instant) -> Result<Reply, Failure> {
        let requests = self.requests();
        if let Some(why) = self.health.down() {
            return Err(Failure::Down(why.to_string()));
        }
        let (reply, answer) = oneshot::channel();
        let claim = Claim::default();
        let request = Request {
            command: command.bytes.clone(),
            epoch: command.epoch,
            stores: command.stores,
            claim: claim.clone(),
            reply,
        };
        let answered = timeout_at(deadline, async {
            // An error drops the request, and with it the reply.
            let _ = requests.send(request).await;
            answer.await
        });
        match answered.await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Failure::Lost {
                sent: claim.is_taken(),
                why: "its runtime has ended".to_owned(),
            }),
            Err(_) => Err(Failure::TimedOut {
                sent: claim.is_taken(),
            }),
        }
    }

    /// The way to the task that keeps the connection; a new one where the runtime of the last has ended.
    fn requests(&self) -> mpsc::Sender<Request> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        match &*requests {
            Some(requests) if !requests.is_closed() => requests.clone(),
            _ => {
                let (sender, receiver) = mpsc::channel(QUEUE);
                let driver = Driver {
                    address: self.address.clone(),
                    patience: self.patience,
                    health: self.health.clone(),
                    requests: receiver,
                };
                self.health.set(None);
                tokio::spawn(driver.run());
                requests.insert(sender).clone()
            }
        }
    }
}

/// What is known of a server.
#[derive(Debug, Default)]
struct Health {
    down: Mutex<Option<Arc<str>>>,
    /// Somebody has asked since it is down.
    wanted: AtomicBool,
}

impl Health {
    /// Why it is down, where it is.
    fn down(&self) -> Option<Arc<str>> {
        let down = self
            .down
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        self.wanted.store(true, Ordering::Relaxed);
        Some(down)
    }

    fn set(&self, down: Option<&str>) {
        let down = down.map(Arc::from);
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = down;
    }
}

/// The task that keeps the connection.
struct Driver {
    address: Address,
    patience: Duration,
    health: Arc<Health>,
    requests: mpsc::Receiver<Request>,
}

impl Driver {
    /// Until nobody can ask any more.
    async fn run(mut self) {
        while let Some(first) = self.requests.recv().await {
            let mut opened =
                match connection::open(&self.address, self.patience, self.patience).await {
                    Ok(connection) => Some((connection, Some(first))),
                    Err(why) => {
                        self.health.set(Some(&why));
                        refuse(first, &why);
                        match self.reopen(why).await {
                            Some(connection) => connection.map(|connection| (connection, None)),
                            None => return,
                        }
                    }
                };
            while let Some((connection, first)) = opened.take() {
                let health = &self.health;
                let hung = format!("Memcached at {} does not answer", self.address);
                let end = connection
                    .serve(first, &mut self.requests, |end| {
                        if matches!(end, End::Hung) {
                            health.set(Some(&hung));
                        }
                    })
                    .await;
                match end {
                    End::Unused => return,
                    // It may be back already: the next request will see.
                    End::Broken(_) => {}
                    End::Hung => match self.reopen(hung).await {
                        Some(connection) => {
                            opened = connection.map(|connection| (connection, None));
                        }
                        None => return,
                    },
                }
            }
        }
    }

    /// Tries until the server answers again; meanwhile everybody is told at once that it is down. `Some(None)` where
    /// nobody has asked for long, `None` where nobody can any more.
    async fn reopen(&mut self, mut why: String) -> Option<Option<Connection>> {
        let (within, patience) = (self.patience.min(ATTEMPT), self.patience);
        let (mut backoff, longest) = BACKOFF;
        let mut unwanted = 0;
        while unwanted < UNWANTED {
            let address = &self.address;
            let attempt = async {
                sleep(jittered(backoff)).await;
                connection::open(address, within, patience).await
            };
            match refusing(&mut self.requests, &why, attempt).await? {
                Ok(connection) => {
                    self.health.set(None);
                    return Some(Some(connection));
                }
                Err(because) => why = because,
            }
            self.health.set(Some(&why));
            backoff = (backoff * 2).min(longest);
            let wanted = self.health.wanted.swap(false, Ordering::Relaxed);
            unwanted = if wanted { 0 } else { unwanted + 1 };
        }
        self.health.set(None);
        Some(None)
    }
}

/// What comes of this, while whoever asks is refused; `None` where nobody can ask any more.
async fn refusing<T>(
    requests: &mut mpsc::Receiver<Request>,
    why: &str,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            done = &mut future => return Some(done),
            request = requests.recv() => refuse(request?, why),
        }
    }
}

fn refuse(request: Request, why: &str) {
    // Nobody may wait any longer.
    let _ = request.reply.send(Err(Failure::Down(why.to_owned())));
}

/// Between half of this and all of it, so that many processes do not come back at once.
fn jittered(delay: Duration) -> Duration {
    let mut random = [0; 2];
    // Without randomness, all of it.
    let part = match getrandom::fill(&mut random) {
        Ok(()) => u16::from_be_bytes(random),
        Err(_) => u16::MAX,
    };
    delay / 2 + delay / 2 * u32::from(part) / u32::from(u16::MAX)
}
