//! Django's names, from TOML into the fields.

use std::time::Duration;

use chrono::TimeDelta;

use super::super::super::{
    CacheBackend, DatabaseUrl, MessageStorageName, SameSite, SerializerName, SessionEngineName,
    SqliteLocation,
};
use super::toml;

/// Every setting, none of them as it is by default.
const EVERY_SETTING: &str = r#"
SECRET_KEY = "new"
SECRET_KEY_FALLBACKS = ["old"]
DEBUG = true
ALLOWED_HOSTS = [".example.com"]
SECURE_PROXY_SSL_HEADER = ["HTTP_X_FORWARDED_PROTO", "https"]
INTERNAL_IPS = ["127.0.0.1"]
USE_TZ = false
TIME_ZONE = "Asia/Seoul"
DATABASE_URL = "sqlite://db.sqlite3"
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_SERIALIZER = "django.contrib.sessions.serializers.PickleSerializer"
SESSION_CACHE_ALIAS = "sessions"
SESSION_FILE_PATH = "/srv/sessions"
SESSION_SAVE_EVERY_REQUEST = true
SESSION_EXPIRE_AT_BROWSER_CLOSE = true
SESSION_COOKIE_AGE = 60
SESSION_COOKIE_DOMAIN = "example.com"
SESSION_COOKIE_HTTPONLY = false
SESSION_COOKIE_NAME = "sid"
SESSION_COOKIE_PATH = "/shop/"
SESSION_COOKIE_SAMESITE = false
SESSION_COOKIE_SECURE = true
SESSION_COOKIE_PARTITIONED = true
SESSION_COOKIE_ENCRYPTED = true
SESSION_EXPIRE_SECONDS = 1800
SESSION_EXPIRE_AFTER_LAST_ACTIVITY = true
SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD = 5
SESSION_EXPIRE_ABSOLUTE_SECONDS = 36000
SESSION_TIMEOUT_REDIRECT = "/bye"
SESSION_TOUCH_INTERVAL = 30
SESSION_STORE_TIMEOUT = 5
USE_X_FORWARDED_HOST = true
USE_X_FORWARDED_PORT = true
CLIENT_ADDRESS_HEADER = "HTTP_X_FORWARDED_FOR"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024
AUTH_USER_MODEL = "accounts.Customer"
AUTHENTICATION_BACKENDS = ["accounts.Backend"]
LOGIN_URL = "/in/"
LOGIN_REDIRECT_URL = "/me/"
LOGOUT_REDIRECT_URL = "/out/"
LOGIN_FAILURE_LIMIT = 5
LOGIN_COOLOFF_TIME = 60
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
PASSWORD_RESET_TIMEOUT = 3600
AUTH_PASSWORD_VALIDATORS = [{ NAME = "MinimumLengthValidator", OPTIONS = { min_length = 9 } }]
CSRF_COOKIE_AGE = 60
CSRF_COOKIE_DOMAIN = "example.com"
CSRF_COOKIE_HTTPONLY = true
CSRF_COOKIE_NAME = "xsrf"
CSRF_COOKIE_PATH = "/shop/"
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_COOKIE_SECURE = true
CSRF_HEADER_NAME = "HTTP_X_XSRF_TOKEN"
CSRF_TRUSTED_ORIGINS = ["https://*.example.com"]
CSRF_USE_SESSIONS = true
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
MESSAGE_LEVEL = 10
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
LANGUAGE_CODE = "ko"
[MESSAGE_TAGS]
40 = "danger"
[CACHES.default]
BACKEND = "django.core.cache.backends.dummy.DummyCache"
"#;

