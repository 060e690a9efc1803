//! The private RabbitMQ, as `servers.rs` shows for the others: it answers, keeps what it confirmed, is alone, and is gone
//! when it is dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use quintette_testkit::servers::RabbitMq;

#[test]
fn rabbitmq_keeps_over_a_kill_what_it_confirmed() {
    let rabbitmq = RabbitMq::start().unwrap();
    let mut client = Amqp::connect(rabbitmq.address());
    client.declare("kept");
    client.publish("kept", b"confirmed");

    rabbitmq.kill();
    assert!(TcpStream::connect(rabbitmq.address()).is_err());
    rabbitmq.restart().unwrap();

    let body = Amqp::connect(rabbitmq.address()).take("kept");
    assert_eq!(body.as_deref(), Some(&b"confirmed"[..]));
}

#[test]
fn two_stand_side_by_side_and_a_stopped_one_starts_again() {
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(RabbitMq::start);
        (RabbitMq::start().unwrap(), first.join().unwrap().unwrap())
    });
    Amqp::connect(first.address()).declare("only here");

    first.stop().unwrap();
    assert!(TcpStream::connect(first.address()).is_err());
    Amqp::connect(second.address()).declare("only there");
    first.restart().unwrap();

    assert_eq!(Amqp::connect(first.address()).take("only here"), None);
}

#[test]
fn a_dropped_rabbitmq_is_gone_with_its_processes_and_its_directory() {
    let rabbitmq = RabbitMq::start().unwrap();
    let directory = directory_of(rabbitmq.port());
    assert!(!processes_of(&directory).is_empty());

    drop(rabbitmq);

    assert_eq!(processes_of(&directory), Vec::<String>::new());
    assert!(!Path::new(&directory).exists());
}

#[test]
fn it_is_gone_after_the_program_that_started_it_was_killed() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_quintette-servers"))
        .arg("rabbitmq")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    let mut output = program.stdout.take().unwrap();
    while !url.ends_with('\n') {
        let mut byte = [0];
        output.read_exact(&mut byte).unwrap();
        url.push(char::from(byte[0]));
    }
    let url = url
        .strip_prefix("RABBITMQ_URL=amqp://guest:guest@")
        .unwrap();
    let address: SocketAddr = url.trim_end().trim_end_matches('/').parse().unwrap();
    let directory = directory_of(address.port());

    program.kill().unwrap();
    program.wait().unwrap();

    let deadline = Instant::now() + Duration::from_secs(20);
    while !processes_of(&directory).is_empty() || Path::new(&directory).exists() {
        assert!(Instant::now() < deadline, "there is still {directory}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Where the server of a port works, from its environment.
fn directory_of(port: u16) -> String {
    let port = format!("RABBITMQ_NODE_PORT={port}");
    let environments = fs::read_dir("/proc").unwrap().flatten();
    environments
        .filter_map(|process| fs::read(process.path().join("environ")).ok())
        .filter_map(|environment| String::from_utf8(environment).ok())
        .find(|environment| environment.split('\0').any(|line| line == port))
        .and_then(|environment| {
            let mut lines = environment.split('\0');
            lines.find_map(|line| line.strip_prefix("HOME=").map(str::to_owned))
        })
        .unwrap()
}

/// The command lines of all processes that work in a directory.
fn processes_of(directory: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| {
            fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory))
        })
        .map(|process| fs::read_to_string(process.path().join("cmdline")).unwrap_or_default())
        .collect()
}

/// As much of a client as these tests need, on channel 1.
///
/// Source: AMQP 0-9-1, 4.2 (frames) and its methods by class and number; `confirm` is RabbitMQ's class 85.
struct Amqp {
    stream: TcpStream,
}

impl Amqp {
    fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream.write_all(b"AMQP\0\0\x09\x01").unwrap();
        let mut client = Self { stream };
        client.expect(10, 10);
        let mut start_ok = vec![0, 0, 0, 0];
        start_ok.extend(short("PLAIN"));
        start_ok.extend([0, 0, 0, 12]);
        start_ok.extend(b"\0guest\0guest");
        start_ok.extend(short("en_US"));
        client.send(0, 10, 11, &start_ok);
        let tune = client.expect(10, 30);
        client.send(0, 10, 31, &[&tune[..6], &[0, 0]].concat());
        client.send(0, 10, 40, &[short("/"), vec![0, 0]].concat());
        client.expect(10, 41);
        client.send(1, 20, 10, &short(""));
        client.expect(20, 11);
        client.send(1, 85, 10, &[0]);
        client.expect(85, 11);
        client
    }

    /// A durable queue.
    fn declare(&mut self, queue: &str) {
        let durable = [2, 0, 0, 0, 0];
        let arguments = [&[0, 0][..], &short(queue), &durable].concat();
        self.send(1, 50, 10, &arguments);
        self.expect(50, 11);
    }

    /// A persistent message; returns when it is confirmed.
    fn publish(&mut self, queue: &str, body: &[u8]) {
        let arguments = [&[0, 0][..], &short(""), &short(queue), &[0]].concat();
        self.send(1, 60, 40, &arguments);
        let size = u64::try_from(body.len()).unwrap().to_be_bytes();
        let with_delivery_mode = [0x10, 0, 2];
        let header = [&[0, 60, 0, 0][..], &size, &with_delivery_mode].concat();
        self.frame(2, 1, &header);
        self.frame(3, 1, body);
        self.expect(60, 80);
    }

    /// The body of the next message, if there is one.
    fn take(&mut self, queue: &str) -> Option<Vec<u8>> {
        let arguments = [&[0, 0][..], &short(queue), &[1]].concat();
        self.send(1, 60, 70, &arguments);
        let (_, method) = self.receive();
        if method[..4] == [0, 60, 0, 72] {
            return None;
        }
        assert_eq!(method[..4], [0, 60, 0, 71]);
        self.receive();
        Some(self.receive().1)
    }

    fn send(&mut self, channel: u8, class: u8, method: u8, arguments: &[u8]) {
        self.frame(1, channel, &[&[0, class, 0, method], arguments].concat());
    }

    fn frame(&mut self, kind: u8, channel: u8, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&[kind, 0, channel][..], &size, payload, &[0xCE]].concat();
        self.stream.write_all(&frame).unwrap();
    }

    /// The arguments of the next method, which must be that one.
    fn expect(&mut self, class: u8, method: u8) -> Vec<u8> {
        let (kind, payload) = self.receive();
        assert_eq!((kind, &payload[..4]), (1, &[0, class, 0, method][..]));
        payload[4..].to_vec()
    }

    fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).unwrap();
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; size as usize + 1];
        self.stream.read_exact(&mut payload).unwrap();
        assert_eq!(payload.pop(), Some(0xCE));
        (head[0], payload)
    }
}

fn short(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[length], text.as_bytes()].concat()
}
