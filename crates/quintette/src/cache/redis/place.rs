//! Where the data is: `CACHE_URL` and `LOCATION`.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::sentinel::Sentinels;

/// A host and a port.
pub(super) type Address = (String, u16);

const SENTINEL_PORT: u16 = 26379;

const ADVICE: &str = "write redis://user:password@host:6379/0, rediss://…, unix:///run/redis.sock?db=0, \
                      redis+cluster://host:6379,host:6379 or redis+sentinel://host:26379,host:26379/mymaster/0";

/// Where the data is.
#[derive(Clone)]
pub(super) enum Place {
    /// On one server.
    Server(ConnectionInfo),
    /// On the nodes of a cluster, of which these are some.
    Cluster(Vec<ConnectionInfo>),
    /// On the master that these Sentinels name.
    Master(Sentinels),
}

impl Place {
    /// What a URL says. The error does not repeat it.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(ADVICE)?;
        let Some((plain @ ("redis" | "rediss"), kind @ ("cluster" | "sentinel"))) =
            scheme.split_once('+')
        else {
            return server(url).map(Self::Server);
        };
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (format!("{login}@"), hosts),
            None => (String::new(), authority),
        };
        let hosts = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty());
        if kind == "cluster" {
            let seeds: Result<_, _> = hosts
                .map(|host| server(&format!("{plain}://{login}{host}{tail}")))
                .collect();
            return Self::cluster(seeds?)?.checked();
        }
        let (path, query) = tail.split_at(tail.find('?').unwrap_or(tail.len()));
        let (name, db) = match path.trim_matches('/').split_once('/') {
            Some((name, db)) => (name, db),
            None => (path.trim_matches('/'), ""),
        };
        let sentinels: Result<Vec<_>, _> = hosts
            .map(|host| {
                let has_port = host
                    .rsplit(']')
                    .next()
                    .is_some_and(|rest| rest.contains(':'));
                let port = if has_port {
                    String::new()
                } else {
                    format!(":{SENTINEL_PORT}")
                };
                server(&format!("{plain}://{host}{port}"))
            })
            .collect();
        let sentinels = sentinels?;
        if name.is_empty() || sentinels.is_empty() {
            return Err("write redis+sentinel://host:26379,host:26379/mymaster/0".to_owned());
        }
        Ok(Self::Master(Sentinels {
            addresses: sentinels,
            name: name.to_owned(),
            login: server(&format!("{plain}://{login}master/{db}{query}"))?,
        }))
    }

    /// On the cluster of which these are nodes.
    pub(super) fn cluster(seeds: Vec<ConnectionInfo>) -> Result<Self, String> {
        if seeds.is_empty() {
            return Err(
                "name a node of the cluster: redis+cluster://host:6379,host:6379".to_owned(),
            );
        }
        Ok(Self::Cluster(seeds))
    }

    /// The same with another way to log in.
    pub(super) fn map(self, login: impl Fn(ConnectionInfo) -> ConnectionInfo) -> Self {
        match self {
            Self::Server(server) => Self::Server(login(server)),
            Self::Cluster(seeds) => Self::Cluster(seeds.into_iter().map(login).collect()),
            Self::Master(sentinels) => Self::Master(Sentinels {
                login: login(sentinels.login),
                ..sentinels
            }),
        }
    }

    /// A cluster has one database.
    pub(super) fn checked(self) -> Result<Self, String> {
        match &self {
            Self::Cluster(seeds) if seeds.iter().any(|seed| seed.redis_settings().db() != 0) => {
                Err("a Redis Cluster has the database 0 alone".to_owned())
            }
            Self::Cluster(seeds)
                if seeds
                    .iter()
                    .any(|seed| matches!(seed.addr(), ConnectionAddr::Unix(_))) =>
            {
                Err("a Redis Cluster is reached by host and port".to_owned())
            }
            _ => Ok(self),
        }
    }
}

/// Where a server is, without how to log in.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// One server's URL, as redis-py reads it.
pub(super) fn server(url: &str) -> Result<ConnectionInfo, String> {
    let (scheme, rest) = url.split_once("://").ok_or(ADVICE)?;
    if let ("unix" | "redis+unix", Some((login, path))) = (scheme, userinfo(rest)) {
        // A URL without a host has no room for these.
        let login = server(&format!("redis://{login}@localhost"))?;
        let server = server(&format!("unix://{path}"))?;
        let db = server.redis_settings().db();
        return Ok(server.set_redis_settings(login.redis_settings().clone().set_db(db)));
    }
    let server = url.into_connection_info().map_err(|error| {
        let tls = matches!(scheme, "rediss") && error.to_string().contains("TLS");
        if tls {
            "TLS is not compiled in: let your Cargo.toml depend on redis with the feature \"tokio-rustls-comp\" or \
             \"tokio-native-tls-comp\""
                .to_owned()
        } else {
            format!("{error}; {ADVICE}")
        }
    })?;
    let mut settings = server.redis_settings().clone();
    let url = redis::parse_redis_url(url).ok_or(ADVICE)?;
    for (key, value) in url.query_pairs() {
        match &*key {
            "db" => settings = settings.set_db(value.parse().map_err(|_| ADVICE)?),
            "username" => settings = settings.set_username(value),
            "password" => settings = settings.set_password(value),
            _ => {}
        }
    }
    Ok(server.set_redis_settings(settings))
}

fn userinfo(rest: &str) -> Option<(&str, &str)> {
    let (authority, _) = rest.split_at(rest.find('/')?);
    let login = authority.strip_suffix('@')?;
    Some((login, &rest[authority.len()..]))
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
pub(super) fn address_of(server: &ConnectionInfo) -> Address {
    match server.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            (host.clone(), *port)
        }
        _ => (String::new(), 0),
    }
}
