//! Private servers for tests, and a proxy that breaks the connections to them. For Linux.
//!
//! | | needs (Debian) | its [`url`](Postgres::url) | after [`kill`](Postgres::kill) and [`restart`](Postgres::restart) |
//! | --- | --- | --- | --- |
//! | [`Postgres`] | `postgresql` | `postgres://postgres@127.0.0.1:PORT/postgres` | all that it acknowledged |
//! | [`MariaDb`] | `mariadb-server` | `mysql://root@127.0.0.1:PORT/quintette` | all that it acknowledged |
//! | [`Redis::start`] | `redis-server` | `redis://127.0.0.1:PORT/0` | nothing |
//! | [`Redis::durable`] | `redis-server` | `redis://127.0.0.1:PORT/0` | all that it acknowledged |
//! | [`RedisCluster`] | `redis-server` | `redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT,…` | all, unless a replica has taken over |
//! | [`RedisSentinel`] | `redis-server` | `redis+sentinel://127.0.0.1:PORT,…/mymaster/0` | all, unless a replica has taken over |
//! | [`Memcached`] | `memcached` | `memcached://127.0.0.1:PORT` | nothing |
//! | [`RabbitMq`] | `rabbitmq-server` | `amqp://guest:guest@127.0.0.1:PORT//` | durable queues with all that it confirmed |
//!
//! Each is the test's own: a new temporary directory (below `TMPDIR`), a port of 127.0.0.1 that no other test process takes,
//! even while the server is down, no password, and settings for speed. They flush nothing to the disk, but for RabbitMQ: what they acknowledged
//! is in the kernel's hands, which is enough for a server that is killed, though not for a machine that loses its power.
//!
//! Dropped, a server is gone: its processes and its data. So it is, within a second, when the process that started it ends
//! without dropping it, by `exit` or by SIGKILL.
//!
//! The functions block their thread. From asynchronous code, start servers before the runtime, or in
//! `tokio::task::spawn_blocking`; several at once in scoped threads:
//!
//! ```no_run
//! use std::thread;
//! use std::time::Duration;
//!
//! use quintette_testkit::servers::{Postgres, Proxy, Redis, ServerError};
//!
//! let (postgres, redis) = thread::scope(|scope| {
//!     let postgres = scope.spawn(Postgres::start);
//!     let redis = Redis::durable();
//!     (postgres.join().expect("starting does not panic"), redis)
//! });
//! let (postgres, redis) = (postgres?, redis?);
//! println!("{} {}", postgres.new_database()?, redis.url());
//!
//! let proxy = Proxy::before(redis.address()).expect("there is a free port");
//! proxy.delay(Duration::from_millis(50)); // a Redis that is far away, at `proxy.address()`
//! postgres.kill(); // and a PostgreSQL that has crashed
//! # Ok::<(), ServerError>(())
//! ```
//!
//! The binary `quintette-servers` does the same for a shell and for tests in other languages: see its `--help`.

mod cluster;
mod error;
mod mariadb;
mod memcached;
mod place;
mod postgres;
mod process;
mod proxy;
mod rabbitmq;
mod redis;
mod resp;
mod sentinel;
mod server;

pub use cluster::RedisCluster;
pub use error::ServerError;
pub use mariadb::MariaDb;
pub use memcached::Memcached;
pub use postgres::Postgres;
pub use proxy::Proxy;
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use sentinel::RedisSentinel;
