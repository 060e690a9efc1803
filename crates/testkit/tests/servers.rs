//! The private servers: each answers, keeps what it promises to keep, and is gone when it is dropped.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use quintette_testkit::servers::{
    MariaDb, Memcached, Postgres, Redis, RedisCluster, RedisSentinel,
};

#[test]
fn postgres_keeps_over_a_kill_what_it_acknowledged() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.new_database().unwrap();
    psql(&url, "CREATE TABLE kept (word text)");
    psql(&url, "INSERT INTO kept VALUES ('acknowledged')");

    postgres.kill();
    assert!(TcpStream::connect(postgres.address()).is_err());
    postgres.restart().unwrap();

    assert_eq!(psql(&url, "SELECT word FROM kept"), "acknowledged");
}

#[test]
fn postgres_is_utf_8_and_has_200_connections() {
    let postgres = Postgres::start().unwrap();

    let url = postgres.new_database().unwrap();

    assert_eq!(psql(&url, "SHOW server_encoding"), "UTF8");
    assert_eq!(psql(&url, "SHOW lc_collate"), "C.UTF-8");
    assert_eq!(psql(&url, "SHOW max_connections"), "200");
}

#[test]
fn a_database_of_postgres_can_be_copied() {
    let postgres = Postgres::start().unwrap();
    let template = postgres.new_database().unwrap();
    psql(&template, "CREATE TABLE kept AS SELECT 'copied' AS word");
    let name = template.rsplit('/').next().unwrap();

    let copy = postgres.database_from(name).unwrap();

    assert_ne!(copy, template);
    assert_eq!(psql(&copy, "SELECT word FROM kept"), "copied");
}

#[test]
fn a_statement_that_postgres_refuses_is_an_error_in_its_words() {
    let postgres = Postgres::start().unwrap();

    let error = postgres.database_from("nowhere").unwrap_err();

    assert!(
        error
            .to_string()
            .contains("template database \"nowhere\" does not exist"),
        "{error}"
    );
}

#[test]
fn a_dropped_postgres_is_gone_with_its_directory() {
    let postgres = Postgres::start().unwrap();
    let directory = psql(&postgres.url(), "SHOW data_directory");
    assert!(!processes_of(&directory).is_empty());

    drop(postgres);

    assert_eq!(processes_of(&directory), Vec::<String>::new());
    assert!(!Path::new(&directory).parent().unwrap().exists());
}

#[test]
fn a_stopped_postgres_starts_again() {
    let postgres = Postgres::start().unwrap();
    postgres.stop().unwrap();
    assert!(TcpStream::connect(postgres.address()).is_err());

    postgres.restart().unwrap();

    assert_eq!(psql(&postgres.url(), "SELECT 1"), "1");
}

#[test]
fn mariadb_keeps_over_a_kill_what_it_acknowledged() {
    let mariadb = MariaDb::start().unwrap();
    let url = mariadb.new_database().unwrap();
    let database = url.rsplit('/').next().unwrap();
    mariadb
        .execute(&format!("CREATE TABLE {database}.kept (word text)"))
        .unwrap();
    mariadb
        .execute(&format!(
            "INSERT INTO {database}.kept VALUES ('acknowledged')"
        ))
        .unwrap();

    mariadb.kill();
    assert!(TcpStream::connect(mariadb.address()).is_err());
    mariadb.restart().unwrap();

    let query = format!("SELECT word FROM {database}.kept");
    assert_eq!(client_of(&mariadb, &query), "acknowledged");
}

#[test]
fn mariadb_is_utf8mb4_with_its_default_collation() {
    let mariadb = MariaDb::start().unwrap();

    let settings = client_of(
        &mariadb,
        "SELECT @@character_set_database, @@max_connections",
    );
    let collation = client_of(&mariadb, "SELECT @@collation_database");
    let default = "SELECT collation_name FROM information_schema.collations
                   WHERE character_set_name = 'utf8mb4' AND is_default = 'Yes'";

    assert_eq!(settings, "utf8mb4\t200");
    assert_eq!(collation, client_of(&mariadb, default));
}

