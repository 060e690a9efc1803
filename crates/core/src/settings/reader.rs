//! From gathered values to [`Settings`]: each setting from the highest layer that has it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::auth::UserModel;
use super::caches::{self, CacheSettings};
use super::celery::CelerySettings;
use super::cookie::{CookieName, SameSite};
use super::database_url::DatabaseUrl;
use super::error::{Origin, Problem, SettingsError};
use super::messages::{self, MessageStorageName};
use super::sessions::{SerializerName, SessionEngineName};
use super::{Settings, auth, names, value};
use crate::signing::Keys;

/// A value, not yet parsed.
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What one source gives, by the settings' names.
pub(super) type Layer = BTreeMap<String, Given>;

/// Reads each setting from the highest layer that has it.
pub(super) struct Reader {
    /// The highest first.
    layers: [Layer; 3],
    problems: Vec<Problem>,
}

impl Reader {
    /// `layers` with the highest first, and the problems met while they were gathered.
    pub(super) fn new(layers: [Layer; 3], problems: Vec<Problem>) -> Self {
        Self { layers, problems }
    }

    /// Parses every setting, and checks the rules between them.
    pub(super) fn settings(mut self) -> Result<Settings, SettingsError> {
        let settings = self.parse();
        if self.problems.is_empty() {
            // Only now: a rule between two settings means nothing while one of them is wrong.
            self.problems = settings
                .broken_rules()
                .into_iter()
                .map(|problem| self.locate(problem))
                .collect();
        }
        SettingsError::unless_empty(self.problems).map(|()| settings)
    }

    /// Parses Celery's settings and `DATABASE_URL`, and looks at no other.
    pub(super) fn celery_settings(mut self) -> Result<CelerySettings, SettingsError> {
        let mut settings = self.celery();
        self.read(
            "DATABASE_URL",
            &mut settings.database_url,
            value::optional(DatabaseUrl::from_value),
        );
        SettingsError::unless_empty(self.problems).map(|()| settings)
    }

    fn parse(&mut self) -> Settings {
        // Without a secret there is a problem, and then nobody is given these settings.
        let mut settings = Settings::new(self.secret_key().unwrap_or_default());
        settings.secret_key = self.with_fallbacks(settings.secret_key);
        self.site(&mut settings);
        self.session(&mut settings);
        self.session_cookie(&mut settings);
        self.timeout(&mut settings);
        self.auth(&mut settings);
        self.csrf(&mut settings);
        self.messages(&mut settings);
        self.templates(&mut settings);
        settings.caches = self.caches();
        settings.celery = self.celery();
        settings
            .celery
            .database_url
            .clone_from(&settings.database_url);
        settings
    }

    fn site(&mut self, settings: &mut Settings) {
        self.read("DEBUG", &mut settings.debug, value::boolean);
        self.read("ALLOWED_HOSTS", &mut settings.allowed_hosts, value::texts);
        self.read("INTERNAL_IPS", &mut settings.internal_ips, value::addresses);
        self.read(
            "USE_X_FORWARDED_HOST",
            &mut settings.use_x_forwarded_host,
            value::boolean,
        );
        self.read(
            "USE_X_FORWARDED_PORT",
            &mut settings.use_x_forwarded_port,
            value::boolean,
        );
        self.read(
            "CLIENT_ADDRESS_HEADER",
            &mut settings.client_address_header,
            value::optional(value::header_name),
        );
        self.read(
            "DATA_UPLOAD_MAX_MEMORY_SIZE",
            &mut settings.data_upload_max_memory_size,
            value::optional(value::bytes),
        );
        self.read("USE_TZ", &mut settings.use_tz, value::boolean);
        self.read("TIME_ZONE", &mut settings.time_zone, value::time_zone);
        self.read(
            "SECURE_PROXY_SSL_HEADER",
            &mut settings.secure_proxy_ssl_header,
            value::optional(value::proxy_header),
        );
        self.read(
            "DATABASE_URL",
            &mut settings.database_url,
            value::optional(DatabaseUrl::from_value),
        );
    }

    fn session(&mut self, settings: &mut Settings) {
        self.read("SESSION_ENGINE", &mut settings.session_engine, |value| {
            SessionEngineName::parse(value::words(value)?)
        });
        self.read(
            "SESSION_SERIALIZER",
            &mut settings.session_serializer,
            |value| SerializerName::parse(value::words(value)?),
        );
        self.read(
            "SESSION_CACHE_ALIAS",
            &mut settings.session_cache_alias,
            value::text,
        );
        self.read(
            "SESSION_FILE_PATH",
            &mut settings.session_file_path,
            value::optional(value::path),
        );
        self.read(
            "SESSION_SAVE_EVERY_REQUEST",
            &mut settings.session_save_every_request,
            value::boolean,
        );
        self.read(
            "SESSION_TOUCH_INTERVAL",
            &mut settings.session_touch_interval,
            value::limit,
        );
        self.read(
            "SESSION_STORE_TIMEOUT",
            &mut settings.session_store_timeout,
            value::wait,
        );
        self.read(
            "SESSION_EXPIRE_AT_BROWSER_CLOSE",
            &mut settings.session_expire_at_browser_close,
            value::boolean,
        );
    }

