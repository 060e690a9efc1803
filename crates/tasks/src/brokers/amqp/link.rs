use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lapin::{Channel, Connection, ConnectionProperties};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::brokers::{BrokerError, BrokerErrorKind};

use super::failure::failure;
use super::url::Server;

/// Within it a server must have accepted the connection, as Celery's `broker_connection_timeout`.
const CONNECT: Duration = Duration::from_secs(4);

/// After it an attempt that had no answer is given up for a new one: the network may be another one by now.
const ABANDON: Duration = Duration::from_secs(20);

/// One connection, made when it is first used, and again after it was lost; to the next server where one does not answer.
#[derive(Debug)]
pub(super) struct Link {
    servers: Vec<Server>,
    purpose: &'static str,
    current: Mutex<Option<Arc<Connected>>>,
    connecting: tokio::sync::Mutex<Attempts>,
}

/// A connection, and whom it is to.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) connection: Connection,
    pub(super) server: Server,
}

#[derive(Debug, Default)]
struct Attempts {
    /// The server that is tried next.
    next: usize,
    failed: Option<(Instant, BrokerErrorKind, String)>,
    /// Those that had no answer in time, by server.
    pending: HashMap<usize, Pending>,
}

/// lapin connects on a thread that nothing ends but the server: so what had no answer in time is waited for by the next attempt, too, instead
/// of a thread for each.
#[derive(Debug)]
struct Pending {
    since: Instant,
    task: JoinHandle<lapin::Result<Connection>>,
}

impl Link {
    pub(super) fn new(servers: Vec<Server>, purpose: &'static str) -> Self {
        Self {
            servers,
            purpose,
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        }
    }

    /// The connection. Those who wait at once for one share its success and its failure.
    pub(super) async fn connected(&self) -> Result<Arc<Connected>, BrokerError> {
        if let Some(current) = self.alive() {
            return Ok(current);
        }
        let asked = Instant::now();
        let mut attempts = self.connecting.lock().await;
        if let Some(current) = self.alive() {
            return Ok(current);
        }
        if let Some((when, kind, what)) = &attempts.failed
            && *when >= asked
        {
            return Err(BrokerError::new(*kind, what.clone()));
        }
        match self.connect(&mut attempts).await {
            Ok(connected) => {
                let connected = Arc::new(connected);
                *self.slot() = Some(Arc::clone(&connected));
                Ok(connected)
            }
            Err(error) => {
                attempts.failed = Some((Instant::now(), error.kind(), error.to_string()));
                Err(error)
            }
        }
    }

    async fn connect(&self, attempts: &mut Attempts) -> Result<Connected, BrokerError> {
        let mut failed = None;
        for _ in &self.servers {
            let number = attempts.next % self.servers.len();
            match self.connect_to(number, &mut attempts.pending).await {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = Some(error),
            }
            attempts.next = number + 1;
        }
        Err(failed.unwrap_or_else(|| {
            BrokerError::new(BrokerErrorKind::Configuration, "broker_url names no server")
        }))
    }

    async fn connect_to(
        &self,
        number: usize,
        pending: &mut HashMap<usize, Pending>,
    ) -> Result<Connected, BrokerError> {
        let server = &self.servers[number];
        if pending
            .get(&number)
            .is_some_and(|attempt| attempt.since.elapsed() > ABANDON)
        {
            pending.remove(&number);
        }
        // Kept outside of this future, which may be dropped.
        let attempt = pending.entry(number).or_insert_with(|| self.begin(server));
        let Ok(ended) = timeout(CONNECT, &mut attempt.task).await else {
            let seconds = CONNECT.as_secs();
            return Err(BrokerError::new(
                BrokerErrorKind::Unavailable,
                format!("{server}: connecting: no answer within {seconds} seconds"),
            ));
        };
        pending.remove(&number);
        match ended {
            Ok(Ok(connection)) => Ok(Connected {
                connection,
                server: server.clone(),
            }),
            Ok(Err(error)) => Err(failure(server, "connecting", error)),
            Err(error) => Err(BrokerError::new(
                BrokerErrorKind::Unavailable,
                format!("{server}: connecting: the runtime has ended"),
            )
            .with_source(error)),
        }
    }

    fn begin(&self, server: &Server) -> Pending {
        let name = format!("quintette-tasks {}", self.purpose);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        Pending {
            since: Instant::now(),
            task: tokio::spawn(Connection::connect_uri(server.uri(), properties)),
        }
    }

    fn alive(&self) -> Option<Arc<Connected>> {
        let current = self.slot().clone();
        current.filter(|current| current.connection.status().connected())
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Connected>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected {
    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        let opened = self.connection.create_channel().await;
        opened.map_err(|error| self.failure("opening a channel", error))
    }

    pub(super) fn failure(&self, doing: &str, error: lapin::Error) -> BrokerError {
        failure(&self.server, doing, error)
    }
}