#[test]
fn a_dropped_mariadb_is_gone_with_its_directory() {
    let mariadb = MariaDb::start().unwrap();
    let directory = client_of(&mariadb, "SELECT @@datadir");
    let directory = directory.trim_end_matches('/');
    assert!(!processes_of(directory).is_empty());

    drop(mariadb);

    assert_eq!(processes_of(directory), Vec::<String>::new());
    assert!(!Path::new(directory).parent().unwrap().exists());
}

#[test]
fn a_durable_redis_keeps_over_a_kill_what_it_acknowledged() {
    let redis = Redis::durable().unwrap();
    assert_eq!(ask(redis.address(), "SET kept acknowledged\r\n"), "+OK\r\n");

    redis.kill();
    assert!(TcpStream::connect(redis.address()).is_err());
    redis.restart().unwrap();

    assert_eq!(
        ask(redis.address(), "GET kept\r\n"),
        "$12\r\nacknowledged\r\n"
    );
}

#[test]
fn a_plain_redis_has_forgotten_everything_after_a_kill() {
    let redis = Redis::start().unwrap();
    assert_eq!(ask(redis.address(), "SET kept no\r\n"), "+OK\r\n");

    redis.kill();
    redis.restart().unwrap();

    assert_eq!(ask(redis.address(), "GET kept\r\n"), "$-1\r\n");
}

#[test]
fn a_dropped_redis_is_gone_with_its_directory() {
    let redis = Redis::start().unwrap();
    let answer = ask(redis.address(), "CONFIG GET dir\r\n");
    let directory = answer.lines().last().unwrap();
    assert!(Path::new(directory).exists());

    let address = redis.address();
    drop(redis);

    assert!(TcpStream::connect(address).is_err());
    assert!(!Path::new(directory).exists());
}

#[test]
fn memcached_answers_again_after_a_kill() {
    let memcached = Memcached::start().unwrap();
    assert!(ask(memcached.address(), "version\r\n").starts_with("VERSION"));

    memcached.kill();
    assert!(TcpStream::connect(memcached.address()).is_err());
    memcached.restart().unwrap();

    assert!(ask(memcached.address(), "version\r\n").starts_with("VERSION"));
}

