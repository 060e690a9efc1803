//! `OPTIONS` as Django's `RedisCache` and django-redis read them.

use quintette_core::settings::{CacheBackend, CacheSettings, SecretUrl};
use redis::ConnectionInfo;
use serde_json::Value;
use tracing::{debug, warn};

use super::place::{Place, server};
use super::sentinel::Sentinels;
use crate::cache::values::{Compressor, Serializer, Values};

/// What a cache of `CACHES` says: where its data is, and how it is written.
pub(super) fn parse(settings: &CacheSettings) -> Result<(Place, Values), String> {
    let django_redis = settings.backend == CacheBackend::DjangoRedis;
    let mut options = Options::default();
    for (key, value) in &settings.options {
        let parsed = match key.as_str() {
            "cluster" => boolean(value).map(|is_cluster| options.is_cluster = is_cluster),
            key if django_redis => options.django_redis(key, value),
            key => options.django(key, value),
        };
        parsed.map_err(|advice| format!("OPTIONS[{key:?}]: {advice}"))?;
    }
    let urls: Vec<&str> = settings.location.iter().map(SecretUrl::reveal).collect();
    let place = options.place(&urls)?;
    let values = if django_redis {
        Values::DjangoRedis(options.serializer, options.compressor)
    } else {
        Values::Pickle
    };
    Ok((place, values))
}

struct Options {
    is_cluster: bool,
    login: Login,
    sentinels: Vec<String>,
    sentinel_login: Login,
    is_sentinel_tls: bool,
    serializer: Serializer,
    compressor: Compressor,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            is_cluster: false,
            login: Login::default(),
            sentinels: Vec::new(),
            sentinel_login: Login::default(),
            is_sentinel_tls: false,
            serializer: Serializer::Pickle,
            compressor: Compressor::Identity,
        }
    }
}

impl Options {
    /// What Django's `RedisCache` hands on to redis-py.
    fn django(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "serializer" => {
                let django = "django.core.cache.backends.redis.RedisSerializer";
                known(
                    text(value)?,
                    &[(django, ())],
                    "a pickle is what can be read here",
                )
            }
            key => {
                if !self.login.take(key, value)? {
                    unused(key);
                }
                Ok(())
            }
        }
    }

    /// What django-redis reads itself.
    fn django_redis(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "SERIALIZER" => self.serializer = known(text(value)?, &SERIALIZERS, "")?,
            "COMPRESSOR" => self.compressor = known(text(value)?, &COMPRESSORS, WITHOUT)?,
            "CLIENT_CLASS" => known(
                text(value)?,
                &CLIENTS,
                "others lay out their values otherwise",
            )?,
            "CONNECTION_FACTORY" => known(text(value)?, &FACTORIES, "")?,
            "USERNAME" | "PASSWORD" => drop(self.login.take(&key.to_lowercase(), value)?),
            "CONNECTION_POOL_KWARGS" => {
                for (key, value) in table(value)? {
                    if !self.login.take(key, value)? {
                        unused(key);
                    }
                }
            }
            "SENTINELS" => self.sentinels = sentinels(value)?,
            "SENTINEL_KWARGS" => {
                for (key, value) in table(value)? {
                    if key == "ssl" {
                        self.is_sentinel_tls = boolean(value)?;
                    } else if !self.sentinel_login.take(key, value)? {
                        unused(key);
                    }
                }
            }
            "IGNORE_EXCEPTIONS" if value == &Value::Bool(true) => warn!(
                target: "quintette::settings",
                "IGNORE_EXCEPTIONS of django-redis is not followed: with sessions in this cache alone, visitors would be \
                 logged out while it is down"
            ),
            key => unused(key),
        }
        Ok(())
    }

    fn place(&self, urls: &[&str]) -> Result<Place, String> {
        let of_location = |advice: String| format!("LOCATION: {advice}");
        if !self.sentinels.is_empty() {
            return self.behind_sentinels(urls.first().copied());
        }
        let place = if self.is_cluster {
            let seeds: Result<Vec<_>, _> = urls.iter().map(|url| server(url)).collect();
            Place::cluster(seeds.map_err(of_location)?)
        } else {
            if urls.len() > 1 {
                // Reading what a replica has not heard of yet would break what sessions promise.
                debug!(target: "quintette::settings", "of several servers, the first is the one that is read and written");
            }
            let url = urls.first().copied().unwrap_or_default();
            Place::parse(url)
        };
        place
            .map_err(of_location)?
            .map(|login| self.login.fill_in(login))
            .checked()
    }

    /// `redis://name/0`, as django-redis has it: the host is the name of the master.
    fn behind_sentinels(&self, url: Option<&str>) -> Result<Place, String> {
        let url = url.unwrap_or_default();
        let login = server(url).map_err(|advice| format!("LOCATION: {advice}"))?;
        let scheme = if self.is_sentinel_tls {
            "rediss"
        } else {
            "redis"
        };
        let sentinels: Result<Vec<_>, _> = self
            .sentinels
            .iter()
            .map(|address| {
                Ok(self
                    .sentinel_login
                    .fill_in(server(&format!("{scheme}://{address}"))?))
            })
            .collect();
        let sentinels =
            sentinels.map_err(|advice: String| format!("OPTIONS[\"SENTINELS\"]: {advice}"))?;
        let (name, _) = super::place::address_of(&login);
        Ok(Place::Master(Sentinels {
            addresses: sentinels,
            name,
            login: self.login.fill_in(login),
        }))
    }
}

