use std::path::PathBuf;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::super::{CacheBackend, SameSite};
use super::*;

mod celery;
mod every_setting;

/// What the settings are for these variables, above nothing but a secret.
fn variables(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::loader()
        .default("SECRET_KEY", "secret")
        .variables(variables.iter().copied())
        .load()
}

fn toml(text: &str) -> Result<Settings, SettingsError> {
    Settings::loader()
        .default("SECRET_KEY", "secret")
        .toml_str(text)
        .load()
}

fn complaint(loaded: Result<Settings, SettingsError>) -> String {
    loaded.expect_err("the settings are wrong").to_string()
}

/// A directory of this test's own, removed when it ends.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("quintette-settings-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn variables_are_strings_json_or_pythons_words() {
    let settings = variables(&[
        ("SECRET_KEY", "[1]"),
        ("SECRET_KEY_FALLBACKS", r#"["old", "older"]"#),
        ("SESSION_COOKIE_SECURE", "True"),
        ("SESSION_COOKIE_HTTPONLY", "off"),
        ("SESSION_COOKIE_AGE", "3600"),
        ("SESSION_COOKIE_NAME", "123"),
        ("SESSION_COOKIE_SAMESITE", "strict"),
        ("SESSION_EXPIRE_SECONDS", "None"),
        ("ALLOWED_HOSTS", r#"["*"]"#),
        (
            "SECURE_PROXY_SSL_HEADER",
            r#"["HTTP_X_FORWARDED_PROTO", "https"]"#,
        ),
    ])
    .unwrap();
    assert_eq!(settings.secret_key.secret().as_bytes(), b"[1]");
    assert_eq!(settings.secret_key.fallbacks().len(), 2);
    assert!(settings.session_cookie_secure && !settings.session_cookie_httponly);
    assert_eq!(settings.session_cookie_age, TimeDelta::hours(1));
    assert_eq!(settings.session_cookie_name.as_str(), "123");
    assert_eq!(settings.session_cookie_samesite, SameSite::Strict);
    assert_eq!(settings.session_expire_seconds, None);
    assert_eq!(settings.allowed_hosts, ["*"]);
    assert!(settings.secure_proxy_ssl_header.is_some());
}

#[test]
fn an_empty_variable_unsets_what_the_file_set() {
    let settings = Settings::loader()
        .toml_str("SECRET_KEY = 's'\nSESSION_COOKIE_DOMAIN = 'a.b'\nDATABASE_URL = 'sqlite://x'\nCACHE_URL = 'dummy://'")
        .variables([("SESSION_COOKIE_DOMAIN", ""), ("DATABASE_URL", ""), ("CACHE_URL", "")])
        .load()
        .unwrap();
    assert_eq!(
        (settings.session_cookie_domain, settings.database_url),
        (None, None)
    );
    assert_eq!(settings.caches["default"].backend, CacheBackend::LocMem);
}

#[test]
fn the_environment_is_above_the_file_and_the_file_above_the_applications_defaults() {
    let load = |loader: Loader| loader.load().unwrap().session_cookie_name.to_string();
    let defaults = || {
        Settings::loader()
            .default("SECRET_KEY", "s")
            .default("SESSION_COOKIE_NAME", "default")
    };
    let variable = [("SESSION_COOKIE_NAME", "variable")];
    let file = "SESSION_COOKIE_NAME = 'file'";
    assert_eq!(load(defaults()), "default");
    assert_eq!(load(defaults().toml_str(file)), "file");
    assert_eq!(
        load(defaults().variables(variable).toml_str(file)),
        "variable"
    );
    assert_eq!(
        load(Settings::loader().toml_str(file).default("SECRET_KEY", "s")),
        "file"
    );
}

#[test]
fn a_missing_or_empty_secret_key_says_how_to_make_one() {
    for loaded in [
        Settings::loader().load(),
        Settings::loader().variables([("SECRET_KEY", "")]).load(),
        Settings::loader().toml_str("SECRET_KEY = 7").load(),
    ] {
        let said = complaint(loaded);
        assert!(
            said.contains("SECRET_KEY") && said.contains("openssl rand"),
            "{said}"
        );
    }
    assert!(
        complaint(variables(&[("SECRET_KEY_FALLBACKS", r#"["a", ""]"#)])).contains("empty key")
    );
}

#[test]
fn a_file_that_cannot_be_read_is_not_blamed_for_a_missing_secret_key() {
    let directory = Directory::new("unread");
    let error = Settings::loader()
        .toml_file(directory.0.join("missing.toml"))
        .load()
        .unwrap_err();
    assert_eq!(error.problems().len(), 1);
    assert_eq!(error.problems()[0].setting(), None);
}

#[test]
fn a_wrong_value_is_told_with_its_name_its_place_and_what_would_do() {
    let said = complaint(variables(&[("SESSION_COOKIE_AGE", "two weeks")]));
    assert!(
        said.starts_with(
            r#"SESSION_COOKIE_AGE (environment) is "two weeks": write a whole number"#
        ),
        "{said}"
    );
    let said = complaint(toml(
        "SESSION_ENGINE = 'django.contrib.sessions.backends.redis'",
    ));
    assert!(
        said.starts_with("SESSION_ENGINE (the TOML text) is"),
        "{said}"
    );
}

#[test]
fn a_broken_rule_is_told_with_the_place_of_its_setting() {
    let said = complaint(variables(&[("SESSION_COOKIE_NAME", "__Host-id")]));
    assert!(
        said.starts_with(r#"SESSION_COOKIE_NAME (environment) is "__Host-id""#),
        "{said}"
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let error = variables(&[
        ("DEBUG", "maybe"),
        ("SESSION_COOKIE_AGE", "x"),
        ("SESSION_COOKIE_AEG", "1"),
    ])
    .unwrap_err();
    assert_eq!(error.problems().len(), 3);
}

#[test]
fn an_unknown_name_in_toml_is_an_error_with_a_suggestion() {
    let said = complaint(toml("SESSION_COOKIE_AEG = 1"));
    assert!(said.contains("did you mean SESSION_COOKIE_AGE?"), "{said}");
    assert!(complaint(toml("debug = true")).contains("did you mean DEBUG?"));
    assert!(
        complaint(toml("[shop]\nx = 1")).starts_with("shop (the TOML text): there is no setting")
    );
}

#[test]
fn djangos_other_settings_carry_over_and_are_passed_over() {
    toml(
        r#"
        BASE_DIR = "/srv/shop"
        ROOT_URLCONF = "shop.urls"
        INSTALLED_APPS = ["django.contrib.sessions"]
        MIDDLEWARE = []
        STATIC_URL = "static/"
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        LOGIN_URL = "/login/"
        CSRF_COOKIE_SECURE = true
        AUTH_PASSWORD_VALIDATORS = [{ NAME = "x" }]
        CELERY_BROKER_URL = "memory://"
        CSRF_FAILURE_VIEW = "x"
        [DATABASES.default]
        ENGINE = "django.db.backends.sqlite3"
        [[TEMPLATES]]
        APP_DIRS = true
        "#,
    )
    .unwrap();
}

#[test]
fn of_unknown_variables_only_those_that_begin_with_session_or_celery_are_errors() {
    variables(&[
        ("PATH", "/bin"),
        ("DEBUG_COLORS", "1"),
        ("SESSION_MANAGER", "local/host:@/tmp/.ICE-unix/1"),
        ("CSRF_COOKIE_NAME", "x"),
    ])
    .unwrap();
    let said = complaint(variables(&[("SESSION_COOKIE_SECUR", "1")]));
    assert!(
        said.starts_with("SESSION_COOKIE_SECUR (environment): "),
        "{said}"
    );
    assert!(
        said.contains("did you mean SESSION_COOKIE_SECURE?"),
        "{said}"
    );
}

#[test]
fn a_cache_url_is_the_default_cache_and_the_higher_layer_counts() {
    let caches = r#"{"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}"#;
    let others = r#"{"other": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}"#;
    let file_with_caches = "SECRET_KEY = 's'\n[CACHES.default]\nBACKEND = 'django.core.cache.backends.dummy.DummyCache'";
    let url = ("CACHE_URL", "redis://h");
    let backend =
        |loaded: Result<Settings, SettingsError>| loaded.unwrap().caches["default"].backend;

    assert_eq!(backend(variables(&[url])), CacheBackend::Redis);
    assert_eq!(
        backend(variables(&[url, ("CACHES", caches)])),
        CacheBackend::Dummy
    );
    assert_eq!(
        backend(variables(&[url, ("CACHES", others)])),
        CacheBackend::Redis
    );
    assert_eq!(
        backend(
            Settings::loader()
                .toml_str(file_with_caches)
                .variables([url])
                .load()
        ),
        CacheBackend::Redis
    );
    assert_eq!(
        backend(
            Settings::loader()
                .toml_str("SECRET_KEY = 's'\nCACHE_URL = 'redis://h'")
                .variables([("CACHES", caches)])
                .load()
        ),
        CacheBackend::Dummy
    );
    assert!(complaint(variables(&[("CACHES", others)])).contains("\"default\""));
}

#[test]
fn a_settings_file_is_read_where_it_is_or_where_it_is_named() {
    let directory = Directory::new("found");
    let from = |named: Option<&str>| {
        Settings::loader()
            .default("SECRET_KEY", "s")
            .settings_file_in(&directory.0, named.map(Into::into))
            .load()
    };
    assert_eq!(
        from(None).unwrap().session_cookie_name.as_str(),
        "sessionid"
    );
    directory.write("settings.toml", "SESSION_COOKIE_NAME = 'here'");
    directory.write("other.toml", "SESSION_COOKIE_NAME = 'there'");
    assert_eq!(from(None).unwrap().session_cookie_name.as_str(), "here");
    assert_eq!(from(Some("")).unwrap().session_cookie_name.as_str(), "here");
    assert_eq!(
        from(Some("other.toml"))
            .unwrap()
            .session_cookie_name
            .as_str(),
        "there"
    );

    let error = from(Some("missing.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("missing.toml: the settings file cannot be read"),
        "{error}"
    );
    assert!(std::error::Error::source(&error.problems()[0]).is_some());
}

#[test]
fn a_syntax_error_is_told_with_file_and_line() {
    let directory = Directory::new("syntax");
    let path = directory.write("settings.toml", "SECRET_KEY = 's'\n\nDEBUG = True\n");
    let said = complaint(Settings::loader().toml_file(&path).load());
    assert!(
        said.contains(&format!("{}: line 3 is not TOML", path.display())),
        "{said}"
    );
    assert!(said.contains("TOML writes true and false"), "{said}");
}

#[test]
fn no_secret_is_in_an_error_or_in_debug_output() {
    let secrets = [
        ("SECRET_KEY", "hunter2"),
        ("SECRET_KEY_FALLBACKS", "hunter2"),
        ("DATABASE_URL", "hunter2://u:hunter2@h"),
        ("CACHE_URL", "hunter2://:hunter2@h"),
        ("CACHES", r#"{"default": "hunter2"}"#),
    ];
    let error = variables(&secrets).unwrap_err();
    assert_eq!(error.problems().len(), 4);
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );

    let loader = Settings::loader()
        .default("SECRET_KEY", "hunter2")
        .variables([
            ("SECRET_KEY_FALLBACKS", r#"["hunter2"]"#),
            ("DATABASE_URL", "postgres://u:hunter2@h/d"),
            ("CACHE_URL", "redis://:hunter2@h"),
        ]);
    assert!(!format!("{loader:?}").contains("hunter2"));
    let settings = loader.load().unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
}

#[test]
fn a_broken_file_does_not_show_the_secret_on_the_broken_line() {
    let whole =
        "SECRET_KEY = \"hunter2\\q\"\nSECRET_KEY_FALLBACKS = [\"hunter2\", hunter2]\nx = hunter2";
    for end in 0..whole.len() {
        for start in [0, 14, 26] {
            let text = whole.get(start..end).unwrap_or_default();
            if let Err(error) = Settings::loader().toml_str(text).load() {
                let said = format!("{error} {error:?}").replace("SECRET_KEY", "");
                assert!(!said.contains("hunter2"), "{text:?}: {said}");
            }
        }
    }
}

/// Runs itself again, as a process with an environment of its own: that of this one cannot be changed safely.
#[cfg(unix)]
#[test]
fn load_reads_the_working_directory_and_an_environment_that_is_not_all_utf_8() {
    use std::os::unix::ffi::OsStrExt;

    const NAME: &str = "settings::loader::tests::load_reads_the_working_directory_and_an_environment_that_is_not_all_utf_8";
    const MARK: &str = "QUINTETTE_TEST_CHILD";
    if std::env::var_os(MARK).is_some() {
        let error = Settings::load().unwrap_err();
        let named: Vec<_> = error
            .problems()
            .iter()
            .filter_map(Problem::setting)
            .collect();
        assert_eq!(named, ["TIME_ZONE"], "{error}");
        assert_eq!(error.to_string(), "TIME_ZONE (environment): is not UTF-8");
        return;
    }
    let directory = Directory::new("process");
    directory.write(
        "settings.toml",
        "SECRET_KEY = 'file'\nSESSION_COOKIE_AGE = 'wrong, but not what counts'",
    );
    let not_utf_8 = std::ffi::OsStr::from_bytes(b"\xff");
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .current_dir(&directory.0)
        .env_clear()
        .env(MARK, "1")
        .env("SESSION_COOKIE_AGE", "60")
        .env("TIME_ZONE", not_utf_8)
        .env("SOMEBODY_ELSES", not_utf_8)
        .env(not_utf_8, "x")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let deep = "[".repeat(100_000);
    assert!(toml(&format!("ALLOWED_HOSTS = {deep}")).is_err());
    assert!(
        variables(&[
            ("ALLOWED_HOSTS", &deep),
            ("CACHES", &"{\"a\":".repeat(100_000))
        ])
        .is_err()
    );
    assert!(toml(&format!("{}x = 1", "CACHES.".repeat(100_000))).is_err());
}

/// A name of ours, or nearly one.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("SECRET_KEY".to_owned()),
        Just("SESSION_COOKIE_AGE".to_owned()),
        Just("SESSION_COOKIE_NAME".to_owned()),
        Just("SESSION_COOKIE_DOMAIN".to_owned()),
        Just("SESSION_EXPIRE_SECONDS".to_owned()),
        Just("SECURE_PROXY_SSL_HEADER".to_owned()),
        Just("CACHES".to_owned()),
        Just("CACHE_URL".to_owned()),
        Just("DATABASE_URL".to_owned()),
        "SESSION_[A-Z_]{0,12}",
        "\\PC{0,12}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        any::<i64>().prop_map(|number| number.to_string()),
        "[\\[\\]{}\",:a-zA-Z0-9%@/?.\u{e9} -]{0,30}",
        "(redis|memcached|sqlite|postgres|file)://[a-z0-9:@/?%\u{e9}]{0,20}",
        "\\{\"default\": \\{\"(BACKEND|LOCATION|\u{e9})\": [\"0-9a-z\\[\\]]{0,10}\\}\\}",
    ]
}

proptest! {
    #[test]
    fn no_environment_panics(variables in prop::collection::vec((name(), text()), 0..6)) {
        let loaded = Settings::loader().default("SECRET_KEY", "s").variables(variables).load();
        match loaded {
            Ok(settings) => { let _ = (settings.deploy_warnings(), format!("{settings:?}")); }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn no_toml_panics(lines in prop::collection::vec((name(), text()), 0..6), rest in any::<String>()) {
        let lines_of_toml = lines.iter().map(|(name, text)| format!("{name} = {text}\n"));
        let mut text = lines_of_toml.collect::<Vec<_>>().concat();
        text.push_str(&rest);
        let _ = Settings::loader().toml_str(&text).load();
        let table: toml::Table = lines
            .into_iter()
            .map(|(name, text)| (name, toml::Value::from(text)))
            .collect();
        let _ = Settings::loader().toml_str(&table.to_string()).load();
    }

    #[test]
    fn whole_seconds_are_read_alike_from_everywhere(seconds in -value::LONGEST_SECONDS..=value::LONGEST_SECONDS) {
        let expected = TimeDelta::seconds(seconds);
        let written = seconds.to_string();
        prop_assert_eq!(variables(&[("SESSION_COOKIE_AGE", &written)]).unwrap().session_cookie_age, expected);
        prop_assert_eq!(toml(&format!("SESSION_COOKIE_AGE = {written}")).unwrap().session_cookie_age, expected);
    }
}
