//! Every setting by its Django name, typed, defaulted, from TOML and from the environment.
//!
//! Names, values and defaults are Django's, so that a `settings.py` carries over line by line. A setting is parsed once, when the
//! program starts, into its type; a wrong one stops the program, with its name, where it stands, what it holds and what would do.
//!
//! | from | how |
//! | --- | --- |
//! | Django's defaults | always; only `SECRET_KEY` has none |
//! | the application's defaults | [`Loader::default`] |
//! | TOML | `settings.toml` in the working directory, or the file that the variable `QUINTETTE_SETTINGS` names |
//! | the environment | each setting by its name: strings as they are, anything else as JSON, or in Python's spelling of true, false and nothing |
//!
//! A later row counts over an earlier one. An unknown name in the file is an error that suggests the nearest known one, and so is
//! an unknown variable that begins with `SESSION_` or `CELERY_`; settings of Django's and Celery's that nothing here reads are passed over.
//!
//! ```toml
//! # settings.toml. What belongs to no [table] stands above the first.
//! SECRET_KEY_FALLBACKS = ["the key before the present one"]
//! SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
//! SESSION_COOKIE_AGE = 1209600
//! SESSION_COOKIE_SECURE = true
//!
//! [CACHES.default]
//! BACKEND = "django.core.cache.backends.locmem.LocMemCache"
//! KEY_PREFIX = "shop"
//! ```
//!
//! `CACHE_URL` and `DATABASE_URL` are shorthands. Where both `CACHE_URL` and the alias `default` of `CACHES` are given, the one from the
//! later row of the table counts, and on one row `CACHES` does.

mod auth;
mod caches;
mod celery;
mod celery_names;
mod celery_reader;
mod check;
mod cookie;
mod database_url;
mod deploy;
mod error;
mod loader;
mod messages;
mod names;
mod reader;
mod sessions;
mod value;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;

use crate::signing::{Keys, SecretKey};

pub use auth::{PasswordValidatorSettings, UserModel};
pub use caches::{CacheBackend, CacheSettings, MemcachedClient};
pub use celery::CelerySettings;
pub use cookie::{CookieName, SameSite};
pub use database_url::{DatabaseUrl, SecretUrl, SqliteLocation};
pub use deploy::Warning;
pub use error::{Origin, Problem, SettingsError};
pub use loader::Loader;
pub use messages::MessageStorageName;
pub use sessions::{SerializerName, SessionEngineName};

/// All settings, flat as in Django's `settings.py`: each field is a Django name in lower case.
///
/// ```
/// use chrono::TimeDelta;
/// use quintette_core::settings::{SameSite, SessionEngineName, Settings};
///
/// let mut settings = Settings::new("a long and random text");
/// assert_eq!(settings.session_engine, SessionEngineName::Db);
/// assert_eq!(settings.session_cookie_name.as_str(), "sessionid");
///
/// settings.session_cookie_age = TimeDelta::hours(8);
/// settings.session_cookie_samesite = SameSite::Strict;
/// settings.session_cookie_name = "__Host-sessionid".parse()?;
/// assert!(settings.check().is_err(), "browsers take a __Host- cookie only with Secure");
///
/// settings.session_cookie_secure = true;
/// settings.check()?;
/// # Ok::<(), quintette_core::settings::SettingsError>(())
/// ```
///
/// `Debug` shows neither keys nor passwords.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are Django's settings, and Django's are flags"
)]
pub struct Settings {
    /// `SECRET_KEY` and `SECRET_KEY_FALLBACKS`: what signs, and what signatures are also taken from. No default.
    pub secret_key: Keys,
    /// `DEBUG`: whether errors tell their causes to visitors. `false` by default.
    pub debug: bool,
    /// `ALLOWED_HOSTS`: the hosts this site answers to; `*` for any, `.example.com` for a domain and all below it. Empty by default.
    pub allowed_hosts: Vec<String>,
    /// `SECURE_PROXY_SSL_HEADER`: the header, in HTTP's lower-case spelling, and the value by which a proxy says that the request was https.
    pub secure_proxy_ssl_header: Option<(String, String)>,
    /// `USE_X_FORWARDED_HOST`: whether the host is what a proxy says in `X-Forwarded-Host`. `false` by default.
    pub use_x_forwarded_host: bool,
    /// `USE_X_FORWARDED_PORT`: whether the port is what a proxy says in `X-Forwarded-Port`. `false` by default.
    pub use_x_forwarded_port: bool,
    /// `CLIENT_ADDRESS_HEADER`, which Django lacks: the header, in HTTP's lower-case spelling, whose last address is the visitor's, as the
    /// nearest proxy has put it there. By default the address is that of the connection.
    pub client_address_header: Option<String>,
    /// `DATA_UPLOAD_MAX_MEMORY_SIZE`: the longest form, in bytes, that is read to look for a CSRF token; `None` for any. 2.5 MiB by default.
    pub data_upload_max_memory_size: Option<usize>,
    /// `INTERNAL_IPS`: the addresses whose requests are shown what helps to debug. Empty by default.
    pub internal_ips: Vec<IpAddr>,
    /// `USE_TZ`: whether times know their zone. `true` by default, as in Django from 5.0 on.
    pub use_tz: bool,
    /// `TIME_ZONE`: the zone of times that do not know theirs. `America/Chicago` by default.
    pub time_zone: chrono_tz::Tz,
    /// `DATABASE_URL`, for Django's `DATABASES["default"]`.
    pub database_url: Option<DatabaseUrl>,
    /// `CACHES`: each cache by its alias. By default `default` alone, in this process' memory.
    pub caches: BTreeMap<String, CacheSettings>,

