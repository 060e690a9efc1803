//! `CACHES` in Django's shape, and `CACHE_URL`, the shorthand for its alias `default`.

use std::collections::BTreeMap;
use std::fmt;

use chrono::TimeDelta;
use serde_json::{Map, Value};

use super::database_url::{SecretUrl, file_path, unknown_scheme};
use super::error::{Problem, SettingsError};
use super::{names, value};

const URL_ADVICE: &str = "write a URL such as locmem://, redis://host:6379/0, rediss://…, \
                          redis+cluster://host:6379,host:6379, redis+sentinel://host:26379,host:26379/mymaster/0, memcached://host:11211,host:11211, \
                          pylibmc://…, file:///var/cache/shop, database://table or dummy://";

const KEYS: [&str; 7] = [
    "BACKEND",
    "KEY_FUNCTION",
    "KEY_PREFIX",
    "LOCATION",
    "OPTIONS",
    "TIMEOUT",
    "VERSION",
];

/// What keeps a cache's entries: `BACKEND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheBackend {
    /// `django.core.cache.backends.locmem.LocMemCache`: this process' memory.
    LocMem,
    /// `django.core.cache.backends.redis.RedisCache`.
    Redis,
    /// `django_redis.cache.RedisCache`, of the package django-redis, whose values are laid out in their own way.
    DjangoRedis,
    /// `django.core.cache.backends.memcached.PyMemcacheCache` or `PyLibMCCache`.
    Memcached(MemcachedClient),
    /// `django.core.cache.backends.db.DatabaseCache`: the table that `LOCATION` names.
    Database,
    /// `django.core.cache.backends.filebased.FileBasedCache`: the directory that `LOCATION` names.
    FileBased,
    /// `django.core.cache.backends.dummy.DummyCache`: keeps nothing.
    Dummy,
}

/// The Python client on the other side. Both mark values alike; with several servers, each spreads the keys in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemcachedClient {
    /// pymemcache.
    Pymemcache,
    /// pylibmc.
    Pylibmc,
}

impl CacheBackend {
    fn parse(path: &str) -> Option<Self> {
        Some(match path {
            "django.core.cache.backends.locmem.LocMemCache" => Self::LocMem,
            "django.core.cache.backends.redis.RedisCache" => Self::Redis,
            "django_redis.cache.RedisCache" => Self::DjangoRedis,
            "django.core.cache.backends.memcached.PyMemcacheCache" => {
                Self::Memcached(MemcachedClient::Pymemcache)
            }
            "django.core.cache.backends.memcached.PyLibMCCache" => {
                Self::Memcached(MemcachedClient::Pylibmc)
            }
            "django.core.cache.backends.db.DatabaseCache" => Self::Database,
            "django.core.cache.backends.filebased.FileBasedCache" => Self::FileBased,
            "django.core.cache.backends.dummy.DummyCache" => Self::Dummy,
            _ => return None,
        })
    }

    fn needs_location(self) -> bool {
        !matches!(self, Self::LocMem | Self::Dummy)
    }

    /// Django splits a server list at commas and semicolons; a path or a table's name it takes whole.
    fn splits_location(self) -> bool {
        matches!(self, Self::Redis | Self::DjangoRedis | Self::Memcached(_))
    }
}

/// One cache: an entry of Django's `CACHES`.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct CacheSettings {
    /// `BACKEND`.
    pub backend: CacheBackend,
    /// `LOCATION`: servers, or one directory, table or name; empty where the backend needs none.
    pub location: Vec<SecretUrl>,
    /// `TIMEOUT`: how long an entry lives that is stored without a time of its own; `None` for ever. 300 seconds by default. Sessions bring their own.
    pub timeout: Option<TimeDelta>,
    /// `KEY_PREFIX`: what each key begins with. Empty by default.
    pub key_prefix: String,
    /// `VERSION`: the second part of each key. 1 by default.
    pub version: i64,
    /// `OPTIONS`: what the backend itself understands, such as `MAX_ENTRIES`. Not shown by `Debug`, since it may hold a password.
    pub options: BTreeMap<String, Value>,
}

impl CacheSettings {
    /// A cache with Django's defaults.
    pub fn new(backend: CacheBackend) -> Self {
        Self {
            backend,
            location: Vec::new(),
            timeout: Some(TimeDelta::seconds(300)),
            key_prefix: String::new(),
            version: 1,
            options: BTreeMap::new(),
        }
    }

    /// A cache from a URL such as `CACHE_URL` holds.
    ///
    /// ```
    /// use quintette_core::settings::{CacheBackend, CacheSettings};
    ///
    /// let cache = CacheSettings::from_url("redis://127.0.0.1:6379/0")?;
    /// assert_eq!(cache.backend, CacheBackend::Redis);
    /// assert_eq!(cache.location[0].reveal(), "redis://127.0.0.1:6379/0");
    /// # Ok::<(), quintette_core::settings::SettingsError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A URL of an unknown scheme, or one without a server, directory or table. The error does not repeat the URL.
    pub fn from_url(url: &str) -> Result<Self, SettingsError> {
        Self::parse_url(url).map_err(|advice| Problem::secret("CACHE_URL", advice).into())
    }