#[test]
fn every_setting_is_read_from_toml_by_its_django_name() {
    let settings = toml(EVERY_SETTING).unwrap();
    assert_eq!(settings.secret_key.secret().as_bytes(), b"new");
    assert_eq!(settings.secret_key.fallbacks()[0].as_bytes(), b"old");
    assert!(settings.debug && !settings.use_tz);
    assert_eq!(settings.allowed_hosts, [".example.com"]);
    assert_eq!(
        settings.secure_proxy_ssl_header.unwrap().0,
        "x-forwarded-proto"
    );
    assert_eq!(
        settings.internal_ips,
        [std::net::IpAddr::from([127, 0, 0, 1])]
    );
    assert_eq!(settings.time_zone, chrono_tz::Asia::Seoul);
    assert_eq!(
        settings.database_url,
        Some(DatabaseUrl::Sqlite(SqliteLocation::File(
            "db.sqlite3".into()
        )))
    );
    assert_eq!(settings.session_engine, SessionEngineName::SignedCookies);
    assert_eq!(settings.session_serializer, SerializerName::Pickle);
    assert_eq!(settings.session_cache_alias, "sessions");
    assert_eq!(settings.session_file_path, Some("/srv/sessions".into()));
    assert!(settings.session_save_every_request && settings.session_expire_at_browser_close);
    assert_eq!(settings.session_cookie_age, TimeDelta::minutes(1));
    assert_eq!(
        settings.session_cookie_domain.as_deref(),
        Some("example.com")
    );
    assert!(!settings.session_cookie_httponly && settings.session_cookie_secure);
    assert_eq!(settings.session_cookie_name.as_str(), "sid");
    assert_eq!(settings.session_cookie_path, "/shop/");
    assert_eq!(settings.session_cookie_samesite, SameSite::Unset);
    assert!(settings.session_cookie_partitioned && settings.session_cookie_encrypted);
    assert_eq!(
        settings.session_expire_seconds,
        Some(TimeDelta::minutes(30))
    );
    assert!(settings.session_expire_after_last_activity);
    assert_eq!(
        settings.session_expire_after_last_activity_grace_period,
        TimeDelta::seconds(5)
    );
    assert_eq!(
        settings.session_expire_absolute_seconds,
        Some(TimeDelta::hours(10))
    );
    assert_eq!(settings.session_timeout_redirect.as_deref(), Some("/bye"));
    assert_eq!(settings.caches["default"].backend, CacheBackend::Dummy);
    assert!(settings.use_x_forwarded_host && settings.use_x_forwarded_port);
    assert_eq!(settings.session_touch_interval, TimeDelta::seconds(30));
    assert_eq!(settings.session_store_timeout, Duration::from_secs(5));
    let header = settings.client_address_header.as_deref();
    assert_eq!(header, Some("x-forwarded-for"));
    assert_eq!(settings.data_upload_max_memory_size, Some(1_024));
}

#[test]
fn every_setting_of_logins_is_read_by_its_django_name() {
    let settings = toml(EVERY_SETTING).unwrap();
    assert_eq!(settings.auth_user_model.to_string(), "accounts.Customer");
    assert_eq!(settings.authentication_backends, ["accounts.Backend"]);
    assert_eq!(settings.login_url, "/in/");
    assert_eq!(settings.login_redirect_url, "/me/");
    assert_eq!(settings.logout_redirect_url.as_deref(), Some("/out/"));
    assert_eq!(settings.login_failure_limit, Some(5));
    assert_eq!(settings.login_cooloff_time, TimeDelta::minutes(1));
    assert_eq!(
        settings.password_hashers,
        ["django.contrib.auth.hashers.ScryptPasswordHasher"]
    );
    assert_eq!(settings.password_reset_timeout, TimeDelta::hours(1));
    let [validator] = &settings.auth_password_validators[..] else {
        panic!("{:?}", settings.auth_password_validators)
    };
    assert_eq!(validator.name, "MinimumLengthValidator");
    assert_eq!(validator.options["min_length"], 9);
}

#[test]
fn every_setting_of_csrf_is_read_by_its_django_name() {
    let settings = toml(EVERY_SETTING).unwrap();
    assert_eq!(settings.csrf_cookie_age, Some(TimeDelta::minutes(1)));
    assert_eq!(settings.csrf_cookie_domain.as_deref(), Some("example.com"));
    assert!(settings.csrf_cookie_httponly && settings.csrf_cookie_secure);
    assert_eq!(settings.csrf_cookie_name.as_str(), "xsrf");
    assert_eq!(settings.csrf_cookie_path, "/shop/");
    assert_eq!(settings.csrf_cookie_samesite, SameSite::Strict);
    assert_eq!(settings.csrf_header_name, "x-xsrf-token");
    assert_eq!(settings.csrf_trusted_origins, ["https://*.example.com"]);
    assert!(settings.csrf_use_sessions);
}

#[test]
fn every_setting_of_messages_and_templates_is_read_by_its_django_name() {
    let settings = toml(EVERY_SETTING).unwrap();
    assert_eq!(settings.message_storage, MessageStorageName::Session);
    assert_eq!(settings.message_level, 10);
    assert_eq!(settings.message_tags[&40], "danger");
    assert_eq!(settings.static_url.as_deref(), Some("/static/"));
    assert_eq!(settings.media_url, "/media/");
    assert_eq!(settings.language_code, "ko");
}