    /// `SESSION_ENGINE`: where sessions live. The database by default.
    pub session_engine: SessionEngineName,
    /// `SESSION_SERIALIZER`: how a session's data becomes text. JSON by default.
    pub session_serializer: SerializerName,
    /// `SESSION_CACHE_ALIAS`: the cache of the engines `cache` and `cached_db`. `default` by default.
    pub session_cache_alias: String,
    /// `SESSION_FILE_PATH`: the directory of the engine `file`. By default the system's temporary directory.
    pub session_file_path: Option<PathBuf>,
    /// `SESSION_SAVE_EVERY_REQUEST`: whether each request moves the session's expiry. `false` by default.
    pub session_save_every_request: bool,
    /// `SESSION_TOUCH_INTERVAL`, which Django lacks: an expiry that was moved less than this ago is not moved again, so
    /// that `SESSION_SAVE_EVERY_REQUEST` costs one write in so many seconds for a visitor. Zero, each request, by default.
    /// At most half of `SESSION_COOKIE_AGE`; in the second half of a session's life, each request moves it.
    pub session_touch_interval: TimeDelta,
    /// `SESSION_STORE_TIMEOUT`, which Django lacks: how long a request waits for its session's database or cache before
    /// it is answered with an error. Given in seconds; two by default.
    pub session_store_timeout: Duration,
    /// `SESSION_EXPIRE_AT_BROWSER_CLOSE`: whether the cookie goes with the browser's window. `false` by default.
    pub session_expire_at_browser_close: bool,

    /// `SESSION_COOKIE_AGE`: how long a session lives after it was saved. Given in seconds; two weeks by default.
    pub session_cookie_age: TimeDelta,
    /// `SESSION_COOKIE_DOMAIN`: the domain whose hosts share the cookie. By default only the host that set it.
    pub session_cookie_domain: Option<String>,
    /// `SESSION_COOKIE_HTTPONLY`: whether scripts in the page are kept from the cookie. `true` by default.
    pub session_cookie_httponly: bool,
    /// `SESSION_COOKIE_NAME`: the cookie's name. `sessionid` by default.
    pub session_cookie_name: CookieName,
    /// `SESSION_COOKIE_PATH`: the path below which the cookie is sent. `/` by default.
    pub session_cookie_path: String,
    /// `SESSION_COOKIE_SAMESITE`: whether the cookie travels with requests from other sites. `Lax` by default.
    pub session_cookie_samesite: SameSite,
    /// `SESSION_COOKIE_SECURE`: whether the cookie is sent over https only. `false` by default, as in Django.
    pub session_cookie_secure: bool,
    /// `SESSION_COOKIE_PARTITIONED`, which Django lacks: whether the cookie of an embedded page is kept apart for each site that embeds it
    /// (the attribute `Partitioned`, CHIPS). `false` by default.
    pub session_cookie_partitioned: bool,
    /// `SESSION_COOKIE_ENCRYPTED`, which Django lacks: whether the engine `signed_cookies` encrypts. `false` by default, since Django cannot read it.
    pub session_cookie_encrypted: bool,