    pub(super) fn parse_url(url: &str) -> Result<Self, String> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").ok_or(URL_ADVICE)?;
        let (backend, location) = match scheme.to_ascii_lowercase().as_str() {
            "locmem" => (CacheBackend::LocMem, rest.to_owned()),
            "dummy" => (CacheBackend::Dummy, String::new()),
            "redis" | "rediss" | "unix" | "redis+unix" | "redis+cluster" | "rediss+cluster"
            | "redis+sentinel" | "rediss+sentinel"
                if !rest.is_empty() =>
            {
                (CacheBackend::Redis, url.to_owned())
            }
            "memcached" | "memcache" | "pymemcache" => (
                CacheBackend::Memcached(MemcachedClient::Pymemcache),
                rest.trim_end_matches('/').to_owned(),
            ),
            "pylibmc" => (
                CacheBackend::Memcached(MemcachedClient::Pylibmc),
                rest.trim_end_matches('/').to_owned(),
            ),
            "database" => (CacheBackend::Database, rest.to_owned()),
            "file" => {
                let path = file_path(rest)?;
                (CacheBackend::FileBased, path.to_string_lossy().into_owned())
            }
            _ => return Err(unknown_scheme(scheme, URL_ADVICE)),
        };
        let mut cache = Self::new(backend);
        cache.location = split_location(backend, &location);
        if backend.needs_location() && cache.location.is_empty() {
            return Err(URL_ADVICE.to_owned());
        }
        Ok(cache)
    }

    fn parse(alias: &str, value: &Value) -> Result<Self, String> {
        let of = |key: &str, advice: String| format!("in the cache {alias:?}, {key}: {advice}");
        let table = value.as_object().ok_or_else(|| {
            format!("the cache {alias:?} must be a table with BACKEND, as in Django")
        })?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unknown_key(alias, key));
        }
        let backend = backend(table).map_err(|advice| of("BACKEND", advice))?;
        let mut cache = Self::new(backend);
        for (key, value) in table {
            cache.assign(key, value).map_err(|advice| of(key, advice))?;
        }
        if backend.needs_location() && cache.location.is_empty() {
            return Err(of(
                "LOCATION",
                "this backend needs one: a server, directory or table".to_owned(),
            ));
        }
        Ok(cache)
    }

    fn assign(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key {
            "LOCATION" => self.location = location(self.backend, value)?,
            "TIMEOUT" => self.timeout = value::optional(value::seconds)(value)?,
            "KEY_PREFIX" => self.key_prefix = value::text(value)?,
            "VERSION" => self.version = value::integer(value)?,
            "OPTIONS" => {
                let options = value.as_object().ok_or("write a table")?;
                self.options = options.clone().into_iter().collect();
            }
            // Another function would make other keys than Django does, and every visitor a stranger.
            "KEY_FUNCTION"
                if !value::is_unset(value)
                    && value != "django.core.cache.backends.base.default_key_func" =>
            {
                return Err("a Python function cannot be called here; leave it out".to_owned());
            }
            _ => {}
        }
        Ok(())
    }
}

/// The options by name only, the locations without passwords.
impl fmt::Debug for CacheSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheSettings")
            .field("backend", &self.backend)
            .field("location", &self.location)
            .field("timeout", &self.timeout)
            .field("key_prefix", &self.key_prefix)
            .field("version", &self.version)
            .field("options", &self.options.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Django's default for `CACHES`: the alias `default` in this process' memory.
pub(super) fn default_caches() -> BTreeMap<String, CacheSettings> {
    BTreeMap::from([(
        "default".to_owned(),
        CacheSettings::new(CacheBackend::LocMem),
    )])
}

/// `CACHES` as a whole.
pub(super) fn parse_caches(value: &Value) -> Result<BTreeMap<String, CacheSettings>, String> {
    let tables = value
        .as_object()
        .ok_or("write a table of caches by alias, each with BACKEND, as in Django")?;
    tables
        .iter()
        .map(|(alias, value)| Ok((alias.clone(), CacheSettings::parse(alias, value)?)))
        .collect()
}

fn backend(table: &Map<String, Value>) -> Result<CacheBackend, String> {
    table
        .get("BACKEND")
        .and_then(Value::as_str)
        .and_then(CacheBackend::parse)
        .ok_or_else(|| {
            "write one of Django's, such as \"django.core.cache.backends.locmem.LocMemCache\", \
             \"…redis.RedisCache\", \"…memcached.PyMemcacheCache\", \"…memcached.PyLibMCCache\", \"…db.DatabaseCache\", \
             \"…filebased.FileBasedCache\" or \"…dummy.DummyCache\", or \"django_redis.cache.RedisCache\"; \
             a cache of your own is handed over in code"
                .to_owned()
        })
}

fn location(backend: CacheBackend, value: &Value) -> Result<Vec<SecretUrl>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(split_location(backend, text)),
        // The items are taken whole: Django splits only a string.
        list => value::texts(list)
            .map(|items| items.into_iter().map(SecretUrl::new).collect())
            .map_err(|_| "write a string, or a list of strings".to_owned()),
    }
}

fn split_location(backend: CacheBackend, text: &str) -> Vec<SecretUrl> {
    // One URL names all nodes of a Redis Cluster, or all Sentinels.
    let (scheme, _) = text.split_once("://").unwrap_or_default();
    let is_one = scheme.ends_with("+cluster") || scheme.ends_with("+sentinel");
    let parts: Vec<&str> = if backend.splits_location() && !is_one {
        text.split([',', ';']).map(str::trim).collect()
    } else {
        vec![text]
    };
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(SecretUrl::new)
        .collect()
}

fn unknown_key(alias: &str, key: &str) -> String {
    if names::form(key).is_some() {
        // In TOML, all that follows [CACHES.default] belongs to it.
        return format!(
            "{key} stands in the table [CACHES.{alias}]; move it above the file's first [table]"
        );
    }
    match names::nearest(key, KEYS.into_iter()) {
        Some(meant) => format!("in the cache {alias:?} there is no {key}; did you mean {meant}?"),
        None => format!(
            "in the cache {alias:?} there is no {key}; there are {}",
            KEYS.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests;
