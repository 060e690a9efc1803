//! The servers of `LOCATION` and what `OPTIONS` says about them.

use std::fmt;

use quintette_core::settings::{CacheSettings, MemcachedClient};

use super::placement::Placement;

/// Memcached's port.
const PORT: u16 = 11211;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A host, by name or by number, and a port.
    Tcp(String, u16),
    /// The path of a socket.
    Unix(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

impl Address {
    /// A server of `LOCATION`, in the forms that both Python clients read.
    fn parse(text: &str) -> Result<Self, String> {
        let advice = || {
            format!(
                "{text:?} is no server: write \"host:port\", \"[::1]:11211\" or \"unix:/run/memcached.sock\""
            )
        };
        if text.contains('@') {
            // Not repeated: it may hold a password.
            return Err("a user and a password (SASL) are not supported".to_owned());
        }
        let path = text.strip_prefix("unix:");
        if path.unwrap_or(text).starts_with('/') {
            return Ok(Self::Unix(path.unwrap_or(text).to_owned()));
        }
        let (host, rest) = match text.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').ok_or_else(advice)?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            // pylibmc writes a weight behind the port, of which 1 is none.
            Some(port) => port.strip_suffix(":1").unwrap_or(port).parse().ok(),
            None => rest.is_empty().then_some(PORT),
        };
        match port {
            Some(port) if !host.is_empty() => Ok(Self::Tcp(host.to_owned(), port)),
            _ => Err(advice()),
        }
    }

    /// How libmemcached calls a server where it hashes its name.
    fn libmemcached_name(&self) -> String {
        match self {
            Self::Tcp(host, PORT) => host.clone(),
            Self::Tcp(host, port) => format!("{host}:{port}"),
            Self::Unix(path) => format!("{path}:0"),
        }
    }
}

/// The servers of a cache, and which of them keeps what.
pub(super) fn parse(
    client: MemcachedClient,
    cache: &CacheSettings,
) -> Result<(Vec<Address>, Placement), String> {
    let mut addresses: Vec<Address> = Vec::new();
    for location in &cache.location {
        let address =
            Address::parse(location.reveal()).map_err(|why| format!("LOCATION: {why}"))?;
        // pymemcache takes a server that is named twice for one.
        if client == MemcachedClient::Pylibmc || !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err("LOCATION names no server".to_owned());
    }
    let placement = match client {
        MemcachedClient::Pymemcache => {
            for (name, value) in &cache.options {
                pymemcache_option(name, is_set(value))?;
            }
            Placement::rendezvous(addresses.iter().map(ToString::to_string).collect())
        }
        MemcachedClient::Pylibmc => {
            let mut consistent = false;
            for (name, value) in &cache.options {
                match (name.as_str(), value.as_object()) {
                    ("behaviors", Some(behaviors)) => {
                        consistent = is_consistent(behaviors)?;
                    }
                    _ => pylibmc_option(name, is_set(value))?,
                }
            }
            if consistent {
                let names: Vec<String> = addresses.iter().map(Address::libmemcached_name).collect();
                Placement::consistent(&names)
            } else {
                Placement::modula(addresses.len())
            }
        }
    };
    Ok((addresses, placement))
}

/// Whether Python takes it for true.
fn is_set(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Null => false,
        Value::Bool(set) => *set,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(table) => !table.is_empty(),
    }
}

/// An argument of pymemcache's `HashClient`: how it connects is its own business; what it stores is not.
fn pymemcache_option(name: &str, set: bool) -> Result<(), String> {
    match name {
        "connect_timeout" | "timeout" | "no_delay" | "socket_keepalive" | "max_pool_size"
        | "pool_idle_timeout" | "retry_attempts" | "retry_timeout" | "dead_timeout"
        | "use_pooling" | "ignore_exc" | "allow_unicode_keys" | "default_noreply" | "encoding" => {
            Ok(())
        }
        "tls_context" if set => Err(unsupported(name, "TLS is not spoken here")),
        "key_prefix" if set => Err(unsupported(name, "write KEY_PREFIX, beside OPTIONS")),
        "tls_context" | "key_prefix" => Ok(()),
        _ => Err(unsupported(name, "leave it out, on Django's side as well")),
    }
}

/// An argument of pylibmc's `Client`.
fn pylibmc_option(name: &str, set: bool) -> Result<(), String> {
    match name {
        // Which protocol the other side speaks to the server does not matter.
        "username" | "password" if set => Err(unsupported(name, "SASL is not spoken here")),
        "binary" | "username" | "password" => Ok(()),
        _ => Err(unsupported(name, "leave it out, on Django's side as well")),
    }
}

/// Whether pylibmc's `behaviors` ask for the circle of `ketama`. Those that would place or name keys in yet another way
/// are refused.
fn is_consistent(behaviors: &serde_json::Map<String, serde_json::Value>) -> Result<bool, String> {
    let mut consistent = behaviors.get("ketama").is_some_and(is_set);
    for (name, value) in behaviors {
        match (name.as_str(), value.as_str()) {
            ("distribution", Some("modula")) => consistent = false,
            ("distribution", Some("consistent" | "consistent ketama")) => consistent = true,
            ("hash", Some("default"))
            | (
                "ketama"
                | "no_block"
                | "tcp_nodelay"
                | "tcp_keepalive"
                | "cas"
                | "buffer_requests"
                | "verify_keys"
                | "connect_timeout"
                | "send_timeout"
                | "receive_timeout"
                | "auto_eject"
                | "retry_timeout"
                | "_retry_timeout"
                | "remove_failed"
                | "failure_limit"
                | "dead_timeout"
                | "pickle_protocol"
                | "_io_msg_watermark"
                | "_io_bytes_watermark"
                | "_io_key_prefetch"
                | "_noreply"
                | "_poll_timeout"
                | "_socket_send_size"
                | "_socket_recv_size",
                _,
            ) => {}
            _ if !is_set(value) => {}
            _ => {
                return Err(unsupported(
                    &format!("behaviors.{name}"),
                    "keys are spread by \"ketama\" or, without behaviors, by pylibmc's defaults",
                ));
            }
        }
    }
    Ok(consistent)
}

fn unsupported(name: &str, advice: &str) -> String {
    format!("OPTIONS: {name} is not supported: {advice}")
}

#[cfg(test)]
mod tests;