    fn session_cookie(&mut self, settings: &mut Settings) {
        self.read(
            "SESSION_COOKIE_AGE",
            &mut settings.session_cookie_age,
            value::seconds,
        );
        self.read(
            "SESSION_COOKIE_DOMAIN",
            &mut settings.session_cookie_domain,
            value::optional(value::text),
        );
        self.read(
            "SESSION_COOKIE_HTTPONLY",
            &mut settings.session_cookie_httponly,
            value::boolean,
        );
        self.read(
            "SESSION_COOKIE_NAME",
            &mut settings.session_cookie_name,
            |value| CookieName::parse(value::words(value)?),
        );
        self.read(
            "SESSION_COOKIE_PATH",
            &mut settings.session_cookie_path,
            value::text,
        );
        self.read(
            "SESSION_COOKIE_SAMESITE",
            &mut settings.session_cookie_samesite,
            SameSite::parse,
        );
        self.read(
            "SESSION_COOKIE_SECURE",
            &mut settings.session_cookie_secure,
            value::boolean,
        );
        self.read(
            "SESSION_COOKIE_PARTITIONED",
            &mut settings.session_cookie_partitioned,
            value::boolean,
        );
        self.read(
            "SESSION_COOKIE_ENCRYPTED",
            &mut settings.session_cookie_encrypted,
            value::boolean,
        );
    }

    fn timeout(&mut self, settings: &mut Settings) {
        self.read(
            "SESSION_EXPIRE_SECONDS",
            &mut settings.session_expire_seconds,
            value::optional(value::limit),
        );
        self.read(
            "SESSION_EXPIRE_AFTER_LAST_ACTIVITY",
            &mut settings.session_expire_after_last_activity,
            value::boolean,
        );
        self.read(
            "SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD",
            &mut settings.session_expire_after_last_activity_grace_period,
            value::limit,
        );
        self.read(
            "SESSION_EXPIRE_ABSOLUTE_SECONDS",
            &mut settings.session_expire_absolute_seconds,
            value::optional(value::limit),
        );
        self.read(
            "SESSION_TIMEOUT_REDIRECT",
            &mut settings.session_timeout_redirect,
            value::optional(value::text),
        );
    }

    fn auth(&mut self, settings: &mut Settings) {
        self.read("AUTH_USER_MODEL", &mut settings.auth_user_model, |value| {
            UserModel::parse(value::words(value)?)
        });
        self.read(
            "AUTHENTICATION_BACKENDS",
            &mut settings.authentication_backends,
            value::some_texts,
        );
        self.read("LOGIN_URL", &mut settings.login_url, value::text);
        self.read(
            "LOGIN_REDIRECT_URL",
            &mut settings.login_redirect_url,
            value::text,
        );
        self.read(
            "LOGOUT_REDIRECT_URL",
            &mut settings.logout_redirect_url,
            value::optional(value::text),
        );
        self.read(
            "LOGIN_FAILURE_LIMIT",
            &mut settings.login_failure_limit,
            value::optional(value::count),
        );
        self.read(
            "LOGIN_COOLOFF_TIME",
            &mut settings.login_cooloff_time,
            value::duration,
        );
        self.read(
            "PASSWORD_HASHERS",
            &mut settings.password_hashers,
            value::some_texts,
        );
        self.read(
            "PASSWORD_RESET_TIMEOUT",
            &mut settings.password_reset_timeout,
            value::limit,
        );
        self.read(
            "AUTH_PASSWORD_VALIDATORS",
            &mut settings.auth_password_validators,
            auth::validators,
        );
    }

    fn csrf(&mut self, settings: &mut Settings) {
        self.read(
            "CSRF_COOKIE_AGE",
            &mut settings.csrf_cookie_age,
            value::optional(value::seconds),
        );
        self.read(
            "CSRF_COOKIE_DOMAIN",
            &mut settings.csrf_cookie_domain,
            value::optional(value::text),
        );
        self.read(
            "CSRF_COOKIE_HTTPONLY",
            &mut settings.csrf_cookie_httponly,
            value::boolean,
        );
        self.read(
            "CSRF_COOKIE_NAME",
            &mut settings.csrf_cookie_name,
            |value| CookieName::parse(value::words(value)?),
        );
        self.read(
            "CSRF_COOKIE_PATH",
            &mut settings.csrf_cookie_path,
            value::text,
        );
        self.read(
            "CSRF_COOKIE_SAMESITE",
            &mut settings.csrf_cookie_samesite,
            SameSite::parse,
        );
        self.read(
            "CSRF_COOKIE_SECURE",
            &mut settings.csrf_cookie_secure,
            value::boolean,
        );
        self.read(
            "CSRF_HEADER_NAME",
            &mut settings.csrf_header_name,
            value::header_name,
        );
        self.read(
            "CSRF_TRUSTED_ORIGINS",
            &mut settings.csrf_trusted_origins,
            value::origins,
        );
        self.read(
            "CSRF_USE_SESSIONS",
            &mut settings.csrf_use_sessions,
            value::boolean,
        );
    }

