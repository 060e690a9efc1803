use std::fmt;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

use crate::brokers::{BrokerError, BrokerErrorKind};

/// Seconds between two heartbeats. A connection that is silent for twice as long is dead. Celery asks for 120, which leaves a worker
/// that a network has forgotten idle for four minutes.
const HEARTBEAT: u16 = 10;

/// RabbitMQ's own largest frame, and py-amqp's. Asked for, it saves 14 MB of each process: lapin's buffers for 32 frames are else first made
/// small, and filled with zeros when the server's answer makes them grow.
const FRAME_MAX: u32 = 131_072;

/// One server of a `broker_url`. Its password is in neither `Debug` nor `Display`.
#[derive(Clone)]
pub(super) struct Server(AMQPUri);

impl Server {
    /// The servers of a URL, with `;` between them: all of one cluster, of which one is used at a time.
    pub(super) fn parse_all(urls: &str) -> Result<Vec<Self>, BrokerError> {
        let urls = urls.split(';').map(str::trim).filter(|url| !url.is_empty());
        let servers = urls.map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(invalid("it names no server"));
        }
        Ok(servers)
    }

    fn parse(url: &str) -> Result<Self, BrokerError> {
        let rest = match url.split_once("://") {
            Some(("amqp" | "pyamqp" | "librabbitmq", rest)) => rest,
            Some(("amqps", _)) => {
                return Err(invalid("TLS (amqps://) is not built in; write amqp://"));
            }
            Some(_) => return Err(invalid("all servers of it must be amqp://")),
            None => url,
        };
        // The last @: a password that was not escaped may hold one, and a slash or a question mark, too.
        let (user, rest) = rest
            .rsplit_once('@')
            .map_or((None, rest), |(user, rest)| (Some(user), rest));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, vhost) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = host_and_port(place)?;
        let (username, password) = match user {
            Some(user) => user.split_once(':').unwrap_or((user, "guest")),
            None => ("guest", "guest"),
        };
        Ok(Self(AMQPUri {
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: decode("user", username)?,
                    password: decode("password", password)?,
                },
                host,
                port,
            },
            vhost: match decode("virtual host", vhost)? {
                vhost if vhost.is_empty() => "/".to_owned(),
                vhost => vhost,
            },
            query: AMQPQueryString {
                heartbeat: Some(heartbeat(query)?),
                frame_max: Some(FRAME_MAX),
                ..AMQPQueryString::default()
            },
        }))
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }

    pub(super) fn host(&self) -> &str {
        &self.0.authority.host
    }

    pub(super) fn port(&self) -> u16 {
        self.0.authority.port
    }

    pub(super) fn user(&self) -> &str {
        &self.0.authority.userinfo.username
    }

    pub(super) fn vhost(&self) -> &str {
        &self.0.vhost
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RabbitMQ at {}:{}", self.host(), self.port())?;
        match self.vhost() {
            "/" => Ok(()),
            vhost => write!(f, ", virtual host {vhost:?}"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn host_and_port(place: &str) -> Result<(String, u16), BrokerError> {
    let (host, port) = match place.rsplit_once(':') {
        // The colons of an IPv6 address are between brackets.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (place, ""),
    };
    let port = match port {
        "" => 5672,
        port => port
            .parse()
            .map_err(|_| invalid("the port is no number from 1 to 65535"))?,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((
        match host {
            "" => "localhost".to_owned(),
            host => decode("host", host)?,
        },
        port,
    ))
}

fn heartbeat(query: &str) -> Result<u16, BrokerError> {
    let mut options = query.split('&').filter_map(|option| option.split_once('='));
    match options.find(|(name, _)| *name == "heartbeat") {
        // 0 would switch it off: a connection that hangs would never be noticed.
        Some((_, seconds)) => seconds
            .parse()
            .ok()
            .filter(|seconds| *seconds > 0)
            .ok_or_else(|| invalid("heartbeat is no number of seconds from 1 to 65535")),
        None => Ok(HEARTBEAT),
    }
}

fn decode(part: &str, text: &str) -> Result<String, BrokerError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        // As Python's unquote: what is no escape stays as it is.
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid(&format!("the {part} is not UTF-8")))
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

fn invalid(what: &str) -> BrokerError {
    BrokerError::new(
        BrokerErrorKind::Configuration,
        format!(
            "broker_url: {what}; it is amqp://USER:PASSWORD@HOST:PORT/VHOST, with ; between servers"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(url: &str) -> Server {
        Server::parse_all(url).unwrap().remove(0)
    }

    #[test]
    fn what_a_url_leaves_out_is_as_celery_has_it() {
        for url in [
            "amqp://",
            "amqp://localhost",
            "amqp://localhost//",
            "pyamqp://guest@localhost:5672/%2f",
        ] {
            let server = one(url);
            assert_eq!(server.host(), "localhost");
            assert_eq!(
                (server.port(), server.user(), server.vhost()),
                (5672, "guest", "/")
            );
            assert_eq!(server.uri().authority.userinfo.password, "guest");
        }
        assert_eq!(one("amqp://h/shop").vhost(), "shop");
        assert_eq!(one("amqp://[::1]:5673/").host(), "::1");
    }

    #[test]
    fn escapes_are_decoded_and_the_password_is_never_shown() {
        let server = one("amqp://us%40er:s%2Fe/c?r@et@rabbit:1234/a%20b?heartbeat=30");
        assert_eq!(server.user(), "us@er");
        assert_eq!(server.uri().authority.userinfo.password, "s/e/c?r@et");
        assert_eq!((server.host(), server.vhost()), ("rabbit", "a b"));
        assert_eq!(server.uri().query.heartbeat, Some(30));
        assert_eq!(format!("{server:?} {server}").matches("s/e").count(), 0);
    }

    #[test]
    fn servers_are_divided_by_semicolons() {
        let servers = Server::parse_all("amqp://a:x@one//;amqp://two;three:99").unwrap();
        let hosts: Vec<_> = servers.iter().map(Server::host).collect();
        assert_eq!(hosts, ["one", "two", "three"]);
        assert_eq!(servers[2].port(), 99);
    }

    #[test]
    fn a_url_that_makes_no_sense_is_refused_without_its_password() {
        for url in [
            "",
            ";",
            "amqps://h",
            "redis://h",
            "amqp://u:hidden@h:port/",
            "amqp://h/%ff",
            "amqp://h/?heartbeat=0",
        ] {
            let error = Server::parse_all(url).unwrap_err();
            assert_eq!(error.kind(), BrokerErrorKind::Configuration, "{url}");
            assert!(!error.to_string().contains("hidden"));
        }
    }
}