    /// `SESSION_EXPIRE_SECONDS` of django-session-timeout: how long a visit lasts, behind the timeout layer. `SESSION_COOKIE_AGE` where it is `None`, the default.
    pub session_expire_seconds: Option<TimeDelta>,
    /// `SESSION_EXPIRE_AFTER_LAST_ACTIVITY` of django-session-timeout: whether that time begins anew with each request. `false` by default.
    pub session_expire_after_last_activity: bool,
    /// `SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD` of django-session-timeout: how long the session is not written again after that. One
    /// second by default.
    pub session_expire_after_last_activity_grace_period: TimeDelta,
    /// `SESSION_EXPIRE_ABSOLUTE_SECONDS`, which the original lacks: how long a visit lasts at most, however active. `None` by default.
    pub session_expire_absolute_seconds: Option<TimeDelta>,
    /// `SESSION_TIMEOUT_REDIRECT` of django-session-timeout: where a visit that ended is sent. By default to the login page.
    pub session_timeout_redirect: Option<String>,

    /// `AUTH_USER_MODEL`: the model of the site's users. `auth.User` by default.
    pub auth_user_model: UserModel,
    /// `AUTHENTICATION_BACKENDS`: the dotted paths of what knows users, in the order in which they are asked. `ModelBackend` by default.
    pub authentication_backends: Vec<String>,
    /// `LOGIN_URL`: where a visitor who has to log in is sent. `/accounts/login/` by default.
    pub login_url: String,
    /// `LOGIN_REDIRECT_URL`: where a login leads that was asked for nothing else. `/accounts/profile/` by default.
    pub login_redirect_url: String,
    /// `LOGOUT_REDIRECT_URL`: where a logout leads. `None` by default: to a page that says so.
    pub logout_redirect_url: Option<String>,
    /// `LOGIN_FAILURE_LIMIT`, which Django lacks: after how many wrong passwords for one user name from one address no more are tried for
    /// `LOGIN_COOLOFF_TIME`; an address may err ten times as often over all user names. `None`, without limit, by default.
    pub login_failure_limit: Option<u32>,
    /// `LOGIN_COOLOFF_TIME`, which Django lacks: how long failures are remembered. Given in seconds; five minutes by default.
    pub login_cooloff_time: TimeDelta,
    /// `PASSWORD_HASHERS`: the dotted paths of the hashers; the first one hashes, the others verify. Those of Django by default.
    pub password_hashers: Vec<String>,
    /// `PASSWORD_RESET_TIMEOUT`: how long the link of a password reset works. Given in seconds; three days by default.
    pub password_reset_timeout: TimeDelta,
    /// `AUTH_PASSWORD_VALIDATORS`: what a new password must be like. Nothing by default.
    pub auth_password_validators: Vec<PasswordValidatorSettings>,

    /// `CSRF_COOKIE_AGE`: how long the cookie lives; `None` for as long as the browser's window. Given in seconds; 52 weeks by default.
    pub csrf_cookie_age: Option<TimeDelta>,
    /// `CSRF_COOKIE_DOMAIN`: the domain whose hosts share the cookie. By default only the host that set it.
    pub csrf_cookie_domain: Option<String>,
    /// `CSRF_COOKIE_HTTPONLY`: whether scripts in the page are kept from the cookie. `false` by default.
    pub csrf_cookie_httponly: bool,
    /// `CSRF_COOKIE_NAME`: the cookie's name. `csrftoken` by default.
    pub csrf_cookie_name: CookieName,
    /// `CSRF_COOKIE_PATH`: the path below which the cookie is sent. `/` by default.
    pub csrf_cookie_path: String,
    /// `CSRF_COOKIE_SAMESITE`: whether the cookie travels with requests from other sites. `Lax` by default.
    pub csrf_cookie_samesite: SameSite,
    /// `CSRF_COOKIE_SECURE`: whether the cookie is sent over https only. `false` by default, as in Django.
    pub csrf_cookie_secure: bool,
    /// `CSRF_HEADER_NAME`: the header that may carry the token, in HTTP's lower-case spelling. `x-csrftoken` by default.
    pub csrf_header_name: String,
    /// `CSRF_TRUSTED_ORIGINS`: other origins whose forms are taken, such as `https://*.example.com`. Empty by default.
    pub csrf_trusted_origins: Vec<String>,
    /// `CSRF_USE_SESSIONS`: whether the secret lives in the session and not in a cookie. `false` by default.
    pub csrf_use_sessions: bool,

