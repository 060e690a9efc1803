//! Where Redis is: `broker_url` and `result_backend`.

use std::borrow::Cow;
use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::failure::Failure;

const SENTINEL_PORT: u16 = 26379;

const ADVICE: &str = "write redis://user:password@host:6379/0, rediss://…, redis+socket:///run/redis.sock?db=0, \
                      redis+cluster://host:6379,host:6379 or redis+sentinel://host:26379,host:26379/mymaster/0";

/// Where the data is.
#[derive(Clone)]
pub(crate) enum Place {
    /// On one server.
    Server(ConnectionInfo),
    /// On the nodes of a cluster, of which these are some.
    Cluster(Vec<ConnectionInfo>),
    /// On the master that these Sentinels name.
    Master(Sentinels),
}

/// The Sentinels that watch over a master, of which each knows where it is.
#[derive(Clone)]
pub(crate) struct Sentinels {
    pub(super) addresses: Vec<ConnectionInfo>,
    /// The name under which they know the master.
    pub(super) name: String,
    /// How to log in at the master, whatever its address is.
    pub(super) login: ConnectionInfo,
}

impl Place {
    /// What a URL says. The error does not repeat it.
    pub(crate) fn parse(url: &str) -> Result<Self, Failure> {
        Self::read(url).map_err(Failure::configuration)
    }

    fn read(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(ADVICE)?;
        let (plain, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        match (plain, kind) {
            ("redis" | "rediss", "") => server(url).map(Self::Server),
            ("redis", "socket" | "unix") | ("unix" | "socket", "") => {
                let path = rest.replace("virtual_host=", "db=");
                server(&format!("unix://{path}")).map(Self::Server)
            }
            ("redis" | "rediss", "cluster") => cluster(plain, rest),
            ("redis" | "rediss", "sentinel") => master(plain, rest),
            _ => Err(ADVICE.to_owned()),
        }
    }

    /// The number of the database, which the names of channels begin with.
    pub(crate) fn db(&self) -> i64 {
        self.login().redis_settings().db()
    }

    /// The host and the port that it begins with; a socket has its path alone.
    pub(crate) fn host(&self) -> (String, Option<u16>) {
        let first = match self {
            Self::Master(sentinels) => &sentinels.addresses[0],
            _ => self.login(),
        };
        match address_of(first) {
            Some((host, port)) => (host, Some(port)),
            None => (first.addr().to_string(), None),
        }
    }

    pub(crate) fn user(&self) -> Option<String> {
        let user = self.login().redis_settings().username();
        user.map(str::to_owned)
    }

    fn login(&self) -> &ConnectionInfo {
        match self {
            Self::Server(server) => server,
            Self::Cluster(seeds) => &seeds[0],
            Self::Master(sentinels) => &sentinels.login,
        }
    }

    /// Whether all keys of a message or a result must be on one node, which a hash tag in their prefix sees to.
    ///
    /// # Errors
    ///
    /// Where it has none.
    pub(crate) fn check_prefix(&self, setting: &str, prefix: &str) -> Result<(), Failure> {
        let tag = prefix
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        match (self, tag) {
            (Self::Cluster(_), None | Some(("", _))) => Err(Failure::configuration(format!(
                "{setting}: on a Redis Cluster it must hold a hash tag, such as \"{{celery}}\", so that all keys are on one node"
            ))),
            _ => Ok(()),
        }
    }
}

/// Where a server is, without how to log in.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |servers: &[ConnectionInfo]| {
            let servers: Vec<_> = servers
                .iter()
                .map(|server| server.addr().to_string())
                .collect();
            servers.join(",")
        };
        match self {
            Self::Server(server) => write!(f, "{}", server.addr()),
            Self::Cluster(seeds) => write!(f, "cluster of {}", list(seeds)),
            Self::Master(sentinels) => {
                write!(f, "{:?} of {}", sentinels.name, list(&sentinels.addresses))
            }
        }
    }
}

