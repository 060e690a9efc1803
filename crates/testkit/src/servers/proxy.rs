use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// How many chunks of an answer are held back at most; then the server has to wait, as on a slow line.
const HELD: usize = 64;

/// A TCP proxy on a free port of 127.0.0.1 that breaks connections as networks and dying servers do.
///
/// A fault lasts until another one replaces it or [`heal`](Self::heal) ends it; a [`delay`](Self::delay) lasts beside them.
/// Dropped, the proxy closes all connections.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use std::thread;
///
/// use quintette_testkit::servers::Proxy;
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let proxy = Proxy::before(server.local_addr()?)?;
/// let work = thread::spawn(move || -> std::io::Result<[u8; 4]> {
///     let (mut stream, _) = server.accept()?;
///     let mut request = [0; 4];
///     stream.read_exact(&mut request)?;
///     stream.write_all(b"done")?;
///     Ok(request)
/// });
///
/// let mut client = TcpStream::connect(proxy.address())?;
/// proxy.cut_before_answer();
/// client.write_all(b"work")?;
/// let mut answer = Vec::new();
/// let _ = client.read_to_end(&mut answer);
///
/// assert_eq!(work.join().unwrap()?, *b"work"); // the server has done it
/// assert!(answer.is_empty()); // and the client never heard
/// assert_eq!(proxy.answers_cut(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on a free port and passes every connection on to `address`.
    ///
    /// # Errors
    ///
    /// Where the system has no port or no thread left.
    pub fn before(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let proxy = Self {
            address: listener.local_addr()?,
            shared: Arc::new(Shared {
                server: address,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        };
        let shared = Arc::clone(&proxy.shared);
        in_thread(move || shared.accept(&listener))?;
        Ok(proxy)
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`address`](Self::address).
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Closes all connections now, and new ones at once, until it is healed: a server that has crashed.
    pub fn cut(&self) {
        let mut state = self.shared.lock();
        state.fault = Fault::Cut;
        state.close_all();
        self.shared.changed.notify_all();
    }

    /// Keeps all connections open and accepts new ones, but forwards nothing in either direction until it is healed: a
    /// network that has gone. What was sent meanwhile arrives then.
    pub fn hang(&self) {
        self.shared.lock().fault = Fault::Hang;
    }

    /// Holds every answer back by `delay`, without letting later ones wait for earlier ones in addition: a server that is
    /// far away.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
        self.shared.changed.notify_all();
    }

    /// Forwards requests, and closes the connection at the next bytes of an answer instead of forwarding them: the server
    /// has done the work, and the client never hears. Once, on whichever connection is first. A greeting is an answer too:
    /// where the client might connect anew, see [`cut_before_answer_to`](Self::cut_before_answer_to).
    pub fn cut_before_answer(&self) {
        self.shared.lock().cut_next = true;
    }

    /// The same for the next request that holds `words`, as `COMMIT`: the connection that sends it is closed at the next
    /// bytes that come back. They have to arrive in one piece, as a short request does.
    pub fn cut_before_answer_to(&self, words: impl Into<Vec<u8>>) {
        self.shared.lock().cut_after = Some(words.into());
    }

    /// How many answers have been cut off since the start.
    pub fn answers_cut(&self) -> usize {
        self.shared.lock().answers_cut
    }

    /// Forwards again, at once, as if nothing had been; connections that were closed stay closed.
    pub fn heal(&self) {
        let mut state = self.shared.lock();
        state.fault = Fault::None;
        state.delay = Duration::ZERO;
        state.cut_next = false;
        state.cut_after = None;
        state
            .links
            .values_mut()
            .for_each(|link| link.cut_next = false);
        self.shared.changed.notify_all();
    }

    /// How many connections are open, the hanging ones among them.
    pub fn connections(&self) -> usize {
        self.shared.lock().links.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.dropped = true;
        state.close_all();
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the thread that waits for connections; if it does not wake, it stays until the process ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("server", &self.shared.server)
            .field("fault", &state.fault)
            .field("delay", &state.delay)
            .field("connections", &state.links.len())
            .finish_non_exhaustive()
    }
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    /// Told of every change that something may wait for.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    fault: Fault,
    delay: Duration,
    cut_next: bool,
    cut_after: Option<Vec<u8>>,
    answers_cut: usize,
    /// The open connections. One that is not in here is closed, or is about to be.
    links: HashMap<u64, Link>,
    accepted: u64,
    dropped: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    Cut,
    Hang,
}

/// A client's connection and, once there is one, that to the server.
struct Link {
    client: TcpStream,
    server: Option<TcpStream>,
    cut_next: bool,
}

/// Some bytes of an answer, and when they came.
type Held = (Instant, Vec<u8>);

impl State {
    fn close(&mut self, id: u64) {
        if let Some(link) = self.links.remove(&id) {
            // It fails where the other side has closed already.
            let _ = link.client.shutdown(Shutdown::Both);
            if let Some(server) = link.server {
                let _ = server.shutdown(Shutdown::Both);
            }
        }
    }

