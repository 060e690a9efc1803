//! Private servers for a shell: see `quintette-servers --help`.

use std::any::Any;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread::{self, ScopedJoinHandle};

use quintette_testkit::servers::{
    MariaDb, Memcached, Postgres, RabbitMq, Redis, RedisCluster, RedisSentinel, ServerError,
};

const HELP: &str = "\
Starts private servers on free ports of 127.0.0.1, each over a new temporary directory.

Usage: quintette-servers [SERVER]...

Servers (all of them when none is named; one named twice is started twice):
  postgres        POSTGRES_URL=postgres://postgres@127.0.0.1:PORT/postgres
  mariadb         MARIADB_URL=mysql://root@127.0.0.1:PORT/quintette
  redis           REDIS_URL=redis://127.0.0.1:PORT/0, with an append-only file
  redis-cluster   REDIS_CLUSTER_URL=redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT
  redis-sentinel  REDIS_SENTINEL_URL=redis+sentinel://127.0.0.1:PORT,…/mymaster/0: a master,
                  a replica, and the three Sentinels at these ports
  memcached       MEMCACHED_URL=memcached://127.0.0.1:PORT
  rabbitmq        RABBITMQ_URL=amqp://guest:guest@127.0.0.1:PORT//

Prints those lines, then `ready`, and lives until its standard input ends or it is
interrupted. Then the servers are gone, and their data with them.

To try a server by hand:
  quintette-servers postgres redis
From a program: give it a pipe as standard input, read up to `ready`, and close the
pipe at the end; it is closed too when the program dies.
";

/// A running server, kept until it is dropped, and its URL.
type Started = Result<(String, Box<dyn Any + Send>), ServerError>;

/// A name on the command line, the variable, and how it starts.
type Kind = (&'static str, &'static str, fn() -> Started);

const KINDS: [Kind; 7] = [
    ("postgres", "POSTGRES", || {
        Postgres::start().map(|it| (it.url(), Box::new(it) as _))
    }),
    ("mariadb", "MARIADB", || {
        MariaDb::start().map(|it| (it.url(), Box::new(it) as _))
    }),
    ("redis", "REDIS", || {
        Redis::durable().map(|it| (it.url(), Box::new(it) as _))
    }),
    ("redis-cluster", "REDIS_CLUSTER", || {
        RedisCluster::start().map(|it| (it.url(), Box::new(it) as _))
    }),
    ("redis-sentinel", "REDIS_SENTINEL", || {
        RedisSentinel::start().map(|it| (it.url(), Box::new(it) as _))
    }),
    ("memcached", "MEMCACHED", || {
        Memcached::start().map(|it| (it.url(), Box::new(it) as _))
    }),
    ("rabbitmq", "RABBITMQ", || {
        RabbitMq::start().map(|it| (it.url(), Box::new(it) as _))
    }),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .iter()
        .any(|argument| argument == "--help" || argument == "-h")
    {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match chosen(&arguments).and_then(|kinds| serve(&kinds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("quintette-servers: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn chosen(names: &[String]) -> Result<Vec<Kind>, String> {
    if names.is_empty() {
        return Ok(KINDS.to_vec());
    }
    let known = |name: &String| {
        let kind = KINDS.iter().find(|(known, ..)| known == name).copied();
        kind.ok_or_else(|| {
            let known = KINDS.map(|(known, ..)| known).join(", ");
            format!("there is no server `{name}`; there are {known}")
        })
    };
    names.iter().map(known).collect()
}

fn serve(kinds: &[Kind]) -> Result<(), String> {
    let started: Vec<Started> = thread::scope(|scope| {
        let start = |(.., start): &Kind| scope.spawn(*start);
        let starting: Vec<_> = kinds.iter().map(start).collect();
        let started = starting.into_iter().map(ScopedJoinHandle::join);
        started
            .map(|it| it.expect("a start returns its problem"))
            .collect()
    });
    let problems = started.iter().filter_map(|it| it.as_ref().err());
    let problems: Vec<String> = problems.map(ToString::to_string).collect();
    if !problems.is_empty() {
        return Err(problems.join("\nquintette-servers: "));
    }
    let started: Vec<_> = started.into_iter().flatten().collect();
    for (position, ((url, _), (name, variable, _))) in started.iter().zip(kinds).enumerate() {
        let before = kinds[..position]
            .iter()
            .filter(|(other, ..)| other == name)
            .count();
        match before {
            0 => println!("{variable}_URL={url}"),
            _ => println!("{variable}_{}_URL={url}", before + 1),
        }
    }
    println!("ready");
    io::stdout().flush().map_err(|error| error.to_string())?;
    // Interrupted in here, the process ends by its signal: the servers and their directories follow it by themselves.
    io::copy(&mut io::stdin(), &mut io::sink()).map_err(|error| error.to_string())?;
    Ok(())
}
