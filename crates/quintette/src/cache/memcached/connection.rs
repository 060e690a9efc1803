//! One server's connection: everybody's commands go over it, those of one moment together.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::protocol::{self, Answer, Garbled};
use super::servers::Address;

/// How many commands may wait for their answers; those beyond wait to be sent.
const MAX_WAITING: usize = 1024;

/// How many bytes may wait to be sent, but for the last command.
const MAX_OUTGOING: usize = 1 << 20;

/// What an item takes in the server besides its key and its value, generously: less than this. A larger one would not
/// only be refused: the server deletes what was there before.
const ITEM_OVERHEAD: usize = 72;

/// A command, and who waits for its answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) command: Bytes,
    /// The only connection on which it means anything.
    pub(super) epoch: Option<u64>,
    /// The size of its key and its value, where it stores one.
    pub(super) stores: Option<usize>,
    pub(super) claim: Claim,
    pub(super) reply: oneshot::Sender<Result<Reply, Failure>>,
}

/// Whether a request is sent or given up, which only one of two can decide: who sends it, or who waited too long.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Claim {
    /// Whether the other had it before.
    pub(super) fn is_taken(&self) -> bool {
        self.0.swap(true, std::sync::atomic::Ordering::AcqRel)
    }
}

/// What came of a command.
#[derive(Debug)]
pub(super) enum Reply {
    /// Its answer, and on which connection.
    Answer { epoch: u64, answer: Answer },
    /// It was about another connection, and was not sent.
    OtherEpoch,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is no connection; nothing was sent.
    #[error("{0}")]
    Down(String),
    /// The connection broke.
    #[error("the connection to Memcached broke: {why}")]
    Lost { sent: bool, why: String },
    /// The time was over.
    #[error("Memcached did not answer in time")]
    TimedOut { sent: bool },
    /// It was not sent, since the server would have deleted what is there.
    #[error(
        "{size} bytes are too large for this Memcached, which takes {largest} in all for an item: start it with a larger -I"
    )]
    TooLarge { size: usize, largest: usize },
}

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody is left who could ask.
    Unused,
    /// The other side closed it, or what it said was garbled.
    Broken(String),
    /// No answers came.
    Hung,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a server that speaks the meta protocol.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    exchange: Exchange,
}

/// What goes over a connection.
struct Exchange {
    /// Tells its CAS numbers from those of any other connection.
    epoch: u64,
    /// The largest item that the server takes, in bytes.
    largest: usize,
    /// How long the server may be silent when it was asked.
    patience: Duration,
    /// Who waits, in the order of what was asked.
    waiting: VecDeque<Waiting>,
    outgoing: BytesMut,
    /// Of what was read, what belongs to no answer yet.
    incoming: BytesMut,
    /// How many bytes have left, of all the commands so far.
    sent: u64,
    /// How many bytes all the commands so far have.
    queued: u64,
}

struct Waiting {
    reply: oneshot::Sender<Result<Reply, Failure>>,
    /// Where its command begins, among all the bytes of this connection.
    begins: u64,
    /// When the connection counts as hung.
    overdue: Instant,
}

enum Event {
    Request(Option<Request>),
    Written(std::io::Result<usize>),
    Read(std::io::Result<usize>),
}

impl Connection {
    /// Connects, and learns what must be known of the server.
    async fn open(address: &Address, patience: Duration) -> Result<Self, String> {
        let connected: std::io::Result<Box<dyn Stream>> = match address {
            Address::Tcp(host, port) => match TcpStream::connect((host.as_str(), *port)).await {
                Ok(stream) => stream.set_nodelay(true).map(|()| Box::new(stream) as _),
                Err(error) => Err(error),
            },
            #[cfg(unix)]
            Address::Unix(path) => tokio::net::UnixStream::connect(path)
                .await
                .map(|stream| Box::new(stream) as _),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(std::io::ErrorKind::Unsupported.into()),
        };
        let stream = connected
            .map_err(|error| format!("cannot connect to Memcached at {address}: {error}"))?;
        let mut epoch = [0; 8];
        getrandom::fill(&mut epoch).map_err(|error| error.to_string())?;
        let mut connection = Self {
            stream,
            exchange: Exchange {
                epoch: u64::from_be_bytes(epoch),
                largest: usize::MAX,
                patience,
                waiting: VecDeque::new(),
                outgoing: BytesMut::new(),
                incoming: BytesMut::new(),
                sent: 0,
                queued: 0,
            },
        };
        let greeted = connection.greet().await;
        greeted.map_err(|why| format!("Memcached at {address}: {why}"))?;
        Ok(connection)
    }