    fn close_all(&mut self) {
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            self.close(id);
        }
    }

    /// Whether this connection's next answer is the one to be cut off; it is then counted.
    fn cuts(&mut self, id: u64) -> bool {
        let own = self.links.get(&id).is_some_and(|link| link.cut_next);
        let cuts = own || std::mem::take(&mut self.cut_next);
        self.answers_cut += usize::from(cuts);
        cuts
    }

    /// Notes whether a request is the one whose answer is to be cut off.
    fn note_request(&mut self, id: u64, request: &[u8]) {
        let holds = |words: &mut Vec<u8>| {
            let words = words.as_slice();
            !words.is_empty() && request.windows(words.len()).any(|window| window == words)
        };
        if self.cut_after.take_if(holds).is_some()
            && let Some(link) = self.links.get_mut(&id)
        {
            link.cut_next = true;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            let mut state = self.lock();
            if state.dropped {
                return;
            }
            let Ok((client, _)) = accepted else {
                drop(state);
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            let Ok(copy) = client.try_clone() else {
                continue;
            };
            if state.fault == Fault::Cut {
                continue;
            }
            state.accepted += 1;
            let id = state.accepted;
            let (server, cut_next) = (None, false);
            let link = Link {
                client,
                server,
                cut_next,
            };
            state.links.insert(id, link);
            drop(state);
            let shared = Arc::clone(self);
            if in_thread(move || shared.serve(id, copy)).is_err() {
                self.lock().close(id);
            }
        }
    }

    /// One connection, from its beginning to its end.
    fn serve(self: Arc<Self>, id: u64, client: TcpStream) {
        if self.forward(id, client).is_err() {
            self.lock().close(id);
        }
    }

    fn forward(self: &Arc<Self>, id: u64, mut client: TcpStream) -> io::Result<()> {
        drop(self.wait_until_forwarding(id, Instant::now(), false)?);
        let mut server = TcpStream::connect_timeout(&self.server, Duration::from_secs(10))?;
        server.set_nodelay(true)?;
        client.set_nodelay(true)?;
        let mut state = self.lock();
        let link = state
            .links
            .get_mut(&id)
            .ok_or(io::ErrorKind::NotConnected)?;
        link.server = Some(server.try_clone()?);
        drop(state);

        let (hold, held) = sync_channel(HELD);
        let (from, to) = (server.try_clone()?, client.try_clone()?);
        in_thread(move || read_answers(from, &hold))?;
        let shared = Arc::clone(self);
        in_thread(move || {
            // A server that has closed its side, or a client that has gone: the connection is over.
            let _ = shared.pass_answers_on(id, &held, to);
            shared.lock().close(id);
        })?;
        self.pass_requests_on(id, &mut client, &mut server)
    }

    fn pass_requests_on(
        &self,
        id: u64,
        client: &mut TcpStream,
        server: &mut TcpStream,
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = client.read(&mut chunk)?;
            let mut state = self.wait_until_forwarding(id, Instant::now(), false)?;
            if length == 0 {
                return server.shutdown(Shutdown::Write);
            }
            state.note_request(id, &chunk[..length]);
            drop(state);
            server.write_all(&chunk[..length])?;
        }
    }

    fn pass_answers_on(
        &self,
        id: u64,
        held: &Receiver<Held>,
        mut client: TcpStream,
    ) -> io::Result<()> {
        for (came, chunk) in held {
            let mut state = self.wait_until_forwarding(id, came, true)?;
            if state.cuts(id) {
                return Ok(());
            }
            drop(state);
            client.write_all(&chunk)?;
        }
        // The server's end of the connection is news that a broken network does not bring either.
        self.wait_until_forwarding(id, Instant::now(), true)
            .map(drop)
    }

    /// Waits while the connection hangs and, for an answer, until the delay since it came is over.
    fn wait_until_forwarding(
        &self,
        id: u64,
        came: Instant,
        is_answer: bool,
    ) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        loop {
            if !state.links.contains_key(&id) {
                return Err(io::ErrorKind::NotConnected.into());
            }
            let delay = if is_answer {
                state.delay
            } else {
                Duration::ZERO
            };
            let left = delay.saturating_sub(came.elapsed());
            state = if state.fault == Fault::Hang {
                let woken = self.changed.wait(state);
                woken.unwrap_or_else(PoisonError::into_inner)
            } else if left.is_zero() {
                return Ok(state);
            } else {
                let woken = self.changed.wait_timeout(state, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}

/// Notes when the bytes came, until the server or [`Shared::pass_answers_on`] ends.
fn read_answers(mut server: TcpStream, hold: &SyncSender<Held>) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = server.read(&mut chunk) {
        if hold
            .send((Instant::now(), chunk[..length].to_vec()))
            .is_err()
        {
            return;
        }
    }
}

fn in_thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let name = "proxy".to_owned();
    thread::Builder::new().name(name).spawn(work).map(drop)
}