    /// `MESSAGE_STORAGE`: where messages wait for the next page. The cookie and the session by default.
    pub message_storage: MessageStorageName,
    /// `MESSAGE_LEVEL`: the least level that is kept. 20, `INFO`, by default.
    pub message_level: i64,
    /// `MESSAGE_TAGS`: tags for levels, beside and over those of Django. Empty by default.
    pub message_tags: BTreeMap<i64, String>,

    /// `STATIC_URL`: where static files are found, for templates. `None` by default.
    pub static_url: Option<String>,
    /// `MEDIA_URL`: where uploaded files are found, for templates. Empty by default.
    pub media_url: String,
    /// `LANGUAGE_CODE`: the site's language, for templates. `en-us` by default.
    pub language_code: String,

    /// Celery's settings, each with `CELERY_` before its name.
    pub celery: CelerySettings,
}

impl Settings {
    /// Django's defaults, for whoever sets the fields in code.
    ///
    /// Call [`check`](Self::check) when they are set.
    pub fn new(secret_key: impl Into<SecretKey>) -> Self {
        Self {
            secret_key: Keys::new(secret_key),
            debug: false,
            allowed_hosts: Vec::new(),
            secure_proxy_ssl_header: None,
            use_x_forwarded_host: false,
            use_x_forwarded_port: false,
            client_address_header: None,
            data_upload_max_memory_size: Some(2_621_440),
            internal_ips: Vec::new(),
            use_tz: true,
            time_zone: chrono_tz::America::Chicago,
            database_url: None,
            caches: caches::default_caches(),
            session_engine: SessionEngineName::Db,
            session_serializer: SerializerName::Json,
            session_cache_alias: "default".to_owned(),
            session_file_path: None,
            session_save_every_request: false,
            session_touch_interval: TimeDelta::zero(),
            session_store_timeout: Duration::from_secs(2),
            session_expire_at_browser_close: false,
            session_cookie_age: TimeDelta::weeks(2),
            session_cookie_domain: None,
            session_cookie_httponly: true,
            session_cookie_name: CookieName::sessionid(),
            session_cookie_path: "/".to_owned(),
            session_cookie_samesite: SameSite::Lax,
            session_cookie_secure: false,
            session_cookie_partitioned: false,
            session_cookie_encrypted: false,
            session_expire_seconds: None,
            session_expire_after_last_activity: false,
            session_expire_after_last_activity_grace_period: TimeDelta::seconds(1),
            session_expire_absolute_seconds: None,
            session_timeout_redirect: None,
            auth_user_model: UserModel::default(),
            authentication_backends: vec![auth::MODEL_BACKEND.to_owned()],
            login_url: "/accounts/login/".to_owned(),
            login_redirect_url: "/accounts/profile/".to_owned(),
            logout_redirect_url: None,
            login_failure_limit: None,
            login_cooloff_time: TimeDelta::minutes(5),
            password_hashers: auth::PASSWORD_HASHERS.map(str::to_owned).to_vec(),
            password_reset_timeout: TimeDelta::days(3),
            auth_password_validators: Vec::new(),
            csrf_cookie_age: Some(TimeDelta::weeks(52)),
            csrf_cookie_domain: None,
            csrf_cookie_httponly: false,
            csrf_cookie_name: CookieName::csrftoken(),
            csrf_cookie_path: "/".to_owned(),
            csrf_cookie_samesite: SameSite::Lax,
            csrf_cookie_secure: false,
            csrf_header_name: "x-csrftoken".to_owned(),
            csrf_trusted_origins: Vec::new(),
            csrf_use_sessions: false,
            message_storage: MessageStorageName::Fallback,
            message_level: 20,
            message_tags: BTreeMap::new(),
            static_url: None,
            media_url: String::new(),
            language_code: "en-us".to_owned(),
            celery: CelerySettings::default(),
        }
    }

    /// The settings file and the environment, as most programs want them.
    ///
    /// The file is the one that `QUINTETTE_SETTINGS` names, or `settings.toml` in the working directory if there is one.
    ///
    /// # Errors
    ///
    /// All that [`Loader::load`] reports.
    pub fn load() -> Result<Self, SettingsError> {
        Self::loader().settings_file().environment().load()
    }

    /// Settings from wherever the application says.
    pub fn loader() -> Loader {
        <Loader as Default>::default()
    }
}
