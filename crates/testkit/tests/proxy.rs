//! The proxy's faults, before a server that answers each line with the same line, and counts them.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quintette_testkit::servers::Proxy;

/// For what must not come: there is no other way to see that something stays away than to look for a while.
const A_WHILE: Duration = Duration::from_millis(200);

#[test]
fn a_proxy_without_a_fault_is_not_noticed() {
    let (_, proxy) = echo_and_proxy();
    let mut client = connect(&proxy);

    for line in ["one\n", "two\n", "three\n"] {
        assert_eq!(ask(&mut client, line), line);
    }
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn much_goes_through_in_both_directions() {
    let (_, proxy) = echo_and_proxy();
    let client = connect(&proxy);
    let mut writer = client.try_clone().unwrap();
    let text = "a line of some length\n".repeat(100_000);

    let copy = text.clone();
    let writing = thread::spawn(move || writer.write_all(copy.as_bytes()));
    let mut answer = vec![0; text.len()];
    (&client).read_exact(&mut answer).unwrap();

    writing.join().unwrap().unwrap();
    assert!(answer == text.as_bytes());
}

#[test]
fn a_client_that_closes_is_closed_at_the_server_too() {
    let (_, proxy) = echo_and_proxy();
    let mut client = connect(&proxy);
    ask(&mut client, "hello\n");

    drop(client);

    until(|| proxy.connections() == 0);
}

#[test]
fn a_cut_closes_old_connections_and_new_ones_until_it_is_healed() {
    let (_, proxy) = echo_and_proxy();
    let mut old = connect(&proxy);
    ask(&mut old, "hello\n");

    proxy.cut();

    assert!(is_closed(&mut old));
    assert!(is_closed(&mut connect(&proxy)));
    assert_eq!(proxy.connections(), 0);
    proxy.heal();
    assert_eq!(ask(&mut connect(&proxy), "again\n"), "again\n");
}

#[test]
fn a_hanging_proxy_keeps_connections_and_forwards_nothing_until_it_is_healed() {
    let (lines, proxy) = echo_and_proxy();
    let mut old = connect(&proxy);
    ask(&mut old, "hello\n");

    proxy.hang();
    let mut new = connect(&proxy);
    old.write_all(b"old\n").unwrap();
    new.write_all(b"new\n").unwrap();

    assert!(is_silent(&mut old));
    assert!(is_silent(&mut new));
    assert_eq!(lines.load(Ordering::SeqCst), 1);
    assert_eq!(proxy.connections(), 2);
    proxy.heal();
    assert_eq!(answer(&mut old), "old\n");
    assert_eq!(answer(&mut new), "new\n");
}

#[test]
fn a_hanging_connection_can_be_cut() {
    let (_, proxy) = echo_and_proxy();
    let mut client = connect(&proxy);
    ask(&mut client, "hello\n");
    proxy.hang();
    client.write_all(b"lost\n").unwrap();

    proxy.cut();

    assert!(is_closed(&mut client));
}

#[test]
fn a_delay_holds_answers_back_until_it_is_healed() {
    let (_, proxy) = echo_and_proxy();
    let mut client = connect(&proxy);
    let delay = Duration::from_millis(300);
    proxy.delay(delay);

    let start = Instant::now();
    assert_eq!(ask(&mut client, "one\n"), "one\n");

    assert!(start.elapsed() >= delay);
    proxy.delay(Duration::from_hours(1));
    client.write_all(b"two\n").unwrap();
    assert!(is_silent(&mut client));
    proxy.heal();
    assert_eq!(answer(&mut client), "two\n");
}

#[test]
fn a_cut_before_the_answer_leaves_the_work_done_and_the_client_without_news() {
    let (lines, proxy) = echo_and_proxy();
    let mut client = connect(&proxy);
    let mut other = connect(&proxy);
    ask(&mut client, "hello\n");

    proxy.cut_before_answer();
    client.write_all(b"work\n").unwrap();

    assert!(is_closed(&mut client));
    assert_eq!(lines.load(Ordering::SeqCst), 2);
    assert_eq!(proxy.answers_cut(), 1);
    assert_eq!(ask(&mut other, "only once\n"), "only once\n");
}

#[test]
fn a_cut_before_the_answer_to_some_words_waits_for_them() {
    let (lines, proxy) = echo_and_proxy();
    let mut client = connect(&proxy);
    let mut other = connect(&proxy);

    proxy.cut_before_answer_to("COMMIT");

    assert_eq!(ask(&mut client, "INSERT\n"), "INSERT\n");
    assert_eq!(ask(&mut other, "SELECT\n"), "SELECT\n");
    client.write_all(b"COMMIT\n").unwrap();
    assert!(is_closed(&mut client));
    assert_eq!(lines.load(Ordering::SeqCst), 3);
    assert_eq!(ask(&mut other, "COMMIT\n"), "COMMIT\n");
    assert_eq!(proxy.answers_cut(), 1);
}

#[test]
fn a_healed_proxy_has_forgotten_the_answer_it_was_to_cut() {
    let (_, proxy) = echo_and_proxy();
    let mut client = connect(&proxy);
    proxy.cut_before_answer();
    proxy.cut_before_answer_to("COMMIT");

    proxy.heal();

    assert_eq!(ask(&mut client, "COMMIT\n"), "COMMIT\n");
    assert_eq!(proxy.answers_cut(), 0);
}

#[test]
fn a_server_that_is_down_closes_the_connection() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = Proxy::before(nobody).unwrap();

    assert!(is_closed(&mut connect(&proxy)));
}

#[test]
fn a_dropped_proxy_closes_its_connections_and_its_port() {
    let (_, proxy) = echo_and_proxy();
    let mut client = connect(&proxy);
    ask(&mut client, "hello\n");
    let address = proxy.address();

    drop(proxy);

    assert!(is_closed(&mut client));
    until(|| TcpStream::connect(address).is_err());
}

fn echo_and_proxy() -> (Arc<AtomicUsize>, Proxy) {
    let lines = Arc::new(AtomicUsize::new(0));
    let proxy = Proxy::before(echo(Arc::clone(&lines))).unwrap();
    (lines, proxy)
}

/// Answers each line with itself, and counts it before.
fn echo(lines: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = Arc::clone(&lines);
            thread::spawn(move || {
                let reader = BufReader::new(stream.try_clone().unwrap());
                for line in reader.lines().map_while(Result::ok) {
                    lines.fetch_add(1, Ordering::SeqCst);
                    if stream.write_all(format!("{line}\n").as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

fn ask(stream: &mut TcpStream, line: &str) -> String {
    stream.write_all(line.as_bytes()).unwrap();
    answer(stream)
}

/// One line.
fn answer(stream: &mut TcpStream) -> String {
    let mut line = String::new();
    while !line.ends_with('\n') {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.push(char::from(byte[0]));
    }
    line
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn is_silent(stream: &mut TcpStream) -> bool {
    let patience = stream.read_timeout().unwrap();
    stream.set_read_timeout(Some(A_WHILE)).unwrap();
    let read = stream.read(&mut [0; 64]);
    stream.set_read_timeout(patience).unwrap();
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "it has not come to pass");
        thread::sleep(Duration::from_millis(5));
    }
}
