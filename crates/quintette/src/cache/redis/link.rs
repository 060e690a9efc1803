//! One server: the connection to it, and the task that makes it anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, Pipeline, ProtocolVersion, PushInfo,
    PushKind, RedisError, RedisResult, Value,
};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use super::failure::Failure;
use super::sentinel::Sentinels;

/// How long an idle connection goes without being asked whether it lives.
const IDLE: Duration = Duration::from_secs(5);

/// A connection that lives for less than this is made anew after a pause.
const STEADY: Duration = Duration::from_secs(1);

/// The pauses between attempts to connect.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where a [`Link`] leads.
#[derive(Clone)]
pub(super) enum Target {
    /// To this server.
    Server(ConnectionInfo),
    /// To the master that these Sentinels name.
    Master(Sentinels),
}

/// A connection to one server that all requests share, made anew for as long as this lives.
///
/// Requests that come while it is being made wait for it. When the server has not answered, or cannot be reached, they
/// fail at once, until it is: a server that hangs costs one request its time, not every one.
pub(super) struct Link {
    state: watch::Receiver<State>,
    wait: Duration,
    supervisor: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

#[derive(Clone)]
enum State {
    Connecting,
    Up(Connection),
    Down(Arc<str>),
}

#[derive(Clone)]
struct Connection {
    server: MultiplexedConnection,
    end: Arc<End>,
}

/// The end of one connection.
pub(super) struct End {
    over: AtomicBool,
    sender: mpsc::UnboundedSender<Ended>,
}

enum Ended {
    /// By the server, or because another one is to be found.
    Closed,
    /// It does not answer any more.
    Hung,
}

impl End {
    fn tell(&self, ended: Ended) {
        self.over.store(true, Ordering::Release);
        // The supervisor is gone where nobody needs the connection any more.
        let _ = self.sender.send(ended);
    }
}

impl State {
    /// A connection that is over is about to be replaced.
    fn is_settled(&self) -> bool {
        match self {
            Self::Connecting => false,
            Self::Up(connection) => !connection.end.over.load(Ordering::Acquire),
            Self::Down(_) => true,
        }
    }
}

impl Link {
    /// Begins to connect. No attempt, and no request, takes longer than `wait`.
    pub(super) fn new(target: Target, wait: Duration) -> Self {
        let (sender, state) = watch::channel(State::Connecting);
        let supervisor = tokio::spawn(supervise(target, wait, sender)).abort_handle();
        Self {
            state,
            wait,
            supervisor,
        }
    }

    /// Whether requests are sent at once.
    pub(super) fn is_up(&self) -> bool {
        let state = self.state.borrow();
        matches!(*state, State::Up(_)) && state.is_settled()
    }

    /// Sends these commands together. None of them is ever sent twice.
    pub(super) async fn send(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let Connection { mut server, end } = self.connection(deadline).await?;
        let sent_at = Instant::now();
        let answer = async {
            let mut each = commands.cmd_iter();
            match (each.next(), each.next()) {
                // Less work than a pipeline of one.
                (Some(command), None) => Ok(vec![server.send_packed_command(command).await?]),
                _ => {
                    server
                        .send_packed_commands(commands, 0, commands.len())
                        .await
                }
            }
        };
        match timeout_at(deadline, answer).await {
            Ok(Ok(values)) => {
                let refused = values.iter().find_map(|value| match value {
                    Value::ServerError(error) => Some(Failure::Refused(error.clone())),
                    _ => None,
                });
                let Some(refused) = refused else {
                    return Ok(values);
                };
                if refused.is_read_only() {
                    end.tell(Ended::Closed);
                }
                Err(refused)
            }
            Ok(Err(error)) => {
                end.tell(Ended::Closed);
                Err(Failure::lost(error.to_string()))
            }
            Err(_) => {
                // Whoever came late has not shown that the server hangs.
                if sent_at.elapsed() >= self.wait / 2 {
                    end.tell(Ended::Hung);
                }
                Err(Failure::lost(silence(sent_at.elapsed())))
            }
        }
    }

