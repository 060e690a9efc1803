use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, ProtocolVersion,
    PushInfo, PushKind, RedisError, Value,
};
use tokio::time::{Instant, timeout};

use super::failure::Failure;
use super::locate::locate;
use super::place::Place;
use super::script::Script;

/// How long a server has to answer. None of what is asked here takes it more than milliseconds.
const ANSWER: Duration = Duration::from_secs(4);

/// How long after a failed attempt to connect there is no other one: all who come meanwhile get the same error.
const PAUSE: Duration = Duration::from_millis(200);

/// How many commands may wait to be written.
const PIPELINE: usize = 1024;

/// How many bytes are written at once: messages that are published together need few system calls.
const WRITES: usize = 64 * 1024;

/// A connection to one server, for many requests at once.
#[derive(Clone)]
pub(crate) struct Connection {
    server: MultiplexedConnection,
    is_over: Arc<AtomicBool>,
}

/// Connects to the server that has the keys of this prefix; what it says without being asked goes to `heard`.
///
/// The last that is heard is [`PushKind::Disconnection`].
async fn connect(
    place: &Place,
    prefix: &str,
    heard: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<Connection, Failure> {
    let is_over = Arc::new(AtomicBool::new(false));
    let ended = is_over.clone();
    let heard = move |push: PushInfo| {
        if push.kind == PushKind::Disconnection {
            ended.store(true, Ordering::Release);
        }
        heard(push);
    };
    let connected = async {
        let mut server = open(&locate(place, prefix).await?, heard).await?;
        if matches!(place, Place::Master(_)) {
            check_role(&mut server).await?;
        }
        Ok::<_, Failure>(server)
    };
    match timeout(ANSWER, connected).await {
        Ok(server) => Ok(Connection {
            server: server?,
            is_over,
        }),
        Err(_) => Err(silence()),
    }
}

/// While they fail over, Sentinels may name the one that was the master: it must say itself that it is.
async fn check_role(server: &mut MultiplexedConnection) -> Result<(), Failure> {
    let role = server.send_packed_command(&redis::cmd("ROLE")).await?;
    match role.as_sequence().and_then(<[Value]>::first) {
        Some(Value::BulkString(role)) if role == b"master" => Ok(()),
        _ => Err(Failure::unavailable(
            "the Sentinels call a server the master that says it is none",
        )),
    }
}

/// A connection in RESP3, in which a server also tells of what it was not asked for.
pub(super) async fn open(
    server: &ConnectionInfo,
    heard: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<MultiplexedConnection, Failure> {
    let settings = server
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    let client = Client::open(server.clone().set_redis_settings(settings))?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(PIPELINE)
        .set_write_backpressure_boundary(WRITES)
        .set_push_sender(move |push| {
            heard(push);
            Ok::<(), RedisError>(())
        });
    let connected = client
        .get_multiplexed_async_connection_with_config(&config)
        .await;
    connected.map_err(|error| {
        if error.kind() == ErrorKind::RESP3NotSupported {
            Failure::too_old()
        } else {
            error.into()
        }
    })
}

impl Connection {
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut server = self.server.clone();
        let answer = timeout(ANSWER, server.send_packed_command(command)).await;
        let value = answer.map_err(|_| silence()).and_then(|answer| {
            let value = answer.map_err(Failure::from)?;
            refused(value)
        });
        value.inspect_err(|failure| self.note(failure))
    }

    pub(crate) async fn pipeline(&self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        let mut server = self.server.clone();
        let sent = server.send_packed_commands(commands, 0, commands.len());
        let answer = timeout(ANSWER, sent).await;
        let values = answer.map_err(|_| silence()).and_then(|answer| {
            let values = answer.map_err(Failure::from)?;
            values.into_iter().map(refused).collect()
        });
        values.inspect_err(|failure| self.note(failure))
    }

    pub(crate) async fn script(
        &self,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<Value, Failure> {
        match self.command(&script.known(keys, arguments)).await {
            // A server forgets scripts when it restarts. It did nothing; from now on it knows this one.
            Err(failure) if failure.is_unknown_script => {
                self.command(&script.whole(keys, arguments)).await
            }
            answer => answer,
        }
    }

    fn note(&self, failure: &Failure) {
        if failure.ends_connection {
            self.is_over.store(true, Ordering::Release);
        }
    }
}

fn refused(value: Value) -> Result<Value, Failure> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

fn silence() -> Failure {
    let mut failure = Failure::unavailable(format!("Redis did not answer within {ANSWER:?}"));
    failure.ends_connection = true;
    failure
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({:?})", self.0.place)
    }
}

/// A connection that is made when it is first needed, and anew after it was lost.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    place: Place,
    prefix: String,
    now: Mutex<Option<Connection>>,
    /// Held by the one who connects; when the last attempt failed, and why.
    connecting: tokio::sync::Mutex<Option<(Instant, Failure)>>,
}

impl Link {
    pub(crate) fn new(place: Place, prefix: &str) -> Self {
        Self(Arc::new(Inner {
            place,
            prefix: prefix.to_owned(),
            now: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        }))
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0.place
    }

    /// A connection of its own.
    pub(crate) async fn connect(
        &self,
        heard: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Connection, Failure> {
        connect(&self.0.place, &self.0.prefix, heard).await
    }

    /// The shared connection.
    pub(crate) async fn connection(&self) -> Result<Connection, Failure> {
        if let Some(connection) = self.now() {
            return Ok(connection);
        }
        let connecting = async {
            let mut last = self.0.connecting.lock().await;
            if let Some(connection) = self.now() {
                return Ok(connection);
            }
            if let Some((at, failure)) = &*last
                && at.elapsed() < PAUSE
            {
                return Err(failure.clone());
            }
            let connected = self.connect(|_| ()).await;
            *last = connected
                .as_ref()
                .err()
                .map(|failure| (Instant::now(), failure.clone()));
            let connection = connected?;
            *self.lock() = Some(connection.clone());
            Ok(connection)
        };
        timeout(ANSWER, connecting)
            .await
            .unwrap_or_else(|_| Err(silence()))
    }

    fn now(&self) -> Option<Connection> {
        self.lock().as_ref().filter(|now| !now.is_over()).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, Failure> {
        self.connection().await?.command(command).await
    }

    pub(crate) async fn pipeline(&self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        self.connection().await?.pipeline(commands).await
    }

    /// What may be done twice is sent a second time where the connection was lost.
    pub(crate) async fn pipeline_again(&self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        match self.pipeline(commands).await {
            Err(failure) if failure.ends_connection => self.pipeline(commands).await,
            answer => answer,
        }
    }

    pub(crate) async fn script(
        &self,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<Value, Failure> {
        let connection = self.connection().await?;
        connection.script(script, keys, arguments).await
    }

    /// As [`pipeline_again`](Self::pipeline_again).
    pub(crate) async fn script_again(
        &self,
        script: &Script,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<Value, Failure> {
        match self.script(script, keys, arguments).await {
            Err(failure) if failure.ends_connection => self.script(script, keys, arguments).await,
            answer => answer,
        }
    }
}
