//! What `quintette check --deploy` says of the settings alone.
//!
//! `security.*` are the ids and the meanings of Django's own checks (`django/core/checks/security`); `quintette.*` are causes of the three
//! complaints "it does not save", "anonymous after login" and "gone after a restart" that the settings alone give away.

mod auth;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use chrono::TimeDelta;

use super::caches::CacheBackend;
use super::cookie::SameSite;
use super::database_url::{DatabaseUrl, SqliteLocation};
use super::sessions::SessionEngineName;
use super::{CacheSettings, Settings};
use crate::signing::SecretKey;

/// Something that is allowed, and wrong in most deployments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// Django's id, such as `security.W012`, or one of ours, such as `quintette.W001`.
    pub id: &'static str,
    /// What is the case, and what comes of it.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Warning {
    fn new(id: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            id,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) {} HINT: {}", self.id, self.message, self.hint)
    }
}

impl Settings {
    /// What is allowed but wrong in most deployments. Ids and meanings of `security.*` are Django's.
    ///
    /// ```
    /// use quintette_core::settings::Settings;
    ///
    /// let warnings = Settings::new("short").deploy_warnings();
    /// assert!(warnings.iter().any(|warning| warning.id == "security.W009"));
    /// ```
    pub fn deploy_warnings(&self) -> Vec<Warning> {
        let mut warnings = self.security_warnings();
        warnings.extend(self.cookie_warnings());
        warnings.extend(self.cookie_domain_warning());
        warnings.extend(self.cache_warning());
        warnings.extend(self.storage_warnings());
        warnings.extend(self.timeout_warning());
        warnings.extend(self.auth_warnings());
        warnings
    }

    fn security_warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if is_weak(self.secret_key.secret()) {
            warnings.push(weak_key("security.W009", "SECRET_KEY"));
        }
        for (index, key) in self.secret_key.fallbacks().iter().enumerate() {
            if is_weak(key) {
                warnings.push(weak_key(
                    "security.W025",
                    &format!("SECRET_KEY_FALLBACKS[{index}]"),
                ));
            }
        }
        // W010 and W011 are the same for a site that has only the session app or only its middleware.
        if !self.session_cookie_secure {
            warnings.push(Warning::new(
                "security.W012",
                "The session cookie also travels over plain http, where anyone on the way can take it.",
                "Set SESSION_COOKIE_SECURE = true, and serve the site over https.",
            ));
        }
        if !self.session_cookie_httponly {
            warnings.push(Warning::new(
                "security.W015",
                "Scripts in the page can read the session cookie, and so can any script that is smuggled in.",
                "Set SESSION_COOKIE_HTTPONLY = true.",
            ));
        }
        // W003 is for a site without the middleware, and the settings do not tell.
        if !self.csrf_use_sessions && !self.csrf_cookie_secure {
            warnings.push(Warning::new(
                "security.W016",
                "The CSRF cookie also travels over plain http, where anyone on the way can read it and forge the site's forms.",
                "Set CSRF_COOKIE_SECURE = true, and serve the site over https.",
            ));
        }
        if self.debug {
            warnings.push(Warning::new(
                "security.W018",
                "DEBUG is on, and errors tell visitors what they should not know.",
                "Set DEBUG = false.",
            ));
        }
        if self.allowed_hosts.is_empty() {
            warnings.push(Warning::new(
                "security.W020",
                "ALLOWED_HOSTS is empty, so that no host is answered.",
                "Name the site's hosts, such as ALLOWED_HOSTS = [\"www.example.com\"].",
            ));
        }
        warnings
    }

    fn cookie_warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.session_cookie_samesite == SameSite::None && !self.session_cookie_secure {
            warnings.push(Warning::new(
                "quintette.W001",
                "Browsers drop a cookie with SameSite=None that is not Secure: no visitor has a session.",
                "Set SESSION_COOKIE_SECURE = true, or SESSION_COOKIE_SAMESITE = \"Lax\".",
            ));
        }
        if self.session_cookie_age <= TimeDelta::zero() {
            warnings.push(Warning::new(
                "quintette.W002",
                "SESSION_COOKIE_AGE is not above zero: a session has expired when it is saved.",
                "Give it in seconds, such as 1209600 for two weeks. For a cookie that goes with the browser's window, set SESSION_EXPIRE_AT_BROWSER_CLOSE = true.",
            ));
        }
        let path = &self.session_cookie_path;
        if path != "/" {
            let message = if path.starts_with('/') {
                format!(
                    "Only pages below {path:?} are sent the session cookie: everywhere else, visitors are anonymous."
                )
            } else {
                format!(
                    "SESSION_COOKIE_PATH is {path:?}, which does not begin with /: browsers then take the path of the page that set the cookie."
                )
            };
            warnings.push(Warning::new(
                "quintette.W003",
                message,
                "Set SESSION_COOKIE_PATH = \"/\", unless other sites share the host.",
            ));
        }
        warnings
    }

    fn cookie_domain_warning(&self) -> Option<Warning> {
        let domain = self.session_cookie_domain.as_deref()?;
        let refusing: Vec<&str> = self
            .allowed_hosts
            .iter()
            .map(String::as_str)
            .filter(|host| *host != "*" && !may_set_cookie(host, domain))
            .collect();
        (!refusing.is_empty()).then(|| {
            Warning::new(
                "quintette.W004",
                format!(
                    "Browsers refuse a cookie of the domain {domain:?} from a host outside it: there is no session on {}.",
                    refusing.join(", ")
                ),
                "Set SESSION_COOKIE_DOMAIN to a domain that all of ALLOWED_HOSTS belong to, or leave it out.",
            )
        })
    }

    fn cache_warning(&self) -> Option<Warning> {
        if !self.session_engine.uses_cache() {
            return None;
        }
        let alias = &self.session_cache_alias;
        let cache = self.caches.get(alias)?;
        let is_only_copy = self.session_engine == SessionEngineName::Cache;
        let hint = "Set SESSION_ENGINE to \"cached_db\" or \"db\", or take a cache that outlives this process, such as Redis.";
        match cache.backend {
            CacheBackend::LocMem if is_only_copy => Some(Warning::new(
                "quintette.W005",
                format!(
                    "Sessions live in the cache {alias:?}, which is this process' memory: a restart forgets them, and other processes do not see them."
                ),
                hint,
            )),
            CacheBackend::LocMem => Some(Warning::new(
                "quintette.W006",
                format!(
                    "The cache {alias:?} is this process' memory: another process does not see what is saved or logged out here until its own copy expires."
                ),
                "Take a cache that all processes share (Redis, Memcached), run one process, or set SESSION_ENGINE = \"db\".",
            )),
            CacheBackend::Dummy if is_only_copy => Some(Warning::new(
                "quintette.W007",
                format!(
                    "Sessions live in the cache {alias:?}, which keeps nothing: no session is ever saved."
                ),
                hint,
            )),
            CacheBackend::Database | CacheBackend::FileBased
                if is_only_copy && !says_max_entries(cache) =>
            {
                Some(Warning::new(
                    "quintette.W008",
                    format!(
                        "Sessions live in the cache {alias:?}, which holds 300 entries and then throws some away: visitors are logged out when there are more."
                    ),
                    format!(
                        "Set OPTIONS.MAX_ENTRIES of CACHES.{alias} to more than there are sessions, or set SESSION_ENGINE = \"db\"."
                    ),
                ))
            }
            _ => None,
        }
    }

    fn storage_warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let in_memory = matches!(
            self.database_url,
            Some(DatabaseUrl::Sqlite(SqliteLocation::Memory))
        );
        if self.session_engine.uses_database() && in_memory {
            warnings.push(Warning::new(
                "quintette.W009",
                "Sessions live in an SQLite database in memory: a restart forgets them, and other processes do not see them.",
                "Name a file: DATABASE_URL = \"sqlite:///var/lib/shop/db.sqlite3\".",
            ));
        }
        if self.session_engine == SessionEngineName::File
            && is_temporary(self.session_file_path.as_deref())
        {
            warnings.push(Warning::new(
                "quintette.W010",
                "Session files are in the system's temporary directory, which others use and which the system empties.",
                "Set SESSION_FILE_PATH to a directory that only this service's user can enter, outside of it.",
            ));
        }
        if self.session_engine == SessionEngineName::SignedCookies
            && self.session_save_every_request
        {
            warnings.push(Warning::new(
                "quintette.W011",
                "Each response carries the whole session as it was when its request came: of two at once, the later one undoes what the other saved.",
                "Set SESSION_SAVE_EVERY_REQUEST = false, or take an engine that keeps sessions on the server.",
            ));
        }
        warnings
    }

    fn timeout_warning(&self) -> Option<Warning> {
        let limit = self.session_expire_seconds?;
        let grace = self.session_expire_after_last_activity_grace_period;
        (self.session_expire_after_last_activity && grace >= limit).then(|| {
            Warning::new(
                "quintette.W012",
                "SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD is as long as SESSION_EXPIRE_SECONDS: activity is never noted in time, and active visitors are logged out.",
                "Make the grace period a small part of SESSION_EXPIRE_SECONDS.",
            )
        })
    }
}