    async fn greet(&mut self) -> Result<(), String> {
        let failed = |error: std::io::Error| error.to_string();
        let incoming = &mut self.exchange.incoming;
        self.stream
            .write_all(protocol::GREETING)
            .await
            .map_err(failed)?;
        let mut version = None;
        loop {
            match protocol::parse(incoming) {
                Ok(Some((answer, size))) => {
                    incoming.advance(size);
                    match answer {
                        Answer::Version(found) if protocol::is_spoken_by(&found) => {
                            version = Some(found);
                        }
                        Answer::Version(found) => return Err(too_old(&found)),
                        Answer::Setting { name, value } if name == "item_size_max" => {
                            self.exchange.largest = value.parse().unwrap_or(usize::MAX);
                        }
                        Answer::Setting { .. } | Answer::End => {}
                        Answer::Noop if version.is_some() => return Ok(()),
                        _ => return Err("it does not answer as Memcached does".to_owned()),
                    }
                }
                Ok(None) => {
                    if self.stream.read_buf(incoming).await.map_err(failed)? == 0 {
                        return Err("it closed the connection".to_owned());
                    }
                }
                Err(Garbled(line)) if line.contains("unauthenticated") => {
                    return Err("it asks for a password, which is not supported".to_owned());
                }
                Err(Garbled(line)) => return Err(format!("it says {line:?}")),
            }
        }
    }

    /// Sends what is requested and hands out the answers, until the connection is over. `over` is told so before
    /// anybody who still waits.
    pub(super) async fn serve(
        self,
        first: Option<Request>,
        requests: &mut mpsc::Receiver<Request>,
        over: impl FnOnce(&End),
    ) -> End {
        let Self {
            stream,
            mut exchange,
        } = self;
        if let Some(first) = first {
            exchange.enqueue(first);
        }
        let end = exchange.run(stream, requests).await;
        over(&end);
        exchange.fail(&end);
        end
    }
}

impl Exchange {
    async fn run(
        &mut self,
        stream: Box<dyn Stream>,
        requests: &mut mpsc::Receiver<Request>,
    ) -> End {
        let (mut reader, mut writer) = tokio::io::split(stream);
        loop {
            let room = self.waiting.len() < MAX_WAITING && self.outgoing.len() < MAX_OUTGOING;
            let sends = !self.outgoing.is_empty();
            let overdue = self.waiting.front().map(|waiting| waiting.overdue);
            // Requests first, so that those of one moment are sent together. The limits let the others have their turn.
            let event = tokio::select! {
                biased;
                request = requests.recv(), if room => Event::Request(request),
                written = writer.write(&self.outgoing), if sends => Event::Written(written),
                read = reader.read_buf(&mut self.incoming) => Event::Read(read),
                () = until(overdue) => return End::Hung,
            };
            match event {
                Event::Request(None) => return End::Unused,
                Event::Request(Some(request)) => self.enqueue(request),
                Event::Written(Ok(0)) => return End::Broken("it takes no more".to_owned()),
                Event::Written(Ok(size)) => {
                    self.sent += size as u64;
                    self.outgoing.advance(size);
                }
                Event::Read(Ok(0)) => return End::Broken("it was closed".to_owned()),
                Event::Read(Ok(_)) => {
                    if let Err(Garbled(line)) = self.answer() {
                        return End::Broken(format!("Memcached says {line:?}"));
                    }
                }
                Event::Written(Err(error)) | Event::Read(Err(error)) => {
                    return End::Broken(error.to_string());
                }
            }
        }
    }

    fn enqueue(&mut self, request: Request) {
        let size = request.stores.unwrap_or(0);
        let refused = if request.epoch.is_some_and(|epoch| epoch != self.epoch) {
            Ok(Reply::OtherEpoch)
        } else if size.saturating_add(ITEM_OVERHEAD) > self.largest {
            Err(Failure::TooLarge {
                size,
                largest: self.largest,
            })
        } else {
            if !request.claim.is_taken() {
                self.waiting.push_back(Waiting {
                    reply: request.reply,
                    begins: self.queued,
                    overdue: Instant::now() + self.patience,
                });
                self.queued += request.command.len() as u64;
                self.outgoing.extend_from_slice(&request.command);
            }
            return;
        };
        // Nobody may wait any longer.
        let _ = request.reply.send(refused);
    }

    /// Hands out every answer that is there.
    fn answer(&mut self) -> Result<(), Garbled> {
        while let Some((answer, size)) = protocol::parse(&self.incoming)? {
            self.incoming.advance(size);
            let asked = !matches!(
                answer,
                Answer::Version(_) | Answer::Setting { .. } | Answer::End | Answer::Noop
            );
            let Some(waiting) = self.waiting.pop_front().filter(|_| asked) else {
                return Err(Garbled("what it was not asked".to_owned()));
            };
            let epoch = self.epoch;
            let _ = waiting.reply.send(Ok(Reply::Answer { epoch, answer }));
        }
        Ok(())
    }

    fn fail(self, end: &End) {
        for waiting in self.waiting {
            let sent = self.sent > waiting.begins;
            let _ = waiting.reply.send(Err(match end {
                End::Hung => Failure::TimedOut { sent },
                End::Broken(why) => Failure::Lost {
                    sent,
                    why: why.clone(),
                },
                End::Unused => Failure::Lost {
                    sent,
                    why: "nobody waited".to_owned(),
                },
            }));
        }
    }
}

fn too_old(version: &str) -> String {
    format!("it is version {version:?}, and 1.6.10 or newer is needed")
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Opens a connection within this time, or says why not. It counts as hung when it is silent for `patience`.
pub(super) async fn open(
    address: &Address,
    within: Duration,
    patience: Duration,
) -> Result<Connection, String> {
    match timeout(within, Connection::open(address, patience)).await {
        Ok(opened) => opened,
        Err(_) => Err(format!("Memcached at {address} did not answer in time")),
    }
}