fn cluster(plain: &str, rest: &str) -> Result<Place, String> {
    let (login, hosts, tail) = split(rest);
    let seeds: Result<Vec<_>, _> = hosts
        .map(|host| server(&format!("{plain}://{login}{host}{tail}")))
        .collect();
    let seeds = seeds?;
    if seeds.is_empty() {
        return Err("name a node of the cluster: redis+cluster://host:6379,host:6379".to_owned());
    }
    if seeds.iter().any(|seed| seed.redis_settings().db() != 0) {
        return Err("a Redis Cluster has the database 0 alone".to_owned());
    }
    Ok(Place::Cluster(seeds))
}

fn master(plain: &str, rest: &str) -> Result<Place, String> {
    let (login, hosts, tail) = split(rest);
    let (path, query) = tail.split_at(tail.find('?').unwrap_or(tail.len()));
    let path = path.trim_matches('/');
    let (name, db) = path.split_once('/').unwrap_or((path, ""));
    let addresses: Result<Vec<_>, _> = hosts
        .map(|host| {
            let port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
            let port = if port {
                String::new()
            } else {
                format!(":{SENTINEL_PORT}")
            };
            server(&format!("{plain}://{host}{port}"))
        })
        .collect();
    let addresses = addresses?;
    if name.is_empty() || addresses.is_empty() {
        return Err("write redis+sentinel://host:26379,host:26379/mymaster/0".to_owned());
    }
    Ok(Place::Master(Sentinels {
        addresses,
        name: name.to_owned(),
        login: server(&format!("{plain}://{login}master/{db}{query}"))?,
    }))
}

/// `login@`, the hosts, and what follows them.
fn split(rest: &str) -> (String, impl Iterator<Item = &str>, &str) {
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    let hosts = hosts.split(',').map(str::trim);
    (login, hosts.filter(|host| !host.is_empty()), tail)
}

/// One server's URL; without a host, as kombu reads it, that of this machine.
fn server(url: &str) -> Result<ConnectionInfo, String> {
    let (scheme, rest) = url.split_once("://").ok_or(ADVICE)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let url = if scheme != "unix" && (authority.is_empty() || authority.ends_with('@')) {
        let tail = &rest[authority.len()..];
        Cow::Owned(format!("{scheme}://{authority}127.0.0.1{tail}"))
    } else {
        Cow::Borrowed(url)
    };
    url.as_ref().into_connection_info().map_err(|error| {
        if url.starts_with("rediss") && error.to_string().contains("TLS") {
            "TLS is not compiled in: let your Cargo.toml depend on redis with the feature \"tokio-rustls-comp\" or \
             \"tokio-native-tls-comp\""
                .to_owned()
        } else {
            format!("{error}; {ADVICE}")
        }
    })
}

/// The same server at another address: as it is named elsewhere, and with the same TLS.
pub(super) fn at(server: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let address = match server.addr().clone() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure,
            tls_params,
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    server.clone().set_addr(address)
}

/// Its host and port; a socket's path has none.
pub(super) fn address_of(server: &ConnectionInfo) -> Option<(String, u16)> {
    match server.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some((host.clone(), *port))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_redis_is() {
        for (url, expected) in [
            ("redis://127.0.0.1:6379/0", "127.0.0.1:6379"),
            ("redis://", "127.0.0.1:6379"),
            ("redis:///3", "127.0.0.1:6379"),
            ("redis://:secret@/3", "127.0.0.1:6379"),
            (
                "redis+socket:///run/redis.sock?virtual_host=2",
                "/run/redis.sock",
            ),
            ("redis+cluster://a,b:1", "cluster of a:6379,b:1"),
            (
                "redis+sentinel://:secret@a,b:1/main/2",
                "\"main\" of a:26379,b:1",
            ),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!(format!("{place:?}"), expected, "{url}");
        }
        let db = |url| Place::parse(url).unwrap().db();
        assert_eq!(db("redis+socket:///run/redis.sock?virtual_host=2"), 2);
        assert_eq!(db("redis+sentinel://a/main/2"), 2);
        for url in [
            "redis",
            "http://a",
            "redis+cluster://",
            "redis+sentinel://a",
            "redis+cluster://a/1",
        ] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
    }
}