#[test]
fn a_dropped_memcached_is_gone() {
    let memcached = Memcached::start().unwrap();
    let address = memcached.address();

    drop(memcached);

    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let redis = thread::spawn(|| Redis::start().unwrap()).join().unwrap();

    // The end of a thread is known to the kernel a moment after `join`.
    for _ in 0..20 {
        assert_eq!(ask(redis.address(), "PING\r\n"), "+PONG\r\n");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_servers_of_a_shell_live_until_its_pipe_is_closed() {
    let mut program = Shell::start(&["redis", "memcached", "redis"]);
    let urls: Vec<String> = program
        .lines
        .by_ref()
        .take_while(|line| line != "ready")
        .collect();
    let address = |name: &str| -> SocketAddr {
        let mut urls = urls.iter().filter_map(|line| line.strip_prefix(name));
        urls.next().unwrap().trim_end_matches("/0").parse().unwrap()
    };
    let first = address("REDIS_URL=redis://");
    let second = address("REDIS_2_URL=redis://");
    assert_eq!(ask(first, "PING\r\n"), "+PONG\r\n");
    assert_eq!(ask(second, "PING\r\n"), "+PONG\r\n");
    assert!(ask(address("MEMCACHED_URL=memcached://"), "version\r\n").starts_with("VERSION"));

    drop(program.process.stdin.take());

    assert!(program.process.wait().unwrap().success());
    assert!(TcpStream::connect(first).is_err());
    assert!(TcpStream::connect(second).is_err());
}

#[test]
fn servers_and_directories_are_gone_after_the_program_that_started_them_was_killed() {
    let mut program = Shell::start(&["postgres"]);
    let line = program.lines.next().unwrap();
    let url = line.strip_prefix("POSTGRES_URL=").unwrap();
    let directory = psql(url, "SHOW data_directory");
    assert!(!processes_of(&directory).is_empty());

    program.process.kill().unwrap();
    program.process.wait().unwrap();

    let deadline = Instant::now() + Duration::from_secs(20);
    while !processes_of(&directory).is_empty() || Path::new(&directory).parent().unwrap().exists() {
        assert!(Instant::now() < deadline, "there is still {directory}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_shell_that_asks_for_an_unknown_server_is_told_which_there_are() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_quintette-servers"));

    let output = program.arg("oracle").output().unwrap();

    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("no server `oracle`; there are postgres, mariadb, redis"),
        "{text}"
    );
}

#[test]
fn a_cluster_serves_all_keys_from_three_masters() {
    let cluster = RedisCluster::start().unwrap();

    let masters: BTreeSet<usize> = (0..100)
        .map(|number| cluster.master_of(&format!("key {number}")).unwrap())
        .collect();

    assert_eq!(masters, BTreeSet::from([0, 1, 2]));
    let address = cluster.addresses()[cluster.master_of("kept").unwrap()];
    assert_eq!(ask(address, "SET kept here\r\n"), "+OK\r\n");
}

#[test]
fn a_node_of_a_cluster_keeps_over_a_kill_what_it_acknowledged() {
    let cluster = RedisCluster::start().unwrap();
    let node = cluster.master_of("kept").unwrap();
    let address = cluster.addresses()[node];
    assert_eq!(ask(address, "SET kept acknowledged\r\n"), "+OK\r\n");

    cluster.kill_node(node);
    assert!(TcpStream::connect(address).is_err());
    cluster.restart_node(node).unwrap();
    cluster.wait_until_whole().unwrap();

    assert_eq!(ask(address, "GET kept\r\n"), "$12\r\nacknowledged\r\n");
}

#[test]
fn a_replica_takes_over_from_a_killed_node_which_then_follows_it() {
    let cluster = RedisCluster::with_replicas().unwrap();

    let killed = cluster.kill_master_of("kept").unwrap();
    cluster.wait_until_whole().unwrap();

    let promoted = cluster.master_of("kept").unwrap();
    assert_eq!(promoted, killed + 3);
    let address = cluster.addresses()[promoted];
    assert_eq!(ask(address, "SET kept here\r\n"), "+OK\r\n");
    cluster.restart_node(killed).unwrap();
    cluster.wait_until_whole().unwrap();
    assert_eq!(cluster.master_of("kept").unwrap(), promoted);
}

#[test]
fn sentinels_promote_a_replica_which_the_killed_master_then_follows() {
    let redis = RedisSentinel::start().unwrap();
    let master = SocketAddr::from(([127, 0, 0, 1], redis.master_port().unwrap()));
    // Acknowledged by the replica too.
    let request = "SET kept replicated\r\nWAIT 1 10000\r\n";
    assert_eq!(ask_until(master, request, ":1\r\n"), "+OK\r\n:1\r\n");

    let killed = redis.kill_master().unwrap();
    let promoted = redis.wait_for_failover(killed).unwrap();

    assert_eq!(killed, master.port());
    assert_ne!(promoted, killed);
    let promoted = SocketAddr::from(([127, 0, 0, 1], promoted));
    assert_eq!(ask(promoted, "GET kept\r\n"), "$10\r\nreplicated\r\n");
    redis.restart_killed().unwrap();
    redis.wait_until_whole().unwrap();
    let master = SocketAddr::from(([127, 0, 0, 1], redis.master_port().unwrap()));
    assert_eq!(ask(master, "GET kept\r\n"), "$10\r\nreplicated\r\n");
}

/// The program for a shell, and what it prints.
struct Shell {
    process: Child,
    lines: Box<dyn Iterator<Item = String>>,
}

impl Shell {
    fn start(servers: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_quintette-servers"))
            .args(servers)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let lines = Box::new(output.lines().map(Result::unwrap));
        Self { process, lines }
    }
}

/// What requests are answered with up to what ends it.
fn ask_until(address: SocketAddr, requests: &str, end: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(requests.as_bytes()).unwrap();
    let mut answer = String::new();
    while !answer.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(char::from(byte[0]));
    }
    answer
}

/// What one request is answered with, as far as one read brings it.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = [0; 1024];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn psql(url: &str, statement: &str) -> String {
    output(Command::new("psql").args([url, "-XAtc", statement]))
}

fn client_of(mariadb: &MariaDb, statement: &str) -> String {
    let port = mariadb.port().to_string();
    let login = ["--no-defaults", "-h127.0.0.1", "-uroot", "-P", &port, "-BN"];
    output(
        Command::new("mariadb")
            .args(login)
            .args(["-e", statement, "quintette"]),
    )
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
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
