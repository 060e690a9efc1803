use crate::site::{Site, keys};

const MINIMUM_LENGTH: &str =
    r#"[{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]"#;

#[test]
fn a_site_in_order_has_no_problems() {
    let directory = tempfile::tempdir().unwrap();
    for (engine, path) in [
        ("db", ""),
        ("cached_db", ""),
        ("cache", ""),
        ("signed_cookies", ""),
        ("file", "."),
    ] {
        let mut site = Site::migrated().with("SESSION_ENGINE", engine);
        if !path.is_empty() {
            site = site.with("SESSION_FILE_PATH", directory.path());
        }
        let ran = site.run(&["check"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains(&format!("{engine}: ")), "{ran:?}");
        assert!(ran.stdout.contains("Round trip  ok"), "{ran:?}");
        assert!(ran.stdout.ends_with("\nNo problems found.\n"), "{ran:?}");
        assert_eq!(ran.stderr, "");
    }
}

#[tokio::test]
async fn the_throw_away_session_is_thrown_away() {
    let site = Site::migrated();
    assert_eq!(site.run(&["check"]).code, 0);
    assert_eq!(site.rows().await, 0);
}

#[test]
fn every_wrong_setting_is_named_with_its_place_and_its_mend() {
    let site = Site::empty()
        .with("SESSION_COOKIE_AGEE", "1")
        .with("SESSION_COOKIE_SECURE", "maybe");
    site.write("settings.toml", "SESSION_ENGINE = \"redis\"\n");
    let ran = site.run(&["check"]);
    assert_eq!(ran.code, 1);
    for expected in [
        "SECRET_KEY (given nowhere): ",
        "SESSION_COOKIE_AGEE (environment): ",
        "did you mean SESSION_COOKIE_AGE?",
        "SESSION_COOKIE_SECURE (environment) is \"maybe\": write true or false",
        "SESSION_ENGINE (settings.toml) is \"redis\": ",
        "\n4 errors.\n",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {ran:?}");
    }
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_store_that_cannot_be_used_is_an_error_that_says_why() {
    for (name, value, engine, expected) in [
        ("OTHER", "", "db", "DATABASE_URL is not set"),
        (
            "DATABASE_URL",
            "sqlite://missing.sqlite3",
            "db",
            "does not exist: run `quintette migrate`",
        ),
        (
            "DATABASE_URL",
            "sqlite://directory",
            "db",
            "DATABASE_URL: directory: ",
        ),
        (
            "DATABASE_URL",
            "sqlite://text/shop.sqlite3",
            "db",
            "DATABASE_URL",
        ),
        ("DATABASE_URL", "sqlite://text", "db", "no SQLite database"),
        (
            "DATABASE_URL",
            "sqlite://empty",
            "cached_db",
            "no table django_session",
        ),
        (
            "SESSION_FILE_PATH",
            "text/sessions",
            "file",
            "SESSION_FILE_PATH",
        ),
        ("SESSION_FILE_PATH", "text", "file", "SESSION_FILE_PATH"),
        (
            "SESSION_CACHE_ALIAS",
            "fast",
            "cache",
            "SESSION_CACHE_ALIAS",
        ),
    ] {
        let site = Site::new().with("SESSION_ENGINE", engine).with(name, value);
        std::fs::create_dir(site.path("directory")).unwrap();
        site.write("text", "This is a text file, and not a database. It is longer than a header of SQLite's would be: more than a hundred bytes.");
        site.write("empty", "");
        let ran = site.run(&["check"]);
        assert_eq!(ran.code, 1, "{value}: {ran:?}");
        assert!(ran.stdout.contains(expected), "{value}: {ran:?}");
        assert!(ran.stdout.ends_with("\n1 error.\n"), "{value}: {ran:?}");
    }
}

#[tokio::test]
async fn a_table_that_takes_no_sessions_is_found() {
    let site = Site::migrated();
    site.execute("CREATE TRIGGER full BEFORE INSERT ON django_session BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
        .await;
    let ran = site.run(&["check"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("Round trip  FAILED") && ran.stdout.contains("the disk is full"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_table_that_forgets_is_found() {
    let site = Site::migrated();
    site.execute("CREATE TRIGGER forgets AFTER INSERT ON django_session BEGIN DELETE FROM django_session; END").await;
    let ran = site.run(&["check"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("forgotten it at once"), "{ran:?}");
}

#[tokio::test]
async fn stored_sessions_of_another_secret_key_are_a_warning() {
    let site = Site::migrated();
    site.insert(&keys(2), r#"{"n":1}"#, "2100-01-01 00:00:00")
        .await;
    let ran = site.with("SECRET_KEY", "another").run(&["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains("Of 2 stored sessions looked at, 2 cannot be read"),
        "{ran:?}"
    );
}

#[test]
fn deploy_warnings_have_an_id_and_a_hint_and_fail_only_where_asked() {
    let site = Site::migrated();
    let ran = site.run(&["check", "--deploy"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout
            .contains("\nWARNINGS\n  security.W012   The session cookie"),
        "{ran:?}"
    );
    assert!(
        ran.stdout
            .contains("\n                  Hint: Set SESSION_COOKIE_SECURE = true"),
        "{ran:?}"
    );
    assert!(ran.stdout.ends_with(" warnings.\n"), "{ran:?}");
    assert_eq!(
        site.run(&["check", "--deploy", "--fail-level", "warning"])
            .code,
        1
    );
    let mended = site
        .with("SESSION_COOKIE_SECURE", "true")
        .with("CSRF_COOKIE_SECURE", "true")
        .with("ALLOWED_HOSTS", r#"["shop.example"]"#)
        .with("LOGIN_FAILURE_LIMIT", "5")
        // Not connected to.
        .with("CACHE_URL", "redis://127.0.0.1:1")
        .with("AUTH_PASSWORD_VALIDATORS", MINIMUM_LENGTH);
    let ran = mended.run(&["check", "--deploy", "--fail-level", "warning"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn names_of_djangos_that_are_not_here_are_errors() {
    for (setting, value, expected) in [
        (
            "PASSWORD_HASHERS",
            r#"["django.contrib.auth.hashers.Enigma"]"#,
            "names \"django.contrib.auth.hashers.Enigma\"",
        ),
        (
            "AUTH_PASSWORD_VALIDATORS",
            r#"[{"NAME": "shop.Enigma"}]"#,
            "PasswordValidators::with",
        ),
        (
            "AUTHENTICATION_BACKENDS",
            r#"["django.contrib.auth.backends.RemoteUserBackend"]"#,
            "AUTHENTICATION_BACKENDS names",
        ),
        (
            "AUTH_PASSWORD_VALIDATORS",
            r#"[{"NAME": "django.contrib.auth.password_validation.Enigma"}]"#,
            "AUTH_PASSWORD_VALIDATORS: ",
        ),
        (
            "AUTH_PASSWORD_VALIDATORS",
            r#"[{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min": 8}}]"#,
            "has no option \"min\"",
        ),
    ] {
        let ran = Site::migrated().with(setting, value).run(&["check"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stdout.contains(expected), "{ran:?}");
        assert!(ran.stdout.ends_with("\n1 error.\n"), "{ran:?}");
    }
}

#[test]
fn what_only_the_application_can_know_is_a_note() {
    let site = Site::migrated()
        .with("AUTHENTICATION_BACKENDS", r#"["shop.auth.Tokens"]"#)
        .with("PASSWORD_HASHERS", r#"["shop.auth.Own"]"#);
    let ran = site.run(&["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("shop.auth.Tokens") && ran.stderr.contains("shop.auth.Own"),
        "{ran:?}"
    );
    assert!(ran.stdout.ends_with("\nNo problems found.\n"), "{ran:?}");
}

#[tokio::test]
async fn missing_tables_of_users_are_a_warning_with_the_mend() {
    let site = Site::migrated();
    site.execute("DROP TABLE auth_user").await;
    let ran = site.run(&["check"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("quintette.W026") && ran.stdout.contains("run `quintette migrate`"),
        "{ran:?}"
    );
    assert!(ran.stdout.ends_with("\n1 warning.\n"), "{ran:?}");
}

#[test]
fn logins_that_can_be_guessed_are_warned_of() {
    let site = Site::migrated()
        .with(
            "PASSWORD_HASHERS",
            r#"["django.contrib.auth.hashers.MD5PasswordHasher"]"#,
        )
        .with("LOGIN_URL", "https://elsewhere.example/login");
    let ran = site.run(&["check", "--deploy"]);
    for id in ["W021", "W023", "W024", "W025"] {
        assert!(
            ran.stdout.contains(&format!("quintette.{id}")),
            "{id}: {ran:?}"
        );
    }
    let ran = site
        .with("LOGIN_FAILURE_LIMIT", "5")
        .run(&["check", "--deploy"]);
    assert!(
        ran.stdout.contains("quintette.W022") && !ran.stdout.contains("quintette.W021"),
        "{ran:?}"
    );
}