/// How to log in; the URL of a server has precedence, as in redis-py.
#[derive(Default)]
struct Login {
    username: Option<String>,
    password: Option<String>,
    db: Option<i64>,
}

impl Login {
    /// Says whether the option is about it.
    fn take(&mut self, key: &str, value: &Value) -> Result<bool, String> {
        match key {
            "username" => self.username = optional_text(value)?,
            "password" => self.password = optional_text(value)?,
            "db" => {
                let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
                self.db = Some(number.ok_or("write a whole number")?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn fill_in(&self, server: ConnectionInfo) -> ConnectionInfo {
        let mut settings = server.redis_settings().clone();
        if let (Some(username), None) = (&self.username, settings.username()) {
            settings = settings.set_username(username);
        }
        if let (Some(password), None) = (&self.password, settings.password()) {
            settings = settings.set_password(password);
        }
        if let (Some(db), 0) = (self.db, settings.db()) {
            settings = settings.set_db(db);
        }
        server.set_redis_settings(settings)
    }
}

const SERIALIZERS: [(&str, Serializer); 2] = [
    (
        "django_redis.serializers.pickle.PickleSerializer",
        Serializer::Pickle,
    ),
    (
        "django_redis.serializers.json.JSONSerializer",
        Serializer::Json,
    ),
];

#[cfg(not(feature = "redis-compressors"))]
const COMPRESSORS: [(&str, Compressor); 3] = [
    (
        "django_redis.compressors.identity.IdentityCompressor",
        Compressor::Identity,
    ),
    (
        "django_redis.compressors.zlib.ZlibCompressor",
        Compressor::Zlib,
    ),
    (
        "django_redis.compressors.gzip.GzipCompressor",
        Compressor::Gzip,
    ),
];
#[cfg(feature = "redis-compressors")]
const COMPRESSORS: [(&str, Compressor); 6] = [
    (
        "django_redis.compressors.identity.IdentityCompressor",
        Compressor::Identity,
    ),
    (
        "django_redis.compressors.zlib.ZlibCompressor",
        Compressor::Zlib,
    ),
    (
        "django_redis.compressors.gzip.GzipCompressor",
        Compressor::Gzip,
    ),
    (
        "django_redis.compressors.lz4.Lz4Compressor",
        Compressor::Lz4,
    ),
    (
        "django_redis.compressors.lzma.LzmaCompressor",
        Compressor::Lzma,
    ),
    (
        "django_redis.compressors.zstd.ZStdCompressor",
        Compressor::Zstd,
    ),
];

#[cfg(not(feature = "redis-compressors"))]
const WITHOUT: &str = "the feature \"redis-compressors\" of quintette brings lz4, lzma and zstd";
#[cfg(feature = "redis-compressors")]
const WITHOUT: &str = "";

const CLIENTS: [(&str, ()); 4] = [
    ("django_redis.client.DefaultClient", ()),
    ("django_redis.client.default.DefaultClient", ()),
    ("django_redis.client.SentinelClient", ()),
    ("django_redis.client.sentinel.SentinelClient", ()),
];

const FACTORIES: [(&str, ()); 2] = [
    ("django_redis.pool.ConnectionFactory", ()),
    ("django_redis.pool.SentinelConnectionFactory", ()),
];

/// What this Python path means here.
fn known<T: Copy>(path: &str, known: &[(&str, T)], note: &str) -> Result<T, String> {
    if let Some((_, meaning)) = known.iter().find(|(name, _)| *name == path) {
        return Ok(*meaning);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let note = if note.is_empty() {
        String::new()
    } else {
        format!(" ({note})")
    };
    Err(format!(
        "{path:?} is not known here, and Python cannot be called{note}. Known are {}",
        names.join(", ")
    ))
}

/// A time-out, a pool or a parser of redis-py.
fn unused(key: &str) {
    debug!(target: "quintette::settings", "OPTIONS[{key:?}] means nothing here");
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "write a string".to_owned())
}

fn optional_text(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        value => text(value).map(|text| (!text.is_empty()).then(|| text.to_owned())),
    }
}

fn boolean(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| "write true or false".to_owned())
}

fn table(value: &Value) -> Result<&serde_json::Map<String, Value>, String> {
    value.as_object().ok_or_else(|| "write a table".to_owned())
}

/// `[["127.0.0.1", 26379], …]`.
fn sentinels(value: &Value) -> Result<Vec<String>, String> {
    let advice = "write a list such as [[\"127.0.0.1\", 26379], [\"127.0.0.2\", 26379]]";
    let pairs = value.as_array().filter(|pairs| !pairs.is_empty());
    pairs
        .ok_or(advice)?
        .iter()
        .map(|pair| {
            let pair = pair.as_array()?;
            let [host, port] = pair.as_slice() else {
                return None;
            };
            let port = port.as_u64().or_else(|| port.as_str()?.parse().ok())?;
            let host = host.as_str()?;
            let is_v6 = host.contains(':') && !host.starts_with('[');
            Some(if is_v6 {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            })
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| advice.to_owned())
}

#[cfg(test)]
mod tests;