    async fn connection(&self, deadline: Instant) -> Result<Connection, Failure> {
        let mut state = self.state.clone();
        let settled = timeout_at(deadline, state.wait_for(State::is_settled)).await;
        match settled {
            Ok(Ok(state)) => match &*state {
                State::Up(connection) => Ok(connection.clone()),
                State::Down(reason) => Err(Failure::Unsent(reason.clone())),
                State::Connecting => Err(Failure::unsent("it is being connected to")),
            },
            Ok(Err(_)) => Err(Failure::unsent("the runtime is shutting down")),
            Err(_) => Err(Failure::unsent(silence(self.wait))),
        }
    }
}

fn silence(waited: Duration) -> String {
    format!("no answer within {} ms", waited.as_millis())
}

async fn supervise(target: Target, wait: Duration, state: watch::Sender<State>) {
    let mut failures = 0;
    let mut is_reported = false;
    loop {
        let (sender, mut ended) = mpsc::unbounded_channel();
        let end = Arc::new(End {
            over: AtomicBool::new(false),
            sender,
        });
        let connected = match timeout(wait, target.connect(&end)).await {
            Ok(connected) => connected,
            Err(_) => Err(silence(wait)),
        };
        let reason = match connected {
            Ok(server) => {
                if std::mem::take(&mut is_reported) {
                    info!(target: "quintette::cache", "Redis answers again");
                }
                let since = Instant::now();
                state.send_replace(State::Up(Connection {
                    server: server.clone(),
                    end,
                }));
                let ended = until_it_ends(server, &mut ended, wait).await;
                if since.elapsed() >= STEADY {
                    failures = 0;
                }
                match ended {
                    Ended::Closed => None,
                    Ended::Hung => Some(silence(wait)),
                }
            }
            Err(reason) => Some(reason),
        };
        match reason {
            None => drop(state.send_replace(State::Connecting)),
            Some(reason) => {
                if !std::mem::replace(&mut is_reported, true) {
                    warn!(target: "quintette::cache", reason, "Redis is not to be reached; trying on");
                }
                state.send_replace(State::Down(reason.into()));
            }
        }
        sleep(pause(failures)).await;
        failures = failures.saturating_add(1);
    }
}

/// Waits for the end of a connection, and finds one that came without a word.
async fn until_it_ends(
    mut server: MultiplexedConnection,
    ended: &mut mpsc::UnboundedReceiver<Ended>,
    wait: Duration,
) -> Ended {
    loop {
        if let Ok(ended) = timeout(IDLE, ended.recv()).await {
            return ended.unwrap_or(Ended::Closed);
        }
        let ping = redis::cmd("PING");
        match timeout(wait, server.send_packed_command(&ping)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Ended::Closed,
            Err(_) => return Ended::Hung,
        }
    }
}

/// None at first; then twice as long each time, less up to a half, so that many processes do not come at once.
pub(super) fn pause(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else {
        return Duration::ZERO;
    };
    let pause = SHORTEST_PAUSE.saturating_mul(1 << doublings.min(8));
    let chance = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    pause.min(LONGEST_PAUSE).mul_f64(1.0 - chance / 2.0)
}

impl Target {
    async fn connect(&self, end: &Arc<End>) -> Result<MultiplexedConnection, String> {
        match self {
            Self::Server(server) => connect(server, Some(end)).await.map_err(explain),
            Self::Master(sentinels) => sentinels.connect(end).await,
        }
    }
}

/// A connection whose `end` is told as soon as it has come.
pub(super) async fn connect(
    server: &ConnectionInfo,
    end: Option<&Arc<End>>,
) -> RedisResult<MultiplexedConnection> {
    let speaking = |protocol| {
        let settings = server.redis_settings().clone().set_protocol(protocol);
        Client::open(server.clone().set_redis_settings(settings))
    };
    // Whoever sends has the deadline.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    // The driver tells of a disconnection in RESP3 alone.
    let telling = match end.cloned() {
        None => config.clone(),
        Some(end) => config.clone().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                end.tell(Ended::Closed);
            }
            Ok::<(), RedisError>(())
        }),
    };
    let newer = speaking(ProtocolVersion::RESP3)?;
    match newer
        .get_multiplexed_async_connection_with_config(&telling)
        .await
    {
        Err(error) if error.kind() == ErrorKind::RESP3NotSupported => {
            let older = speaking(ProtocolVersion::RESP2)?;
            older
                .get_multiplexed_async_connection_with_config(&config)
                .await
        }
        connected => connected,
    }
}

/// What a failed attempt to connect means.
pub(super) fn explain(error: RedisError) -> String {
    match redis::ServerError::try_from(error) {
        Ok(refused) => Failure::Refused(refused).to_string(),
        Err(error) => error.to_string(),
    }
}