fn weak_key(id: &'static str, name: &str) -> Warning {
    Warning::new(
        id,
        format!(
            "{name} has less than 50 characters, or less than 5 different ones, or is one that Django made up for development (\"django-insecure-\")."
        ),
        "Take a long random text, which `openssl rand -base64 48` makes, and keep the present key in SECRET_KEY_FALLBACKS until its sessions have expired.",
    )
}

fn is_weak(key: &SecretKey) -> bool {
    let text = String::from_utf8_lossy(key.as_bytes());
    text.chars().count() < 50
        || text.chars().collect::<BTreeSet<_>>().len() < 5
        || text.starts_with("django-insecure-")
}

/// Whether a host that the pattern of `ALLOWED_HOSTS` names may set a cookie of this domain (RFC 6265, section 5.1.3).
fn may_set_cookie(pattern: &str, domain: &str) -> bool {
    let plain = |name: &str| name.trim_start_matches('.').to_ascii_lowercase();
    let (host, domain) = (plain(pattern), plain(domain));
    let below = |name: &str, parent: &str| {
        name == parent
            || name
                .strip_suffix(parent)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    // A browser on the same machine is nobody's visitor: such names are there for health checks.
    let is_local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
        || host.ends_with(".localhost");
    // The pattern ".example.com" also stands for "shop.example.com".
    is_local || below(&host, &domain) || (pattern.starts_with('.') && below(&domain, &host))
}

fn says_max_entries(cache: &CacheSettings) -> bool {
    cache.options.contains_key("MAX_ENTRIES")
}

fn is_temporary(path: Option<&Path>) -> bool {
    path.is_none_or(|path| {
        path.starts_with(std::env::temp_dir())
            || ["/tmp", "/var/tmp"]
                .iter()
                .any(|temporary| path.starts_with(temporary))
    })
}

#[cfg(test)]
mod tests;