    fn messages(&mut self, settings: &mut Settings) {
        self.read("MESSAGE_STORAGE", &mut settings.message_storage, |value| {
            MessageStorageName::parse(value::words(value)?)
        });
        self.read(
            "MESSAGE_LEVEL",
            &mut settings.message_level,
            messages::level,
        );
        self.read("MESSAGE_TAGS", &mut settings.message_tags, messages::tags);
    }

    fn templates(&mut self, settings: &mut Settings) {
        self.read(
            "STATIC_URL",
            &mut settings.static_url,
            value::optional(value::text),
        );
        self.read("MEDIA_URL", &mut settings.media_url, value::text);
        self.read("LANGUAGE_CODE", &mut settings.language_code, value::text);
    }

    fn given(&self, name: &str) -> Option<&Given> {
        self.layers.iter().find_map(|layer| layer.get(name))
    }

    /// Tells where the setting stands that a rule complains of.
    fn locate(&self, problem: Problem) -> Problem {
        match problem.setting().and_then(|name| self.given(name)) {
            Some(given) => {
                let origin = given.origin.clone();
                problem.found_in(origin)
            }
            None => problem,
        }
    }

    pub(super) fn read<T>(
        &mut self,
        name: &str,
        slot: &mut T,
        parse: impl Fn(&Value) -> Result<T, String>,
    ) {
        let Some(given) = self.given(name) else {
            return;
        };
        match parse(&given.value) {
            Ok(value) => *slot = value,
            Err(advice) => {
                let problem = if names::is_secret(name) {
                    Problem::secret(name, advice)
                } else {
                    Problem::wrong(name, &given.value, advice)
                };
                self.problems.push(problem.found_in(given.origin.clone()));
            }
        }
    }

    fn secret_key(&mut self) -> Option<String> {
        const HOW: &str = "set it to a long random text, which `openssl rand -base64 48` makes; \
                           to share sessions with a Django site, take the SECRET_KEY of that site";
        if self.given("SECRET_KEY").is_none() {
            // A file that could not be read may hold it, and then its absence is no news.
            if self
                .problems
                .iter()
                .all(|problem| problem.setting().is_some())
            {
                self.problems
                    .push(Problem::secret("SECRET_KEY", HOW).found_in(Origin::Nowhere));
            }
            return None;
        }
        let mut secret = None;
        self.read("SECRET_KEY", &mut secret, |value| match value.as_str() {
            Some("") => Err(format!("is empty; {HOW}")),
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(format!("is not a string; {HOW}")),
        });
        secret
    }

    fn with_fallbacks(&mut self, keys: Keys) -> Keys {
        let mut fallbacks = Vec::new();
        self.read("SECRET_KEY_FALLBACKS", &mut fallbacks, |value| {
            let keys = value::texts(value)?;
            if keys.iter().any(String::is_empty) {
                // Anyone can sign with an empty key.
                return Err("holds an empty key; take it out".to_owned());
            }
            Ok(keys)
        });
        keys.with_fallbacks(fallbacks)
    }

    /// `CACHES`, and `CACHE_URL` for its alias `default`.
    ///
    /// The URL replaces a `default` that stands on a lower layer; on one layer, the fuller `CACHES` counts.
    fn caches(&mut self) -> BTreeMap<String, CacheSettings> {
        let mut caches = None;
        self.read("CACHES", &mut caches, value::optional(caches::parse_caches));
        let mut shorthand = None;
        self.read(
            "CACHE_URL",
            &mut shorthand,
            value::optional(|value| CacheSettings::parse_url(value::words(value)?)),
        );
        let height = |name: &str| {
            self.layers
                .iter()
                .position(|layer| layer.contains_key(name))
        };
        let shorthand_is_above = height("CACHE_URL") < height("CACHES");
        match (caches, shorthand) {
            (None, None) => caches::default_caches(),
            (Some(caches), None) => caches,
            (None, Some(default)) => BTreeMap::from([("default".to_owned(), default)]),
            (Some(mut caches), Some(default)) => {
                if shorthand_is_above || !caches.contains_key("default") {
                    caches.insert("default".to_owned(), default);
                }
                caches
            }
        }
    }
}
