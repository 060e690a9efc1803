//! The program as it is started from a shell.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::tempdir;

/// The shop, with its data below `directory`, and none of this process' environment.
fn shop(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.current_dir(directory).env_clear().env("PORT", "0");
    command
}

/// What the shop says of why it did not open.
fn refusal(command: &mut Command) -> String {
    let text = refusal_and_log(command);
    assert!(text.starts_with("error: "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

fn refusal_and_log(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(1), 0), "{text}");
    text
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended, where the test came to its end.
        let _ = self.0.kill();
    }
}

#[test]
fn it_opens_without_any_configuration_and_closes_on_sigterm() {
    let directory = tempdir().unwrap();
    let mut running = Running(
        shop(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut output = BufReader::new(running.0.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(
        line.contains("sessions: db, database: shop-data/shop.sqlite3"),
        "{line}"
    );
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();

    // There is no account whose password all would know: how to make one is said.
    let mut hint = String::new();
    output.read_line(&mut hint).unwrap();
    assert!(hint.contains("sqlite://shop-data/shop.sqlite3"), "{hint}");
    assert!(hint.contains("createsuperuser"), "{hint}");

    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    assert!(response.contains("Morning Sencha"));

    let kill = Command::new("kill")
        .arg(running.0.id().to_string())
        .status()
        .unwrap();
    assert!(kill.success());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn it_says_what_it_is_and_makes_nothing_for_that() {
    let directory = tempdir().unwrap();
    let output = shop(directory.path()).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for what in [
        "SHOP_DATA",
        "SESSION_ENGINE",
        "createsuperuser",
        "shop worker",
        "CELERY_BROKER_URL",
        "SHOP_SMTP_URL",
    ] {
        assert!(text.contains(what), "{text}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let text = refusal(shop(directory.path()).arg("--port"));
    assert!(text.contains("--port") && text.contains("--help"), "{text}");
}

#[test]
fn the_secret_key_is_for_its_owner_alone() {
    let directory = tempdir().unwrap();
    // It opens its data directory before it finds that it cannot listen.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let text = refusal(shop(directory.path()).env("PORT", &port));
    assert!(text.contains(&port) && text.contains("set PORT"), "{text}");

    let file = directory.path().join("shop-data/secret_key");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    let key = fs::read_to_string(&file).unwrap();
    assert!(key.trim().len() >= 50);

    refusal(shop(directory.path()).env("PORT", &port));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        key,
        "kept over a restart"
    );
}

#[test]
fn a_secret_key_that_is_too_short_is_refused() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("secret_key"), "tea").unwrap();
    let text = refusal(shop(directory.path()).env("SHOP_DATA", "."));
    assert!(
        text.contains("secret_key") && text.contains("delete it"),
        "{text}"
    );
    assert!(!text.contains("tea"), "{text}");
}

#[test]
fn a_store_that_is_down_at_the_start_is_named_without_its_password() {
    let directory = tempdir().unwrap();
    // Nobody listens at port 1.
    let postgres = "postgres://tea:hunter2@127.0.0.1:1/shop";
    let redis = "redis://:hunter2@127.0.0.1:1/0";
    let memcached = "memcached://127.0.0.1:1";
    for settings in [
        [("SESSION_ENGINE", "db"), ("DATABASE_URL", postgres)],
        [("SESSION_ENGINE", "cache"), ("CACHE_URL", redis)],
        [("SESSION_ENGINE", "cache"), ("CACHE_URL", memcached)],
    ] {
        let text = refusal_and_log(shop(directory.path()).envs(settings));
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("error: "), "{text}");
        assert!(last.contains("127.0.0.1:1"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn what_is_wrong_at_the_start_is_one_line_with_the_way_out() {
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    for (variable, value, advice) in [
        ("PORT", "eighty", "set it to a number"),
        ("SHOP_DATA", "file/below", "set SHOP_DATA"),
        ("SHOP_WORKER", "maybe", "set it to 1"),
        ("SHOP_REPORT_SCHEDULE", "at night", "five fields"),
        ("SHOP_SMTP_URL", "mail.example.com", "smtp://host:port"),
        ("CELERY_BROKER_URL", "kafka://127.0.0.1", "amqp://"),
        ("SESSION_ENGINE", "memory", "signed_cookies"),
        ("SESSION_COOKIE_AEG", "60", "SESSION_COOKIE_AGE"),
        (
            "DATABASE_URL",
            "sqlite://no/such/directory/x.db",
            "directory",
        ),
    ] {
        let text = refusal(shop(directory.path()).env(variable, value));
        assert!(text.contains(advice), "{text}");
    }
}
